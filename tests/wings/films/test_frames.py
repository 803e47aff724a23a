"""A folder of pictures as the frames of a film."""

import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreamer.errors import Failure, Mistake
from dreamer.films.frames import opened
from dreamer.nets.model import Model
from dreamer.pictures import reading
from helpers import ROOT, decoded, made, noise, saved


@pytest.fixture
def command(tiny: Model, tmp_path: Path) -> Callable[..., list[str]]:
    """Function of input, output and more words that returns the command line of a dream with the tiny model."""
    def words(source: Path, name: str, *more: object) -> list[str]:
        return [str(ROOT / "dreamify.py"), str(source), str(tmp_path / name), "mix/output", "2", "1", "--seed", "5",
                "--model", str(tiny.folder), *map(str, more)]
    return words


def test_a_folder_of_frames_in_natural_order(command: Callable[..., list[str]], frames: Path, tmp_path: Path,
                                             ffmpeg: None) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(1, 12):
        shutil.copy(frames / f"{number}.png", folder / f"frame{number}.png")
    assert "11 frames, 12.5 a second" in made(command(folder, "out.mp4", "--fps", "12.5")).stdout
    shown = decoded(tmp_path / "out.mp4")
    for number, ours in enumerate(shown):
        unlike = [np.abs(np.asarray(Image.open(frames / f"{other}.png"), int) - ours).mean() for other in range(1, 12)]
        assert int(np.argmin(unlike)) == number
    made(command(folder, "out.gif"))
    assert Image.open(tmp_path / "out.gif").n_frames == 11
    Image.new("RGB", (9, 9)).save(folder / "frame12.png")
    for name, told in (("out.gif", "frame12.png differs in size from the first frame, frame1.png"),
                       ("frames/frame%d.png", "would overwrite the input")):
        done = subprocess.run(command(folder, name), capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert told in done.stderr


def test_what_is_no_frame_is_left_out(tmp_path: Path) -> None:
    for name in ("2.png", "10.PNG", "1.jpg", ".hidden.png"):
        saved(tmp_path / name, noise(20, 30))
    (tmp_path / "3.png").mkdir()
    told = list[str]()
    assert len(opened(str(tmp_path), Fraction(25), None, 10 ** 6, reading.read, told.append).paths) == 3
    assert told == []
    (tmp_path / "notes.txt").write_text("no picture")
    found = opened(str(tmp_path), Fraction(25), None, 10 ** 6, reading.read, told.append)
    (tmp_path / "film.mp4").write_text("no picture")
    opened(str(tmp_path), Fraction(25), None, 10 ** 6, reading.read, told.append)
    assert told == [f"input: 1 file in {tmp_path} is left out, because it is not a picture that can be read: notes.txt",
                    f"input: 2 files in {tmp_path} are left out, because they are not pictures that can be read: "
                    "film.mp4, notes.txt"]
    assert [path.name for path in found.paths] == ["1.jpg", "2.png", "10.PNG"]
    assert (found.shape, found.rate, found.ticks) == ((20, 30, 3), Fraction(25), [1, 1, 1])


def test_frames_may_be_of_any_format(tmp_path: Path) -> None:
    for number, extension in enumerate(("bmp", "png", "tif", "ppm", "webp", "gif")):
        Image.fromarray(noise(20, 30, number)).save(tmp_path / f"{number}.{extension}", lossless=True)
    found = opened(str(tmp_path), Fraction(25), None, 10 ** 6, reading.read)
    for number, frame in enumerate(found.frames()):
        assert number == 5 or np.array_equal(frame, noise(20, 30, number))  # a GIF has few colours
    assert len(found.ticks) == 6


def test_frames_come_from_any_on_and_must_not_change(tmp_path: Path) -> None:
    for number in range(4):
        saved(tmp_path / f"{number}.png", noise(20, 30, number))
    found = opened(str(tmp_path), Fraction(25), None, 10 ** 6, reading.read)
    before = found.checksum()
    assert np.array_equal(list(found.frames(2)), [noise(20, 30, number) for number in (2, 3)])
    saved(tmp_path / "3.png", noise(30, 20))
    assert found.checksum() != before
    with pytest.raises(Failure, match="differs in size"):
        list(found.frames(2))
    (tmp_path / "2.png").unlink()
    with pytest.raises(Failure, match="no such file"):
        list(found.frames(2))


@pytest.mark.parametrize(("sizes", "most", "why"), [
    ([], 10 ** 6, "contains no pictures"), ([(20, 30)], 599, "more than 599 pixels"),
    ([(20, 30), (20, 31)], 10 ** 6, "1.png differs in size from the first frame, 0.png")])
def test_a_folder_that_is_no_film_is_told(tmp_path: Path, sizes: list[tuple[int, int]], most: int, why: str) -> None:
    for number, size in enumerate(sizes):
        saved(tmp_path / f"{number}.png", noise(*size))
    with pytest.raises(Mistake, match=why):
        opened(str(tmp_path), Fraction(25), None, most,
               lambda path: reading.read(path, max_pixels=most))


@pytest.mark.parametrize(("name", "more", "told"), [
    ("out.avi", [], "a film must end in one of"), ("out.avi", ["--watch"], "out.avi is not a folder"),
    ("out.mp4", ["--watch"], "out.mp4 is not a folder"), ("out.gif", ["--watch"], "out.gif is not a folder")])
def test_the_name_of_a_film_is_no_folder(command: Callable[..., list[str]], tmp_path: Path, name: str, more: list[str],
                                         told: str) -> None:
    (tmp_path / "in").mkdir()
    saved(tmp_path / "in/0.png", noise(20, 30))
    done = subprocess.run(command(tmp_path / "in", name, *more), capture_output=True, text=True, check=False,
                          timeout=60)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert told in line
    assert not (tmp_path / name).exists()
