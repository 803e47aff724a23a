"""The small model in the repository: its checksums, its own widths, and exact unpacking."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from dreamer.errors import Failure
from dreamer.nets import compact, model, prototxt
from helpers import ROOT

FOLDER = ROOT / "models/daydream"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def widths(found: model.Model) -> dict[str, int]:
    """{convolution: its number of channels}"""
    layers = prototxt.values(found.net, "layer")
    return {prototxt.value(layer, "name"): int(prototxt.value(prototxt.value(layer, "convolution_param"), "num_output"))
            for layer in layers if prototxt.value(layer, "type") == "Convolution"}


def test_daydream_is_what_its_description_pins() -> None:
    daydream = model.find("daydream")
    weights = compact.caffemodel(compact.unpack(FOLDER / daydream.compact), daydream.name)
    assert sha256((FOLDER / daydream.prototxt).read_bytes()) == daydream.prototxt_sha256
    assert (len(weights), sha256(weights)) == (daydream.weights_size, daydream.weights_sha256)


def test_every_layer_has_a_shape_of_its_own(googlenet: model.Model) -> None:
    ours, theirs = widths(model.find("daydream")), widths(googlenet)
    assert ours
    assert all(channels < theirs[name] for name, channels in ours.items())
    assert set(model.find("daydream").keys) <= set(googlenet.keys)


def test_unpacked_weights_are_what_caffe_reads(tmp_path: Path) -> None:
    caffe_pb2 = pytest.importorskip("caffe.proto.caffe_pb2")
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(0, 3, (5, 3, 7, 7)).astype(np.float32), rng.normal(0, 9, 5).astype(np.float32)
    layers = {"conv1/7x7_s2": (weight, bias),  # and a size whose varint has more than one byte:
              "a/1x1": (np.zeros((300, 2, 1, 1), np.float32), np.ones(300, np.float32))}
    compact.pack(tmp_path / "small.npz", layers)
    read = compact.unpack(tmp_path / "small.npz")
    net = caffe_pb2.NetParameter.FromString(compact.caffemodel(read, "small"))
    assert net.name == "small"
    assert [layer.name for layer in net.layer] == list(layers)
    for layer in net.layer:
        for blob, rounded, exact in zip(layer.blobs, read[layer.name], layers[layer.name], strict=True):
            assert tuple(blob.shape.dim) == exact.shape
            assert np.array_equal(np.float32(blob.data).reshape(exact.shape), rounded)
            step = np.abs(exact).max() / 127 if exact.ndim == 4 else 0
            assert np.abs(rounded - exact).max() <= 0.51 * step + 1e-6


def test_damaged_weights(tmp_path: Path) -> None:
    whole = (FOLDER / "daydream.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:len(whole) // 2])
    with pytest.raises(Failure, match="damaged"):
        compact.unpack(tmp_path / "cut.npz")
    with pytest.raises(Failure, match="No such file"):
        compact.unpack(tmp_path / "none.npz")
