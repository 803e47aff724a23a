"""Animated GIF, WebP and PNG as input: among them the program's own films."""

import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamer.errors import Failure, Mistake
from dreamer.films import animated, moving
from dreamer.nets.model import Model
from helpers import ROOT, made, names, shown


def drawn(number: int) -> Image.Image:
    """A picture of 40×30 pixels with a bar that depends on the number."""
    picture = np.full((30, 40, 3), 40, np.uint8)
    picture[:, 3 * number:3 * number + 5] = (220, 60, 90)
    return Image.fromarray(picture)


def saved(path: Path, durations: list[int], **more: Any) -> Path:
    """An animated picture with these durations in milliseconds."""
    first, *rest = (drawn(number) for number in range(len(durations)))
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0, **more)
    return path


@pytest.fixture
def command(tiny: Model, tmp_path: Path) -> Callable[..., list[str]]:
    """Function of input, output and more words that returns the command line of a dream with the tiny model."""
    def words(source: Path, name: str, *more: object) -> list[str]:
        return [str(ROOT / "dreamify.py"), str(source), str(tmp_path / name), "mix/output", "1", "1", "--seed", "5",
                "--model", str(tiny.folder), "--step-size", "0.001", *map(str, more)]
    return words


@pytest.mark.parametrize("name", ["in.webp", "in.png", "in.gif"])
@pytest.mark.parametrize(("durations", "rate", "ticks"), [
    ([40] * 5, Fraction(25), [1] * 5), ([33, 34, 33, 33, 34, 33], Fraction(30), [1] * 6),
    ([40, 40, 120, 40], Fraction(25), [1, 1, 3, 1]), ([0, 100, 100], Fraction(10), [1] * 3),
    ([2000, 1000], Fraction(1), [2, 1])])
def test_its_frames_are_shown_as_long(tmp_path: Path, name: str, durations: list[int], rate: Fraction,
                                      ticks: list[int]) -> None:
    if name == "in.gif":
        durations = np.diff([round(sum(durations[:count]), -1) for count in range(len(durations) + 1)]).tolist()
    path = str(saved(tmp_path / name, durations, **({} if name == "in.gif" else {"lossless": True})))
    assert moving.moves(path)
    found = animated.opened(path, None, 10 ** 6)
    assert (found.rate, found.ticks, found.which) == (rate, ticks, list(range(len(ticks))))
    for first in (0, len(ticks) - 1):
        frames = list(found.frames(first))
        assert np.array_equal(frames, [np.asarray(drawn(number)) for number in range(first, len(ticks))])
    part = animated.opened(path, 20, 10 ** 6, fps=5)
    assert part.rate == 5
    assert next(part.frames()).shape == part.shape == (15, 20, 3)


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (20, 10), (200, 0, 0, alpha)) for alpha in (255, 0, 128)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=40, lossless=True)
    colours = [frame[5, 5].tolist() for frame in animated.opened(str(tmp_path / "a.webp"), None, 10 ** 6).frames()]
    assert colours[:2] == [[200, 0, 0], [255, 255, 255]]
    assert np.abs(np.subtract(colours[2], [227, 127, 127])).max() <= 1


def test_a_picture_for_other_programs_is_no_frame(tmp_path: Path) -> None:
    path = str(saved(tmp_path / "a.png", [40, 40, 40], default_image=True))
    assert Image.open(path).n_frames == 3
    found = animated.opened(path, None, 10 ** 6)
    assert np.array_equal(list(found.frames()), [np.asarray(drawn(number)) for number in (1, 2)])


def test_stills_do_not_move(tmp_path: Path) -> None:
    for name in ("a.png", "a.webp", "a.tif"):
        drawn(1).save(tmp_path / name)
        assert not moving.moves(tmp_path / name)


def test_its_own_films_are_dreamed_again(command: Callable[..., list[str]], tmp_path: Path) -> None:
    saved(tmp_path / "in.png", [50] * 4)
    made(command(tmp_path / "in.png", "once.webp"))
    assert "4 frames, 20 a second" in made(command(tmp_path / "once.webp", "again.gif")).stdout
    film = shown(tmp_path / "again.gif")
    assert len(film) == 4
    assert [names(tmp_path)] == [["again.gif", "in.png", "once.webp"]]
    for number, (frame, _) in enumerate(film):
        assert np.abs(frame - np.asarray(drawn(number))).mean() < 12


def test_what_cannot_be_is_told(command: Callable[..., list[str]], tmp_path: Path) -> None:
    saved(tmp_path / "in.webp", [10] * 3 + [11])
    whole = (tmp_path / "in.webp").read_bytes()
    (tmp_path / "cut.webp").write_bytes(whole[:len(whole) * 2 // 3])
    done = subprocess.run(command(tmp_path / "cut.webp", "out.gif"), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    with pytest.raises(Mistake, match="more than 100 pixels"):
        animated.opened(str(tmp_path / "in.webp"), None, 100)
    found = animated.opened(str(tmp_path / "in.webp"), None, 10 ** 6)
    (tmp_path / "in.webp").write_bytes(whole[:60])
    with pytest.raises(Failure):
        list(found.frames())


def test_damage_after_the_first_frame_ends_it(tmp_path: Path) -> None:
    for name in ("in.gif", "in.png"):
        path = saved(tmp_path / name, [40] * 6)
        path.write_bytes(path.read_bytes()[:path.stat().st_size * 2 // 3])
        told = list[str]()
        found = animated.opened(str(path), None, 10 ** 6, told.append)
        assert 0 < len(list(found.frames())) == len(found.ticks) < 6
        assert told == [f"input: the film ends with frame {len(found.ticks)}, because the rest of {path} is damaged or "
                        "missing"]
