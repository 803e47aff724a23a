"""What a dream looks like before it is done: the picture with what has been added so far, at its full size."""

from collections.abc import Callable

import numpy as np

from dreamer import masks
from dreamer.model import Model
from dreamer.planes import Light, Pixels, Planes, deprocess, preprocess, zoom


def picture(model: Model, image: Pixels, sizes: list[tuple[int, int]], octave: int, dreamed: Planes,
            planes: Callable[[int, int], Planes], mask: Light | None = None) -> Pixels:
    """The dream so far of `image` (h, w, 3): float32 (h, w, 3), RGB.

    sizes    those of the octaves, the smallest first
    octave   the one that is being dreamed, an index of sizes
    dreamed  what it has come to: float32 (3, h', w')
    planes   function of a height and width that gives an array (3, height, width), as Budget.planes
    mask     where to dream, uint8 (h, w), or None"""
    whole = planes(*sizes[-1])
    if octave == len(sizes) - 1:
        whole[:] = dreamed
    else:
        base = preprocess(image, model, whole)
        for size in sizes[octave:-1][::-1]:
            base = zoom(base, *size, planes(*size))
        added = np.subtract(dreamed, base, out=base)
        whole += zoom(added, *sizes[-1], planes(*sizes[-1]))
    found = deprocess(whole, model)
    return found if mask is None else masks.spare(found, image, mask)
