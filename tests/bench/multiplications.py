"""How much work a step is, counted from the net's description: forward, and the gradient of the picture.

Two counts, both in FLOP (a multiplication and a sum are two). "direct" is what convolutions are by their definition.
"real" is what remains with Winograd's tiles of 6×6, which make (7 - k)² results of a k×k kernel with 36 multiplications
a pair of channels. A strided layer is a convolution of its phases: a 7×7 with stride 2 is a 4×4 of four times as many
channels. The transforms are not counted, so that the real rate, relative to the peak of multiply-adds, says how well
the products run, and what the transforms and everything else cost.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dreamer.nets import prototxt, shapes
from dreamer.nets.prototxt import Message

TILE = 6


class Convolution(NamedTuple):
    """A convolution with a square kernel. `size` is the (height, width) of its output, `source` that of its input."""

    name: str
    inputs: int
    outputs: int
    kernel: int
    stride: int
    size: tuple[int, int]
    source: tuple[int, int]


def convolutions(layers: Sequence[Message], height: int, width: int) -> Iterator[Convolution]:
    """Those of the layers, as shapes.cut returns them, for a picture of that size."""
    layers = list(layers)
    channels, sizes = shapes.channels(layers), shapes.spatial(layers, height, width)
    for layer in layers:
        if prototxt.value(layer, "type") == "Convolution":
            bottom, top = prototxt.value(layer, "bottom"), prototxt.value(layer, "top")
            kernel, stride, _ = shapes.window(layer, "h")
            yield Convolution(prototxt.value(layer, "name"), channels[bottom], channels[top], kernel, stride,
                              sizes[top], sizes[bottom])


def direct(found: Sequence[Convolution]) -> int:
    """The FLOP of a step by the definition of a convolution, forward and back."""
    return sum(2 * 2 * each.inputs * each.outputs * each.kernel ** 2 * each.size[0] * each.size[1] for each in found)


def real(found: Sequence[Convolution]) -> int:
    """The FLOP of a step's products with Winograd's tiles, forward and back."""
    total = 0
    for each in found:
        phases = each.stride ** 2
        kernel = -(-each.kernel // each.stride)
        back = (-(-each.source[0] // each.stride), -(-each.source[1] // each.stride))
        for height, width in (each.size, back):
            total += 2 * each.inputs * phases * each.outputs * _positions(kernel, height, width)
    return total


def _positions(kernel: int, height: int, width: int) -> int:
    """The multiplications of a pair of channels for an output of height × width."""
    if kernel == 1:
        return height * width
    step = TILE + 1 - kernel
    return TILE ** 2 * math.ceil(height / step) * math.ceil(width / step)
