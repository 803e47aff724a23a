"""Folders of pictures, with the real command."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamer.errors import Failure
from dreamer.jobs import events, folder
from dreamer.jobs.contents import Lister
from dreamer.machine.signals import Stop
from dreamer.nets.model import Model
from dreamer.pictures import writing
from dreamer.pictures.picture import Picture
from dreamer.pictures.recipe import read_recipe
from dreamer.pictures.writing import dream_name
from helpers import dreams, noise, run, visible


def test_all_pictures_are_dreamed_and_none_twice(photos: Path, tiny: Model, tmp_path: Path) -> None:
    words = (photos, tmp_path / "out", "mix/output", 1, 2, "--model", tiny.folder)
    done = run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if "/3 " in line and "." in line[:12]] == [
        "1/3  a2.PNG", "2/3  a10.jpg", "3/3  b.bmp"]
    assert done.stdout.splitlines()[-3:] == [
        f"{tmp_path}/out/b-dream.bmp.png: done", "1 file is not a picture that can be read: notes.txt",
        f"{tmp_path}/out: done"]
    assert visible(tmp_path / "out") == ["a10-dream.jpg", "a2-dream.PNG", "b-dream.bmp.png"]
    assert Image.open(tmp_path / "out/a10-dream.jpg").size == (90, 60)
    first = dreams(tmp_path / "out")

    again = run(*words)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == ("1 file is not a picture that can be read: notes.txt\n3 dreams are up to date\n"
                            f"{tmp_path}/out: done\n")
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
    Image.new("RGB", (50, 50)).save(photos / "b-dream.bmp.png")  # without a recipe
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
    assert told[1].startswith("dreamify: a0.png: input: mix/output needs at least")
    assert told[1].endswith("1×300")
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
        Lister(photos / "gone").look()


def test_names_with_digits_of_other_alphabets_are_dreamed(photos: Path, tiny: Model) -> None:
    for name in ("a2.PNG", "a10.jpg"):
        (photos / name).rename(photos / {"a2.PNG": "1²2.png", "a10.jpg": "1٣2.jpg"}[name])
    assert run(photos, photos, "mix/output", 1, 1, "--model", tiny.folder).returncode == 0
    assert {"1²2-dream.png", "1٣2-dream.jpg"} <= set(dreams(photos))


@pytest.mark.parametrize("recipe", [{"height": "x"}, {"height": [], "width": None}, {"height": -1, "width": True},
                                    {"height": 10 ** 12, "width": 10 ** 12}])
def test_a_recipe_that_makes_no_sense_ends_nothing(photos: Path, tiny: Model, recipe: dict[str, Any]) -> None:
    """The dream is made again: it is ours, but its recipe is not the requested one."""
    writing.write(photos / "a10-dream.jpg", Picture(np.zeros((8, 8, 3), np.uint8), recipe=recipe))
    done = run(photos, photos, "mix/output", 1, 1, "--model", tiny.folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert read_recipe(photos / "a10-dream.jpg")["width"] == 90


def test_a_name_that_is_too_long_for_its_dream_is_told_and_the_others_are_dreamed(photos: Path, tiny: Model) -> None:
    """249 bytes become 255 with -dream; one more is too many."""
    (photos / "a2.PNG").rename(photos / ("c" * 246 + ".png"))
    (photos / "b.bmp").rename(photos / ("d" * 245 + ".png"))
    done = run(photos, photos, "mix/output", 1, 1, "--model", tiny.folder)
    assert done.returncode == 1
    assert "File name too long" in done.stderr
    assert "Traceback" not in done.stderr
    assert set(dreams(photos)) == {"a10-dream.jpg", "d" * 245 + "-dream.png"}


def test_a_folder_dreamed_in_place_looks_at_each_name_a_few_times(tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, it compared each name with each other name: 58 s of CPU for 10,000 names."""
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


# what is left alone ---------------------------------------------------------------------------------------

def picture(path: Path, kind: str | None = None, **options: Any) -> Path:
    """Save a small picture at the path, in a format that may differ from its name; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(40, 50)).save(path, kind, **options)
    return path


def skipped(source: Path, target: Path, recursive: bool = False) -> tuple[list[str], list[str]]:
    """(names of the pictures that would be dreamed, lines about the files that are left alone)."""
    taken, told = [], []

    def listen(event: events.Event) -> None:
        if isinstance(event, events.Taken):
            taken.append(event.name)
        if isinstance(event, events.Skipped):
            told.append(event.line)
    folder.Folder(source, target, lambda *_: (lambda: None), lambda *_: True, False, listen, Stop(),
                  recursive=recursive).dream_all()
    return taken, told


def test_what_is_no_picture_is_counted_by_kind(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    for name in ("1.XCF", "2.xcf", "clip.mov", ".DS_Store", ".hidden.xcf"):
        (tmp_path / name).write_text("no picture")
    assert skipped(tmp_path, tmp_path) == (["a.jpg"], [
        "3 files are not pictures that can be read: 2 .XCF, 1 .mov (videos are dreamed one by one)"])
    for number in range(9):
        (tmp_path / f"{number}.{number}").touch()
    (tmp_path / "none").write_text("no picture")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "nowhere").symlink_to("nowhere")
    [told] = skipped(tmp_path, tmp_path)[1]
    assert told.startswith("15 files are not pictures that can be read: 2 .XCF, 2 without an extension, 1 .0, 1 .1, ")
    assert told.endswith(", 7 of other kinds (videos are dreamed one by one)")


def test_films_and_pages_of_ours_do_not_count(tmp_path: Path, tiny: Model, ffmpeg: None) -> None:
    sky = picture(tmp_path / "in/a.jpg")
    for words in (["atlas", sky, tmp_path / "in/page.html", "mix/1x1", 1, 1], [sky, tmp_path / "in/film.mp4"],
                  [sky, tmp_path / "in/film.gif", "mix/output", 1, 1]):
        assert run(*words, "--model", tiny.folder).returncode == 0
    assert skipped(tmp_path / "in", tmp_path) == (["a.jpg"], [])
    (tmp_path / "in/page.html").write_text("<p>not ours")
    assert skipped(tmp_path / "in", tmp_path)[1] == ["1 file is not a picture that can be read: page.html"]


def test_what_is_a_picture_although_its_name_does_not_say_so(tmp_path: Path) -> None:
    """Without an extension, or with that of another kind of photo, it is dreamed; otherwise it is reported."""
    picture(tmp_path / "IMG_1", "JPEG")
    picture(tmp_path / "a.heic", "PNG")
    picture(tmp_path / "b.webp", "JPEG")
    picture(tmp_path / "clip.thm", "JPEG")
    picture(tmp_path / "a.jpg_original", "WEBP")
    picture(tmp_path / "raw.nefx", "TIFF")
    assert skipped(tmp_path, tmp_path) == (["a.heic", "b.webp", "IMG_1"], [
        "1 file is not a picture that can be read: raw.nefx; 2 files are pictures with other kinds of names, so rename "
        "what you want to dream: 1 .jpg_original, 1 .thm"])


def test_what_grows_into_a_picture_is_seen(tmp_path: Path) -> None:
    listed = Lister(tmp_path)
    (tmp_path / "download").touch()
    assert listed.look().pictures == []
    picture(tmp_path / "download", "PNG")
    assert listed.look().pictures == ["download"]


@pytest.mark.parametrize(("names", "why"), [
    ((), "it is empty"), ((".DS_Store",), "it is empty, except for hidden files"),
    (("a.mov",), "1 file is not a picture that can be read: a.mov (videos are dreamed one by one)"),
    (("a.xcf", "b.xcf"), "2 files are not pictures that can be read: 2 .xcf"),
    (("sub/a.txt", "out/b.txt"), "1 subfolder is left out without --recursive")])
def test_a_folder_in_which_nothing_can_be_dreamed_is_a_failure(tmp_path: Path, tiny: Model, names: tuple[str, ...],
                                                               why: str) -> None:
    """The output folder does not count as a subfolder; a new one that stays empty is removed."""
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_text("no picture")
    done = run(tmp_path / "in", tmp_path / "in/out", "--model", tiny.folder, "--quiet")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"dreamify: there is nothing to dream in {tmp_path}/in: {why}\n"
    assert (tmp_path / "in/out").exists() == ("out/b.txt" in names)


def test_a_folder_of_dreams_is_a_failure(photos: Path, tiny: Model, tmp_path: Path) -> None:
    assert run(photos, tmp_path / "out", "mix/output", 1, 1, "--model", tiny.folder).returncode == 0
    done = run(tmp_path / "out", tmp_path / "more", "mix/output", 1, 1, "--model", tiny.folder)
    assert done.returncode == 1
    assert done.stderr == f"dreamify: there is nothing to dream in {tmp_path}/out: all its 3 pictures are dreams\n"


def test_of_several_pictures_it_is_said_too(photos: Path, tiny: Model, tmp_path: Path) -> None:
    words = [photos / "a10.jpg", photos / "a2.PNG"]
    more = [f"{tmp_path}/out/", "mix/output", 1, 1, "--model", tiny.folder]
    assert run(*words, *more).returncode == 0
    done = run(*words, tmp_path / "out/a10-dream.jpg", *more, "--recursive")
    assert (done.returncode, done.stdout) == (0, f"2 dreams are up to date\n{tmp_path}/out/: done\n")
    assert done.stderr.splitlines() == [
        "dreamify: warning: --recursive has no effect because INPUT is not a folder of pictures",
        f"dreamify: warning: {tmp_path}/out/a10-dream.jpg is a dream already, so it is left alone"]


def test_that_the_first_of_several_pages_is_taken_is_said_once(tiny: Model, tmp_path: Path) -> None:
    second = [Image.fromarray(noise(40, 50, 2))]
    for name in ("a.gif", "b.tif", "c.png", "d.webp"):
        picture(tmp_path / "in" / name, save_all=True, append_images=second)
    picture(tmp_path / "in/e.png")
    done = run(tmp_path / "in", tmp_path / "out", "mix/output", 1, 1, "--model", tiny.folder)
    assert done.returncode == 0
    assert done.stderr == ("dreamify: warning: a.gif has several pages or frames, of which the first is taken; this "
                           "holds for all such pictures here\n")
    assert len(dreams(tmp_path / "out")) == 5


# subfolders -----------------------------------------------------------------------------------------------

@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with subfolders, hidden ones, links in circles."""
    for name in ("in/a.jpg", "in/b/a.jpg", "in/b/c/d.bmp", "in/b10/e.png", "in/b2/e.png", "in/.git/f.png",
                 "in/b/.trash/g.png", "other/h.png"):
        picture(tmp_path / name)
    (tmp_path / "in/empty").mkdir()
    (tmp_path / "in/b/notes.txt").write_text("no picture")
    (tmp_path / "in/b/up").symlink_to("..")
    (tmp_path / "in/other").symlink_to(tmp_path / "other")
    (tmp_path / "in/linked.png").symlink_to(tmp_path / "other/h.png")
    return tmp_path / "in"


NAMES = ["a.jpg", "linked.png", "b/a.jpg", "b/c/d.bmp", "b2/e.png", "b10/e.png"]
DREAMS = ["a-dream.jpg", "b/a-dream.jpg", "b/c/d-dream.bmp.png", "b10/e-dream.png", "b2/e-dream.png",
          "linked-dream.png"]


def all_dreams(path: Path) -> list[str]:
    return sorted(str(each.relative_to(path)) for each in path.rglob("*-dream.*"))


@pytest.mark.parametrize("target", ["out", "in/out", "in"])
def test_the_dreams_of_subfolders_get_the_same_tree(tree: Path, tiny: Model, tmp_path: Path, target: str) -> None:
    """In another folder, in one inside, in place. Also a second run, and one with a new picture."""
    words = [tree, tmp_path / target, "mix/output", 1, 1, "--model", tiny.folder, "--recursive"]
    left = "1 file is not a picture that can be read: b/notes.txt; 2 links to folders are not followed"
    done = run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("  ")[1] for line in done.stdout.splitlines() if "/6 " in line] == NAMES
    assert done.stdout.splitlines()[-2:] == [left, f"{tmp_path}/{target}: done"]
    assert all_dreams(tmp_path / target) == DREAMS
    assert not (tmp_path / "out/empty").exists()
    again = run(*words)
    assert (again.returncode, again.stdout) == (0, f"{left}\n6 dreams are up to date\n{tmp_path}/{target}: done\n")
    picture(tree / "new/i.png")
    assert run(*words).returncode == 0
    assert all_dreams(tmp_path / target) == sorted([*DREAMS, "new/i-dream.png"])


def test_without_the_option_subfolders_are_told(tree: Path, tmp_path: Path) -> None:
    assert skipped(tree, tree / "b") == (["a.jpg", "linked.png"], [
        "3 subfolders are left out without --recursive; 1 link to a folder is not followed"])


def test_failures_name_the_path(tree: Path, tiny: Model, tmp_path: Path) -> None:
    (tree / "b/c/bad.png").write_bytes(b"no picture")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/b2").write_text("a file where a folder should be")
    done = run(tree, tmp_path / "out", "mix/output", 1, 1, "--model", tiny.folder, "--recursive")
    assert done.returncode == 1
    first, bad, blocked = done.stderr.splitlines()
    assert first == "dreamify: 2 of 7 pictures could not be dreamed:"
    assert bad.startswith("dreamify: b/c/bad.png: input: ")
    assert blocked.startswith("dreamify: b2/e.png: ")
    assert "Traceback" not in done.stderr


def test_a_subfolder_that_cannot_be_read_is_a_failure(tree: Path, tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may run as root, who can read all folders, so the system's error is simulated."""
    scan = os.scandir

    def scandir(path: str) -> Any:
        if path.endswith("b/c"):
            raise PermissionError(13, "Permission denied")
        return scan(path)
    monkeypatch.setattr(os, "scandir", scandir)
    (tmp_path / "out").mkdir()
    with pytest.raises(Failure) as caught:
        skipped(tree, tmp_path / "out", True)
    assert caught.value.args == ("1 of 6 pictures and subfolders could not be dreamed:",
                                 "b/c: the folder cannot be read: Permission denied")


def test_a_preview_takes_no_picture_of_a_subfolder(tree: Path, tiny: Model, tmp_path: Path) -> None:
    words = [tree, tmp_path / "out", "--model", tiny.folder, "--force", "--preview", tree / "b/a.jpg"]
    done = run(*words, "--recursive")
    assert done.returncode == 2
    assert done.stderr == (f"dreamify: preview: {tree}/b/a.jpg is one of the pictures in {tree}; name another file\n")


# how much is looked at ------------------------------------------------------------------------------------

def test_ten_thousand_names_are_listed_with_few_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without an extension is opened once, and not again in the next look; other files are never opened."""
    for number in range(10_000):
        (tmp_path / (f"{number}" if number < 1000 else f"{number}.jpg" if number < 5000 else f"{number}.txt")).touch()
    opened, looked, calls = os.open, os.scandir, list[str]()

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls.append(name)
            return function(*arguments)
        return call
    monkeypatch.setattr(os, "open", counted("open", opened))
    monkeypatch.setattr(os, "scandir", counted("scandir", looked))
    listed = Lister(tmp_path, True)
    for opens, scans in ((1000, 1), (1000, 2)):
        found = listed.look()
        assert (len(found.pictures), len(found.others)) == (4000, 6000)
        assert (calls.count("open"), calls.count("scandir")) == (opens, scans)
