"""Frames of a film on their way, in a folder: those that wait to be dreamed elsewhere, and those that came back before
their turn. What came back outlasts a stop."""

import os
from collections.abc import Mapping
from pathlib import Path

from dreamer.arrays import Pixels
from dreamer.errors import Failure
from dreamer.jobs import baton
from dreamer.machine import files
from dreamer.pictures import reading, writing
from dreamer.pictures.picture import Picture

_SOURCE, _DREAMED, _BEFORE = "source.png", "png", "before"
_SHARE = 4  # of the disk's free room, that part may be filled
_FRAME = 3  # bytes per pixel of a frame


class Spool:
    """The frames in `folder`, of that many pixels each. Frames count from 0. What writes raises OSError."""

    def __init__(self, folder: Path, pixels: int) -> None:
        self._folder, self._pixels = folder, pixels
        self.nothing = folder / "nothing.before"  # a baton for frames that go on from nothing

    def begin(self) -> None:
        """Make the folder. What waited to be dreamed when an earlier run ended is deleted: it is decoded again."""
        files.make_folder(self._folder)
        for path in self._folder.glob(f"*.{_SOURCE}"):
            path.unlink()

    def room(self) -> int:
        """How many frames may wait here."""
        there = os.statvfs(self._folder)
        return there.f_bavail * there.f_frsize // (_SHARE * _FRAME * self._pixels)

    def put(self, number: int, pixels: Pixels) -> None:
        """Keep a frame that is to be dreamed, uint8 (h, w, 3)."""
        self._path(number, _SOURCE).write_bytes(writing.encode(Picture(pixels), "PNG"))  # not synced: it may be lost

    def source(self, number: int) -> bytes:
        """The file of a frame that is to be dreamed."""
        return self._path(number, _SOURCE).read_bytes()

    def before(self, number: int) -> Path:
        """The file of the dream from which frame `number` goes on, a baton."""
        return self._path(number, _BEFORE)

    def pass_on(self, number: int, first: int, content: bytes) -> None:
        """Keep the dream from which frame `number` goes on. Raises Failure if it is damaged.

        first    what the next Unit calls that frame
        content  a baton"""
        path = self.before(number)
        with files.replacing(path) as file:
            file.write(content)
        try:
            found = baton.load(path)
        except Failure:
            path.unlink()
            raise Failure("the last dream came back damaged") from None
        assert found, "it was written just now"
        baton.save(path, first, found[1])

    def keep(self, dreamed: Mapping[int, bytes]) -> None:
        """Keep dreamed frames: {number: a picture file, without loss}."""
        for number, content in dreamed.items():
            with files.replacing(self._path(number, _DREAMED)) as file:
                file.write(content)

    def pixels(self, number: int) -> Pixels:
        """A frame that was kept, uint8 (h, w, 3). Raises Mistake if it is damaged."""
        return reading.read(self._path(number, _DREAMED), max_pixels=self._pixels).pixels

    def dream(self, number: int) -> Pixels | None:
        """The dream from which frame `number` goes on, float32 (h, w, 3); None if it is not here."""
        found = baton.load(self.before(number))
        return found[1] if found else None

    def stretch(self, first: int, length: int, chained: bool) -> tuple[bool, int]:
        """Whether frame `first` was kept, and for how many frames, at most `length`, the same holds. If they are
        chained, those that were kept reach to one from which another can go on."""
        kept, count = self._path(first, _DREAMED).exists(), 1
        while not chained and count < length and self._path(first + count, _DREAMED).exists() == kept:
            count += 1
        while chained and kept and not self.before(first + count).exists():
            kept = self._path(first + count, _DREAMED).exists()
            count += 1
        return (kept, count) if kept or not chained else (False, length)

    def has_any(self) -> bool:
        """Whether any frame was kept."""
        return any(not path.name.endswith(_SOURCE) for path in self._folder.glob(f"*.{_DREAMED}"))

    def forget(self, number: int) -> None:
        """Delete a frame that was kept."""
        self._path(number, _DREAMED).unlink(missing_ok=True)

    def drop_sources(self, first: int, end: int) -> None:
        """Delete the frames from `first` to before `end` as they were before the dream."""
        for number in range(first, end):
            self._path(number, _SOURCE).unlink(missing_ok=True)

    def drop(self, first: int, end: int) -> None:
        """Delete the frames from `first` to before `end` that were kept, and what they went on from."""
        for number in range(first, end):
            self.forget(number)
            self.before(number).unlink(missing_ok=True)

    def _path(self, number: int, kind: str) -> Path:
        return self._folder / f"{number:06d}.{kind}"
