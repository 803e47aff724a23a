"""An unfinished dream: the picture with what has been added to it so far."""

from collections.abc import Callable

import numpy as np

from dreamer.arrays import Light, Pixels, Planes
from dreamer.nets.model import Model
from dreamer.nets.preprocess import deprocess, preprocess
from dreamer.pictures.finish import AS_IT_IS, Finish
from dreamer.pictures.mask import resized, spare
from dreamer.scaling import reduced, zoom


def picture(model: Model, image: Pixels, sizes: list[tuple[int, int]], octave: int, dreamed: Planes,
            allocate: Callable[[int, int], Planes], mask: Light | None = None) -> Pixels:
    """The dream so far of `image` (h, w, 3): float32 (h, w, 3), RGB.

    sizes     (height, width) of the octaves, the smallest first
    octave    the octave that is being dreamed, an index of sizes
    dreamed   that octave's picture so far: float32 (3, h', w')
    allocate  function of a height and width that returns an array (3, height, width), as Budget.allocate does
    mask      where to dream, uint8 (h, w), or None"""
    whole = allocate(*sizes[-1])
    if octave == len(sizes) - 1:
        whole[:] = dreamed
    else:
        base = preprocess(image, model, whole)
        for size in sizes[octave:-1][::-1]:
            base = zoom(base, *size, allocate(*size))
        added = np.subtract(dreamed, base, out=base)
        whole += zoom(added, *sizes[-1], allocate(*sizes[-1]))
    found = deprocess(whole, model)
    return found if mask is None else spare(found, image, mask)


class Small:
    """Approximately the same at a small size, for repeated previews: it caches what stays the same.

    longest  maximum pixels of the longest side
    finish   how the picture is finished; the other arguments are as for `picture`"""

    def __init__(self, model: Model, image: Pixels, sizes: list[tuple[int, int]], longest: int,
                 mask: Light | None = None, finish: Finish = AS_IT_IS) -> None:
        self._model, self._image, self._mask, self._finish = model, image, mask, finish
        self._sizes = [_within(longest, *size) for size in sizes]
        self._bases: list[Pixels] = []  # the image at these sizes
        self._octave = -1
        self._lacks: Pixels = np.empty(0)  # the image minus this octave of it, enlarged

    def picture(self, octave: int, dreamed: Planes) -> Pixels:
        """float32 (h', w', 3), RGB."""
        if not self._bases:
            self._begin()
        found = deprocess(reduced(dreamed, *self._sizes[octave]), self._model)
        if octave < len(self._sizes) - 1:
            if octave != self._octave:
                self._octave, self._lacks = octave, self._bases[-1] - self._enlarged(self._bases[octave])
            found = self._enlarged(found) + self._lacks
        if self._mask is not None:
            spare(found, self._bases[-1], self._mask)
        return self._finish(found, self._bases[-1])

    def _begin(self) -> None:
        planes = [reduced(self._image.transpose(2, 0, 1), *self._sizes[-1])]
        for size in self._sizes[-2::-1]:
            planes.insert(0, zoom(planes[0], *size))
        self._bases = [base.transpose(1, 2, 0) for base in planes]
        if self._mask is not None:
            self._mask = resized(self._mask, *self._sizes[-1])

    def _enlarged(self, pixels: Pixels) -> Pixels:
        return zoom(pixels.transpose(2, 0, 1), *self._sizes[-1]).transpose(1, 2, 0)


def _within(longest: int, height: int, width: int) -> tuple[int, int]:
    """(height, width), shrunk so that no side has more than `longest` pixels."""
    factor = min(1, longest / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))
