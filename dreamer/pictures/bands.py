"""A PNG that is too large to decode whole: it is decoded and shrunk band by band, with a few rows in memory at a time.

Pillow decodes only whole pictures, so each band is given to it as a PNG of its own. 200 megapixels take 8 s and 150 MB.
Source: Portable Network Graphics, third edition (W3C, 2023)."""

import io
import math
import struct
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dreamer.pictures import png

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # type of colour -> values of a pixel
_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # and back; a palette's numbers are decoded like grey
_ROWS = 64  # of a band, about
_LARGEST = 1 << 31  # pixels
_DENSEST = 100  # bytes of pixels per byte of the file, on average: only an attack, or an empty picture, has more
_KEPT = 16 << 20  # bytes of a chunk that is kept, at most
# chunks that describe the stored pixels
_REPLACED = (b"IHDR", b"PLTE", b"tRNS", b"hIST", b"sBIT", b"bKGD", b"IDAT", b"IEND", b"sPLT", b"acTL", b"fcTL", b"fdAT")


def reducible(image: Image.Image, file: IO[bytes], max_size: int, max_pixels: int) -> bool:
    """Whether shrunk() can make a PNG so much smaller that it has at most `max_pixels`, but not smaller than
    `max_size`."""
    if image.format != "PNG" or image.info.get("interlace") or getattr(image, "is_animated", False):
        return False
    width, height = image.size
    factor: int = max(image.size) // max_size
    length = file.seek(0, io.SEEK_END)
    file.seek(8)
    _, row = _row(file.read(8 + 13)[8:])
    fits: bool = width * height <= min(_LARGEST, max_pixels * factor ** 2) and row * height <= _DENSEST * length
    return fits


def shrunk(file: IO[bytes], max_size: int) -> io.BytesIO:
    """A copy of the PNG in `file`, smaller by a whole factor, but not smaller than `max_size`, with the same metadata.

    Raises OSError or SyntaxError if it is damaged."""
    own, kept, pixels = b"", b"", list[tuple[int, int]]()
    for kind, at, size in _chunks(file):
        if kind == b"IDAT":
            pixels.append((at, size))
        elif kind in (b"IHDR", b"PLTE", b"tRNS"):
            own += _chunk(kind, file.read(min(size, _KEPT)))
        elif kind not in _REPLACED and size <= _KEPT:
            kept += _chunk(kind, file.read(size))
    head = own[8:21]
    width, height = struct.unpack(">II", head[:8])
    factor = max(width, height) // max_size
    bands = [_image(own, rows).reduce(factor) for rows in _bands(_filtered(file, pixels), head, factor)]
    small = Image.new(bands[0].mode, (bands[0].width, sum(band.height for band in bands)))
    top = 0
    for band in bands:
        small.paste(band, (0, top))
        top += band.height
    result = io.BytesIO()
    small.save(result, "PNG", compress_level=0)
    data = result.getvalue()
    return io.BytesIO(data[:33] + kept + data[33:])


def _row(head: bytes) -> tuple[int, int]:
    """(bytes from one pixel to the next, at least 1; bytes of a row) for the content of an IHDR chunk."""
    bits = head[8] * _CHANNELS[head[9]]
    return max(1, bits // 8), math.ceil(int.from_bytes(head[:4], "big") * bits / 8)


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """(type, offset of the content, its size) of each chunk; the file is at the content then."""
    at = 8
    file.seek(at)
    while len(head := file.read(8)) == 8:
        size = int.from_bytes(head[:4], "big")
        yield head[4:], at + 8, size
        at += size + 12
        file.seek(at)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _filtered(file: IO[bytes], pixels: list[tuple[int, int]]) -> Iterator[bytes]:
    """The decompressed content of the IDAT chunks, in pieces of at most 1 MiB."""
    inflate = zlib.decompressobj()
    for at, size in pixels:
        file.seek(at)
        while size and not inflate.eof:
            data = file.read(min(size, 1 << 16))
            if not data:
                return
            size -= len(data)
            while data:
                try:
                    yield inflate.decompress(data, 1 << 20)
                except zlib.error:
                    raise OSError("damaged") from None
                data = inflate.unconsumed_tail


def _bands(filtered: Iterator[bytes], head: bytes, factor: int) -> Iterator[NDArray[np.uint8]]:
    """The rows, as bytes (n, bytes of a row); n is a multiple of `factor`, except in the last band."""
    step, row = _row(head)
    left, count = int.from_bytes(head[4:8], "big"), max(1, _ROWS // factor) * factor
    above, waiting = np.zeros(row, np.uint8), bytearray()
    while left:
        count = min(count, left)
        while len(waiting) < count * (row + 1):
            piece = next(filtered, None)
            if piece is None:
                raise OSError("truncated")
            waiting += piece
        band = np.frombuffer(bytes(waiting[:count * (row + 1)]), np.uint8).reshape(count, row + 1)
        del waiting[:count * (row + 1)]
        rows = _unfiltered(band, above, step)
        above, left = rows[-1], left - count
        yield rows


def _unfiltered(band: NDArray[np.uint8], above: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Rows (n, bytes) from filtered ones (n, 1 + bytes), whose first byte is the filter. Filters work on bytes that lie
    `step` apart, so a picture of 8-bit values with the same step can be decoded in place of any."""
    parts = 1 if step <= 4 else 2
    values = step // parts
    rows = np.concatenate([above[None], band[:, 1:]]).reshape(len(band) + 1, -1, step)
    filters = np.concatenate([[0], band[:, 0]]).astype(np.uint8)[:, None]
    found = np.empty((len(band), rows.shape[1], step), np.uint8)
    head = struct.pack(">IIBBBBB", rows.shape[1], len(rows), 8, _TYPES[values], 0, 0, 0)
    for at in range(0, step, values):
        data = np.concatenate([filters, rows[..., at:at + values].reshape(len(rows), -1)], 1).tobytes()
        found[..., at:at + values] = np.asarray(_decoded(_chunk(b"IHDR", head), data)).reshape(
            len(rows), -1, values)[1:]
    return found.reshape(len(band), -1)


def _image(chunks: bytes, rows: NDArray[np.uint8]) -> Image.Image:
    """The band of these rows, in mode L, LA, RGB or RGBA. `chunks`: the file's IHDR, PLTE and tRNS."""
    head = bytearray(chunks[8:21])
    rest = chunks[25:]
    if head[8] == 16:  # the upper bytes are enough
        head[8], rows = 8, rows[:, ::2]
        if rest[4:8] == b"tRNS":
            rest = _chunk(b"tRNS", b"".join(b"\0" + rest[at:at + 1] for at in range(8, len(rest) - 4, 2)))
    head[4:8] = struct.pack(">I", len(rows))
    data = np.pad(rows, ((0, 0), (1, 0))).tobytes()
    image = _decoded(_chunk(b"IHDR", bytes(head)) + rest, data)
    if "transparency" in image.info:
        return image.convert("LA" if image.mode in ("1", "L") else "RGBA")
    return image.convert({"1": "L", "P": "RGB"}.get(image.mode, image.mode))


def _decoded(chunks: bytes, filtered: bytes) -> Image.Image:
    """Pillow's image of a PNG that consists of `chunks` and these rows, each after its filter."""
    image = png.opened(io.BytesIO(_SIGNATURE + chunks + _chunk(b"IDAT", zlib.compress(filtered, 0))
                                  + _chunk(b"IEND", b"")))
    image.load()
    return image
