"""Reads and writes TIFF directories, which EXIF consists of too, and writes TIFF files.

Source: TIFF 6.0 (Adobe, 1992). A directory is a dict: tag -> (type, value), with the value as bytes in the file's byte
order, or tag -> another directory. A TIFF ends at 4 GB. BigTIFF (AWare Systems, 2007) has offsets of 8 bytes.
"""

import io
import struct
import zlib
from collections.abc import Callable, Collection, Iterator
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Directory: TypeAlias = dict[int, Any]
Fixed: TypeAlias = tuple[int, int, bytes]  # (tag, offset, value) of a value that must keep its offset

_ITEM = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # type -> bytes of one item
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16
_LONG8S = (LONG8, 18)  # whole numbers, and offsets of directories
_LARGEST, _LARGEST_OF_ALL = 1 << 20, 4 << 20  # maximum bytes of one value and of all: more is damage or the picture
ROWS = 64  # of pixels in a strip
_LONGEST = 2 ** 32 - (64 << 20)  # bytes of strips for which a TIFF has room beside all else
KIND, XMP, IPTC, PHOTOSHOP, ICC = 254, 700, 33723, 34377, 34675  # tags


class _Form(NamedTuple):
    """What differs between a TIFF and a BigTIFF: the bytes before the offset of the first directory; forms for struct:
    an offset, the number of entries, an entry."""

    magic: dict[str, bytes]
    head: int
    offset: str
    number: str
    entry: str

    def size(self, form: str) -> int:
        """Bytes of a form."""
        return struct.calcsize("<" + form)

    @property
    def inline(self) -> int:
        """Bytes of the longest value that is in the entry itself."""
        return self.size(self.offset)


_CLASSIC = _Form({"<": b"II*\0", ">": b"MM\0*"}, 4, "I", "H", "HHI4s")
_BIG = _Form({"<": b"II+\0\x08\0\0\0", ">": b"MM\0+\0\x08\0\0"}, 8, "Q", "Q", "HHQ8s")


def _form(head: bytes) -> tuple[_Form, str] | None:
    """(form, byte order) of a file that starts so, or None."""
    return next(((form, order) for form in (_CLASSIC, _BIG) for order, magic in form.magic.items()
                 if head.startswith(magic) and len(head) >= 2 * form.head), None)


def read(file: IO[bytes], parts: dict[int, Any], without: Collection[int] = frozenset(),
         only: Collection[int] | None = None, big: bool = False,
         wide: Collection[int] = frozenset()) -> tuple[str, Directory, dict[int, int]]:
    """(byte order "<" or ">", directory, {tag: offset of its value}) of the TIFF in the seekable `file`.

    parts    directories to read inside the first: {tag that points to one: `parts` of that directory}
    without  tags of the first directory to leave out
    only     tags to read; None for all
    big      read a BigTIFF too; values of types that only it has are left out
    wide     tags whose values may be of such a type

    Damaged values are left out. Raises ValueError if the file is not a TIFF or has no directory."""
    file.seek(0)
    head = file.read(16)
    found = _form(head)
    if not found or (found[0] is _BIG and not big):
        raise ValueError("not a TIFF")
    form, order = found
    offsets: dict[int, int] = {}
    left = _LARGEST_OF_ALL

    def directory(at: int, parts: dict[int, Any], without: Collection[int]) -> Directory:
        nonlocal left
        found: Directory = {}
        for tag, kind, count, value in _entries(file, at, form, order):
            size = (8 if kind in _LONG8S and (tag in parts or tag in wide) else _ITEM.get(kind, 0)) * count
            if tag in without or (only is not None and tag not in only) or not 0 < size <= min(_LARGEST, left):
                continue
            offset = struct.unpack(order + form.offset, value)[0]
            if tag in parts:
                if form is _BIG and kind not in _LONG8S:
                    offset = struct.unpack_from(order + "I", value)[0]
                try:
                    found[tag] = directory(offset, parts[tag], ())
                except ValueError:
                    continue
            else:
                if size > form.inline:
                    file.seek(offset)
                    value = file.read(size)
                    offsets[tag] = offset
                if len(value) >= size:
                    left -= size
                    found[tag] = kind, value[:size]
        return found
    return order, directory(struct.unpack_from(order + form.offset, head, form.head)[0], parts, without), offsets


def _entries(file: IO[bytes], at: int, form: _Form, order: str) -> Iterator[tuple[int, int, int, bytes]]:
    """(tag, type, count, value or its offset) of each entry of the directory at `at`. Raises ValueError."""
    if at >= 1 << 63:
        raise ValueError("a directory lies beyond any file")
    file.seek(at)
    count = file.read(form.size(form.number))
    if len(count) < form.size(form.number):
        raise ValueError("a directory lies beyond the end of the file")
    number, each = struct.unpack(order + form.number, count)[0], form.size(form.entry)
    entries = file.read(each * number) if number < 1 << 16 else b""
    if len(entries) < each * number:
        raise ValueError("a directory is cut short")
    yield from struct.iter_unpack(order + form.entry, entries)


class Writer:
    """Builds a TIFF in a file, which is complete after finish().

    order  "<" or ">", the byte order (an attribute too)
    fixed  the one value that must keep its offset, or None
    file   an empty file, seekable (default: in memory; see data)
    big    write a BigTIFF (an attribute too)"""

    def __init__(self, order: str, fixed: Fixed | None = None, file: IO[bytes] | None = None,
                 big: bool = False) -> None:
        self.order, self.big = order, big
        self._file, self._form = file or io.BytesIO(), _BIG if big else _CLASSIC
        self._length = self._form.head + self._form.inline
        self._tag, self._start, self._value = fixed or (-1, 0, b"")

    @property
    def data(self) -> bytearray:
        """The whole file."""
        self._file.seek(0)
        return bytearray(self._file.read())

    def put(self, value: bytes) -> int:
        """Append the bytes `value`; returns their offset."""
        at = self._room(len(value))
        self._file.seek(at)
        self._file.write(value)
        return at

    def finish(self, directory: Directory) -> None:
        """Write the first directory, the fixed value and the header."""
        first = self._directory(directory)
        if self._value:
            self._file.seek(self._start)
            self._file.write(self._value)
        self._file.seek(0)
        self._file.write(self._form.magic[self.order] + struct.pack(self.order + self._form.offset, first))

    def _room(self, size: int) -> int:
        at, end = self._length, self._start + len(self._value)
        if at < end and at + size > self._start:
            at = end
        at += at % 2
        self._length = at + size
        return at

    def _directory(self, tags: Directory) -> int:
        form = self._form
        at = self._room(form.size(form.number) + form.size(form.entry) * len(tags) + form.inline)
        entries = struct.pack(self.order + form.number, len(tags))
        for tag, value in sorted(tags.items()):
            if isinstance(value, dict):
                kind = LONG8 if form is _BIG else LONG  # also for what cannot read the type of offsets
                value, count = struct.pack(self.order + form.offset, self._directory(value)), 1
            else:
                kind, value = value
                count = len(value) // (8 if kind == LONG8 else _ITEM[kind])
            if len(value) > form.inline:
                value = struct.pack(self.order + form.offset, self._start if tag == self._tag else self.put(value))
            entries += struct.pack(self.order + form.entry, tag, kind, count, value.ljust(form.inline, b"\0"))
        self._file.seek(at)
        self._file.write(entries + bytes(form.inline))
        return at


def encode(pixels: NDArray[np.uint8], tags: Directory, order: str = "<", fixed: Fixed | None = None) -> bytes:
    """A TIFF file of `pixels`, (h, w, 3) RGB or (h, w, 4) RGBA. The other arguments are as for `save`."""
    file = io.BytesIO()
    save(file, pixels.shape, lambda rows: pixels[rows], tags, order, fixed)
    return file.getvalue()


def must_be_big(shape: tuple[int, ...]) -> bool:
    """Whether a picture of this shape, as for `save`, might not fit into a TIFF that is no BigTIFF."""
    height, width, channels = shape
    return height * width * channels * 1.001 + height > _LONGEST  # what cannot be compressed grows by 0.03 %


def save(file: IO[bytes], shape: tuple[int, ...], strip: Callable[[slice], NDArray[np.uint8]], tags: Directory,
         order: str = "<", fixed: Fixed | None = None) -> None:
    """Write a TIFF into an empty, seekable file, strip by strip, compressed with deflate: a BigTIFF if a TIFF might not
    have the room. Raises OSError.

    shape  (h, w, 3) for RGB or (h, w, 4) for RGBA
    strip  function that returns these rows of the picture
    tags   a directory, in the byte order `order`, that is added to the picture's own tags
    fixed  as for Writer"""
    height, width, channels = shape
    writer = Writer(order, fixed, file, must_be_big(shape))
    offsets, lengths = [], []
    for top in range(0, height, ROWS):
        pixels = strip(slice(top, min(top + ROWS, height)))
        rows = pixels.copy()
        rows[:, 1:] -= pixels[:, :-1]  # predictor 2: difference from the left neighbour
        packed = zlib.compress(rows.tobytes(), 1)
        offsets.append(writer.put(packed))
        lengths.append(len(packed))

    def numbers(kind: int, *values: int) -> tuple[int, bytes]:
        return kind, struct.pack(f"{order}{len(values)}{ {SHORT: 'H', LONG: 'I', LONG8: 'Q'}[kind]}", *values)
    picture = {
        256: numbers(LONG, width),
        257: numbers(LONG, height),
        258: numbers(SHORT, *[8] * channels),  # bits per sample
        259: numbers(SHORT, 8),  # compression: deflate
        262: numbers(SHORT, 2),  # RGB
        273: numbers(LONG8 if writer.big else LONG, *offsets),
        277: numbers(SHORT, channels),
        278: numbers(LONG, ROWS),
        279: numbers(LONG, *lengths),
        317: numbers(SHORT, 2),  # predictor
    }
    if channels == 4:
        picture[338] = numbers(SHORT, 2)  # the extra channel is alpha, and the colours are not multiplied by it
    writer.finish(tags | picture)
