"""What is in a file, a thumbnail of it, and a view of it that fits a screen. Nothing is decoded in this process: a
child with limits does that (see eye.py), because files are of strangers. The answers are kept in two hidden folders,
under names that change with the file, so that after a restart nothing is decoded again."""

import asyncio
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from dreamer.errors import Failure, Mistake
from dreamer.films import video
from dreamer.machine import limits
from dreamer.machine.worker import Died
from dreamer.pictures import inputs
from dreamer.studio import seen
from dreamer.studio.desk import Desk
from dreamer.studio.eye import Check, Draw, Eye, Look
from dreamer.studio.seen import Seen
from dreamer.studio.store import Store

THUMB, VIEW = 320, 2048  # pixels of the longest side
PATIENCE, LONG_PATIENCE = 20.0, 30.0  # seconds for a picture, and for a video
_SPACE = 3 << 30  # bytes of address space that decoding may take; 89 megapixels, the most, take 1 GB
_THUMBS, _VIEWS = 80_000, 2_000  # files; a thumbnail has details beside it
_THUMBS_ROOM, _VIEWS_ROOM = 2 << 30, 500 << 20  # bytes
_FORM = 1  # of the details: change it, and all are made again
_Result = TypeVar("_Result")


class Like(NamedTuple):
    """What changes when a file does: its size in bytes, and the time of its change in nanoseconds."""

    size: int
    changed: int


def like(path: Path) -> Like:
    """The Like of a regular file. Raises Mistake if there is none at `path`."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        raise Mistake(f"there is no file {path.name}") from None
    if not stat.S_ISREG(status.st_mode):
        raise Mistake(f"{path.name} is not a file")
    return Like(status.st_size, status.st_mtime_ns)


class Viewer:
    """Looks at files for the pages of a studio.

    hidden   the studio's hidden folder
    learned  called with (path, its Like, its Seen) whenever something new is known of a file; set it at any time"""

    def __init__(self, hidden: Path) -> None:
        self._thumbs = Store(hidden / "thumbs", _THUMBS, _THUMBS_ROOM)
        self._views = Store(hidden / "views", _VIEWS, _VIEWS_ROOM)
        memory = limits.needed() + min(_SPACE, limits.cap() or _SPACE)
        self._quick, self._slow = Desk(Eye(), memory), Desk(Eye(patient=True), memory)
        self._disk = ThreadPoolExecutor(1, "thumbs")
        self._made: dict[str, asyncio.Task[Any]] = {}  # what is being made: two who ask for the same get the same
        self._bad: dict[str, Seen] = {}  # files that killed the child, until this process ends
        programs = shutil.which("ffmpeg"), shutil.which("ffprobe")
        self._form = f"{_FORM} {list(map(bool, programs))} {sorted(inputs.extensions())}"
        self.learned: Callable[[Path, Like, Seen], None] = lambda path, like, seen: None

    @property
    def busy(self) -> bool:
        """Whether somebody waits for an answer."""
        return self._quick.busy

    async def look(self, path: Path, patient: bool = False) -> Seen:
        """The Seen of a file. Raises Mistake if it is gone. `patient`: let all others go first."""
        now = like(path)
        key = self._key(path.name, now)
        if found := await self._on_disk(self.known, path.name, now):
            return found
        return await self._once(f"{key} seen", self._look(path, now, key, patient))

    def known(self, name: str, now: Like) -> Seen | None:
        """The Seen of a file as it is `now`, if that is kept; reads the disk. From any thread."""
        key = self._key(name, now)
        if found := self._bad.get(key):
            return found
        text = self._thumbs.text(f"{key}.json")
        found = seen.parsed(text) if text else None
        return found._replace(name=name) if found else None

    async def thumb(self, path: Path) -> Path | None:
        """A JPEG of at most THUMB pixels; None if the file cannot be decoded. Raises Mistake if it is gone."""
        now = like(path)
        key = self._key(path.name, now)
        name = f"{key}.jpg"
        if await self._on_disk(self._thumbs.there, name):
            return self._thumbs.path(name)
        found = await self.look(path)
        if found.error or not found.width:
            return None
        return await self._once(name, self._thumb(path, now, name, found))

    async def view(self, path: Path, full: bool = False) -> Path:
        """A JPEG of at most VIEW pixels; `full`: of its own size, if it is not larger than the program's limit. It is
        upright, in sRGB. Raises Mistake if the file is gone or cannot be decoded."""
        now = like(path)
        name = f"{self._key(path.name, now)}{'-full' if full else ''}.jpg"
        if await self._on_disk(self._views.there, name, True):
            return self._views.path(name)
        return await self._once(f"{name} view", self._view(path, name, full))

    async def check(self, part: Path, name: str) -> Seen:
        """The Seen of the upload `part`, which shall be called `name`; its own `name` has the extension that fits its
        content. Raises Mistake if it is no picture and no video, too large or damaged."""
        try:
            found: Seen = await self._slow.ask(Check(os.fspath(part), name), LONG_PATIENCE)
        except Died:
            raise Mistake(f"{name} cannot be decoded: it takes too much time or memory, or is damaged") from None
        return found

    def close(self) -> None:
        """End the children."""
        for desk in self._quick, self._slow:
            desk.close()
        self._disk.shutdown(wait=False, cancel_futures=True)

    def _key(self, name: str, now: Like) -> str:
        text = f"{self._form}\0{name}\0{now.size}\0{now.changed}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]

    async def _on_disk(self, act: Callable[..., _Result], *words: Any) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._disk, act, *words)

    async def _once(self, name: str, making: Coroutine[Any, Any, _Result]) -> _Result:
        """The result of `making`, or of another that makes the same now. It goes on if whoever asked is gone."""
        task = self._made.get(name)
        if task:
            making.close()
        else:
            task = self._made[name] = asyncio.ensure_future(making)
            task.add_done_callback(lambda task: (self._made.pop(name), task.cancelled() or task.exception()))
        result: _Result = await asyncio.shield(task)
        return result

    async def _look(self, path: Path, now: Like, key: str, patient: bool) -> Seen:
        desk = self._slow if patient else self._quick
        try:
            found: Seen = await desk.ask(Look(os.fspath(path)), _patience(path))
        except (Mistake, Failure) as error:
            return await self._cannot(path, now, error)
        return await self._keep(path, now, key, found)

    async def _thumb(self, path: Path, now: Like, name: str, found: Seen) -> Path | None:
        try:
            await self._on_disk(self._thumbs.make)
            await self._quick.ask(Draw(os.fspath(path), os.fspath(self._thumbs.path(name)), THUMB), _patience(path))
        except (Mistake, Failure) as error:
            await self._cannot(path, now, error, found)
            return None
        except OSError as error:
            raise Failure(f"no thumbnail can be written: {error.strerror}") from None
        await self._on_disk(self._thumbs.added)
        return self._thumbs.path(name)

    async def _view(self, path: Path, name: str, full: bool) -> Path:
        target = self._views.path(name)
        try:
            await self._on_disk(self._views.make)
            await self._quick.ask(Draw(os.fspath(path), os.fspath(target), 0 if full else VIEW, 90 if full else 88),
                                  LONG_PATIENCE)
        except Died:
            raise Mistake(_died(path)) from None
        except OSError as error:
            raise Failure(f"no view can be written: {error.strerror}") from None
        await self._on_disk(self._views.added)
        return target

    async def _cannot(self, path: Path, now: Like, error: Mistake | Failure, before: Seen | None = None) -> Seen:
        """The Seen of a file that cannot be read. It is kept on the disk if that is the file's fault, and while this
        process runs if it killed the child: another time there may be more memory."""
        key = self._key(path.name, now)
        found = seen.unreadable(path.name, Mistake(_died(path)) if isinstance(error, Died) else error)
        if before:
            found = found._replace(recipe=before.recipe, type=before.type)
        if isinstance(error, Mistake):
            return await self._keep(path, now, key, found)
        like(path)
        if isinstance(error, Died):
            self._bad[key] = found
            self.learned(path, now, found)
        return found

    async def _keep(self, path: Path, now: Like, key: str, found: Seen) -> Seen:
        """Keep what was found, if the file is still as it was; raises Mistake if it is gone."""
        if like(path) == now:
            await self._on_disk(self._thumbs.keep, f"{key}.json", found.text())
            self.learned(path, now, found)
        return found


def _patience(path: Path) -> float:
    return LONG_PATIENCE if video.named_so(path) else PATIENCE


def _died(path: Path) -> str:
    return f"{path.name} cannot be decoded: it takes too much time or memory, or is damaged"
