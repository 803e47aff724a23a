"""JPEG files that lack their end or part of their EXIF, or are too large to decode at full size."""

import io
import re
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from PIL import Image, JpegImagePlugin

from dreamer.machine import limits

_EXIF = re.compile(rb"\xff\xe1..(Exif)\0", re.DOTALL)
LEAST = 0.9  # of the rows must be there
_DENSEST = 200  # pixels per byte: an area of one colour has at most 170, so a file with more is cut or an attack
_LARGEST = 1 << 31  # pixels, at any reduction
_MOST_SCANS, _COEFFICIENT = 64, 2  # of a large picture (each takes 0.1 s); bytes of memory
_NOISE = np.random.RandomState(0).choice(np.arange(1, 255, dtype=np.uint8), 400).tobytes()
# Two ends for a file that lacks its own: grey, and noise with all restart marks. They differ where rows are missing.
_END = b"\xff\xd9"
_NOISY_END = b"".join(_NOISE + bytes([0xFF, 0xD0 + number % 8]) for number in range(32)) + _END


def opened(file: IO[bytes]) -> Image.Image:
    """Pillow's image, not decoded yet. Same errors as Pillow, but none for EXIF that is cut short."""
    try:
        image: Image.Image = JpegImagePlugin.jpeg_factory(file, "")
    except SyntaxError:  # Pillow 9 looks for the resolution in there
        file.seek(0)
        data = file.read()
        block = _EXIF.search(data)
        if not block:
            raise
        # a copy in which the block has another name
        image = JpegImagePlugin.jpeg_factory(io.BytesIO(data[:block.start(1)] + b"Past" + data[block.end(1):]), "")
        length = int.from_bytes(data[block.start(1) - 2:block.start(1)], "big") - 2
        image.info["exif"] = data[block.start(1):block.start(1) + length]
    return image


def reducible(image: Any, file: IO[bytes], max_size: int, max_pixels: int) -> bool:
    """Whether the decoder can shrink the picture so much that it has at most `max_pixels`, but is not smaller than
    `max_size`. Memory is needed only for a few rows of the original then; if it is stored in several scans (as a
    progressive one), for all its coefficients."""
    if image.format not in ("JPEG", "MPO"):
        return False
    width, height = image.size
    length = file.seek(0, io.SEEK_END)
    scale = _scale(image, max_size)
    pixels: int = width * height
    if pixels > min(_LARGEST, _DENSEST * length, max_pixels * scale * scale):
        return False
    file.seek(0)
    if (scans := len(_scans(file.read()))) < 2:
        return True
    sizes = [across * down for _, across, down, *_ in image.layer]
    largest = max(across for _, across, *_ in image.layer) * max(down for _, _, down, *_ in image.layer)
    return scans <= _MOST_SCANS and _COEFFICIENT * pixels * sum(sizes) / largest <= limits.memory()


def reduce(image: Image.Image, max_size: int) -> None:
    """Let the decoder shrink the picture, as far as max_size allows."""
    scale = _scale(image, max_size)
    image.draft(image.mode, (image.size[0] // scale, image.size[1] // scale))


def _scale(image: Image.Image, max_size: int) -> int:
    return next((scale for scale in (8, 4, 2) if max(image.size) // scale >= max_size), 1)


def load(image: Any, file: IO[bytes], warn: Callable[[str], None]) -> None:
    """Decode a JPEG. If only its end is missing, `warn` is called with a line that says how many rows that is.

    Raises OSError if more than a tenth is missing, or any pixel of a progressive file."""
    full, size = image.size, image.size
    scaled = image.decoderconfig[0] if image.decoderconfig else 1
    try:
        image.load()
        return
    except OSError as error:
        if "truncated" not in str(error) and "broken data" not in str(error):
            raise
    file.seek(0)
    data = file.read()
    if data.endswith(_END):  # it is whole, and damaged inside
        raise OSError("damaged")
    data = data.rstrip(b"\xff")  # half a mark
    first, second = (_decoded(data + end, size if scaled > 1 else None) for end in (_END, _NOISY_END))
    differ = (np.asarray(first) != np.asarray(second)).reshape(full[1], -1).any(1)
    missing = full[1] - int(differ.argmax()) if differ.any() else 0
    single = len(_scans(data)) == 1 and "progressive" not in image.info
    if missing > (1 - LEAST) * full[1] or (not single and (missing or not _whole(data))):
        raise OSError("too much is missing")
    image.im, image.pyaccess, image.tile = first.im, None, []
    warn("input: the file is cut short: " + (f"the last {missing * scaled} of {full[1] * scaled} rows are missing"
                                             if missing else "its end mark is missing, but no row"))


def _decoded(data: bytes, size: tuple[int, int] | None) -> Image.Image:
    image = opened(io.BytesIO(data))
    if size:
        image.draft(image.mode, size)
    image.load()
    return image


def _scans(data: bytes) -> list[tuple[bytes, int, int, int]]:
    """(components, first and last coefficient, lowest bit) of each scan."""
    found, at = [], 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            break
        marker, length = data[at + 1], int.from_bytes(data[at + 2:at + 4], "big")
        if marker == 0xFF:
            at += 1
            continue
        body = data[at + 4:at + 2 + length]
        at += 2 + length
        if marker == 0xDA and len(body) >= 4 + 2 * body[0]:
            first, last, bits = body[1 + 2 * body[0]:4 + 2 * body[0]]
            found.append((body[1:1 + 2 * body[0]:2], first, last, bits & 15))
            after = re.compile(rb"\xff[^\0\xd0-\xd7\xff]").search(data, at)
            at = after.start() if after else len(data)
    return found


def _whole(data: bytes) -> bool:
    """Whether there are scans for every bit of every coefficient of every component."""
    scans = _scans(data)
    components = {component for names, *_ in scans for component in names}
    frame = re.search(rb"\xff[\xc0-\xc2].{7}(.)", data, re.DOTALL)
    got = {(component, coefficient) for names, first, last, low in scans if low == 0
           for component in names for coefficient in range(first, min(last, 63) + 1)}
    return frame is not None and len(components) == frame[1][0] and len(got) == 64 * len(components)
