"""Names of files in the studio's folder."""

import os
import threading
from pathlib import Path

import pytest

from dreamer.errors import Mistake
from dreamer.studio import naming


@pytest.mark.parametrize("name", [
    "photo.jpg", "a photo (1).JPG", "été à la mer.png", "写真.jpeg", "📷.webp", "👨\u200d👩\u200d👧.jpg",
    "Screenshot 2024-01-01 at 1.00.00\u202fPM.png", "a" * 146 + ".jpg", "100% mine.jpg", "no-extension"])
def test_names_that_people_have(name: str) -> None:
    assert naming.check(name) == name


@pytest.mark.parametrize("name", [
    "", ".", "..", "../photo.jpg", "a/b.jpg", "/etc/passwd", "a\\b.jpg", ".hidden.jpg", "-rf.jpg", "--force", "-",
    "a\0.jpg", "a\n.jpg", "a\x1b[31m.jpg", "a\x7f.jpg", "a\x85.jpg", "a\u202e gpj.jpg", "a\ud800.jpg", "a\u2028b.jpg",
    " ", " . ", "\u3000", "\u200d", "a" * 147 + ".jpg", "写" * 80,
    "frame-%04d.png", "%d.png", None, 5, ["a.jpg"], b"a.jpg"])
def test_names_that_are_refused_in_one_line(name: object) -> None:
    with pytest.raises(Mistake) as caught:
        naming.check(name)
    assert len(caught.value.args) == 1
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("name", "kind"), [
    ("a.jpg", "picture"), ("a.JPEG", "picture"), ("a.png", "picture"), ("a.webp", "picture"), ("a.gif", "picture"),
    ("a.tif", "picture"), ("a.heic", "picture"), ("a.CR2", "picture"), ("a.mp4", "film"), ("a.MOV", "film"),
    ("a.webm", "film"), ("a.mkv", "film"), ("a.avi", "film"), ("a.html", None), ("a.htm", None), ("a.svg", None),
    ("a.js", None), ("a.txt", None), ("a", None), ("a.jpg.exe", None), ("a.xhtml", None), ("a.pdf", None)])
def test_the_extension_says_what_a_file_is(name: str, kind: str | None) -> None:
    assert naming.kind(name) == kind


def test_free_names(tmp_path: Path) -> None:
    assert naming.free_name(tmp_path, "photo.jpg") == "photo.jpg"
    (tmp_path / "photo.jpg").touch()
    assert naming.free_name(tmp_path, "photo.jpg") == "photo-2.jpg"
    (tmp_path / "photo-2.jpg").symlink_to("nowhere")
    assert naming.free_name(tmp_path, "photo.jpg") == "photo-3.jpg"
    assert naming.free_name(tmp_path, "photo.jpg", ["PHOTO-3.jpg", "photo-4.jpg"]) == "photo-5.jpg"
    with pytest.raises(Mistake):
        naming.free_name(tmp_path, "../photo.jpg")


def test_names_of_dreams(tmp_path: Path) -> None:
    assert naming.dream_name(tmp_path, "photo.jpg") == "photo-dream.jpg"
    (tmp_path / "photo-dream.jpg").touch()
    assert naming.dream_name(tmp_path, "photo.jpg") == "photo-dream-2.jpg"
    assert naming.dream_name(tmp_path, "photo.jpg", taken=["photo-dream-2.jpg"]) == "photo-dream-3.jpg"
    assert naming.dream_name(tmp_path, "photo.jpg", ".mp4") == "photo-dream.mp4"
    assert naming.dream_name(tmp_path, "photo.heic") == "photo-dream.heic.png"
    assert naming.dream_name(tmp_path, "photo.heic", taken=["photo-dream.heic.png"]) == "photo-dream-2.heic.png"
    assert naming.dream_name(tmp_path, "photo.heic", ".jpg") == "photo-dream-2.jpg"


@pytest.mark.parametrize("stem", ["a" * 146, "写" * 75])
def test_the_dream_of_a_long_name_has_a_name_that_fits(tmp_path: Path, stem: str) -> None:
    for number in range(12):
        found = naming.dream_name(tmp_path, f"{stem}.jpg")
        assert naming.check(found) == found
        assert found.endswith("-dream.jpg" if not number else f"-dream-{number + 1}.jpg")
        (tmp_path / found).touch()


def test_only_regular_files_of_the_folder_are_opened(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside.jpg", tmp_path / "folder"
    outside.write_bytes(b"secret")
    folder.mkdir()
    (folder / "sub").mkdir()
    (folder / "sub/a.jpg").write_bytes(b"deep")
    (folder / "link.jpg").symlink_to(outside)
    (folder / ".hidden.jpg").write_bytes(b"hidden")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "a.jpg").write_bytes(b"picture")
    with naming.opened(folder, "a.jpg") as file:
        assert file.read() == b"picture"
    for name in ("link.jpg", "sub", "sub/a.jpg", "pipe.jpg", ".hidden.jpg", "../outside.jpg", "none.jpg"):
        with pytest.raises(Mistake):
            naming.opened(folder, name)


def part(folder: Path, content: bytes = b"new") -> Path:
    (folder / ".parts").mkdir(exist_ok=True)
    made = folder / ".parts/1.part"
    made.write_bytes(content)
    return made


def test_a_finished_file_never_replaces_another(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"old")
    assert naming.keep(part(tmp_path), tmp_path, "photo.jpg") == "photo-2.jpg"
    assert (tmp_path / "photo.jpg").read_bytes() == b"old"
    assert (tmp_path / "photo-2.jpg").read_bytes() == b"new"
    assert not list((tmp_path / ".parts").iterdir())
    assert naming.keep(part(tmp_path), tmp_path, "photo.jpg", ["photo-3.jpg"]) == "photo-4.jpg"


def test_a_folder_without_links_is_no_different(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")
    monkeypatch.setattr(os, "link", refuse)
    test_a_finished_file_never_replaces_another(tmp_path)


@pytest.mark.parametrize("links", [True, False])
def test_of_files_with_one_name_each_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        def refuse(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")
        monkeypatch.setattr(os, "link", refuse)
    parts = []
    for number in range(20):
        parts.append(tmp_path / f".{number}.part")
        parts[-1].write_text(str(number))
    threads = [threading.Thread(target=naming.keep, args=(each, tmp_path, "a.jpg")) for each in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.read_text() for path in tmp_path.iterdir()} == {str(number) for number in range(20)}


def test_a_file_that_cannot_be_kept_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    made = part(tmp_path)
    with pytest.raises(OSError, match="No space"):
        naming.keep(made, tmp_path, "photo.jpg")
    assert made.exists()
    assert not (tmp_path / "photo.jpg").exists()
