"""A folder of pictures as input: the frames of a film. Only one frame is in memory at a time."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from dreamer.arrays import Pixels
from dreamer.errors import Failure, Mistake, counted
from dreamer.machine.files import entries, natural
from dreamer.pictures import inputs, reading
from dreamer.pictures.picture import Picture


@dataclass
class Frames:
    """The pictures in a folder, in the order of their names. The attributes are those of Video."""

    paths: list[Path]
    shape: tuple[int, ...]
    rate: Fraction
    read: Callable[[Path], Picture]

    @property
    def ticks(self) -> list[int]:
        """The number of ticks for which each frame is shown: 1."""
        return [1] * len(self.paths)

    def frames(self, first: int = 0) -> Iterator[Pixels]:
        """The frames from number `first` on, uint8 (h, w, 3). Raises Failure if one is unreadable or has a new size."""
        for path in self.paths[first:]:
            try:
                pixels = self.read(path).pixels
            except Mistake as error:
                raise Failure(*error.args) from None
            if pixels.shape != self.shape:
                raise Failure(f"{path} differs in size from the first frame")
            yield pixels

    def checksum(self) -> str:
        """Text that identifies the pictures: their names, sizes and times of change."""
        return json.dumps([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in self.paths])


def opened(path: str, rate: Fraction, max_size: int | None, max_pixels: int,
            read: Callable[[Path], Picture], warn: Callable[[str], None] = lambda line: None) -> Frames:
    """The Frames in the folder at `path`. Raises Mistake if there are none, or if they differ in size.

    rate        frames per second
    max_size    shrink larger frames so that their longest side has this many pixels
    max_pixels  raise Mistake if a frame has more pixels than this
    read        function of a path that returns the Picture there
    warn        called with a line about the files that are left out"""
    files = [entry for entry in sorted(entries(path), key=lambda path: natural(path.name))
             if not entry.name.startswith(".") and entry.is_file()]
    readable = inputs.extensions()
    paths = [entry for entry in files if entry.suffix.lower() in readable]
    if not paths:
        raise Mistake(f"input: the folder {path} contains no pictures")
    if others := [entry.name for entry in files if entry not in set(paths)]:
        warn(f"input: {counted(len(others), 'file')} in {path} {'is' if len(others) == 1 else 'are'} left out, because "
             f"{'it is not a picture' if len(others) == 1 else 'they are not pictures'} that can be read: "
             f"{', '.join(others[:3])}{' and others' if len(others) > 3 else ''}")
    shape, first = read(paths[0]).pixels.shape, None
    for entry in paths:
        sides = reading.sides(entry, max_size, max_pixels)
        first = first or sides
        if sides != first:
            raise Mistake(f"input: {entry} differs in size from the first frame, {paths[0].name}")
    return Frames(paths, shape, rate, read)
