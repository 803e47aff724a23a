"""Weights that fit a net, and those that do not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamer.errors import Mistake
from dreamer.nets import binding, shapes, weights
from dreamer.nets.model import Model


def loaded(tiny: Model) -> Any:
    return binding.load(shapes.cut(tiny.net, ["mix/output"]))


def test_weights_that_fit_pass(tiny: Model) -> None:
    weights.check(tiny.weights_path(), loaded(tiny))


@pytest.mark.parametrize("damage", ["cut short", "noise", "empty", "another net", "a layer less", "numbers missing"])
def test_weights_that_do_not_fit_are_told_and_do_not_abort(tiny: Model, tmp_path: Path, damage: str) -> None:
    from caffe.proto import caffe_pb2
    raw = tiny.weights_path().read_bytes()
    message = caffe_pb2.NetParameter.FromString(raw)
    convolutions = [layer for layer in message.layer if layer.blobs]
    if damage == "another net":
        convolutions[1].blobs[0].shape.dim[0] = 3
        del convolutions[1].blobs[0].data[3 * 8:]
    elif damage == "a layer less":
        message.layer.remove(convolutions[0])
    elif damage == "numbers missing":
        del convolutions[0].blobs[0].data[-1]
    bad = tmp_path / "bad.caffemodel"
    bad.write_bytes({"cut short": raw[:-7], "noise": np.random.RandomState(0).bytes(3000), "empty": b""}.get(
        damage, message.SerializeToString()))
    with pytest.raises(Mistake, match=r"bad\.caffemodel"):
        weights.check(bad, loaded(tiny))


def test_weights_in_the_format_of_2014_are_read(tiny: Model, tmp_path: Path) -> None:
    from caffe.proto import caffe_pb2
    message = caffe_pb2.NetParameter.FromString(tiny.weights_path().read_bytes())
    old = caffe_pb2.NetParameter()
    for layer in message.layer:
        if layer.blobs:
            entry = old.layers.add(name=layer.name)
            for blob in layer.blobs:
                shape = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
                entry.blobs.add(num=shape[0], channels=shape[1], height=shape[2], width=shape[3], data=blob.data)
    file = tmp_path / "old.caffemodel"
    file.write_bytes(old.SerializeToString())
    weights.check(file, loaded(tiny))
