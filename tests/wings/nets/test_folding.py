"""Folded normalizations compute the same, and what cannot be folded stays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import randomweights
from dreamer.nets import binding, folding, model, prototxt, shapes
from dreamer.nets.model import Model
from dreamer.nets.net import Net

PROTOTXT = """
layer { name: "data" type: "Input" top: "data" input_param { shape: { dim: 1 dim: 3 dim: 20 dim: 20 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 8 kernel_size: 3 } }
layer { name: "a norm" type: "BatchNorm" bottom: "a" top: "a" batch_norm_param { eps: 0.01 } }
layer { name: "a scale" type: "Scale" bottom: "a" top: "a" scale_param { bias_term: true } }
layer { name: "a relu" type: "ReLU" bottom: "a" top: "a" }
layer { name: "b" type: "Convolution" bottom: "a" top: "b"
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 group: 2 bias_term: false } }
layer { name: "b norm" type: "BatchNorm" bottom: "b" top: "b" }
layer { name: "c" type: "Convolution" bottom: "a" top: "c" convolution_param { num_output: 6 kernel_size: 1 } }
layer { name: "c scale" type: "Scale" bottom: "c" top: "c" }
layer { name: "sum" type: "Eltwise" bottom: "b" bottom: "c" top: "sum" }
layer { name: "last norm" type: "BatchNorm" bottom: "sum" top: "last norm" }
layer { name: "last scale" type: "Scale" bottom: "last norm" top: "last norm" }
layer { name: "d" type: "Convolution" bottom: "last norm" top: "d"
  convolution_param { num_output: 4 kernel_size: 1 } }
"""


@pytest.fixture(scope="module")
def normed(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A Model with normalizations of all kinds, and random weights."""
    folder = tmp_path_factory.mktemp("models") / "normed"
    folder.mkdir()
    (folder / "net.prototxt").write_text(PROTOTXT)
    (folder / "model.toml").write_text('prototxt = "net.prototxt"\nweights = "w.caffemodel"\nmean = [1, 2, 3]\n'
                                       'default_layer = "d"\n')
    found = model.find(str(folder))
    randomweights.make(found, folder / "w.caffemodel")
    return found


def test_what_follows_a_convolution_in_place_is_folded(normed: Model) -> None:
    layers, chains = folding.fold(prototxt.values(normed.net, "layer"))
    assert chains == {"a": ["a norm", "a scale"], "b": ["b norm"], "c": ["c scale"]}
    assert [prototxt.value(layer, "name") for layer in layers] == [
        "data", "a", "a relu", "b", "c", "sum", "last norm", "last scale", "d"]


def step(net: Any, end: str, picture: Any) -> tuple[Any, Any]:
    """(activations, gradient) of a caffe.Net."""
    net.blobs["data"].reshape(1, *picture.shape)
    net.blobs["data"].data[0] = picture
    net.forward(end=end)
    found = net.blobs[end].data.copy()
    net.blobs[end].diff[...] = found
    net.backward(start=end)
    return found, net.blobs["data"].diff.copy()


@pytest.mark.parametrize("end", ["a", "b", "c", "sum", "d"])
def test_the_folded_net_computes_the_same(normed: Model, end: str) -> None:
    picture = np.random.RandomState(1).normal(0, 50, (3, 33, 41)).astype(np.float32)
    layers = shapes.cut(normed.net, [end])
    whole = binding.load(layers)
    whole.copy_from(str(normed.weights_path()))
    wanted = step(whole, end, picture)
    for found, want in zip(step(folding.load(layers, normed.weights_path()), end, picture), wanted, strict=True):
        assert np.linalg.norm(want) > 0
        assert np.linalg.norm(found - want) < 1e-5 * np.linalg.norm(want)


def test_a_convolution_that_is_dreamed_keeps_its_own_values(normed: Model) -> None:
    """Its blob has the values before the normalization, as in Caffe; another layer may need those after it."""
    layers = shapes.cut(normed.net, ["a", "d"])
    assert "a" not in folding.fold(layers)[1]
    net = Net(normed, "a+d")
    weights = binding.load(shapes.cut(normed.net, ["a"]))
    weights.copy_from(str(normed.weights_path()))
    assert (net.caffe.params["a"][0].data == weights.params["a"][0].data).all()


def test_by_hand(normed: Model) -> None:
    """The first folded convolution, in double precision, from the numbers in the file."""
    from caffe.proto import caffe_pb2
    net = caffe_pb2.NetParameter.FromString(Path(normed.weights_path()).read_bytes())
    blobs = {layer.name: [np.array(blob.data) for blob in layer.blobs] for layer in net.layer}
    mean, variance, count = blobs["a norm"]
    scale, shift = blobs["a scale"]
    factor = scale / np.sqrt(variance / count + 0.01)
    weights, bias = (blob.data for blob in folding.load(
        prototxt.values(normed.net, "layer"), normed.weights_path()).params["a"])
    assert weights.ravel() == pytest.approx((blobs["a"][0].reshape(8, -1) * factor[:, None]).ravel(), rel=1e-6)
    assert bias == pytest.approx((blobs["a"][1] - mean / count) * factor + shift, rel=1e-5, abs=1e-6)


def test_the_plan_counts_what_caffes_own_layers_keep(normed: Model) -> None:
    net = Net(normed, "d")
    net.shape(30, 40)
    assert net.budget._hidden() == 4 * 4 * 6 * 28 * 38  # three blobs of the BatchNorm, one of the Scale
    assert Net(normed, "sum").budget._hidden() == 0
