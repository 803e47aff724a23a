"""A folder of pictures as input: the frames of a film. No more than one of them is in memory."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

from dreamer.arrays import Pixels
from dreamer.errors import Failure, Mistake
from dreamer.machine.files import entries, natural
from dreamer.pictures import reading, writing
from dreamer.pictures.picture import Picture


@dataclass
class Frames:
    """The pictures in a folder, in the order of their names; attributes as those of Video."""

    paths: list[Path]
    shape: tuple[int, ...]
    rate: Fraction
    read: Callable[[Path], Picture]
    sound: ClassVar[None] = None

    @property
    def ticks(self) -> list[int]:
        """How many ticks each frame is shown."""
        return [1] * len(self.paths)

    def frames(self, first: int = 0) -> Iterator[Pixels]:
        """The frames from number `first` on, uint8 (h, w, 3). Raises Failure where one is gone or has changed."""
        for path in self.paths[first:]:
            try:
                pixels = self.read(path).pixels
            except Mistake as error:
                raise Failure(*error.args) from None
            if pixels.shape != self.shape:
                raise Failure(f"{path} has another size than the first frame")
            yield pixels

    def checksum(self) -> str:
        """Text that stands for the pictures."""
        return json.dumps([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in self.paths])


def opened(path: str, rate: Fraction, max_size: int | None, max_pixels: int,
            read: Callable[[Path], Picture]) -> Frames:
    """The Frames in the folder at `path`. Raises Mistake where there is none, or where one is of another size.

    rate        how many a second
    max_size    the longest side to which larger ones are shrunk
    max_pixels  more than this many in one are a Mistake
    read        function of a path that gives the Picture in it"""
    paths = [entry for entry in sorted(entries(path), key=lambda path: natural(path.name))
             if entry.suffix.lower() in writing.FORMATS and not entry.name.startswith(".") and entry.is_file()]
    if not paths:
        raise Mistake(f"input: there is no picture in the folder {path}")
    shape, first = read(paths[0]).pixels.shape, None
    for entry in paths:
        sides = reading.sides(entry, max_size, max_pixels)
        first = first or sides
        if sides != first:
            raise Mistake(f"input: {entry} has another size than the first frame, {paths[0].name}")
    return Frames(paths, shape, rate, read)
