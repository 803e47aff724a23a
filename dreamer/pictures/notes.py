"""A camera's maker notes, without the preview that many of them hold, and without places.

Notes are a TIFF directory behind a heading of the maker's. Only what the directory names is copied, each value to its
old offset: so previews that lie between the values go too, and the offsets in the notes stay right. Notes in an unknown
layout, and moved notes, whose values now lie outside them, cannot be cleaned. Source: the tables of ExifTool and Exiv2.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from dreamer.pictures import embedded

_ITEM = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}  # type -> bytes of one item
_MOST = 1000  # entries of a directory
_LONGEST = 4096  # bytes of a value: a longer one could be a preview without any heading
_HEADING = 64  # bytes before the directory, at most


@dataclass(frozen=True)
class _Layout:
    """How the notes of some cameras are laid out.

    heading   their first bytes
    at        offset of the directory
    own       whether offsets count from the notes' beginning, not from that of the EXIF block
    previews  tags of the directory that are previews or lead to them
    places    tags that say where the photo was taken
    parts     {tag of another directory inside the notes: its previews}"""

    heading: bytes
    at: int
    own: bool
    previews: frozenset[int] = frozenset()
    places: frozenset[int] = frozenset()
    parts: Mapping[int, frozenset[int]] = field(default_factory=dict)


_NONE: frozenset[int] = frozenset()
_OLYMPUS_PREVIEWS = frozenset([0x0040, 0x0081, 0x0088, 0x0089, 0x0100, 0x0280, 0x0E00, 0x0F04, 0x1035, 0x1036, 0x1037])
_OLYMPUS_PARTS = {0x2010: _NONE, 0x2020: frozenset([0x0100, 0x0101, 0x0102]), 0x2030: _NONE, 0x2031: _NONE,
                  0x2040: _NONE, 0x2050: _NONE}
_NIKON = frozenset([0x0011, 0x0E01, 0x0E10]), frozenset([0x0039])
_PENTAX = frozenset([0x0002, 0x0003, 0x0004, 0x0080, 0x0081, 0x0082, 0x03FE, 0x2000])
_CASIO = frozenset([0x0002, 0x0003, 0x0004, 0x2000, 0x0E00]), frozenset([0x0074, 0x2089])
_PANASONIC = frozenset([0x0300, 0x2000]), frozenset([0x0067, 0x0069, 0x006B, 0x006D, 0x006F, 0x0080])
_SONY = frozenset([0x2001, 0x2002, 0x2026, 0x0088, 0x0089, 0x0081])
_RICOH = frozenset([0x0E00, 0x2001, 0x4001, 0xE000])

_LAYOUTS = (
    _Layout(b"Apple iOS\0\0\1MM", 14, True),
    _Layout(b"QVC\0\0\0", 6, False, *_CASIO),
    _Layout(b"DCI\0\0\0", 6, False, *_CASIO),
    _Layout(b"FUJIFILM\x0c\0\0\0", 12, True),
    _Layout(b"Nikon\0\1\0", 8, False, *_NIKON),
    _Layout(b"OLYMPUS\0II\3\0", 12, True, _OLYMPUS_PREVIEWS, parts=_OLYMPUS_PARTS),
    _Layout(b"OM SYSTEM\0\0\0II\4\0", 16, True, _OLYMPUS_PREVIEWS, parts=_OLYMPUS_PARTS),
    *(_Layout(maker + b"\0\1\0", 8, False, _OLYMPUS_PREVIEWS, parts=_OLYMPUS_PARTS)
      for maker in (b"OLYMP", b"EPSON", b"MINOL", b"CAMER")),
    _Layout(b"Panasonic\0\0\0", 12, False, *_PANASONIC),
    _Layout(b"AOC\0", 6, False, _PENTAX, frozenset([0x0239])),
    _Layout(b"PENTAX \0", 10, True, _PENTAX, frozenset([0x0239])),
    _Layout(b"SONY DSC \0\0\0", 12, False, _SONY),
    _Layout(b"SONY CAM \0\0\0", 12, False, _SONY),
    _Layout(b"SONY MOBILE\0", 12, False, _SONY),
    _Layout(b"SANYO\0\1\0", 8, False, frozenset([0x0100, 0x0E00, 0x0F00])),
    _Layout(b"Ricoh\0\0\0", 8, False, _RICOH),
    _Layout(b"RICOH\0\0\0", 8, False, _RICOH),
    _Layout(b"SIGMA\0\0\0", 10, False),
    _Layout(b"FOVEON\0\0", 10, False),
)
_BY_MAKE = {  # notes without a heading
    "canon": _Layout(b"", 0, False, frozenset([0x0083, 0x00B6])),
    "casio": _Layout(b"", 0, False, *_CASIO),
    "konica minolta": _Layout(b"", 0, False, frozenset([0x0081, 0x0088, 0x0089, 0x0E00])),
    "minolta": _Layout(b"", 0, False, frozenset([0x0081, 0x0088, 0x0089, 0x0E00])),
    "nikon": _Layout(b"", 0, False, *_NIKON),
    "samsung": _Layout(b"", 0, True, frozenset([0x0035]), frozenset([0x0030, 0x0031])),
    "sony": _Layout(b"", 0, False, _SONY),
}


@dataclass(frozen=True)
class Notes:
    """Maker notes that hold no preview. `anchored`: whether they must keep their offset in the EXIF block."""

    data: bytes
    anchored: bool


def clean(notes: bytes, at: int, order: str, make: str, keep_location: bool = False) -> Notes | None:
    """The `notes` without previews, and without places unless `keep_location`; None if that cannot be done surely.

    at     their offset in the EXIF block
    order  "<" or ">", the byte order of the EXIF block
    make   the maker of the camera"""
    found = _layout(notes, make)
    if found is None:
        return None
    layout, base = found
    if base is None:
        base = 0 if layout.own else -at
    without = layout.previews | (frozenset() if keep_location else layout.places)
    for likely in _orders(notes, layout, order):
        new = bytearray(len(notes))
        new[:layout.at] = notes[:layout.at]
        try:
            del new[_copy(notes, new, layout.at, likely, base, without, layout.parts):]  # mostly where a preview was
        except (ValueError, struct.error):
            continue
        if embedded.in_bytes(bytes(new[layout.at:])):
            return None
        return Notes(bytes(new), not layout.own)
    return None


def _layout(notes: bytes, make: str) -> tuple[_Layout, int | None] | None:
    """(the notes' layout, the offset that their offsets count from if it is neither's beginning), or None."""
    if notes.startswith(b"Nikon\0\2") and notes[10:14] in (b"II*\0", b"MM\0*"):  # a TIFF with a heading of its own
        start = 10 + struct.unpack(("<" if notes[10:12] == b"II" else ">") + "I", notes[14:18].ljust(4, b"\0"))[0]
        return (_Layout(notes[:10], start, True, *_NIKON), 10) if start <= _HEADING else None
    for layout in _LAYOUTS:
        if notes.startswith(layout.heading):
            return layout, None
    layouts = [layout for name, layout in _BY_MAKE.items() if make.lower().startswith(name)]
    return (layouts[0], None) if layouts else None


def _orders(notes: bytes, layout: _Layout, order: str) -> list[str]:
    """The byte orders that the directory may have, the likelier first."""
    for mark, marked in ((b"II", "<"), (b"MM", ">")):
        if mark in (notes[8:10], notes[10:12], notes[12:14]) and layout.at >= 10 or notes[4:6] == mark and layout.at:
            return [marked, "<" if marked == ">" else ">"]  # Pentax's mark may be wrong
    if layout.heading.startswith(b"FUJI"):
        return ["<"]
    return [order, "<" if order == ">" else ">"]


def _copy(notes: bytes, new: bytearray, at: int, order: str, base: int, without: frozenset[int],
          parts: Mapping[int, frozenset[int]]) -> int:
    """Copy the directory at `at`, with its values, from `notes` to `new`; returns the offset behind them. Raises
    ValueError if it is no directory, or if it counts from the EXIF block's beginning and a value lies outside.

    base  the offset in `notes` that offsets count from"""
    count = struct.unpack_from(order + "H", notes, at)[0]
    if not 0 < count <= _MOST or at + 2 + 12 * count > len(notes):
        raise ValueError("no directory")
    end: int = at + 2 + 12 * count + 4
    kept, valid = [], 0
    for start in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, items, offset = struct.unpack_from(order + "HHII", notes, start)
        size = _ITEM.get(kind, 0) * items
        valid += bool(size)
        if tag in without or not size:
            continue
        if tag in parts:
            try:
                end = max(end, _copy(notes, new, base + offset, order, base, parts[tag], {}))
            except (ValueError, struct.error):
                continue
        elif size > 4:
            if base < 0 and not 0 <= base + offset <= len(notes) - size:  # the notes were moved: no offset is right
                raise ValueError("a value lies outside the notes")
            if not _copied(notes, new, base + offset, size):
                continue
            end = max(end, base + offset + size)
        kept.append(notes[start:start + 12])
    if 2 * valid < count:
        raise ValueError("no directory")
    new[at:at + 2] = struct.pack(order + "H", len(kept))
    new[at + 2:at + 2 + 12 * len(kept)] = b"".join(kept)
    return end


def _copied(notes: bytes, new: bytearray, start: int, size: int) -> bool:
    """Whether the value may be kept and is whole; it is then copied."""
    value = notes[start:start + size]
    if not 0 < size == len(value) <= _LONGEST or start < 0 or embedded.in_bytes(value):
        return False
    new[start:start + size] = value
    return True
