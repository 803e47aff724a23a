"""What is done to a dream when it is finished, or shown before: its colours, and its share in the picture."""

import dataclasses

import numpy as np

from dreamer.arrays import Pixels, bands
from dreamer.pictures.lightness import with_lightness_of

WHOLE = 100  # percent: the dream alone
COPY = 12  # bytes per pixel of a finished dream beside the unfinished one


@dataclasses.dataclass(frozen=True)
class Finish:
    """Finishes dreams; false if there is nothing to do.

    keep_colours  take only the lightness from the dream
    strength      percent of the dream in a mixture with the picture, 0..100; the mixture is linear in pixel values"""

    keep_colours: bool = False
    strength: float = WHOLE

    def __bool__(self) -> bool:
        return self.keep_colours or self.strength != WHOLE

    def __call__(self, dreamed: Pixels, image: Pixels) -> Pixels:
        """Finish `dreamed`, float32 (h, w, 3), in place, and return it. `image`, of the same shape and any real dtype,
        is what was dreamed; both are sRGB.

        The values become whole numbers within 0..255, because a file's are cut off, not rounded: a grey of 99.99 and
        100 would get a tint. Pixels that the dream has left alone stay as they are."""
        if not self:
            return dreamed
        for rows in bands(dreamed.transpose(2, 0, 1)):
            dream, photo = dreamed[rows], image[rows]
            made = with_lightness_of(dream, photo) if self.keep_colours else np.clip(dream, 0, 255).astype(np.float64)
            made = photo + (made - photo) * (self.strength / WHOLE)
            np.copyto(dream, np.rint(made), where=(dream != photo).any(2, keepdims=True), casting="same_kind")
        return dreamed


AS_IT_IS = Finish()
