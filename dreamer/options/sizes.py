"""The octaves that a dream will have: those that are large enough for its layer."""

from dreamer.errors import Mistake
from dreamer.nets.layers import Layers
from dreamer.nets.model import Model
from dreamer.nets.shapes import cut, smallest_side
from dreamer.options.understood import Sizes, Understood


def fitting_sizes(understood: Understood, octave_sizes: Sizes, height: int, width: int) -> list[tuple[int, int]]:
    """[(height, width)] of the octaves, the smallest first, that are large enough for the layer; raises Mistake where
    none is."""
    smallest = least_side(understood.model, understood.layer)
    sizes = [size for size in octave_sizes(height, width, understood.octaves, understood.scale)
             if min(size) >= smallest]
    if not sizes:
        raise Mistake(f"input: {width}×{height} pixels are too few for {understood.layer}; each side needs at least "
                      f"{smallest}")
    return sizes


def least_side(model: Model, layer: Layers) -> int:
    """The fewest pixels that a side of a picture may have, for what is to be dreamed."""
    return smallest_side(cut(model.net, layer.names))
