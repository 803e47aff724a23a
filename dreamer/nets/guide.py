"""Guided dreams: what a layer sees in the picture is led towards what it sees in another picture, the guide.

For each position of the dream, we search for the position of the guide whose activations have the largest dot product
with the dream's there. All these products are a 1×1 convolution whose filters are the guide's activations. Caffe
computes it as fast as any other, with the dream's threads and order of sums. For large pictures all products together
would take gigabytes, so they are computed a block at a time, and only the best of each block are kept.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Pixels, Planes
from dreamer.nets import binding, prototxt
from dreamer.nets.layers import Layers
from dreamer.nets.net import Net

SIZE = 512  # pixels of a guide's longest side: more would take memory and add little
FILTERS = 4096  # positions of the guide in a block
POSITIONS = 512  # positions of the dream in a block: 8 MB of products
_BLOCK = """
layer {{ name: "dream" type: "Input" top: "dream" input_param {{ shape {{ dim: 1 dim: {} dim: 1 dim: {} }} }} }}
layer {{ name: "products" type: "Convolution" bottom: "dream" top: "products"
  convolution_param {{ num_output: {} kernel_size: 1 bias_term: false }} }}
"""


class Guide:
    """The picture `image` (h, w, 3), RGB, 0..255, as a guide. It is an attribute too."""

    def __init__(self, image: Pixels) -> None:
        self.image = image
        self._net: Net | None = None
        self._what: Layers | None = None
        self._seen: list[Seen] = []

    def seen(self, net: Net) -> list["Seen"]:
        """A Net's activations for the guide, for each of its Terms. They are computed once for a Net, and again if
        its channels change (see strength.py).

        The Net must be resized afterwards. Raises Mistake if the guide is too small for it."""
        if self._net is not net or self._what != net.what:
            height, width = self.image.shape[:2]
            net.budget.fit(height, width)
            net.resize(height, width)
            parts = [[found.reshape(len(found), -1).T.copy() for found in tile.forward()]
                     for tile in net.tiles(net.preprocess(self.image), 0, 0)]
            self._net, self._what = net, net.what
            self._seen = [Seen(np.concatenate(some)) for some in zip(*parts, strict=True)]
            net.forwarded = None
            net.warm_up()  # a small step frees the memory that the guide's took
            binding.trim_memory()
            for seen in self._seen:
                net.budget.seen.add(seen)
        return self._seen


class Seen:
    """A guide's activations (positions, channels) at one layer."""

    def __init__(self, activations: NDArray[np.float32]) -> None:
        self._blocks: list[Any] = []  # each is a caffe.Net
        for start in range(0, len(activations), FILTERS):
            filters = activations[start:start + FILTERS]
            text = _BLOCK.format(filters.shape[1], POSITIONS, len(filters))
            block = binding.load(prototxt.values(prototxt.parse(text), "layer"))
            block.params["products"][0].data[:, :, 0, 0] = filters
            self._blocks.append(block)
        # in Caffe: the filters, a copy of them in its kernels' order, and a block of products
        self.bytes = 2 * activations.nbytes + 4 * POSITIONS * min(FILTERS, len(activations)) * len(self._blocks)

    def match(self, activations: Planes) -> tuple[NDArray[np.float32], Planes]:
        """(products, best) for the dream's `activations` (channels, h, w): at each position, the largest dot product
        with the guide's anywhere, float32 (h * w), and the guide's that gave it, float32 (channels, h, w)."""
        dream = activations.reshape(len(activations), -1)
        best = np.empty(dream.shape, np.float32)
        largest = np.full(dream.shape[1], -np.inf, np.float32)
        for start in range(0, dream.shape[1], POSITIONS):
            here = slice(start, min(start + POSITIONS, dream.shape[1]))
            count = here.stop - start
            for block in self._blocks:
                block.blobs["dream"].data[0, :, 0, :count] = dream[:, here]
                block.forward(end="products")
                products = block.blobs["products"].data[0, :, 0, :count]
                most = products.max(0)
                better = np.flatnonzero(most > largest[here])
                which = (products[:, better] == most[better]).argmax(0)
                best[:, start + better] = block.params["products"][0].data[which, :, 0, 0].T
                largest[start + better] = most[better]
        return largest, best.reshape(activations.shape)
