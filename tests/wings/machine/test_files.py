"""Files that appear whole or not at all, on any disk."""

import errno
import fcntl
import hashlib
import os
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from dreamer.machine import files
from helpers import Word, names


def test_a_writer_and_a_sweep_at_once(tmp_path: Path) -> None:
    """All files that are written arrive, even if the folder is swept all the time."""
    ended = threading.Event()

    def sweep() -> None:
        while not ended.is_set():
            files.sweep(tmp_path)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for number in range(200):
            with files.replacing(tmp_path / "a") as file:
                file.write(str(number).encode())
            assert (tmp_path / "a").read_text() == str(number)
    finally:
        ended.set()
        sweeper.join()
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EIO, errno.ENOSPC])
def test_only_not_knowing_how_to_sync_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr(os, "fsync", fail)
    (tmp_path / "a").write_text("old")
    try:
        with files.replacing(tmp_path / "a") as file:
            file.write(b"new")
        told = None
    except OSError as error:
        told = error.errno
    assert told == (number if number in (errno.EIO, errno.ENOSPC) else None)
    assert (tmp_path / "a").read_text() == ("old" if told else "new")
    assert names(tmp_path) == ["a"]


def test_where_there_are_no_locks_files_are_written_and_never_swept(tmp_path: Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    monkeypatch.setattr(fcntl, "flock", fail)
    with files.replacing(tmp_path / "a") as file:
        file.write(b"new")
        files.sweep(tmp_path)
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_move_that_fails_half_way_brings_the_old_file_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").write_text("new")
    replace = os.replace

    def refuse(path: Word, target: Word) -> None:
        if os.path.basename(path) == "b":
            raise PermissionError(errno.EACCES, "no")
        replace(path, target)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError):
        files.move(tmp_path / "b", tmp_path / "a")
    assert names(tmp_path) == ["a", "b"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_file_that_is_written_anew_gets_a_new_checksum(tmp_path: Path) -> None:
    """Even at once, with the same length; also if another file with the same times replaces it."""
    path = tmp_path / "a"
    for number in range(50):
        data = f"{number:04}".encode()
        path.write_bytes(data)
        assert files.sha256(path) == files.sha256(str(path)) == hashlib.sha256(data).hexdigest()
    before = os.stat(path)
    other = tmp_path / "b"
    other.write_bytes(b"0000")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, path)
    assert files.sha256(path) == hashlib.sha256(b"0000").hexdigest()


def test_the_checksum_of_a_file_that_stays_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"whatever")
    known = files.sha256(tmp_path / "a")
    monkeypatch.setattr(hashlib, "sha256", None)
    assert files.sha256(tmp_path / "a") == known


@pytest.mark.parametrize(("path", "instead"), [
    (".\\dream.png", "write ./dream.png"), ("a\\b\\c.png", "write a/b/c.png"), ("C:\\x\\dream.png", "dream.png"),
    ("D:/x/dream.png", "dream.png"), ("dream.png", None), ("a:b.png", None), ("c/d:e", None)])
def test_a_path_of_windows_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str,
                                    instead: str | None) -> None:
    monkeypatch.chdir(tmp_path)
    told = files.foreign(path)
    assert (told is None) == (instead is None)
    assert (instead or "") in (told or "")
    if "/" not in path:
        (tmp_path / path).touch()  # now such a file exists
        assert files.foreign(path) is None


def test_names_come_in_the_order_that_people_count() -> None:
    names = ["b1x2", "a10", "a2", "1²2", "1٣2", "b1x", "2", "10", "A3"]
    assert sorted(names, key=files.natural) == ["1²2", "1٣2", "2", "10", "a2", "A3", "a10", "b1x", "b1x2"]


def test_a_file_with_a_similar_name_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "flowers.jpg").touch()
    for name in ("Flowers.JPG", "flower.jpg"):
        assert files.hint(tmp_path / name) == f"; did you mean {tmp_path}/flowers.jpg?"
    assert files.hint(tmp_path / "cat.jpg") == files.hint(tmp_path / "none/flowers.jpg") == ""
