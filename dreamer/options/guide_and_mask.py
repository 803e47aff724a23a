"""Pictures that are there for the input's sake: a guide and a mask. They are read here, and what is wrong with them is
told by the option that names them."""

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

    Raises Mistake where there is no picture or a side has fewer than `smallest` pixels; warn is called with a line on
    what in it is of no use."""
    image = _read("guide", path, max_pixels, warn, longest).pixels
    height, width = image.shape[:2]
    if min(height, width) < smallest:
        raise Mistake(f"guide: {width}×{height} pixels are too few; for this layer each side needs at least {smallest}")
    return image


def read_mask(path: str | os.PathLike[str], max_pixels: int, warn: Callable[[str], None]) -> Light:
    """The mask in the picture at `path`; where that is transparent the mask is black.

    Raises Mistake where there is no picture; warn is called with a line on what in it is of no use."""
    found = _read("mask", path, max_pixels, warn)
    light = np.asarray(Image.fromarray(found.pixels).convert("L"))
    return light if found.alpha is None else np.rint(np.float32(light) * found.alpha / 255).astype(np.uint8)


def _read(name: str, path: str | os.PathLike[str], max_pixels: int, warn: Callable[[str], None],
          max_size: int | None = None) -> Picture:
    """The Picture at `path`, for the option `name`. The rest is as for reading.read. Raises Mistake."""
    def mine(line: str) -> str:
        return f"{name}: {line.removeprefix('input: ')}"

    if path == inputs.STANDARD:
        raise Mistake(f"{name}: only INPUT can be standard input: name a file")
    try:
        return reading.read(path, max_size, max_pixels, warn=lambda line: warn(mine(line)))
    except Mistake as error:
        raise Mistake(*map(mine, error.args)) from None
