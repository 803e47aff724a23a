"""Uploads: streamed into a hidden file, checked in a process of their own, and then given a name that no file has."""

import abc
import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, Any

from tornado.web import HTTPError, stream_request_body

from dreamer.errors import Mistake, counted
from dreamer.machine import files, limits
from dreamer.studio import blank, naming
from dreamer.studio.answers import LIMITS, SAMPLES, samples
from dreamer.studio.guard import Guarded, Refused
from dreamer.studio.queue import FLOOR
from dreamer.studio.viewer import THUMB

MOST = 4  # uploads at once
PATIENCE = 60.0  # seconds without a byte after which an upload is given up
_LONG = 6 * 3600.0  # seconds that an upload may take
_REST = 5.0  # seconds for which the rest of a refused upload is thrown away, so that the browser reads the answer
_MASK = 16 << 20  # bytes
_LOOK = 16 << 20  # bytes between two looks at the disk
_PREFIX, _SUFFIX = "upload-", ".part"


def sweep(parts: Path) -> None:
    """Remove the unfinished uploads of an earlier run."""
    for path in parts.glob(f"{_PREFIX}*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            path.unlink()


@stream_request_body
class Upload(Guarded, abc.ABC):
    """A file that is sent as the body of PUT. It is called `part` on the disk until it is checked."""

    def initialize(self, studio: Any) -> None:  # noqa: D102 - Guarded's
        super().initialize(studio)
        self.part: Path | None = None
        self._file: IO[bytes] | None = None
        self._failed: Exception | None = None
        self._size = self._seen = self._looked = 0
        self._heard = 0.0  # when something last came
        self._watch: asyncio.TimerHandle | None = None

    @abc.abstractmethod
    def cap(self, name: str) -> int:
        """Bytes that the file may have. Raises Mistake or Refused if it may not come at all."""

    def prepare(self) -> None:  # noqa: D102 - Tornado's
        self.request.connection.set_body_timeout(_REST)
        self.request.connection.set_max_body_size(1 << 62)  # we count ourselves, and answer in words
        try:
            super().prepare()
            self._cap = self.cap(*self.path_args)
            length = self.request.headers.get("Content-Length", "0")
            self._check_room(int(length) if length.isascii() and length.isdecimal() else 0)
            if len(self.studio.uploads) >= MOST:
                raise Refused(503, f"{counted(MOST, 'upload')} at once are the most: wait until one is done", 5)
            self._begin()
        except (Mistake, Refused, OSError) as error:
            self._fail(error)

    def _check_room(self, size: int) -> None:
        """Raise Refused if the file is too large, or if the disk would be too full with `size` more bytes."""
        if max(size, self._size) > self._cap:
            raise Refused(413, f"the file is too large: {limits.told(self._cap)} are the most")
        if self.studio.free() - size < FLOOR:
            raise Refused(507, f"the disk is too full: {limits.told(FLOOR)} must stay free")

    def _begin(self) -> None:
        folder = self.studio.hidden / "parts"
        files.make_folder(folder)
        number, path = tempfile.mkstemp(_SUFFIX, _PREFIX, folder)
        self.part, self._file = Path(path), os.fdopen(number, "wb", buffering=0)
        self.studio.uploads.add(self)
        self.request.connection.set_body_timeout(_LONG)
        self._look()

    def _look(self) -> None:
        """Give the upload up if nothing has come for a while."""
        loop = asyncio.get_running_loop()
        if self._size > self._seen or not self._heard:
            self._seen, self._heard = self._size, loop.time()
        elif loop.time() > self._heard + PATIENCE:
            self.request.connection.stream.close()
            return
        self._watch = loop.call_later(PATIENCE / 6, self._look)

    def _fail(self, error: Exception) -> None:
        """Answer with the error, and throw away what still comes."""
        self._failed = error
        self._end()
        self.set_header("Connection", "close")
        self.send_error(500, exc_info=(type(error), error, None))
        asyncio.get_running_loop().call_later(_REST, self._hang_up)

    def _hang_up(self) -> None:
        if self.request.connection and self.request.connection.stream:
            self.request.connection.stream.close()

    async def data_received(self, chunk: bytes) -> None:  # noqa: D102 - Tornado's
        if self._failed or not self._file:
            return
        self._size += len(chunk)
        try:
            if self._size > self._cap or self._size - self._looked > _LOOK:
                self._looked = self._size
                self._check_room(0)
            await asyncio.get_running_loop().run_in_executor(None, _write, self._file, chunk)
        except (Refused, OSError, ValueError) as error:
            if not self._failed:
                self._fail(error)

    async def put(self, *names: str) -> None:  # noqa: D102 - Tornado's
        if self._failed or not self._file or not self.part:
            return
        if self._watch:
            self._watch.cancel()
        try:
            await asyncio.get_running_loop().run_in_executor(None, _finish, self._file)
            await self.take(self.part, *names)
        except (OSError, ValueError, Mistake):
            if not isinstance(self._failed, ConnectionError):
                raise
            # whoever sent it is gone, and so the file was closed and removed meanwhile
        finally:
            self._end()

    @abc.abstractmethod
    async def take(self, part: Path, *names: str) -> None:
        """Check the finished file, give it its name, and answer."""

    def on_connection_close(self) -> None:  # noqa: D102 - Tornado's
        self._failed = self._failed or ConnectionError()
        self._end()
        super().on_connection_close()

    def on_finish(self) -> None:  # noqa: D102 - Tornado's
        self._end()

    def _end(self) -> None:
        """Remove the part, if it is still there."""
        self.studio.uploads.discard(self)
        if self._watch:
            self._watch.cancel()
        if self._file:
            self._file.close()
        if self.part:
            self.part.unlink(missing_ok=True)


def _write(file: IO[bytes], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest):]


def _finish(file: IO[bytes]) -> None:
    """Let the file be on the disk before it gets its name."""
    with contextlib.suppress(OSError):  # some shared folders cannot sync
        os.fsync(file.fileno())
    file.close()


class Photo(Upload):
    """/photos/NAME: a picture or a video."""

    def cap(self, name: str) -> int:  # noqa: D102 - Upload's
        kind = naming.kind(naming.check(name))
        if kind is None:
            raise Refused(415, f"{name}: this is neither a picture nor a video, by its name")
        return LIMITS["video" if kind == "film" else "picture"]

    async def take(self, part: Path, *names: str) -> None:  # noqa: D102 - Upload's
        await keep(self, part, names[0])


async def keep(handler: Guarded, part: Path, name: str) -> None:
    """Check the file `part`, let it be `name` in the folder, or a name like it that is free, and answer."""
    studio = handler.studio
    try:
        seen = await studio.viewer.check(part, name)
    except Mistake as error:
        raise Refused(415, error.args[0]) from None
    kept = await asyncio.get_running_loop().run_in_executor(
        None, naming.keep, part, studio.folder, seen.name or name, studio.queue.reserved())
    there = os.lstat(studio.folder / kept)
    studio.gallery.notice()
    handler.answer({"name": kept, "width": seen.width, "height": seen.height, "kind": seen.kind,
                    "version": f"{there.st_mtime_ns:x}-{there.st_size:x}"}, 201)


class NewMask(Upload):
    """/masks: a mask, a PNG that is white where to dream. Its name is its checksum, so that the same is kept once."""

    def cap(self, *_: str) -> int:  # noqa: D102 - Upload's
        return _MASK

    async def take(self, part: Path, *_: str) -> None:  # noqa: D102 - Upload's
        try:
            seen = await self.studio.viewer.check(part, "mask.png")
        except Mistake as error:
            raise Refused(415, error.args[0]) from None
        if seen.type != "image/png":
            raise Refused(415, "a mask must be a PNG picture")
        name = await asyncio.get_running_loop().run_in_executor(None, self._kept, part)
        self.answer({"mask": name}, 201)

    def _kept(self, part: Path) -> str:
        name = hashlib.sha256(part.read_bytes()).hexdigest() + ".png"
        folder = self.studio.hidden / "masks"
        files.make_folder(folder)
        files.give(part, folder)
        files.move(part, folder / name)
        return name


class Sample(Guarded):
    """/samples/NAME: show a sample photo, or copy it into the folder."""

    async def get(self, name: str) -> None:  # noqa: D102 - Tornado's
        if name == blank.SAMPLE and await blank.shown(self, name, THUMB):
            return
        if name not in samples():
            raise HTTPError(404)
        self.may_be_kept()
        self.set_header("Content-Type", "image/jpeg")
        self.finish(await asyncio.get_running_loop().run_in_executor(None, (SAMPLES / name).read_bytes))

    async def post(self, name: str) -> None:  # noqa: D102 - Tornado's
        if name not in samples():
            raise HTTPError(404)
        folder = self.studio.hidden / "parts"
        files.make_folder(folder)
        number, part = tempfile.mkstemp(_SUFFIX, _PREFIX, folder)
        os.close(number)
        try:
            await asyncio.get_running_loop().run_in_executor(None, shutil.copyfile, SAMPLES / name, part)
            await keep(self, Path(part), name)
        finally:
            Path(part).unlink(missing_ok=True)
