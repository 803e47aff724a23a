"""BMP of every header, depth, bit field and compression. Pillow reads the unusual ones wrong or not at all.

Sources: Microsoft's BITMAPV5HEADER, and Jason Summers' BMP Suite for what is common beyond it."""

import struct
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dreamer.pictures import kinds
from dreamer.pictures.lazy import lazy

_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_RGB, _RLE8, _RLE4, _FIELDS, _ALPHA_FIELDS = 0, 1, 2, 3, 6


@dataclass
class Header:
    """`masks`: bits of red, green, blue and alpha in a pixel; `palette`: uint8 (n, 3)."""

    width: int
    height: int
    bits: int
    compression: int
    down: bool  # the first row is the top
    masks: tuple[int, int, int, int]
    palette: NDArray[np.uint8]
    start: int  # of the pixels
    profile: bytes | None = None


def opened(file: IO[bytes]) -> Image.Image:
    """An image like Pillow's, not decoded yet. Raises kinds.UnreadableError or SyntaxError."""
    header = read_header(file)
    info = {"icc_profile": header.profile} if header.profile else {}

    def decode() -> Image.Image:
        image = Image.fromarray(decoded(file, header))
        image.info = dict(info)
        return image
    return lazy("BMP", (header.width, header.height), decode, **info)


def read_header(file: IO[bytes]) -> Header:
    """The header of a file. Raises kinds.UnreadableError or SyntaxError."""
    file.seek(0)
    data = file.read(14 + 124 + 16)
    size = int.from_bytes(data[14:18], "little")
    if size not in _HEADERS or len(data) < 14 + size:
        raise kinds.cannot(f"a BMP picture with a header of {size} bytes")
    start = int.from_bytes(data[10:14], "little")
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HhHH", data, 18)
        compression = colours = 0
    else:
        width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
        compression, _, _, _, colours = struct.unpack_from("<IIiiI", data.ljust(60, b"\0") if size == 16 else data, 30)
        if size == 16:
            compression = colours = 0
    after = 14 + size
    masks = _masks(data, size, bits, compression)
    if size == 40 and compression in (_FIELDS, _ALPHA_FIELDS):
        after += 12 if compression == _FIELDS else 16
    if width <= 0 or not height or bits not in (1, 2, 4, 8, 16, 24, 32):
        raise SyntaxError("no size, or no depth")
    known = {_RGB: (1, 2, 4, 8, 16, 24, 32), _RLE8: (8,), _RLE4: (4,), _FIELDS: (16, 32), _ALPHA_FIELDS: (16, 32)}
    if bits not in known.get(compression, ()) or (size == 64 and compression > _RLE4):
        raise kinds.cannot("a BMP picture with a compression of its own")
    return Header(width, abs(height), bits, compression, height < 0, masks,
                  _palette(file, after, start, size, bits, colours), start or after, _profile(file, data, size))


def _masks(data: bytes, size: int, bits: int, compression: int) -> tuple[int, int, int, int]:
    if compression in (_FIELDS, _ALPHA_FIELDS):
        alpha = size >= 56 or compression == _ALPHA_FIELDS
        red, green, blue, opaque = struct.unpack_from("<4I", data, 54)
        return red, green, blue, opaque if alpha else 0
    return (0x7C00, 0x3E0, 0x1F, 0) if bits == 16 else (0xFF0000, 0xFF00, 0xFF, 0)


def _palette(file: IO[bytes], after: int, start: int, size: int, bits: int, colours: int) -> NDArray[np.uint8]:
    if bits > 8:
        return np.zeros((0, 3), np.uint8)
    entry = 3 if size == 12 else 4
    count = min(colours or 1 << bits, 256, max(0, start - after) // entry if start else 256)
    file.seek(after)
    table = np.frombuffer(file.read(count * entry), np.uint8)
    found = np.zeros((256, 3), np.uint8)
    table = table[:len(table) // entry * entry].reshape(-1, entry)[:, 2::-1]
    found[:len(table)] = table
    return found


def _profile(file: IO[bytes], data: bytes, size: int) -> bytes | None:
    """The embedded profile, which only the longest header can name."""
    if size < 124 or data[14 + 56:14 + 60] != b"DEBM":
        return None
    at, length = struct.unpack_from("<II", data, 14 + 112)
    file.seek(14 + at)
    return file.read(min(length, 16 << 20)) or None


def decoded(file: IO[bytes], header: Header) -> NDArray[np.uint8]:
    """The pixels, (h, w, 3) or (h, w, 4). Raises OSError if rows are missing."""
    file.seek(header.start)
    width, height, bits = header.width, header.height, header.bits
    if header.compression in (_RLE8, _RLE4):
        rows = unpacked(file.read(), width, height, header.compression == _RLE4)
        pixels = header.palette[rows]
    else:
        stride = (width * bits + 31) // 32 * 4
        data = file.read(stride * height)
        if len(data) < stride * height - (-(width * bits) // 8 % 4):  # the last row's padding may be missing
            raise OSError("rows are missing")
        lines = np.frombuffer(data.ljust(stride * height, b"\0"), np.uint8).reshape(height, stride)
        pixels = _of_lines(lines, header)
    return np.ascontiguousarray(pixels if header.down else pixels[::-1])


def _of_lines(lines: NDArray[np.uint8], header: Header) -> NDArray[np.uint8]:
    width, bits = header.width, header.bits
    if bits == 24:
        colours: NDArray[np.uint8] = lines[:, :width * 3].reshape(len(lines), width, 3)[..., ::-1]
        return colours
    if bits <= 8:
        shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
        indices = (lines[..., None] >> shifts & np.uint8((1 << bits) - 1)).reshape(len(lines), -1)[:, :width]
        named: NDArray[np.uint8] = header.palette[indices]
        return named
    values = lines.view("<u2" if bits == 16 else "<u4")[:, :width]
    channels = np.empty((len(lines), width, 4 if header.masks[3] else 3), np.uint8)
    for number in range(channels.shape[2]):
        channels[..., number] = _channel(values, header.masks[number])
    return channels


def _channel(values: NDArray[Any], mask: int) -> NDArray[np.uint8]:
    """The bits of the mask, stretched to 0..255."""
    if not mask:
        return np.zeros(values.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    found = (values & values.dtype.type(mask & (2 ** (8 * values.itemsize) - 1))) >> values.dtype.type(shift)
    stretched: NDArray[np.uint8] = np.rint(found.astype(np.float64) * (255 / most)).astype(np.uint8)
    return stretched


def unpacked(data: bytes, width: int, height: int, four: bool) -> NDArray[np.uint8]:
    """Indices (h, w), bottom row first, of run-length encoded pixels; `four`: of 4 bits. What a file skips is 0.

    Raises OSError if rows are missing."""
    rows = np.zeros((height, width), np.uint8)
    x = y = at = 0
    while at + 2 <= len(data) and y < height:
        count, value = data[at], data[at + 1]
        at += 2
        if count or value > 2:
            size = count or value
            if count:
                run = bytes([value >> 4, value & 15]) * 128 if four else bytes([value]) * 255
            else:
                length = (size + 1) // 2 if four else size
                run = data[at:at + length]
                if four:
                    run = bytes(half for byte in run for half in (byte >> 4, byte & 15))
                at += length + length % 2
            part = np.frombuffer(run, np.uint8)[:min(size, max(0, width - x))]
            rows[y, x:x + len(part)] = part
            x += size
        elif value == 0:
            x, y = 0, y + 1
        elif value == 1:
            return rows
        elif at + 2 <= len(data):
            x, y, at = x + data[at], y + data[at + 1], at + 2
    if y < height - 1:
        raise OSError("rows are missing")
    return rows
