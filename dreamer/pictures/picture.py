"""A picture: its pixels and its metadata."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Light, Pixels
from dreamer.pictures.beside import Beside
from dreamer.pictures.exif import Exif


@dataclass
class Picture:
    """A picture, upright.

    pixels  (h, w, 3), sRGB, 0..255; uint8 as read, any real dtype to write
    alpha   uint8 (h, w), 255 opaque; None if the picture has no transparency
    exif    the camera's metadata
    recipe  how it was dreamed, as data for JSON; write() stores it in the file
    beside  resolution, XMP, IPTC and text"""

    pixels: Pixels
    alpha: Light | None = None
    exif: Exif | None = None
    recipe: dict[str, Any] | None = None
    beside: Beside = field(default_factory=Beside)


def eight_bit(pixels: Pixels) -> NDArray[np.uint8]:
    """`pixels` (h, w, 3), of any real dtype, as a new uint8 array: clipped to 0..255 and truncated."""
    cut = np.empty(pixels.shape, np.uint8)
    for top in range(0, len(cut), 64):  # a float copy of the whole would take four times the memory of the result
        cut[top:top + 64] = np.clip(pixels[top:top + 64], 0, 255)
    return cut
