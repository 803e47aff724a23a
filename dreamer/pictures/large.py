"""A TIFF that is too large to decode whole: it is decoded in bands of its strips or tiles, to the same pixels. They go
to a file if there is little memory.

Decoded whole and converted, 300 megapixels took 4 GB of memory; in bands, 190 MB."""

import contextlib
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dreamer.arrays import Light, Pixels, disk, let_go, mapped
from dreamer.machine import limits
from dreamer.pictures import colour, inputs, planes
from dreamer.pictures.strips import BITS, COMPRESSION, FORMAT, ORIENTATION, PHOTOMETRIC, Strips

LARGE = 50_000_000  # pixels from which a picture is decoded in bands
BAND = 4 << 20  # pixels of a band, about
_LONGEST = 64 << 20  # pixels of a strip
_WORKING = 100  # bytes per pixel of a dream: where they exceed the free memory, its arrays are in files, and so is this
_OFTEN = 8  # bands after which the pixels so far are let go
# none, fax, LZW, JPEG, deflate, PackBits, LZMA, Zstandard, WebP: in these a strip does not depend on another
_SINGLE = (1, 3, 4, 5, 7, 8, 32773, 32946, 34925, 50000, 50001)
_UNSIGNED = 1  # value of FORMAT
_GREYS = (0, 1)  # values of PHOTOMETRIC
_SIDEWAYS, _BACKWARDS = (5, 6, 7, 8), (3, 4, 6, 7)  # orientations: rows become columns; the last row or column is first


def strips(image: Image.Image, file: IO[bytes]) -> Strips | None:
    """The strips of a picture that is to be decoded in bands; None if it is to be decoded whole."""
    if image.format != "TIFF" or image.size[0] * image.size[1] < LARGE:
        return None
    with contextlib.suppress(ValueError):
        found = Strips(file)
        # others are scaled by their largest value, or have a profile that fits only if all colours are grey
        fit = (max(found.numbers(BITS) or [1]) <= 16 and {*found.numbers(FORMAT)} <= {_UNSIGNED}
               and found.number(COMPRESSION, 1) in _SINGLE and (found.number(PHOTOMETRIC, 0) in _GREYS
                                                                or _space(image) != b"GRAY"))
        sides = [(found.width, found.height)]
        if found.number(ORIENTATION, 1) in _SIDEWAYS:
            sides.append((found.height, found.width))  # a newer Pillow tells the size of the upright picture
        if fit and found.rows * found.width <= _LONGEST and image.size in sides:
            return found
    return None


def _space(image: Image.Image) -> bytes:
    """The colours for which the picture's profile is made."""
    return bytes((image.info.get("icc_profile") or b"")[16:20])


def read(found: Strips, image: Image.Image, warn: Callable[[str], None]) -> tuple[Pixels, Light | None]:
    """(pixels, alpha) of the picture, upright, as colour.to_srgb converts them. Raises Failure if the disk is full, and
    Pillow's errors.

    image  the picture as it was opened
    warn   called with lines about the colour profile, each once"""
    upright = _Upright(found)
    told = set[str]()
    at_a_time = max(1, BAND // (found.rows * found.width))
    for first in range(0, found.count, at_a_time):
        band = planes.opened(found.part(first, min(first + at_a_time, found.count)))
        with inputs.silence():
            band.load()
        if "icc_profile" in image.info:  # a long one may be missing in the part
            band.info["icc_profile"] = image.info["icc_profile"]
        upright.add(first * found.rows, colour.to_srgb(band, told.add))
    for line in told:
        warn(line)
    return upright.finished()


class _Upright:
    """Collects the bands of a picture, and turns them."""

    def __init__(self, found: Strips) -> None:
        self._height, self._width = found.height, found.width
        self._orientation = found.number(ORIENTATION, 1)
        self._sideways, self._backwards = self._orientation in _SIDEWAYS, self._orientation in _BACKWARDS
        in_file = _WORKING * found.height * found.width > limits.memory()
        self._folder = disk() if in_file else None
        self._arrays = list[NDArray[Any]]()
        self._bands = 0

    def add(self, top: int, band: Image.Image) -> None:
        """Add the band (mode RGB or RGBA) of which `top` is the first row in the file."""
        if not self._arrays:
            self._arrays.append(self._allocated(3))
            if band.mode == "RGBA":
                self._arrays.append(self._allocated())
        start = self._height - top - band.height if self._backwards else top
        rows = slice(start, start + band.height)
        if self._orientation in colour.UPRIGHT:
            band = band.transpose(colour.UPRIGHT[self._orientation])
        values = np.asarray(band)
        for array, part in zip(self._arrays, (values[..., :3], values[..., -1]), strict=False):
            array[(slice(None), rows) if self._sideways else rows] = part
        self._bands += 1
        if self._bands % _OFTEN == 0:
            self._let_go()

    def finished(self) -> tuple[Pixels, Light | None]:
        """(pixels, alpha)"""
        self._let_go()
        return self._arrays[0], self._arrays[1] if len(self._arrays) > 1 else None

    def _let_go(self) -> None:
        for array in self._arrays:
            let_go(array)

    def _allocated(self, *channels: int) -> NDArray[Any]:
        sides = (self._width, self._height) if self._sideways else (self._height, self._width)
        shape = *sides, *channels
        return mapped(shape, np.uint8, self._folder) if self._folder else np.empty(shape, np.uint8)
