"""Folders of pictures. By the real command."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamer.errors import Failure
from dreamer.jobs import folder
from dreamer.jobs.folder import names
from dreamer.machine.signals import Stop
from dreamer.nets.model import Model
from dreamer.pictures import writing
from dreamer.pictures.picture import Picture
from dreamer.pictures.recipe import read_recipe
from dreamer.pictures.writing import dream_name
from helpers import dreams, run, visible


def test_all_pictures_are_dreamed_and_none_twice(photos: Path, tiny: Model, tmp_path: Path) -> None:
    words = (photos, tmp_path / "out", "mix/output", 1, 2, "--model", tiny.folder)
    done = run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if "/3 " in line and "." in line[:12]] == [
        "1/3  a2.PNG", "2/3  a10.jpg", "3/3  b.bmp"]
    assert done.stdout.splitlines()[-2:] == [f"{tmp_path}/out/b-dream.bmp.png: done", f"{tmp_path}/out: done"]
    assert visible(tmp_path / "out") == ["a10-dream.jpg", "a2-dream.PNG", "b-dream.bmp.png"]
    assert Image.open(tmp_path / "out/a10-dream.jpg").size == (90, 60)
    first = dreams(tmp_path / "out")

    again = run(*words)
    assert (again.returncode, again.stdout, again.stderr) == (0, f"{tmp_path}/out: done\n", "")
    assert dreams(tmp_path / "out") == first

    Image.open(photos / "a2.PNG").rotate(180).save(photos / "a2.PNG")
    (tmp_path / "out/b-dream.bmp.png").unlink()
    assert run(*words).returncode == 0
    second = dreams(tmp_path / "out")
    assert second.keys() == first.keys()
    assert second["a10-dream.jpg"] == first["a10-dream.jpg"]
    assert second["a2-dream.PNG"] != first["a2-dream.PNG"]


def test_another_recipe_dreams_anew(photos: Path, tiny: Model) -> None:
    for name in ("a2.PNG", "b.bmp"):
        (photos / name).unlink()
    seen = []
    for words in (["mix/output", 1, 2], ["mix/3x3", 1, 2], ["mix/3x3", 1, 2, "--seed", 5], ["mix/3x3", 1, 2],
                  ["mix/3x3", 1, 40], ["mix/3x3", 1, 41, "--max-size", 90], ["mix/3x3", 1, 41, "--max-size", 80]):
        assert run(photos, photos, *words, "--model", tiny.folder).returncode == 0
        seen.append(dreams(photos)["a10-dream.jpg"])
    new = [True, *(before != after for before, after in zip(seen, seen[1:], strict=False))]
    #                    layer  seed  any   octaves  the same picture  a smaller one
    assert new == [True, True, True, False, True, False, True]


def test_dreams_are_never_dreamed_and_what_is_none_is_never_overwritten(photos: Path, tiny: Model) -> None:
    words = (photos, photos, "mix/output", 1, 1, "--model", tiny.folder)
    assert run(*words).returncode == 0
    (photos / "a10-dream.jpg").rename(photos / "under another name.jpg")
    Image.new("RGB", (50, 50)).save(photos / "b-dream.bmp.png")  # its recipe is lost
    lost = dreams(photos)["b-dream.bmp.png"]
    done = run(*words)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 2
    assert "b-dream.bmp.png exists and is not a dream" in done.stderr
    assert [name for name in visible(photos) if "dream" in name] == ["a10-dream.jpg", "a2-dream.PNG", "b-dream.bmp.png"]
    assert dreams(photos)["b-dream.bmp.png"] == lost
    assert run(*words, "--force").returncode == 0
    assert dreams(photos)["b-dream.bmp.png"] != lost


def test_failures_are_told_at_the_end_and_stop_nothing(photos: Path, tiny: Model, tmp_path: Path) -> None:
    (photos / "a1.jpg").write_bytes((photos / "a10.jpg").read_bytes()[:-500])
    Image.new("RGB", (1, 300)).save(photos / "a0.png")
    done = run(photos, tmp_path / "out", "mix/output", 1, 1, "--model", tiny.folder)
    assert done.returncode == 1
    told = done.stderr.splitlines()
    assert [line for line in done.stdout.splitlines() if "failed" in line] == ["a0.png: failed", "a1.jpg: failed"]
    assert told[0] == "dreamify: 2 of 5 pictures could not be dreamed:"
    assert told[1].startswith("dreamify: a0.png: input: 1×300 pixels are too few")
    assert told[2].startswith("dreamify: a1.jpg: input: ")
    assert "cut short" in told[2]
    assert visible(tmp_path / "out") == ["a10-dream.jpg", "a2-dream.PNG", "b-dream.bmp.png"]


def test_wrong_use_is_told_before_anything_is_made(photos: Path, tiny: Model, tmp_path: Path) -> None:
    for words in ([photos, tmp_path / "out.png"], [photos, photos / "a10.jpg"], [photos, "-"],
                  [photos, tmp_path / "no/out"], [photos / "a10.jpg", tmp_path / "out", "--watch"],
                  [photos, tmp_path / "out", "nolayer"]):
        before = sorted(tmp_path.rglob("*"))
        done = run(*words, "--model", tiny.folder)
        assert done.returncode == 2, words
        assert "Traceback" not in done.stderr
        assert sorted(tmp_path.rglob("*")) == before


def test_names_of_dreams() -> None:
    assert [dream_name(name) for name in ("a.jpg", "a.b.JPEG", "a.gif", "a")] == [
        "a-dream.jpg", "a.b-dream.JPEG", "a-dream.gif.png", "a-dream.png"]
    all_kinds = ["a.png", "a.jpg", "a.bmp", "a.bmp.png", "a-dream.bmp", "a-dream.bmp.png", "a-dream.png", "a.gif"]
    assert len({dream_name(name) for name in all_kinds} | set(all_kinds[:4])) == len(all_kinds) + 4


def test_a_folder_that_is_gone_is_told(photos: Path) -> None:
    with pytest.raises(Failure, match="cannot be read"):
        names(photos / "gone")


def test_names_with_digits_of_other_alphabets_are_dreamed(photos: Path, tiny: Model) -> None:
    for name in ("a2.PNG", "a10.jpg"):
        (photos / name).rename(photos / {"a2.PNG": "1²2.png", "a10.jpg": "1٣2.jpg"}[name])
    assert run(photos, photos, "mix/output", 1, 1, "--model", tiny.folder).returncode == 0
    assert {"1²2-dream.png", "1٣2-dream.jpg"} <= set(dreams(photos))


@pytest.mark.parametrize("recipe", [{"height": "x"}, {"height": [], "width": None}, {"height": -1, "width": True},
                                    {"height": 10 ** 12, "width": 10 ** 12}])
def test_a_recipe_that_makes_no_sense_ends_nothing(photos: Path, tiny: Model, recipe: dict[str, Any]) -> None:
    """The dream is dreamed again: it is one of ours, and none that was asked for."""
    writing.write(photos / "a10-dream.jpg", Picture(np.zeros((8, 8, 3), np.uint8), recipe=recipe))
    done = run(photos, photos, "mix/output", 1, 1, "--model", tiny.folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert read_recipe(photos / "a10-dream.jpg")["width"] == 90


def test_a_name_that_is_too_long_for_its_dream_is_told_and_the_others_are_dreamed(photos: Path, tiny: Model) -> None:
    """249 bytes, and -dream makes 255; one more is too many."""
    (photos / "a2.PNG").rename(photos / ("c" * 246 + ".png"))
    (photos / "b.bmp").rename(photos / ("d" * 245 + ".png"))
    done = run(photos, photos, "mix/output", 1, 1, "--model", tiny.folder)
    assert done.returncode == 1
    assert "File name too long" in done.stderr
    assert "Traceback" not in done.stderr
    assert set(dreams(photos)) == {"a10-dream.jpg", "d" * 245 + "-dream.png"}


def test_a_folder_dreamed_in_place_looks_at_each_name_a_few_times(tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """It was each name for each name: 58 s of CPU for 10,000."""
    for number in range(300):
        (tmp_path / f"{number}.png").touch()
    calls = []

    def counted(name: str) -> str:
        calls.append(name)
        return dream_name(name)

    monkeypatch.setattr(folder, "dream_name", counted)
    tried = folder.Folder(tmp_path, tmp_path, lambda *_: (lambda: None), lambda *_: True, False, lambda _: None, Stop())
    tried.dream_all()
    assert 300 <= len(calls) <= 1500
