"""Pictures in: from a file to an array."""

import os
from collections.abc import Callable
from typing import IO

import numpy as np
from PIL import Image

from dreamer.arrays import Light, Pixels
from dreamer.errors import Mistake
from dreamer.pictures import bands, beside, colour, exif, inputs, jpeg, large, modern, png, tiff
from dreamer.pictures.picture import Picture

_TURNED = ("TIFF", "RAW", "HEIC", "AVIF", "JXL")  # formats that come upright, whatever their EXIF says

FIRST = "input: it has several pages or frames, of which the first is taken"  # a warning


def read(path: str | os.PathLike[str], max_size: int | None = None, max_pixels: int = inputs.MAX_PIXELS,
         keep_location: bool = False, warn: Callable[[str], None] = lambda line: None) -> Picture:
    """The Picture at `path`; "-" is standard input. Raises Mistake if it cannot be read.

    max_size       shrink a larger picture so that its longest side has this many pixels
    max_pixels     raise Mistake if the file has more pixels than this: it may be an attack on the memory
    keep_location  keep what says where the picture was taken
    warn           called with a line about each part of the file that cannot be used"""
    with inputs.picture(path, max_pixels, max_size) as (image, file, name):
        kind = image.format
        strips = large.strips(image, file) if shrunk(image.size, max_size) == image.size else None
        size = image.size
        if not strips:
            image, file, size = _decode(image, file, max_size, max_pixels, warn)
        if not min(image.size):
            raise Mistake(f"input: {name} has no pixels")
        try:
            found = exif.read(image, file, keep_location)
        except ValueError:
            warn("input: its EXIF is damaged and is ignored")
            found = None
        others = beside.read(image, file, keep_location)
        lost = others.lost | ({"maker notes"} if found and found.lost_notes else set())
        if lost:
            warn(f"input: the dream cannot keep: {', '.join(sorted(lost))}")
        if others.xmp and shrunk(size, max_size) != size:
            others.xmp.scale(max(shrunk(size, max_size)) / max(size))
        if strips:
            pixels, alpha = large.read(strips, image, warn)
        else:
            turned = found.orientation if found and kind not in _TURNED else 1
            pixels, alpha = _converted(image, shrunk(size, max_size), turned, warn)
        if kind in ("AVIF", "GIF", "HEIC", "PNG", "TIFF", "WEBP") and _has_more(file):
            warn(FIRST)
    return Picture(pixels, alpha, found, beside=others)


def _converted(image: Image.Image, size: tuple[int, int], orientation: int,
               warn: Callable[[str], None]) -> tuple[Pixels, Light | None]:
    """(pixels, alpha) of the decoded image: its colours converted, shrunk to `size`, and turned upright from this
    orientation."""
    image = colour.to_srgb(image, warn)
    if size != image.size:
        image = image.resize(size, Image.LANCZOS)
    if orientation in colour.UPRIGHT:
        image = image.transpose(colour.UPRIGHT[orientation])
    pixels = np.asarray(image)
    return (np.ascontiguousarray(pixels[..., :3]),
            np.ascontiguousarray(pixels[..., 3]) if image.mode == "RGBA" else None)


def _has_more(file: IO[bytes]) -> bool:
    """Whether there are pages or frames after the first. Thumbnails, layers and the second pictures of phones are
    none."""
    file.seek(0)
    try:
        with inputs.identified(file) as image:
            if image.format != "TIFF" or not image.is_animated:
                return bool(image.is_animated)
            for number in range(1, 4):
                image.seek(number)
                if not image.tag_v2.get(tiff.KIND, 0) & 1:  # it is not a smaller version of another page
                    return True
    except Exception:  # the first one could be read, and nothing else matters
        return False
    return False


def _decode(image: Image.Image, file: IO[bytes], max_size: int | None, max_pixels: int,
            warn: Callable[[str], None]) -> tuple[Image.Image, IO[bytes], tuple[int, int]]:
    """(the decoded image, its file, the size of the whole). If it has more than `max_pixels`, it is shrunk while it is
    decoded; a PNG's file is then a smaller copy."""
    width, height = image.size
    longest = max_size if max_size and width * height > max_pixels else None
    with inputs.silence():
        if image.format in ("JPEG", "MPO"):
            if longest:
                jpeg.reduce(image, longest)
            jpeg.load(image, file, warn)
            return image, file, (width, height)
        if longest and image.format == "PNG":
            file = bands.shrunk(file, longest)
            image = png.opened(file)
        elif longest:
            modern.reduce(image, longest)
        image.load()
    if not longest:
        width, height = image.size
    elif (width > height) != (image.size[0] > image.size[1]):  # it was stored turned
        width, height = height, width
    return image, file, (width, height)


def shrunk(size: tuple[int, int], max_size: int | None) -> tuple[int, int]:
    """(width, height) of a picture of this `size` after it is shrunk to `max_size`."""
    if not max_size or max(size) <= max_size:
        return size
    width, height = (max(1, round(side * max_size / max(size))) for side in size)
    return width, height


def sides(path: str | os.PathLike[str], max_size: int | None = None,
          max_pixels: int = inputs.MAX_PIXELS) -> list[int]:
    """[shorter, longer side] in pixels of the Picture that `read` would return for `path`, found without decoding it.
    Raises Mistake."""
    with inputs.picture(path, max_pixels, max_size) as (image, _, _):
        return sorted(shrunk(image.size, max_size))
