"""A TIFF in parts: some of its strips, or rows of its tiles, as a TIFF of their own with the same bytes of pixels.

Pillow decodes only whole pictures, so a part is given to it as one. It decodes a part of whatever it can decode."""

import io
import math
import struct
from typing import IO

from dreamer.pictures import tiff

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, SAMPLES, FORMAT = 256, 257, 258, 259, 262, 274, 277, 339
_OFFSETS, _ROWS, _LENGTHS, _PLANAR = 273, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_LENGTHS = 322, 323, 324, 325
_NONE, _YCBCR = 1, 6  # values of COMPRESSION and PHOTOMETRIC
# what else a decoder needs: the order of bits, fax options, the predictor, a palette, inks, what an extra channel is,
# tables of JPEG, how YCbCr is stored; and what Pillow takes from there: the profile and XMP
_COPIED = (BITS, COMPRESSION, PHOTOMETRIC, 266, SAMPLES, _PLANAR, 292, 293, 317, 320, 332, 338, FORMAT, 347, 529, 530,
           531, 532, tiff.ICC, tiff.XMP)
_WIDE = (WIDTH, HEIGHT, _OFFSETS, _ROWS, _LENGTHS, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_LENGTHS)
_LARGEST = 1 << 30  # bytes of a part
_MOST = 1 << 20  # strips


class Strips:
    """The strips of the first picture of a TIFF or BigTIFF, or the rows of its tiles. Raises ValueError if there is
    something wrong with them.

    width, height  of the stored picture, which may be turned
    rows           of pixels in a strip
    count          of strips"""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._order, self._tags, _ = tiff.read(file, {}, only=(*_COPIED, *_WIDE, ORIENTATION), big=True, wide=_WIDE)
        self.width, self.height = self.number(WIDTH, 0), self.number(HEIGHT, 0)
        self._tiled = _TILE_WIDTH in self._tags
        wide = self.number(_TILE_WIDTH, 0) if self._tiled else self.width
        self.rows = self.number(_TILE_HEIGHT, 0) if self._tiled else min(self.number(_ROWS, self.height), self.height)
        if not (self.width and self.height and wide and self.rows):
            raise ValueError("no size")
        self._across = math.ceil(self.width / wide)
        samples = self.number(SAMPLES, 1)
        self._planes = samples if self.number(_PLANAR, 1) == 2 else 1
        self._offsets = self.numbers(_TILES if self._tiled else _OFFSETS)
        self._lengths = self.numbers(_TILE_LENGTHS if self._tiled else _LENGTHS)
        plain = self.number(COMPRESSION, _NONE) == _NONE and self.number(PHOTOMETRIC, 0) != _YCBCR
        count = self._across * self.count * self._planes
        if len(self._offsets) != count or (len(self._lengths) != count and not plain):
            raise ValueError("strips are missing")
        if plain:
            self._plain(math.ceil(wide * self.number(BITS, 1) * samples / self._planes / 8))

    @property
    def count(self) -> int:
        """The number of strips, or of rows of tiles."""
        return math.ceil(self.height / self.rows)

    def value(self, tag: int) -> bytes:
        """The bytes of a tag; b"" if it is missing."""
        value: bytes = self._tags.get(tag, (tiff.UNDEFINED, b""))[1]
        return value

    def numbers(self, tag: int) -> list[int]:
        """The values of a tag with whole numbers; [] if it is missing."""
        kind, value = self._tags.get(tag, (0, b""))
        form = {tiff.BYTE: "B", tiff.SHORT: "H", tiff.LONG: "I", tiff.LONG8: "Q"}.get(kind)
        return [each for each, in struct.iter_unpack(self._order + form, value)] if form else []

    def number(self, tag: int, usual: int) -> int:
        """The first value of a tag; `usual` if it is missing."""
        return next(iter(self.numbers(tag)), usual)

    def part(self, first: int, end: int) -> io.BytesIO:
        """A TIFF of the strips from `first` to before `end`. Raises ValueError and OSError."""
        file, order = io.BytesIO(), self._order
        writer = tiff.Writer(order, file=file)
        offsets, lengths = list[int](), list[int]()
        for plane in range(self._planes):
            start = plane * self.count
            for number in range((start + first) * self._across, (start + end) * self._across):
                data = self._bytes(number)
                if file.tell() + len(data) > _LARGEST:
                    raise ValueError("a part is too large")
                offsets.append(writer.put(data))
                lengths.append(len(data))

        def long(*values: int) -> tuple[int, bytes]:
            return tiff.LONG, struct.pack(f"{order}{len(values)}I", *values)
        tags = {tag: self._tags[tag] for tag in _COPIED if tag in self._tags}
        tags |= {WIDTH: long(self.width), HEIGHT: long(min(end * self.rows, self.height) - first * self.rows)}
        if self._tiled:
            tags |= {tag: long(self.number(tag, 0)) for tag in (_TILE_WIDTH, _TILE_HEIGHT)}
            tags |= {_TILES: long(*offsets), _TILE_LENGTHS: long(*lengths)}
        else:
            tags |= {_ROWS: long(self.rows), _OFFSETS: long(*offsets), _LENGTHS: long(*lengths)}
        writer.finish(tags)
        file.seek(0)
        return file

    def _bytes(self, number: int) -> bytes:
        at, size = self._offsets[number], self._lengths[number]
        there = self._file.seek(0, io.SEEK_END) - at
        if there <= 0:
            return b""
        self._file.seek(at)
        return self._file.read(min(size, there))

    def _plain(self, row: int) -> None:
        """Without compression, the lengths need not be in the file, and a long strip can be divided.

        row  bytes of a row"""
        ends = [self.rows if self._tiled else min(self.rows, self.height - number % self.count * self.rows)
                for number in range(len(self._offsets))]
        divisible = not self._tiled and (self.count == 1 or self.rows % tiff.ROWS == 0)
        step = min(tiff.ROWS, self.rows) if divisible else self.rows
        if self.height // step * self._planes > _MOST:
            raise ValueError("too many strips")
        parts = [(at + row * top, row * min(step, end - top))
                 for at, end in zip(self._offsets, ends, strict=True) for top in range(0, end, step)]
        self._offsets, self._lengths = [at for at, _ in parts], [size for _, size in parts]
        self.rows = step
