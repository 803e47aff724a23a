"""The folder of a worker."""

import os
from pathlib import Path

import pytest

from dreamer.errors import Failure
from dreamer.farm.home import home
from helpers import names


def test_it_is_gone_afterwards_and_so_is_what_killed_workers_left(tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    left = tmp_path / "image-dreamer-worker-killed"
    left.mkdir()
    (left / "in-use").touch()
    (left / "photo.jpg").write_bytes(b"private")
    (tmp_path / "other").mkdir()
    with home() as first:
        assert os.stat(first).st_mode & 0o777 == 0o700
        assert not left.exists()
        (first / "unit").mkdir()
        with home() as second:  # another worker leaves the first one's alone
            assert names(tmp_path) == sorted([first.name, second.name, "other"])
    assert names(tmp_path) == ["other"]


def test_no_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere")
    with pytest.raises(Failure, match="No such file or directory; TMPDIR names another folder"), home():
        pass
