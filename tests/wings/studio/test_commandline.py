"""The command line of a dream, and the photo that it was made of."""

import shlex
from pathlib import Path

import pytest

import dreamify
from dreamer.machine import files
from dreamer.studio import commandline


def line(folder: Path, **members: object) -> list[str]:
    return shlex.split(commandline.line(members, folder, dreamify.ask, dreamify.command))


def test_paths_are_as_one_types_them_where_the_studio_was_started(tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my photos"
    folder.mkdir()
    asked = {"input": "./a b.jpg", "output": "./a b-dream.jpg", "model": "daydream", "mask": "./.studio/masks/1.png"}
    for current, wanted in ((tmp_path, "my photos/"), (folder, ""), (Path("/"), f"{str(folder)[1:]}/"),
                            (Path("/usr"), f"{folder}/")):
        monkeypatch.chdir(current)
        words = line(folder, **asked)
        assert words[1:3] == [f"{wanted}a b.jpg", f"{wanted}a b-dream.jpg"]
        assert words[words.index("--mask") + 1] == f"{wanted}.studio/masks/1.png"


def test_only_what_differs_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = line(tmp_path, input="./a.jpg", output="./b.jpg", model="daydream", seed=3, quiet=True)
    assert words[1:] == ["a.jpg", "b.jpg", "inception_4c/output", "--seed", "3", "--model", "daydream"] or (
        sorted(words[3:]) == sorted(["--seed", "3", "--model", "daydream"]))


def test_names_of_any_kind_are_one_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a; rm -rf.jpg", "$(x).jpg", "it's.jpg", '".jpg', "`x`.jpg", "été.jpg"):
        assert line(tmp_path, input=f"./{name}", output="./b.jpg", model="daydream")[1] == name


@pytest.mark.parametrize(("dream", "found"), [
    ("photo-dream.jpg", "photo.jpg"), ("photo-dream-2.jpg", "photo.jpg"), ("photo-dream.mp4", "photo.jpg"),
    ("raw-dream.heic.png", "raw.heic"), ("raw-dream-3.heic.png", "raw.heic"),
    ("photo-dream-dream.jpg", "photo-dream.jpg"),
    ("photo.jpg", None), ("other-dream.jpg", None), ("notes-dream.jpg", None), ("link-dream.jpg", None)])
def test_the_photo_of_a_dream(tmp_path: Path, dream: str, found: str | None) -> None:
    for name in ("photo.jpg", "photo-dream.jpg", "raw.heic", "notes.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link.jpg").symlink_to("photo.jpg")
    assert commandline.source(tmp_path, dream, {}) == found


def test_of_several_photos_the_one_with_the_right_content(tmp_path: Path) -> None:
    for extension in ("bmp", "jpg", "png"):
        (tmp_path / f"photo.{extension}").write_text(extension)
        recipe = {"source_sha256": files.sha256(tmp_path / f"photo.{extension}")}
        assert commandline.source(tmp_path, "photo-dream.jpg", recipe) == f"photo.{extension}"
    assert commandline.source(tmp_path, "photo-dream.jpg", {"source_sha256": 5}) == "photo.bmp"
