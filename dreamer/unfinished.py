"""What a dream looks like before it is done: the picture with what has been added so far, at its full size."""

from dreamer.planes import deprocess, preprocess, zoom


def picture(model, image, sizes, octave, dreamed):
    """The dream so far of `image` (h, w, 3): float32 (h, w, 3), RGB.

    sizes    those of the octaves, the smallest first
    octave   the one that is being dreamed, an index of sizes
    dreamed  what it has come to: float32 (3, h', w')"""
    whole = preprocess(image, model)
    base = whole
    for height, width in sizes[octave:-1][::-1]:
        base = zoom(base, height, width)
    if base is whole:
        return deprocess(dreamed.copy(), model)
    whole += zoom(dreamed - base, *whole.shape[1:])
    return deprocess(whole, model)
