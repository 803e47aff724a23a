"""The octaves that a dream will have: how many, and which are large enough for its layer."""

import math

from dreamer.errors import Mistake
from dreamer.nets.layers import Layers
from dreamer.nets.model import Model
from dreamer.nets.shapes import cut, smallest_side
from dreamer.options.understood import Sizes, Understood

USUAL = 4  # octaves, as in Google's notebook
NOTEBOOK = 1_500_000  # pixels; a larger picture gets more octaves: with four, 12 megapixels get dots, not animals
SMALLEST = 375  # pixels on the longest side of the smallest octave of a larger picture, as in the notebook
MOST = 12  # octaves, unless somebody asks for more


def octave_count(understood: Understood, height: int, width: int) -> int:
    """The number of octaves asked for; else the usual number, and more for a large picture."""
    if understood.octaves is not None:
        return understood.octaves
    if height * width <= NOTEBOOK:
        return understood.usual_octaves
    wanted = 1 + round(math.log(max(height, width) / SMALLEST) / math.log(understood.scale))
    return max(1, min(MOST, understood.usual_octaves + wanted - USUAL))


def fitting_sizes(understood: Understood, octave_sizes: Sizes, height: int, width: int) -> list[tuple[int, int]]:
    """[(height, width)] of the octaves, the smallest first, that are large enough for the layer. Raises Mistake if
    none is."""
    smallest = least_side(understood.model, understood.layer)
    sizes = [size for size in octave_sizes(height, width, octave_count(understood, height, width), understood.scale)
             if min(size) >= smallest]
    if not sizes:
        raise Mistake(f"input: {understood.layer} needs at least {smallest} pixels on each side; the picture has "
                      f"{width}×{height}")
    return sizes


def least_side(model: Model, layer: Layers) -> int:
    """The minimum number of pixels on each side of a picture, for this layer."""
    return smallest_side(cut(model.net, layer.names))
