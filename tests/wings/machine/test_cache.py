"""What is kept for the next run, and the folder that cannot keep it."""

import os
import stat
from pathlib import Path

import pytest

from dreamer.machine import cache


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for all programs' caches, which does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "deep/cache"))
    return tmp_path / "deep/cache"


def test_what_is_kept_is_read(base: Path) -> None:
    assert cache.read("a") is None
    cache.keep("a", b"one")
    cache.keep("b", b"")
    cache.keep("a", b"two")
    assert (cache.read("a"), cache.read("b"), cache.read("c")) == (b"two", b"", None)
    assert sorted(os.listdir(base / "image-dreamer")) == ["a", "b"]
    for folder in (base, base / "image-dreamer"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_only_the_newest_stay(base: Path) -> None:
    for number in range(5):
        cache.keep(f"{number}.x", b"")
        os.utime(base / f"image-dreamer/{number}.x", (number, number))
    cache.keep("other", b"")
    cache.bound("*.x", 2)
    assert sorted(os.listdir(base / "image-dreamer")) == ["3.x", "4.x", "other"]


@pytest.mark.parametrize("chosen", ["", "cache", "./cache"])
def test_the_home_folder_is_used_if_no_other_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                     chosen: str) -> None:
    """A relative path counts as none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", chosen)
    cache.keep("a", b"1")
    assert os.listdir(tmp_path) == ["home"]
    assert (tmp_path / "home/.cache/image-dreamer/a").read_bytes() == b"1"


@pytest.mark.parametrize("case", ["read-only", "no home", "a file in its place", "a file above", "a damaged link",
                                  "a full disk", "somebody else's"])
def test_without_the_folder_nothing_is_kept_and_nobody_is_told(
        base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
        case: str) -> None:
    monkeypatch.chdir(tmp_path)
    if case == "read-only":
        monkeypatch.setenv("XDG_CACHE_HOME", "/proc/self")  # not even root can write there
    elif case == "no home":
        monkeypatch.setenv("XDG_CACHE_HOME", "")
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user number without a name
    elif case == "a file above":
        base.parent.write_text("")
    else:
        base.mkdir(parents=True)
        if case == "a file in its place":
            (base / "image-dreamer").write_text("")
        elif case == "a damaged link":
            (base / "image-dreamer").symlink_to("nowhere")
        elif case == "somebody else's":
            (base / "image-dreamer").mkdir()
            (base / "image-dreamer/a").write_bytes(b"1")
            monkeypatch.setattr(os, "geteuid", lambda: (base / "image-dreamer").stat().st_uid + 1)
        elif case == "a full disk":
            monkeypatch.setattr("dreamer.machine.files.replacing", full)
    before = {path: path.is_file() for path in tmp_path.rglob("*")}
    cache.keep("a", b"2")
    assert cache.read("a") is None
    cache.bound("*", 1)
    assert capfd.readouterr() == ("", "")
    if case != "a full disk":
        assert {path: path.is_file() for path in tmp_path.rglob("*")} == before


def full(path: Path) -> None:
    """As files.replacing, on a full disk."""
    raise OSError(28, "No space left on device")


def test_a_folder_in_which_others_can_write_is_not_trusted_until_it_is_ours_alone(base: Path) -> None:
    cache.keep("a", b"1")
    (base / "image-dreamer").chmod(0o777)
    assert cache.read("a") is None
    cache.keep("b", b"1")
    assert stat.S_IMODE((base / "image-dreamer").stat().st_mode) == 0o700
    assert cache.read("b") == b"1"
