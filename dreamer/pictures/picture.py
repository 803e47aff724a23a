"""What a picture is here: its pixels, and what else is in its file."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Light, Pixels
from dreamer.pictures.exif import Exif


@dataclass
class Picture:
    """A picture, upright.

    pixels  (h, w, 3), sRGB, 0..255; uint8 as read, any real dtype to write
    alpha   uint8 (h, w), 255 opaque; None where the picture has no transparency
    exif    what the camera wrote beside it
    recipe  how it was dreamed, for JSON; write() keeps it in the file"""

    pixels: Pixels
    alpha: Light | None = None
    exif: Exif | None = None
    recipe: dict[str, Any] | None = None


def eight_bit(pixels: Pixels) -> NDArray[np.uint8]:
    """`pixels` (h, w, 3), of any real dtype, as a new uint8 array: cut to 0..255 and to whole numbers."""
    cut = np.empty(pixels.shape, np.uint8)
    for top in range(0, len(cut), 64):  # a copy of all as floats would be four times the file's own pixels
        cut[top:top + 64] = np.clip(pixels[top:top + 64], 0, 255)
    return cut
