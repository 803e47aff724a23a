"""How much each layer of a sum counts in a step."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from dreamer.arrays import Planes
from dreamer.nets.layers import Term
from dreamer.nets.net import Each, Tile

Objectives: TypeAlias = list[Callable[[Planes], tuple[float, Planes]]]  # of a layer's activations, as in dreamify.py


def squares(tile: Tile, objectives: Objectives) -> list[float]:
    """The squared L2 norm, in the tile's share, of the gradient of each of the `objectives`."""
    return [float(np.sum(np.square(objective(activations)[1], dtype=np.float64)))
            for objective, activations in zip(objectives, tile.forward(), strict=True)]


def balance(terms: list[Term], tiles: list[Tile], objectives: Objectives, each: Each) -> list[float]:
    """The factor by which the gradient of each of the `terms` is multiplied before they are added up.

    A layer's gradient may be a thousand times another's. So each is divided by its L2 norm, taken at its layer, and
    multiplied by its weight: with objective_l2, this maximises the sum of weight * (norm of a term's activations)."""
    if len(terms) == 1:
        return [terms[0].weight]  # a step's size does not depend on the gradient's
    norms = np.sqrt(sum(map(np.array, each(squares, tiles, objectives)))).tolist()
    return [term.weight / norm if norm else 0.0 for term, norm in zip(terms, norms, strict=True)]
