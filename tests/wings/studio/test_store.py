"""The folder of files that can be made again."""

import os
from pathlib import Path

import pytest

from dreamer.studio import store
from dreamer.studio.store import Store


def test_texts_come_back_and_are_not_for_others(tmp_path: Path) -> None:
    kept = Store(tmp_path / "a/b", 10, 1000)
    assert kept.text("x.json") == ""
    assert not kept.there("x.json")
    kept.keep("x.json", "größe")
    assert kept.text("x.json") == "größe"
    assert kept.there("x.json")
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["x.json"]
    assert (tmp_path / "a/b").stat().st_mode & 0o077 == 0


def test_links_and_empty_files_are_not_there(tmp_path: Path) -> None:
    kept = Store(tmp_path, 10, 1000)
    (tmp_path / "full").write_text("x")
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("full")
    assert [kept.there(name) for name in ("full", "empty", "link")] == [True, False, False]


def test_nothing_is_raised_if_it_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file in the way")
    kept = Store(tmp_path / "a", 10, 1000)
    kept.keep("x.json", "text")
    assert kept.text("x.json") == ""


@pytest.mark.parametrize(("count", "room", "left"), [(10, 10 ** 6, 9), (10 ** 6, 1000, 9)])
def test_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, room: int, left: int) -> None:
    """Down to nine tenths of the bound; what was used lately is not old."""
    monkeypatch.setattr(store, "_OFTEN", 0)
    kept = Store(tmp_path, count, room)
    for number in range(10):
        kept.keep(f"{number}.json", 100 * "x")
        os.utime(tmp_path / f"{number}.json", (number, number))
    assert len(list(tmp_path.iterdir())) == 10
    assert kept.there("0.json", True)
    kept.keep("10.json", 100 * "x")
    there = {path.name for path in tmp_path.iterdir()}
    assert len(there) == left
    assert {"0.json", "10.json"} <= there
    assert "1.json" not in there


def test_a_folder_of_photos_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    """Its disk may come back to the same place, which must then be empty."""
    kept = Store(tmp_path / "photos/.studio/thumbs", 10, 1000)
    kept.keep("a", "text")
    assert [*tmp_path.iterdir()] == []
    (tmp_path / "photos").mkdir()
    kept.keep("a", "text")
    assert kept.text("a") == "text"
