"""Files that the page shows: pictures and films of the folder, thumbnails, views, live pictures, masks. Only regular
files, of a list of types."""

import asyncio
import email.utils
import os
import re
import urllib.parse
from pathlib import Path
from typing import IO

from tornado.iostream import StreamClosedError
from tornado.web import HTTPError

from dreamer.errors import Mistake
from dreamer.jobs import atlas
from dreamer.studio import blank, naming
from dreamer.studio.guard import Guarded
from dreamer.studio.viewer import THUMB, VIEW

_BLOCK = 256 << 10  # bytes
_JPEG = "image/jpeg"
# extension -> type, of what browsers show; the others can only be downloaded
_TYPES = {
    ".jpg": _JPEG, ".jpeg": _JPEG, ".jpe": _JPEG, ".jfif": _JPEG, ".png": "image/png", ".apng": "image/png",
    ".webp": "image/webp", ".gif": "image/gif", ".avif": "image/avif", ".bmp": "image/bmp", ".tif": "image/tiff",
    ".tiff": "image/tiff", ".heic": "image/heic", ".heif": "image/heic", ".jxl": "image/jxl", ".mp4": "video/mp4",
    ".m4v": "video/mp4", ".webm": "video/webm", ".mov": "video/quicktime", ".mkv": "video/x-matroska",
    ".ogv": "video/ogg", ".avi": "video/x-msvideo"}
_UNKNOWN = "application/octet-stream"


class Served(Guarded):
    """A handler that answers with files."""

    async def head(self, *names: str) -> None:  # noqa: D102 - Tornado's
        await self.get(*names)

    async def send(self, file: IO[bytes], kind: str) -> None:
        """Answer with the open file, or the range of it that was asked for, and close it."""
        with file:
            status = os.fstat(file.fileno())
            tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
            self.set_header("Content-Type", kind)
            self.set_header("ETag", tag)
            self.set_header("Last-Modified", email.utils.formatdate(status.st_mtime, usegmt=True))
            self.set_header("Accept-Ranges", "bytes")
            self.may_be_kept()
            if self.request.headers.get("If-None-Match") == tag:
                self.set_status(304)
                return
            start, end = self._range(status.st_size, tag)
            if self.get_status() == 416:
                line = "the file has no such part"
                self.answer({"error": line, "lines": [line]}, 416)
                return
            self.set_header("Content-Length", str(end - start))
            if self.request.method == "HEAD":
                return
            file.seek(start)
            await self._copy(file, end - start)

    def _range(self, size: int, tag: str) -> tuple[int, int]:
        """The part of a file of `size` bytes that was asked for: (first byte, end). Several ranges at once, and those
        of a file that has changed since, give the whole file. Sets the status."""
        asked = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", self.request.headers.get("Range", ""))
        if not asked or asked[0] == "bytes=-" or self.request.headers.get("If-Range", tag) != tag:
            return 0, size
        if not asked[1]:
            start, end = max(0, size - int(asked[2])), size
        else:
            start, end = int(asked[1]), min(size, int(asked[2]) + 1) if asked[2] else size
        if start >= end:
            self.set_status(416)
            self.set_header("Content-Range", f"bytes */{size}")
            return 0, 0
        self.set_status(206)
        self.set_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        return start, end

    async def _copy(self, file: IO[bytes], count: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            while count and (block := await loop.run_in_executor(None, file.read, min(_BLOCK, count))):
                count -= len(block)
                self.write(block)
                await self.flush()
        except StreamClosedError:  # a player asks for a part, and leaves
            return
        if count and self.request.connection:  # the file became shorter; the length is promised already
            self.request.connection.stream.close()

    async def send_made(self, folder: Path, name: str, kind: str = _JPEG) -> None:
        """Answer with the file `name` of one of our own folders."""
        try:
            file = naming.opened(folder, name)
        except Mistake:
            raise HTTPError(404) from None
        await self.send(file, kind)

    def found(self, name: str) -> Path:
        """The path of a file of the gallery; raises HTTPError if there is none."""
        try:
            return Path(self.studio.gallery.find(name))
        except Mistake:
            raise HTTPError(404) from None


class File(Served):
    """/file/NAME: the file itself."""

    async def get(self, name: str) -> None:  # noqa: D102 - Tornado's
        try:
            extension = Path(naming.check(name)).suffix.lower()
            if not naming.kind(name):
                raise HTTPError(404)
            file = naming.opened(self.studio.folder, name)
        except Mistake:
            raise HTTPError(404) from None
        kind = _TYPES.get(extension, _UNKNOWN)
        if kind == _UNKNOWN or self.get_query_argument("download", ""):
            quoted = urllib.parse.quote(name, safe="")
            self.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{quoted}")
        await self.send(file, kind)


class Thumb(Served):
    """/thumb/NAME: a small picture of it."""

    async def get(self, name: str) -> None:  # noqa: D102 - Tornado's
        if await blank.shown(self, name, THUMB):
            return
        path = await self.studio.viewer.thumb(self.found(name))
        if path is None:
            raise HTTPError(404)
        await self.send_made(path.parent, path.name)


class View(Served):
    """/view/NAME[?full=1]: it as a JPEG for the screen, upright."""

    async def get(self, name: str) -> None:  # noqa: D102 - Tornado's
        full = self.get_query_argument("full", "") == "1"
        if await blank.shown(self, name, None if full else VIEW):
            return
        path = await self.studio.viewer.view(self.found(name), full)
        await self.send_made(path.parent, path.name)


class Preview(Served):
    """/preview/ID: the live picture of a job."""

    async def get(self, number: str) -> None:  # noqa: D102 - Tornado's
        await self.send_made(self.studio.hidden / "previews", f"{int(number)}.jpg")


class Tried(Served):
    """/tried/KEY/LAYER: the photo's dream of a layer."""

    async def get(self, key: str, layer: str) -> None:  # noqa: D102 - Tornado's
        await self.send_made(self.studio.hidden / "tries" / key, atlas.tile_name(layer), "image/png")


class Mask(Served):
    """/masks/SHA.png: a mask that was painted."""

    async def get(self, name: str) -> None:  # noqa: D102 - Tornado's
        await self.send_made(self.studio.hidden / "masks", name, "image/png")
