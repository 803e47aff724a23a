"""GIF films, written one frame at a time, so that only one is in memory, however long the film is.

Pillow encodes each frame; this module writes the rest of the file (GIF89a)."""

import io
import struct
from collections.abc import Iterable
from fractions import Fraction
from typing import IO

from PIL import Image

from dreamer.arrays import Pixels

LONGEST = 65535  # pixels per side
FASTEST = 50  # frames per second: players replace a delay below 2/100 s with a long one


def piece(pixels: Pixels) -> bytes:
    """The bytes of one frame, uint8 (h, w, 3), with its own palette of 256 colours."""
    picture = Image.fromarray(pixels)
    palette = picture.quantize(256, method=Image.FASTOCTREE)  # Pillow's default loses the glowing eyes
    file = io.BytesIO()
    picture.quantize(palette=palette, dither=Image.FLOYDSTEINBERG).save(file, "GIF", interlace=0)
    data = file.getvalue()
    at, table = 13, b""
    if data[10] & 0x80:
        table = data[at:at + (3 << (data[10] & 7) + 1)]
        at += len(table)
    while data[at] == 0x21:  # extensions: a label, then blocks until an empty one
        at += 2
        while data[at]:
            at += data[at] + 1
        at += 1
    assert data[at] == 0x2C, "an image descriptor comes next"  # noqa: S101 - Pillow wrote it
    place = data[at:at + 9]
    return place + bytes([0x80 | data[10] & 7]) + table + data[at + 10:-1]


def join(file: IO[bytes], pieces: Iterable[bytes], ticks: Iterable[int], rate: Fraction, size: tuple[int, int],
         comment: bytes) -> None:
    """Write the film to the open file.

    pieces   bytes of the frames, as piece() returns them
    ticks    number of ticks, of 1/rate s each, for which each frame is shown
    size     (height, width)
    comment  ASCII"""
    file.write(b"GIF89a" + struct.pack("<HHBBB", size[1], size[0], 0x70, 0, 0))
    file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")  # loop forever
    file.write(b"\x21\xfe" + b"".join(bytes([len(part)]) + part for part in (
        comment[at:at + 255] for at in range(0, len(comment), 255))) + b"\x00")
    shown = Fraction(0)  # in hundredths of a second
    for count, data in zip(ticks, pieces, strict=True):
        until = shown + count * 100 / rate
        file.write(struct.pack("<BBBBHBB", 0x21, 0xF9, 4, 4, min(round(until) - round(shown), 65535), 0, 0) + data)
        shown = until
    file.write(b";")
