"""The gallery of the studio: what the folder holds, in pages; trash and names."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamer.errors import Mistake
from dreamer.pictures import writing
from dreamer.pictures.picture import Picture
from dreamer.studio import gallery, trash
from dreamer.studio.gallery import Gallery
from dreamer.studio.viewer import Viewer

RECIPE = {"version": "1", "model": "daydream", "layer": "inception_4d/output"}


class Studio:
    """A gallery of the folder `path`, and how often it said that it has changed."""

    def __init__(self, path: Path) -> None:
        self.path, self.told = path, 0
        self.viewer = Viewer(path / ".studio")
        self.gallery = Gallery(path, self.viewer, self._changed)

    def _changed(self) -> None:
        self.told += 1

    async def names(self, kind: str = "all", search: str = "", start: int = 0, count: int = 60) -> list[str]:
        page = await self.gallery.page(start, count, kind, search)
        return [item["name"] for item in page["items"]]

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """The gallery watches its folder during the block."""
        running = asyncio.ensure_future(self.gallery.run())
        try:
            yield
        finally:
            assert not running.done()
            running.cancel()

    async def until(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 60.0) -> dict[str, Any]:
        """The page of all files, as soon as it is as wanted."""
        end = time.monotonic() + seconds
        while True:
            page = await self.gallery.page(0, 60, "all", "")
            if wanted(page):
                return page
            assert time.monotonic() < end, page
            await asyncio.sleep(0.05)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    found = Studio(tmp_path)
    yield found
    found.viewer.close()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def photo(path: Path, age: int = 0, **more: Any) -> Path:
    """A small picture that was changed `age` seconds ago; a dream if there is `more` for its recipe."""
    writing.write(path, Picture(np.full((40, 60, 3), 128, np.uint8), recipe=RECIPE | more if more else None))
    os.utime(path, (time.time() - age,) * 2)
    return path


# what is shown -------------------------------------------------------------------------------------------

def test_newest_first_in_pages(studio: Studio) -> None:
    for number in range(30):
        photo(studio.path / f"{number:02}.jpg", 100 + number)
    for name in "b.jpg", "a.jpg":
        os.link(studio.path / "00.jpg", studio.path / name)  # as old as the newest

    async def work() -> None:
        page = await studio.gallery.page(0, 5, "all", "")
        assert [item["name"] for item in page["items"]] == ["00.jpg", "a.jpg", "b.jpg", "01.jpg", "02.jpg"]
        assert page["total"] == 32
        assert await studio.names(start=30) == ["28.jpg", "29.jpg"]
        assert await studio.names(start=99) == []
        assert len(await studio.names(start=-5, count=10 ** 9)) == 32
        assert await studio.names(count=-1) == []
    run(work())


def test_an_item_says_all_that_a_page_shows(studio: Studio) -> None:
    path = photo(studio.path / "cat-dream.png", 100, octaves=4)
    (item,) = run(studio.until(lambda page: page["items"][0]["kind"] != "unknown"))["items"]
    version = item.pop("version")
    assert version
    assert abs(item.pop("time") - path.stat().st_mtime) < 1
    assert item == {"name": "cat-dream.png", "kind": "dream", "width": 60, "height": 40,
                    "bytes": path.stat().st_size, "type": "image/png", "recipe": True,
                    "words": "Dream of cat at inception_4d/output: dogs in thick fur, feathers at the edges"}


def test_only_plain_visible_pictures_are_shown(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = photo(studio.path / "a.jpg")
    outside = photo(tmp_path_factory.mktemp("outside") / "secret.jpg")
    (studio.path / "link.jpg").symlink_to(outside)
    (studio.path / "inside.jpg").symlink_to(path)
    (studio.path / "folder.jpg").mkdir()
    photo(studio.path / "folder.jpg" / "b.jpg")
    os.mkfifo(studio.path / "pipe.jpg")
    for name in ".hidden.jpg", ".dreamer-x.part", "page.html", "drawing.svg", "notes.txt", "a.caffemodel", "none":
        (studio.path / name).write_bytes(path.read_bytes())
    assert run(studio.names()) == ["a.jpg"]
    for name in ("link.jpg", "inside.jpg", "folder.jpg", "pipe.jpg", ".hidden.jpg", "page.html", "gone.jpg", "../a.jpg",
                 "folder.jpg/b.jpg", ".", "..", "", ".studio", "a\0.jpg", str(path)):
        with pytest.raises(Mistake):
            studio.gallery.find(name)
    assert studio.gallery.find("a.jpg") == path


def test_odd_names_are_counted_or_shown(studio: Studio) -> None:
    shown = ["größe.jpg", "日本 語.jpg", "a&b<i>'\".jpg", "👩‍👩‍👧.jpg", "%2e%2e.jpg"]
    for name in shown:
        photo(studio.path / name)
    source = os.fsencode(studio.path / shown[0])
    for odd in b"\xff\xfe.jpg", b"new\nline.jpg", b"-rf.jpg", b"\xe2\x80\xae.jpg", b"x" * 240 + b".jpg":
        os.link(source, os.path.join(os.fsencode(studio.path), odd))

    async def work() -> None:
        page = await studio.gallery.page(0, 60, "all", "")
        assert {item["name"] for item in page["items"]} == set(shown)
        assert page["odd"] == 5
        for name in shown:
            assert studio.gallery.find(name).exists()
    run(work())


def test_kinds_and_search(studio: Studio) -> None:
    photo(studio.path / "Katze.jpg", 5)
    photo(studio.path / "Katze-dream.jpg", 4, octaves=1)
    photo(studio.path / "all.png", 3, atlas=3)
    photo(studio.path / "film.webp", 2, fps=10)
    frames = [Image.new("RGB", (60, 40), (value, 0, 0)) for value in (250, 100)]
    frames[0].save(studio.path / "moves.gif", save_all=True, append_images=frames[1:])
    (studio.path / "bad.jpg").write_bytes(b"<html>")

    async def work() -> None:
        async with studio.watched():
            await studio.until(lambda page: page["total"] == 6 and not page["unknown"])
        assert await studio.names("dreams") == ["film.webp", "all.png", "Katze-dream.jpg"]
        assert await studio.names("photos") == ["Katze.jpg"]
        assert await studio.names("films") == ["moves.gif", "film.webp"]
        assert await studio.names("all", "KATZE") == ["Katze-dream.jpg", "Katze.jpg"]
        assert await studio.names("dreams", "dogs") == ["film.webp", "Katze-dream.jpg"]
        assert await studio.names("all", "nothing") == []
        kinds = {item["name"]: item["kind"] for item in (await studio.gallery.page(0, 60, "all", ""))["items"]}
        assert kinds["bad.jpg"] == "unreadable"
        with pytest.raises(Mistake, match="kind: one of all, dreams"):
            await studio.gallery.page(0, 60, "cats", "")
    run(work())


def test_a_page_does_not_wait_long(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Details that take long come later, and the version grows then."""
    real, go = studio.viewer.look, asyncio.Event()

    async def slow(path: Path, patient: bool = False) -> Any:
        await go.wait()
        return await real(path, patient)
    monkeypatch.setattr(studio.viewer, "look", slow)
    for number in range(5):
        photo(studio.path / f"{number}.jpg", number)

    async def work() -> None:
        page = await asyncio.wait_for(studio.gallery.page(0, 60, "all", ""), 60)
        assert [item["kind"] for item in page["items"]] == 5 * ["unknown"]
        go.set()
        later = await studio.until(lambda new: not new["unknown"] and new["version"] > page["version"])
        assert {item["kind"] for item in later["items"]} == {"photo"}
    run(work())


# what comes and goes -------------------------------------------------------------------------------------

def test_files_come_and_go_and_change_by_other_means(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "AGAIN", 2.0)

    async def work() -> None:
        async with studio.watched():
            assert (await studio.until(lambda page: True))["items"] == []
            path = photo(studio.path / "a.jpg", 50)
            first = await studio.until(lambda page: page["total"] == 1 and page["items"][0]["kind"] == "photo")
            with path.open("ab") as file:  # the folder does not change
                file.write(b"more")
            second = await studio.until(lambda page: page["items"][0]["bytes"] == path.stat().st_size)
            assert second["version"] > first["version"]
            assert second["items"][0]["version"] != first["items"][0]["version"]
            (studio.path / "sub").mkdir()
            path.rename(studio.path / "sub/a.jpg")
            await studio.until(lambda page: page["total"] == 0)
            told = studio.told
            await asyncio.sleep(2.5)
            assert studio.told == told  # nothing has changed
    run(work())


def test_a_folder_that_is_gone_for_a_while(studio: Studio) -> None:
    photo(studio.path / "a.jpg")

    async def work() -> None:
        async with studio.watched():
            await studio.until(lambda page: page["total"] == 1)
            away = studio.path.with_name("away")
            studio.path.rename(away)
            await asyncio.sleep(1.5)
            away.rename(studio.path)
            photo(studio.path / "b.jpg")
            await studio.until(lambda page: page["total"] == 2)
    run(work())


# trash and names -----------------------------------------------------------------------------------------

def test_delete_and_undo(studio: Studio) -> None:
    async def work() -> None:
        path = photo(studio.path / "a.jpg", 10)
        data, when = path.read_bytes(), path.stat().st_mtime_ns
        photo(studio.path / "b.jpg", 20)
        assert await studio.names() == ["a.jpg", "b.jpg"]
        number = studio.gallery.delete("a.jpg")
        assert not path.exists()
        assert await studio.names() == ["b.jpg"]  # at once
        assert studio.gallery.restore(number) == "a.jpg"
        assert await studio.names() == ["a.jpg", "b.jpg"]
        assert (path.read_bytes(), path.stat().st_mtime_ns) == (data, when)
        assert [*(studio.path / ".studio/trash").iterdir()] == []
        with pytest.raises(Mistake, match="no longer in the trash"):
            studio.gallery.restore(number)
        with pytest.raises(Mistake):
            studio.gallery.delete("gone.jpg")
    run(work())


def test_undo_never_overwrites(studio: Studio) -> None:
    photo(studio.path / "a.jpg")
    numbers = [studio.gallery.delete("a.jpg")]
    photo(studio.path / "a.jpg", 5)
    numbers.append(studio.gallery.delete("a.jpg"))
    new = photo(studio.path / "a.jpg", 7).read_bytes()
    assert [studio.gallery.restore(number) for number in numbers] == ["a-2.jpg", "a-3.jpg"]
    assert (studio.path / "a.jpg").read_bytes() == new


@pytest.mark.parametrize("number", ["", ".", "..", "../..", "0" * 15, "0" * 16, "A" * 16, "0" * 16 + "/..", "\0"])
def test_an_id_leads_nowhere_else(studio: Studio, number: str) -> None:
    with pytest.raises(Mistake):
        studio.gallery.restore(number)


def test_only_old_trash_is_removed(studio: Studio) -> None:
    for name in "old.jpg", "new.jpg":
        photo(studio.path / name, 100 * 86400)
    old, new = (studio.gallery.delete(name) for name in ("old.jpg", "new.jpg"))
    place = studio.path / ".studio/trash" / old
    os.utime(place, (time.time() - (trash.DAYS + 1) * 86400,) * 2)
    (studio.path / ".studio/trash/mine").mkdir()
    os.utime(studio.path / ".studio/trash/mine", (0, 0))

    async def work() -> None:
        async with studio.watched():
            until = time.monotonic() + 60
            while place.exists() and time.monotonic() < until:
                await asyncio.sleep(0.05)
    run(work())
    assert studio.gallery.restore(new) == "new.jpg"
    assert (studio.path / ".studio/trash/mine").exists()
    with pytest.raises(Mistake):
        studio.gallery.restore(old)


@pytest.mark.parametrize("links", [True, False])
def test_rename(studio: Studio, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    """Also on a file system without links."""
    def refused(*_: Any, **__: Any) -> None:
        raise OSError(1, "Operation not permitted")
    if not links:
        monkeypatch.setattr(os, "link", refused)

    async def work() -> None:
        data = photo(studio.path / "a.jpg", 10, octaves=1).read_bytes()
        other = photo(studio.path / "b.jpg", 20).read_bytes()
        assert await studio.names() == ["a.jpg", "b.jpg"]
        studio.gallery.rename("a.jpg", "größer.JPG")
        assert await studio.names() == ["größer.JPG", "b.jpg"]
        assert (studio.path / "größer.JPG").read_bytes() == data
        assert sorted(path.name for path in studio.path.glob("*.*")) == [".studio", "b.jpg", "größer.JPG"]
        for to, words in (("b.jpg", "already a file b.jpg"), ("c.png", "must end with .JPG"), ("../c.jpg", "slash"),
                          (".c.jpg", "begin"), ("c.jpg.html", "must end with"), ("größer.JPG", "already")):
            with pytest.raises(Mistake, match=words):
                studio.gallery.rename("größer.JPG", to)
        with pytest.raises(Mistake):
            studio.gallery.rename("gone.jpg", "c.jpg")
        assert (studio.path / "b.jpg").read_bytes() == other
        assert studio.gallery.restore(studio.gallery.delete("b.jpg")) == "b.jpg"
    run(work())


# many files ----------------------------------------------------------------------------------------------

def test_20_000_files(studio: Studio) -> None:
    """The first page comes at once, and nothing is read again for the next."""
    photo(studio.path / "x.jpg", 100)
    for number in range(20_000):
        os.link(studio.path / "x.jpg", studio.path / f"{number:05}.jpg")

    async def work() -> None:
        page = await studio.gallery.page(0, 60, "all", "")
        assert page["total"] == 20_001
        assert [item["name"] for item in page["items"][:2]] == ["00000.jpg", "00001.jpg"]
        (studio.path / "00000.jpg").unlink()  # a page does not look at the folder
        assert await studio.names(count=2) == ["00000.jpg", "00001.jpg"]
        assert await studio.names(start=19_999, count=120) == ["19999.jpg", "x.jpg"]
        assert await studio.names(search="777", count=120) == [
            f"{number:05}.jpg" for number in range(20_000) if "777" in f"{number:05}"]
        await studio.gallery.look()
        assert await studio.names(count=2) == ["00001.jpg", "00002.jpg"]
    run(work())
