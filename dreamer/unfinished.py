"""What a dream looks like before it is done: the picture with what has been added so far, at its full size."""

from dreamer import masks
from dreamer.planes import deprocess, preprocess, zoom


def picture(model, image, sizes, octave, dreamed, mask=None):
    """The dream so far of `image` (h, w, 3): float32 (h, w, 3), RGB.

    sizes    those of the octaves, the smallest first
    octave   the one that is being dreamed, an index of sizes
    dreamed  what it has come to: float32 (3, h', w')
    mask     where to dream, uint8 (h, w), or None"""
    whole = preprocess(image, model)
    base = whole
    for height, width in sizes[octave:-1][::-1]:
        base = zoom(base, height, width)
    if base is whole:
        whole = dreamed.copy()
    else:
        whole += zoom(dreamed - base, *whole.shape[1:])
    found = deprocess(whole, model)
    return found if mask is None else masks.spare(found, image, mask)
