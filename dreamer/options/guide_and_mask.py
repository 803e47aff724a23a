"""Reads the guide and the mask. Error messages begin with the option that names the picture."""

import os
from collections.abc import Callable

import numpy as np
from PIL import Image

from dreamer.arrays import Light, Pixels
from dreamer.errors import Mistake
from dreamer.pictures import inputs, reading
from dreamer.pictures.picture import Picture


def read_guide(path: str | os.PathLike[str], longest: int, smallest: int, max_pixels: int,
               warn: Callable[[str], None]) -> Pixels:
    """The pixels (h, w, 3) of the guide at `path`, shrunk so that its longest side has at most `longest` pixels.

    Raises Mistake if it cannot be read, or if a side has fewer than `smallest` pixels. `warn` is called with a line
    about each part of the file that cannot be used."""
    image = _read("guide", path, max_pixels, warn, longest).pixels
    height, width = image.shape[:2]
    if min(height, width) < smallest:
        raise Mistake(f"guide: this layer needs at least {smallest} pixels on each side; the guide has "
                      f"{width}×{height}")
    return image


def read_mask(path: str | os.PathLike[str], max_pixels: int, warn: Callable[[str], None]) -> Light:
    """The mask from the picture at `path`, uint8 (h, w). Transparent parts count as black.

    Raises Mistake if it cannot be read. `warn` is called with a line about each part that cannot be used."""
    found = _read("mask", path, max_pixels, warn)
    light = np.asarray(Image.fromarray(found.pixels).convert("L"))
    return light if found.alpha is None else np.rint(np.float32(light) * found.alpha / 255).astype(np.uint8)


def _read(name: str, path: str | os.PathLike[str], max_pixels: int, warn: Callable[[str], None],
          max_size: int | None = None) -> Picture:
    """The Picture at `path`, for the option `name`. The other arguments are as for reading.read. Raises Mistake."""
    def mine(line: str) -> str:
        return f"{name}: {line.removeprefix('input: ')}"

    if path == inputs.STANDARD:
        raise Mistake(f"{name}: only INPUT can be standard input; name a file")
    try:
        return reading.read(path, max_size, max_pixels, warn=lambda line: warn(mine(line)))
    except Mistake as error:
        raise Mistake(*map(mine, error.args)) from None
