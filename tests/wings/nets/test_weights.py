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


def copied(file: Path, tiny: Model) -> list[Any]:
    """The numbers of all blobs of the net, filled from the file."""
    net = loaded(tiny)
    weights.fill(file, net)
    return [blob.data.copy() for blobs in net.params.values() for blob in blobs]


@pytest.mark.parametrize("form", ["as it is", "doubles", "2014", "not packed", "twice"])
def test_a_net_gets_the_numbers_that_caffe_would_give_it(tiny: Model, tmp_path: Path, form: str) -> None:
    from caffe.proto import caffe_pb2
    message = caffe_pb2.NetParameter.FromString(tiny.weights_path().read_bytes())
    for layer in message.layer:
        for blob in layer.blobs if form == "doubles" else ():
            blob.double_data.extend(blob.data)
            blob.ClearField("data")
    if form == "2014":
        for layer in message.layer:
            message.layers.add(name=layer.name, blobs=layer.blobs)
        message.ClearField("layer")
    data = message.SerializeToString()
    if form == "not packed":  # each number is a field of its own, at the end of the file
        last = next(layer for layer in reversed(message.layer) if layer.blobs)
        more = b"".join(b"\x2d" + number.tobytes() for number in np.array(last.blobs[0].data, "<f4").reshape(-1, 1))
        last.blobs[0].ClearField("data")
        blobs = [last.blobs[0].SerializeToString() + more, last.blobs[1].SerializeToString()]
        last.ClearField("blobs")
        own = last.SerializeToString() + b"".join(b"\x3a" + size_of(blob) + blob for blob in blobs)
        message.layer.remove(last)
        data = message.SerializeToString() + b"\xa2\x06" + size_of(own) + own
    if form == "twice":  # the later one counts
        first = next(layer for layer in message.layer if layer.blobs)
        first.blobs[0].data[:] = [1.0] * len(first.blobs[0].data)
        data += caffe_pb2.NetParameter(layer=[first]).SerializeToString()
    file = tmp_path / "w.caffemodel"
    file.write_bytes(data)
    theirs = loaded(tiny)
    theirs.copy_from(str(file))
    wanted = [blob.data for blobs in theirs.params.values() for blob in blobs]
    for ours, right in zip(copied(file, tiny), wanted, strict=True):
        assert np.array_equal(ours, right)


def size_of(data: bytes) -> bytes:
    """The length of `data` as protobuf writes it before them."""
    size, written = len(data), b""
    while size > 127:
        size, written = size >> 7, written + bytes([size & 127 | 128])
    return written + bytes([size])
