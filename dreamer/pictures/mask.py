"""Masks: white parts are dreamed, black parts keep the picture's exact pixels, grey is in between.

A mask is uint8 (h, w). Its brightness scales each step. At the end, black parts get their original pixels back, because
changes beside them spread a little from one octave to the next.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from dreamer.arrays import Light, Pixels
from dreamer.errors import Mistake

STRETCH = 1.02  # factor by which the proportions of mask and picture may differ without a warning


def fitted(mask: Light, height: int, width: int, warn: Callable[[str], None]) -> Light:
    """The mask, resized for a picture of height × width pixels. Raises Mistake if it is black all over.

    `warn` is called with a line if it must be stretched."""
    across, down = mask.shape[1] / width, mask.shape[0] / height
    if not 1 / STRETCH < across / down < STRETCH:
        warn(f"mask: its {mask.shape[1]}×{mask.shape[0]} pixels are stretched to the picture's {width}×{height}")
    mask = resized(mask, height, width)
    if not mask.any():
        raise Mistake("mask: it is black all over, so nothing would be dreamed; make the parts to dream white")
    return mask


def resized(mask: Light, height: int, width: int) -> Light:
    """The mask, or any uint8 (h, w), resized."""
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.BILINEAR))


def spare(dreamed: Pixels, image: Pixels, mask: Light) -> Pixels:
    """Put the pixels of `image` (h, w, 3) back into `dreamed`, of the same shape, where the mask is black."""
    for top in range(0, len(mask), 64):
        rows = slice(top, top + 64)
        np.copyto(dreamed[rows], image[rows], where=mask[rows, :, None] == 0)
    return dreamed
