"""Sums over a whole picture, the same in every bit however it is divided among bands, threads or machines.

They are sums over fixed blocks, counted from the picture's corner. Within a block, the order of the additions is given
here, and is no matter of numpy's version or the processor. math.fsum then adds the blocks up exactly, so their order
does not matter. Whoever has only some of the blocks, computes block_sums of these; math.fsum of all is the whole's."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Planes

BLOCK = 192  # rows and columns of a block: a multiple of the grid of tiles, for layers with a stride of up to 16 pixels


def mean_size(planes: Planes) -> float:
    """The mean of the absolute values. Its relative error is about 1e-8; a float32 rounds to 6e-8."""
    return math.fsum(block_sums(planes, np.abs)) / planes.size


def mean_square(planes: Planes, side: int = BLOCK) -> float:
    """The mean of the squares, in double precision; for `side` see block_sums."""
    return math.fsum(block_sums(planes, _squares, side)) / planes.size


def block_sums(planes: Planes, of: Callable[[Planes], NDArray[Any]], side: int = BLOCK) -> Iterator[float]:
    """The sum over each block of `planes` (3, h, w), which begin in a block's corner.

    of    function of a block that returns what is summed: a new array of floats
    side  rows and columns of a block"""
    for top in range(0, planes.shape[1], side):
        for left in range(0, planes.shape[2], side):
            yield _sum(of(planes[:, top:top + side, left:left + side]).ravel())


def _sum(numbers: NDArray[Any]) -> float:
    """The sum of `numbers` (n,), which it overwrites: their second half is added to the first, and so on. This takes as
    long as numpy's sum, whose order is not documented."""
    while len(numbers) > 1:
        half = (len(numbers) + 1) // 2
        numbers[:len(numbers) - half] += numbers[half:]
        numbers = numbers[:half]
    return float(numbers[0])


def _squares(block: Planes) -> NDArray[np.float64]:
    return np.square(block, dtype=np.float64)
