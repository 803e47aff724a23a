"""Whether the program made a file, so that it may be overwritten."""

import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import mutants
from dreamer.films.containers import container
from dreamer.nets.model import Model
from dreamer.pictures import page, writing
from dreamer.pictures.ours import is_ours
from helpers import ROOT, noise, run, saved, start

PICTURES = sorted(writing.FORMATS)
SHORT = ("conv1", 1, 1)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("ours") / "photo.png", noise(60, 80))


@pytest.mark.parametrize(("output", "words"), [
    *((f"dream{extension}", []) for extension in PICTURES), ("DREAM.PNG", []),
    ("steps.gif", []), ("zoom.gif", ["--zoom", 2]), ("zoom.webp", ["--zoom", 2]), ("zoom.mp4", ["--zoom", 2]),
    ("zoom.mkv", ["--zoom", 2]), ("zoom.mov", ["--zoom", 2]), ("zoom.webm", ["--zoom", 2]), ("steps.mp4", []),
    ("frame-%04d.png", ["--zoom", 2]), ("frame-%d.jpg", []), ("frame-%d.tif", []),
    ("atlas.html", ["atlas"]), ("atlas.htm", ["atlas"]), ("atlas.png", ["atlas"]), ("atlas.jpg", ["atlas"]),
    ("atlas.webp", ["atlas"]), ("atlas.tiff", ["atlas"])], ids=lambda part: str(part))
def test_every_output_is_ours_and_is_overwritten(photo: Path, tiny: Model, tmp_path: Path, output: str,
                                                 words: list[Any]) -> None:
    if container(output) and not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg: ./provision.sh film")
    first, more = (words, []) if words == ["atlas"] else ([], words)
    for seed in (1, 2):  # the second time, it exists
        done = run(*first, photo, tmp_path / output, *SHORT, *more, "--model", tiny.folder, "--seed", seed)
        assert (done.returncode, done.stderr) == (0, "")
        there = list(tmp_path.iterdir())
        assert len(there) == (2 if "%" in output and "--zoom" in words else 1)
        assert all(map(is_ours, there))
    assert not is_ours(photo)


def test_an_unfinished_dream_and_its_preview_are_ours(dreaming: list[str], tmp_path: Path) -> None:
    long = [word if word != "150" else "100000" for word in dreaming]
    for preview in ("so far.jpg", "so far.png"):
        with start([*long, "--preview", str(tmp_path / preview)]) as process:
            deadline = time.monotonic() + 60
            while not (tmp_path / preview).exists() and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        assert process.returncode == 130, errors
        assert is_ours(tmp_path / preview)
    assert is_ours(tmp_path / "dream.png")


@pytest.mark.parametrize("extension", [*PICTURES, ".gif", ".bmp"])
def test_a_photo_is_not(tmp_path: Path, extension: str) -> None:
    """Nor is one with another program's comment."""
    path = tmp_path / f"a{extension}"
    mutants.pixels("RGB").save(path)
    assert not is_ours(path)
    more: dict[str, Any] = {"exif": mutants.exif()} if extension in (".jpg", ".jpeg", ".png", ".webp") else (
        {"comment": b"a comment"} if extension == ".gif" else {})
    mutants.pixels("RGB").save(path, **more)
    assert not is_ours(path)


@pytest.mark.parametrize("name", ["raccoon.jpg", "coffee.jpg", "coffee-mask.png", "sky.jpg"])
def test_a_photo_of_a_camera_is_not(name: str) -> None:
    assert not is_ours(ROOT / "tests/pictures" / name)


@pytest.mark.parametrize("name", ["a.txt", "a.png", "a.jpg", "a.webp", "a.gif", "a.mp4", "a.mkv", "a.html", "a.htm",
                                  "a", "a.tif"])
@pytest.mark.parametrize("content", [b"a text", b"\0", b"image-dreamer", b'{"image-dreamer": 1}', b"\x89PNG\r\n\x1a\n",
                                     b"GIF89a", b"\xff\xd8\xff", b"\0\0\0\x18ftypmp42", b"\x1aE\xdf\xa3",
                                     b"<html>image-dreamer</html>"],
                         ids=repr)
def test_what_is_broken_or_no_picture_is_not(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert not is_ours(tmp_path / name)


def test_a_dream_that_was_cut_short_is_lost_with_its_recipe(photo: Path, tiny: Model, tmp_path: Path) -> None:
    """If the recipe is still there, it is ours; otherwise nobody can tell. Nothing raises an error."""
    assert run(photo, tmp_path / "a.png", *SHORT, "--model", tiny.folder).returncode == 0
    whole = (tmp_path / "a.png").read_bytes()
    assert is_ours(tmp_path / "a.png")
    for length in (1, 20, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "b.png").write_bytes(whole[:length])
        assert is_ours(tmp_path / "b.png") in (True, False)
    (tmp_path / "b.png").write_bytes(whole[:20])
    assert not is_ours(tmp_path / "b.png")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.mp4", "a.html", "a"])
def test_an_empty_file_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert is_ours(tmp_path / name)


def test_a_page_has_the_mark_near_its_start(photo: Path, tiny: Model, tmp_path: Path) -> None:
    """A page that only quotes the mark is not ours."""
    assert run("atlas", photo, tmp_path / "a.html", *SHORT, "--model", tiny.folder).returncode == 0
    text = (tmp_path / "a.html").read_text()
    assert text.count(page.MARK) == 1
    assert text.index(page.MARK) < 500
    (tmp_path / "b.html").write_text(text.replace(page.MARK, ""))
    assert not is_ours(tmp_path / "b.html")
    (tmp_path / "b.html").write_text(" " * 5000 + text)
    assert not is_ours(tmp_path / "b.html")


def test_a_link_is_what_it_leads_to(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(photo)
    (tmp_path / "empty").touch()
    (tmp_path / "b.png").symlink_to("empty")
    assert not is_ours(tmp_path / "a.png")
    assert is_ours(tmp_path / "b.png")


def test_a_file_that_is_not_there_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        is_ours(tmp_path / "a.png")


def test_pixels_alone_are_not(photo: Path, tiny: Model, tmp_path: Path) -> None:
    """A dream that another program saved again has no recipe; somebody may have painted on it."""
    assert run(photo, tmp_path / "a.png", *SHORT, "--model", tiny.folder).returncode == 0
    with Image.open(tmp_path / "a.png") as image:
        image.copy().save(tmp_path / "b.bmp")
    assert not is_ours(tmp_path / "b.bmp")
