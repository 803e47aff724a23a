"""Channels by their strength: which channels of a layer see most, or least, in a picture.

The strength of a channel is the mean of its activations over the whole picture, at the picture's own size. A channel
that sees nothing anywhere has no rank, because there is nothing in it that could grow.
"""

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Pixels
from dreamer.nets.layers import Ranked, Term
from dreamer.nets.net import Net


def choose(net: Net, image: Pixels) -> bool:
    """Choose the channels that are asked for by strength, in `net.what`, for `image` (h, w, 3), RGB, 0..255.

    Returns whether there are any; then the Net must be resized. Raises Mistake if the picture is too small for it."""
    ranked = [term for term in net.asked.terms if isinstance(term.channels, Ranked)]
    if not ranked:
        return False
    net.what = net.asked._replace(terms=[Term(layer, None, 1.0) for layer in net.asked.names])
    height, width = image.shape[:2]
    net.budget.fit(height, width)
    net.resize(height, width)
    sums = [np.zeros(1)] * len(net.what.terms)
    for tile in net.tiles(net.preprocess(image), 0, 0):
        sums = [before + found.sum((1, 2), np.float64)
                for before, found in zip(sums, tile.forward(), strict=True)]
    net.forwarded = None
    strengths = dict(zip(net.what.names, sums, strict=True))
    net.what = net.asked._replace(terms=[
        term._replace(channels=_taken(term.channels, strengths[term.layer])) if isinstance(term.channels, Ranked)
        else term for term in net.asked.terms])
    return True


def _taken(ranked: Ranked, strengths: NDArray[np.float64]) -> list[int]:
    """The channels of these ranks, in the order of their numbers; among equals the smaller number comes first."""
    order = np.argsort(-strengths if ranked.strongest else strengths, kind="stable")
    order = order[strengths[order] != 0]
    return sorted(order[ranked.first - 1:ranked.last].tolist())
