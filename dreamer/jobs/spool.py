"""Frames of a film on their way, in a folder: those that wait to be dreamed elsewhere, and those that came back before
their turn. What came back outlasts a stop."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from dreamer.arrays import Pixels
from dreamer.errors import Failure
from dreamer.jobs import baton
from dreamer.machine import files
from dreamer.pictures import reading, writing
from dreamer.pictures.picture import Picture

_SOURCE, _DREAMED, _BEFORE = "source.png", "png", "before"


class Spool:
    """The frames in `folder`. Frames count from 0. All methods that write raise OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self) -> None:
        """Make the folder. What waited to be dreamed when an earlier run ended is deleted: it is decoded again."""
        files.make_folder(self._folder)
        for path in self._folder.glob(f"*.{_SOURCE}"):
            path.unlink()

    def remove(self) -> None:
        """Delete all of it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def put(self, number: int, pixels: Pixels) -> None:
        """Keep a frame that is to be dreamed, uint8 (h, w, 3)."""
        self.source(number).write_bytes(writing.encode(Picture(pixels), "PNG"))  # not synced: it may be lost

    def source(self, number: int) -> Path:
        """The file of a frame that is to be dreamed."""
        return self._path(number, _SOURCE)

    def before(self, number: int) -> Path:
        """The file of the dream from which frame `number` goes on, a baton."""
        return self._path(number, _BEFORE)

    def pass_on(self, number: int, first: int, content: bytes) -> None:
        """Keep the dream from which frame `number` goes on. Raises Failure if it is damaged.

        first    what the Unit calls that frame
        content  a baton"""
        path = self.before(number)
        with files.replacing(path) as file:
            file.write(content)
        found = baton.load(path)
        if not found or found[1] is None:
            path.unlink()
            raise Failure("the last dream came back damaged")
        baton.save(path, first, found[1])

    def keep(self, dreamed: Mapping[int, bytes]) -> None:
        """Keep dreamed frames: {number: a picture file, without loss}."""
        for number, content in dreamed.items():
            with files.replacing(self._path(number, _DREAMED)) as file:
                file.write(content)

    def pixels(self, number: int) -> Pixels:
        """A frame that was kept, uint8 (h, w, 3). Raises Mistake if it is damaged."""
        return reading.read(self._path(number, _DREAMED)).pixels

    def dream(self, number: int) -> Pixels | None:
        """The dream from which frame `number` goes on, float32 (h, w, 3), if that was kept."""
        found = baton.load(self.before(number))
        return found[1] if found else None

    def has(self, first: int, length: int, carried: bool) -> int:
        """How many frames from `first` on were kept, at most `length` unless `carried`; then, up to the first from
        which another can go on, and 0 if there is none."""
        count = 0
        while (count < length or carried) and self._path(first + count, _DREAMED).exists():
            count += 1
            if carried and self.before(first + count).exists():
                return count
        return 0 if carried else count

    def drop(self, first: int, end: int, carried: int) -> None:
        """Delete what belongs to the frames from `first` to before `end`, which are in the film, except what the frames
        after them need: the last `carried` as they were before the dream, and the last dream."""
        for number in range(first, end):
            self._path(number, _DREAMED).unlink(missing_ok=True)
            self.before(number).unlink(missing_ok=True)
        for number in range(max(0, first - carried), end - carried):
            self.source(number).unlink(missing_ok=True)

    def _path(self, number: int, kind: str) -> Path:
        return self._folder / f"{number:06d}.{kind}"
