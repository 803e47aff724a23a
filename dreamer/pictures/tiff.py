"""Reads and writes TIFF directories, which EXIF consists of too, and writes TIFF files.

Source: TIFF 6.0 (Adobe, 1992). A directory is a dict: tag -> (type, value), with the value as bytes in the file's byte
order, or tag -> another directory.
"""

import struct
import zlib
from collections.abc import Collection
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Directory: TypeAlias = dict[int, Any]
Fixed: TypeAlias = tuple[int, int, bytes]  # (tag, offset, value) of a value that must keep its offset

_ITEM = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # type -> bytes of one item
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
_LARGEST, _LARGEST_OF_ALL = 1 << 20, 4 << 20  # maximum bytes of one value and of all: more is damage or the picture
ROWS = 64  # of pixels in a strip
KIND, XMP, IPTC, PHOTOSHOP, ICC = 254, 700, 33723, 34377, 34675  # tags


def read(file: IO[bytes], parts: dict[int, Any], without: Collection[int] = frozenset(),
         only: Collection[int] | None = None) -> tuple[str, Directory, dict[int, int]]:
    """(byte order "<" or ">", directory, {tag: offset of its value}) of the TIFF in the seekable `file`.

    parts    directories to read inside the first: {tag that points to one: `parts` of that directory}
    without  tags of the first directory to leave out
    only     tags to read; None for all

    Damaged values are left out. Raises ValueError if the file is not a TIFF or has no directory."""
    file.seek(0)
    head = file.read(8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None or len(head) < 8:
        raise ValueError("not a TIFF")
    offsets: dict[int, int] = {}
    left = _LARGEST_OF_ALL

    def directory(at: int, parts: dict[int, Any], without: Collection[int]) -> Directory:
        nonlocal left
        file.seek(at)
        count = file.read(2)
        if len(count) < 2:
            raise ValueError("a directory lies beyond the end of the file")
        entries = file.read(size := 12 * struct.unpack(order + "H", count)[0])
        if len(entries) < size:
            raise ValueError("a directory is cut short")
        found: Directory = {}
        for tag, kind, count, value in struct.iter_unpack(order + "HHI4s", entries[:len(entries) // 12 * 12]):
            size = _ITEM.get(kind, 0) * count
            if tag in without or (only is not None and tag not in only) or not 0 < size <= min(_LARGEST, left):
                continue
            offset = struct.unpack(order + "I", value)[0]
            if tag in parts:
                try:
                    found[tag] = directory(offset, parts[tag], ())
                except ValueError:
                    continue
            else:
                if size > 4:
                    file.seek(offset)
                    value = file.read(size)
                    offsets[tag] = offset
                if len(value) >= size:
                    left -= size
                    found[tag] = kind, value[:size]
        return found
    return order, directory(struct.unpack(order + "I", head[4:])[0], parts, without), offsets


class Writer:
    """Builds a TIFF in `data`, which is complete after finish().

    order  "<" or ">", the byte order
    fixed  the one value that must keep its offset, or None"""

    def __init__(self, order: str, fixed: Fixed | None = None) -> None:
        self.order = order
        self.data = bytearray(8)
        self._tag, self._start, self._value = fixed or (-1, 0, b"")

    def put(self, value: bytes) -> int:
        """Append the bytes `value`; returns their offset."""
        at = self._room(len(value))
        self.data[at:at + len(value)] = value
        return at

    def finish(self, directory: Directory) -> None:
        """Write the first directory, the fixed value and the header."""
        first = self._directory(directory)
        self.data[:8] = (b"II*\0" if self.order == "<" else b"MM\0*") + struct.pack(self.order + "I", first)
        if self._value:
            self.data.extend(bytes(max(0, self._start + len(self._value) - len(self.data))))
            self.data[self._start:self._start + len(self._value)] = self._value

    def _room(self, size: int) -> int:
        at, end = len(self.data), self._start + len(self._value)
        if at < end and at + size > self._start:
            at = end
        at += at % 2
        self.data.extend(bytes(at + size - len(self.data)))
        return at

    def _directory(self, tags: Directory) -> int:
        at = self._room(2 + 12 * len(tags) + 4)
        entries = struct.pack(self.order + "H", len(tags))
        for tag, value in sorted(tags.items()):
            if isinstance(value, dict):
                kind, value = LONG, struct.pack(self.order + "I", self._directory(value))
            else:
                kind, value = value
            count = len(value) // _ITEM[kind]
            if len(value) > 4:
                value = struct.pack(self.order + "I", self._start if tag == self._tag else self.put(value))
            entries += struct.pack(self.order + "HHI", tag, kind, count) + value.ljust(4, b"\0")
        self.data[at:at + len(entries)] = entries
        return at


def encode(pixels: NDArray[np.uint8], tags: Directory, order: str = "<", fixed: Fixed | None = None) -> bytearray:
    """A TIFF file of `pixels`, (h, w, 3) RGB or (h, w, 4) RGBA, compressed with deflate. `tags` is a directory, in the
    byte order `order`, that is added to the picture's own tags; `fixed` is as for Writer."""
    height, width, channels = pixels.shape
    writer = Writer(order, fixed)
    strips = []
    for top in range(0, height, ROWS):
        rows = pixels[top:top + ROWS].copy()
        rows[:, 1:] -= pixels[top:top + ROWS, :-1]  # predictor 2: difference from the left neighbour
        strips.append(zlib.compress(rows.tobytes(), 1))
    offsets = [writer.put(strip) for strip in strips]

    def numbers(kind: int, *values: int) -> tuple[int, bytes]:
        return kind, struct.pack(f"{order}{len(values)}{'H' if kind == SHORT else 'I'}", *values)
    picture = {
        256: numbers(LONG, width),
        257: numbers(LONG, height),
        258: numbers(SHORT, *[8] * channels),  # bits per sample
        259: numbers(SHORT, 8),  # compression: deflate
        262: numbers(SHORT, 2),  # RGB
        273: numbers(LONG, *offsets),
        277: numbers(SHORT, channels),
        278: numbers(LONG, ROWS),
        279: numbers(LONG, *map(len, strips)),
        317: numbers(SHORT, 2),  # predictor
    }
    if channels == 4:
        picture[338] = numbers(SHORT, 2)  # the extra channel is alpha, and the colours are not multiplied by it
    writer.finish(tags | picture)
    return writer.data
