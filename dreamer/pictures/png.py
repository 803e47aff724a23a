"""PNG: what Pillow leaves out. The colours that gAMA and cICP describe, transparency of other depths than 8 bits, long
profiles, and animations with damaged frames. Source: Portable Network Graphics, third edition (W3C, 2023)."""

import io
import struct
import zlib
from typing import IO

from PIL import Image, PngImagePlugin

from dreamer.pictures import profiles

_LARGEST = 16 << 20  # bytes of a profile
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")


def opened(file: IO[bytes]) -> Image.Image:
    """Pillow's image, not decoded yet, with what it leaves out in `info`. Same errors as Pillow."""
    before = _before_pixels(file)
    without: tuple[bytes, ...] = (b"iCCP",) if len(before.get(b"iCCP", b"")) > 1 << 10 and (
        len(_profile(before[b"iCCP"])) > 1 << 20) else ()
    if b"acTL" in before and b"acTL" not in _sound_animation(file):
        without += _ANIMATION
    file.seek(0)
    image: Image.Image = PngImagePlugin.PngImageFile(_without(file, without) if without else file, "")
    if b"iCCP" in without:
        image.info["icc_profile"] = _profile(before[b"iCCP"])
    bits = before[b"IHDR"][8]
    nothing = image.info.get("transparency")
    if isinstance(nothing, int) and bits < 8 and image.mode in ("1", "L"):
        image.info["transparency"] = nothing * 255 // (2 ** bits - 1)
    elif isinstance(nothing, tuple) and bits == 16:  # Pillow keeps the upper 8 bits
        image.info["transparency"] = tuple(value >> 8 for value in nothing)
    if profile := _described(image, before):
        image.info["icc_profile"] = profile
    return image


def _described(image: Image.Image, chunks: dict[bytes, bytes]) -> bytes | None:
    """The profile that the chunks describe in numbers, if these count; None if not."""
    if len(cicp := chunks.get(b"cICP", b"")) == 4 and cicp[3] == 1:
        return profiles.by_numbers(cicp[0], cicp[1])
    if b"iCCP" in chunks or b"sRGB" in chunks or len(chunks.get(b"gAMA", b"")) != 4:
        return None
    gamma = int.from_bytes(chunks[b"gAMA"], "big") / 100_000
    points = chunks.get(b"cHRM", b"")
    return profiles.by_gamma(gamma, tuple(value / 100_000 for value in struct.unpack(">8I", points))
                             if len(points) == 32 and image.mode not in ("1", "L", "LA", "I", "I;16") else ())


def _before_pixels(file: IO[bytes]) -> dict[bytes, bytes]:
    """The chunks before the first IDAT: {type: content}. Raises SyntaxError if the first is no IHDR."""
    found: dict[bytes, bytes] = {}
    file.seek(8)
    while len(head := file.read(8)) == 8 and head[4:] != b"IDAT" and len(found) < 100:
        size = int.from_bytes(head[:4], "big")
        if size > _LARGEST:
            file.seek(size + 4, io.SEEK_CUR)
            continue
        found.setdefault(head[4:], file.read(size))
        file.seek(4, io.SEEK_CUR)
    if len(found.get(b"IHDR", b"")) != 13:
        raise SyntaxError("no header")
    return found


def _sound_animation(file: IO[bytes]) -> bytes:
    """b"acTL" if the frames' numbers are those of a sound animation as far as the end of the first; else b""."""
    file.seek(8)
    expected, first = 0, True
    while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        size, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind in (b"fcTL", b"fdAT"):
            number = file.read(4)
            if int.from_bytes(number, "big") != expected or size < 4 or (kind == b"fcTL" and size < 26) or (
                    kind == b"fdAT" and first):
                return b""
            expected, first, size = expected + 1, False, size - 4
        file.seek(size + 4, io.SEEK_CUR)
    return b"acTL"


def _without(file: IO[bytes], kinds: tuple[bytes, ...]) -> io.BytesIO:
    """A copy of the file in memory that lacks these chunks."""
    file.seek(0)
    data = file.read()
    kept, at = [data[:8]], 8
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at:at + 4], "big")
        if data[at + 4:at + 8] not in kinds:
            kept.append(data[at:end])
        at = end
    return io.BytesIO(b"".join(kept))


def _profile(chunk: bytes) -> bytes:
    """The profile in an iCCP chunk, up to a limit; b"" if it is damaged."""
    try:
        return zlib.decompressobj().decompress(chunk[chunk.index(b"\0") + 2:], _LARGEST)
    except (ValueError, zlib.error):
        return b""
