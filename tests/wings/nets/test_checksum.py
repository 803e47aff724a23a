"""The checksum of the weights is remembered only while the file is surely the same."""

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from dreamer.machine import files
from dreamer.nets import checksum

OLD = 3600  # seconds


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which checksums are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/image-dreamer/weights.json"


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of weights, for which the clock says that it has been there for an hour."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + OLD)
    path = tmp_path / "w.caffemodel"
    path.write_bytes(b"weights")
    return path


def of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def planted(kept: Path) -> None:
    """Replace each checksum that is kept, to see whether it is used."""
    kept.write_text(json.dumps(dict.fromkeys(json.loads(kept.read_text()), "0" * 64)))


def test_a_checksum_is_computed_once(kept: Path, weights: Path) -> None:
    assert checksum.sha256(weights) == of(weights)
    planted(kept)
    assert checksum.sha256(weights) == checksum.sha256(str(weights)) == "0" * 64


def test_of_a_file_that_was_just_changed_nothing_is_kept(kept: Path, weights: Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """A change in the same step of the file system's clock would not show."""
    changed = max(weights.stat().st_mtime, weights.stat().st_ctime)
    for later in (-100, 0, 1.9):
        monkeypatch.setattr(time, "time", lambda later=later: changed + later)
        assert checksum.sha256(weights) == of(weights)
        assert not kept.exists()
    monkeypatch.setattr(time, "time", lambda: changed + 2.1)
    assert checksum.sha256(weights) == of(weights)
    assert kept.exists()
    os.utime(weights, (changed + 100, changed + 100))  # a time to come
    planted(kept)
    assert checksum.sha256(weights) == of(weights)
    assert len(json.loads(kept.read_text())) == 1


def test_a_file_that_changes_while_it_is_read_is_not_kept(kept: Path, weights: Path,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    def changing(path: Path) -> str:
        with weights.open("ab") as file:
            file.write(b"!")
        return "1" * 64

    monkeypatch.setattr(files, "sha256", changing)
    assert checksum.sha256(weights) == "1" * 64
    assert not kept.exists()


@pytest.mark.parametrize("change", ["size", "mtime", "ctime", "inode"])
def test_a_file_that_differs_in_one_thing_is_computed_again(kept: Path, weights: Path, change: str) -> None:
    before = weights.stat()
    checksum.sha256(weights)
    planted(kept)
    if change == "size":
        weights.write_bytes(b"longer weights")
        os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "mtime":
        os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    elif change == "ctime":  # the content changed, and somebody set the time of change back
        while weights.stat().st_ctime_ns == before.st_ctime_ns:  # within a step of the clock
            weights.write_bytes(b"WEIGHTS")
            os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        other = weights.with_name("other")
        other.write_bytes(b"WEIGHTS")
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        os.replace(other, weights)
        assert weights.stat().st_ino != before.st_ino
    assert checksum.sha256(weights) == of(weights) != "0" * 64


@pytest.mark.parametrize("damage", ["", "{", "[]", "7", "null", '"x"', "{\"LIKE\": 3}", "{\"LIKE\": \"short\"}",
                                    "{\"LIKE\": null}", "\xff\xfe", "{\"LIKE\": \"" + "G" * 64 + "\"}"])
def test_a_damaged_file_is_replaced(kept: Path, weights: Path, damage: str) -> None:
    checksum.sha256(weights)
    [like] = json.loads(kept.read_text())
    kept.write_bytes(damage.replace("LIKE", like).encode("latin-1"))
    assert checksum.sha256(weights) == of(weights)
    assert json.loads(kept.read_text()) == {like: of(weights)}


def test_only_the_newest_are_kept(kept: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum, "KEPT", 3)
    for number in range(5):
        weights.write_bytes(bytes(number))
        assert checksum.sha256(weights) == of(weights)
    found = json.loads(kept.read_text())
    assert list(found.values()) == [hashlib.sha256(bytes(number)).hexdigest() for number in (2, 3, 4)]


def test_the_checksum_does_not_need_the_folder(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/self")
    assert checksum.sha256(weights) == of(weights)


def test_a_file_that_is_gone_is_an_error(kept: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        checksum.sha256(tmp_path / "none")
