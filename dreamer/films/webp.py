"""WebP films, written one frame at a time, so that only one is in memory, however long the film is.

Pillow encodes each frame; this module writes the rest of the file (RIFF, WebP's extended format)."""

import io
import struct
from collections.abc import Iterable
from fractions import Fraction
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dreamer.pictures import colour

LONGEST = 16383  # pixels per side
FASTEST = 90  # frames per second: players show a frame for a tenth of a second if it is to be shown for 10 ms or less
_ANIMATION, _XMP, _PROFILE = 0x02, 0x04, 0x20


def piece(pixels: NDArray[np.uint8]) -> bytes:
    """The bytes of one frame (h, w, 3)."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=90, method=4)
    data = file.getvalue()
    assert data[12:16] == b"VP8 ", "a file with only a picture in it"  # noqa: S101 - Pillow wrote it
    return data[12:]


def join(file: IO[bytes], pieces: Iterable[bytes], ticks: Iterable[int], rate: Fraction, size: tuple[int, int],
         packet: bytes) -> None:
    """Write the film to the open, seekable file.

    pieces  bytes of the frames, as piece() returns them
    ticks   number of ticks, of 1/rate s each, for which each frame is shown
    size    (height, width)
    packet  XMP"""
    height, width = (struct.pack("<I", side - 1)[:3] for side in size)
    flags = bytes([_ANIMATION | _XMP | _PROFILE, 0, 0, 0])
    file.write(b"RIFF\0\0\0\0WEBP" + _chunk(b"VP8X", flags + width + height) + _chunk(b"ICCP", colour.SRGB))
    file.write(_chunk(b"ANIM", b"\0\0\0\xff" + struct.pack("<H", 0)))  # black background; loop forever
    shown = Fraction(0)  # in milliseconds
    for count, data in zip(ticks, pieces, strict=True):
        until = shown + count * 1000 / rate
        time = struct.pack("<I", min(round(until) - round(shown), (1 << 24) - 1))[:3]
        file.write(_chunk(b"ANMF", bytes(6) + width + height + time + b"\x02" + data))  # \x02: overwrite the last frame
        shown = until
    file.write(_chunk(b"XMP ", packet))
    length = file.tell()
    file.seek(4)
    file.write(struct.pack("<I", length - 8))


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
