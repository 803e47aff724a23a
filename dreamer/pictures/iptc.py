"""IPTC: captions, keywords and credits as news agencies store them (IIM 4.2), and Photoshop's blocks around them."""

import struct
from collections.abc import Iterator

from dreamer.pictures import embedded

IN_JPEG = b"Photoshop 3.0\0"  # before Photoshop's blocks
_IPTC = 0x0404  # Photoshop's number for the block
_IMAGES = frozenset([125, *range(150, 155), *range(200, 203)])  # rasterised caption, audio, preview
_PLACES = frozenset([26, 27, 90, 92, 95, 100, 101])


def cleaned(data: bytes, keep_location: bool = False) -> bytes:
    """The whole entries at the beginning of `data` without images and sounds, and without places unless
    `keep_location`."""
    return b"".join(data[start:end] for record, number, start, value, end in _entries(data)
                    if (record == 1 or record == 2 and number not in _IMAGES
                        and (keep_location or number not in _PLACES)) and not embedded.in_bytes(data[value:end]))


def _entries(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """(record, number, start, start of the value, end) of each entry."""
    at = 0
    while at + 5 <= len(data) and data[at] == 0x1C:
        record, number, size = struct.unpack_from(">BBH", data, at + 1)
        value = at + 5
        if size & 0x8000:  # the length has a length
            value += size & 0x7FFF
            size = int.from_bytes(data[at + 5:min(value, at + 13)], "big")
        if value + size > len(data):
            return
        yield record, number, at, value, value + size
        at = value + size


def found(blocks: bytes) -> bytes:
    """The IPTC in Photoshop's blocks; b"" if there is none."""
    at = 0
    while blocks[at:at + 4] == b"8BIM" and at + 12 <= len(blocks):
        number, name = struct.unpack_from(">HB", blocks, at + 4)
        at += 6 + (name + 2) // 2 * 2  # the name has an even length, with the byte before it
        size = int.from_bytes(blocks[at:at + 4], "big")
        if number == _IPTC:
            return blocks[at + 4:at + 4 + size]
        at += 4 + size + size % 2
    return b""


def block(data: bytes) -> bytes:
    """Photoshop's block of the IPTC `data`."""
    return struct.pack(">4sHHI", b"8BIM", _IPTC, 0, len(data)) + data + bytes(len(data) % 2)
