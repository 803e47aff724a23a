"""Shapes of a net's blobs, computed without Caffe."""

import numpy as np
import pytest

from dreamer.errors import Mistake
from dreamer.nets import binding, net, prototxt, shapes
from dreamer.nets.model import Model


@pytest.mark.parametrize(("height", "width"), [(224, 224), (31, 31), (97, 260), (575, 131)])
def test_shapes_are_caffes(described: Model, height: int, width: int) -> None:
    layers = shapes.cut(described.net, ["inception_5b/output"])
    loaded = binding.load(layers)
    loaded.blobs["data"].reshape(1, 3, height, width)
    loaded.reshape()
    for blob, size in shapes.spatial(layers, height, width).items():
        assert loaded.blobs[blob].data.shape[2:] == size, blob


@pytest.mark.parametrize("layer", ["conv1/7x7_s2", "pool2/3x3_s2", "inception_3b/5x5_reduce", "inception_4c/output",
                                   "inception_5b/pool_proj"])
def test_the_smallest_side_works_and_one_less_would_not(googlenet: Model, layer: str) -> None:
    small = net.Net(googlenet, layer)
    picture = np.ones((3, small.smallest_side, small.smallest_side), np.float32)
    small.budget.fit(*picture.shape[1:])
    small.resize(*picture.shape[1:])
    for tile in small.tiles(picture, 0, 0):
        [activations] = tile.forward()
        assert activations.size
        tile.backward([(1.0, activations)])
    with pytest.raises(Mistake, match="pixels on each side"):
        small.resize(small.smallest_side - 1, 300)


def test_a_cut_keeps_what_the_layer_needs_and_no_more(described: Model) -> None:
    kept = [prototxt.value(layer, "name") for layer in
            shapes.cut(described.net, ["inception_3a/5x5_reduce"])]
    assert kept == ["data", "conv1/7x7_s2", "conv1/relu_7x7", "pool1/3x3_s2", "pool1/norm1", "conv2/3x3_reduce",
                    "conv2/relu_3x3_reduce", "conv2/3x3", "conv2/relu_3x3", "conv2/norm2", "pool2/3x3_s2",
                    "inception_3a/5x5_reduce"]
