"""EXIF: the metadata that a camera adds to a picture. Source: CIPA DC-008 (EXIF 2.32).

The block is rebuilt from the allowed values, not copied, so no thumbnail or GPS position stays hidden in its bytes. No
value that holds an image is allowed, and the maker notes are cleaned or left out.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from PIL import Image

from dreamer.pictures import embedded, notes, tiff

_ORIENTATION, _EXIF, _GPS, _INTEROPERABILITY, _MAKER_NOTE = 0x0112, 0x8769, 0x8825, 0xA005, 0x927C
_COLOUR_SPACE, _WIDTH, _HEIGHT, _MAKE = 0xA001, 0xA002, 0xA003, 0x010F
_SAYS = frozenset([0x9286, *range(0x9C9B, 0x9CA0)])  # text that is not stored as text: a comment, and Windows' tags
_PLACES = range(16, 1 << 16)  # offsets that a maker note can keep: after the header of any TIFF
_LONGEST = 4096  # bytes of a value that is no text: a longer one could be an image without any heading

# Tags of the first directory that say how pixels are stored, or hold other metadata or a raw photo: these do not apply
# to a dream. (A TIFF picture has all its tags in this one directory.)
_STORAGE = frozenset([*range(254, 267), 273, *range(277, 282), *range(284, 296), 297, 301, *range(317, 326),
                      *range(326, 348), 351, *range(512, 533), 700, 33421, 33422, 33550, 33723, 33922, 34016, 34264,
                      34377, 34675, 34735, 34736, 34737, 37724, 42112, 42113, *range(50706, 52600), 65024])


@dataclass
class Exif:
    """EXIF as read. `order`: the byte order, "<" or ">"; `directory`: as in tiff.py; `orientation`: 1 to 8."""

    order: str
    directory: dict[int, Any]
    orientation: int = 1
    note_at: int = 0  # offset of the maker note if it must not move: it contains offsets in the whole block
    lost_notes: bool = False  # whether there were maker notes that could not be cleaned

    @property
    def fixed(self) -> tuple[int, int, bytes] | None:
        """The value that must keep its offset, as tiff.Writer takes it; None if there is none."""
        note = self.directory.get(_EXIF, {}).get(_MAKER_NOTE)
        return (_MAKER_NOTE, self.note_at, note[1]) if note and len(note[1]) > 4 and self.note_at in _PLACES else None

    def fitted(self, height: int, width: int) -> dict[int, Any]:
        """The directory for an sRGB picture of this size."""
        of_picture = self.directory.get(_EXIF, {})
        new = {_WIDTH: (tiff.LONG, struct.pack(self.order + "I", width)),
               _HEIGHT: (tiff.LONG, struct.pack(self.order + "I", height)),
               _COLOUR_SPACE: (tiff.SHORT, struct.pack(self.order + "H", 1))}
        new = {tag: value for tag, value in new.items() if tag in of_picture}
        return self.directory | ({_EXIF: of_picture | new} if new else {})

    def block(self, height: int, width: int, limit: int | None = None) -> tuple[bytes, int]:
        """(EXIF block for a picture of this size, without a JPEG's heading; number of values left out).

        If the block would exceed `limit` bytes, the maker note is left out first, then the longest values."""
        directory, fixed, lacks = self.fitted(height, width), self.fixed, 0
        while True:
            writer = tiff.Writer(self.order, fixed)
            writer.finish(directory)
            if limit is None or len(writer.data) <= limit:
                return bytes(writer.data), lacks
            gone = _longest(directory, len(writer.data) - limit)
            directory, fixed, lacks = _without(directory, gone), None, lacks + len(gone)


def _longest(directory: tiff.Directory, excess: int) -> set[tuple[int, ...]]:
    """Paths of values to leave out: the maker note if there is one, else the longest values, `excess` bytes in all."""
    gone: set[tuple[int, ...]] = set()
    for is_note, length, path in sorted(_values(directory), reverse=True):
        if excess <= 0:
            break
        gone.add(path)
        excess -= 12 + length
        if is_note:  # the padding before it goes too: measure again
            break
    return gone


def _values(directory: tiff.Directory, path: tuple[int, ...] = ()) -> Iterator[tuple[bool, int, tuple[int, ...]]]:
    """For each value: (whether it is the maker note, its length, its path: the tags that lead to it)."""
    for tag, value in directory.items():
        if isinstance(value, dict):
            yield from _values(value, (*path, tag))
        else:
            yield tag == _MAKER_NOTE, len(value[1]), (*path, tag)


def _without(directory: tiff.Directory, gone: set[tuple[int, ...]], path: tuple[int, ...] = ()) -> tiff.Directory:
    return {tag: _without(value, gone, (*path, tag)) if isinstance(value, dict) else value
            for tag, value in directory.items() if (*path, tag) not in gone}


def read(image: Image.Image, file: IO[bytes], keep_location: bool = False) -> Exif | None:
    """The Exif of `image`, which was read from `file`; None if it has none.

    Images are left out, and so is GPS unless `keep_location`. Raises ValueError if the EXIF is damaged."""
    if image.format == "TIFF":
        source = file
    else:
        block = image.info.get("exif") or _of_imagemagick(image)
        if not isinstance(block, bytes) or not block:
            return None
        source = io.BytesIO(block.removeprefix(b"Exif\0\0"))
    order, directory, offsets = tiff.read(source, {_EXIF: {_INTEROPERABILITY: {}}, _GPS: {}}, _STORAGE, big=True)
    kind, turned = directory.pop(_ORIENTATION, (0, b""))
    form = {tiff.BYTE: "B", tiff.SHORT: "H", tiff.LONG: "I", 6: "b", 8: "h", 9: "i"}.get(kind)  # some write others
    orientation = struct.unpack_from(order + form, turned)[0] if form else 1
    if not keep_location:
        directory.pop(_GPS, None)
    lost_notes, kept, note_at = False, None, 0
    part = directory.get(_EXIF)
    if isinstance(part, dict) and _MAKER_NOTE in part:
        data, note_at = part.pop(_MAKER_NOTE)[1], offsets.get(_MAKER_NOTE, 0)
        make = directory.get(_MAKE, (0, b""))[1].decode("latin-1")
        kept = notes.clean(data, note_at, order, make, keep_location)
        if kept and kept.anchored and note_at not in _PLACES:
            kept = None
        lost_notes = not kept and len(data) > 4
    directory = _without_images(directory)
    if kept:
        directory[_EXIF][_MAKER_NOTE] = tiff.UNDEFINED, kept.data
    found = Exif(order, directory, orientation, note_at if kept and kept.anchored else 0, lost_notes)
    return found if directory or orientation != 1 or lost_notes else None


def _without_images(directory: tiff.Directory) -> tiff.Directory:
    """The directory without values that hold an image or could be one."""
    kept: tiff.Directory = {}
    for tag, value in directory.items():
        if isinstance(value, dict):
            kept[tag] = _without_images(value)
        elif not embedded.in_bytes(value[1]) and (
                value[0] == tiff.ASCII or tag in _SAYS or len(value[1]) <= _LONGEST):
            kept[tag] = value
    return kept


def _of_imagemagick(image: Image.Image) -> bytes | None:
    """The EXIF block that ImageMagick stores in a PNG's text: three lines of heading, then hexadecimal."""
    text = image.info.get("Raw profile type exif")
    return bytes.fromhex("".join(text.split("\n")[3:])) if isinstance(text, str) else None
