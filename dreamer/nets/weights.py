"""Reads files of weights, and checks whether one fits a net. Caffe itself would abort the whole process if not."""

import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreamer.errors import Mistake


def shapes(path: str | os.PathLike[str]) -> dict[str, list[tuple[int, ...]]]:
    """{layer: [shape of each of its blobs]} of the .caffemodel at `path`; raises Mistake if it is not one."""
    return {layer.name: [_shape(blob) for blob in layer.blobs] for layer in _layers(path) if layer.blobs}


def matrix(path: str | os.PathLike[str], layer: str) -> NDArray[np.float32] | None:
    """The weights of a fully connected layer, float32 (outputs, inputs), in the .caffemodel at `path`; None if it has
    none. Raises Mistake if it is not a .caffemodel."""
    for found in _layers(path):
        if found.name == layer and found.blobs and len(shape := _shape(found.blobs[0])) == 2:
            return np.array(found.blobs[0].data or found.blobs[0].double_data, np.float32).reshape(shape)
    return None


def _layers(path: str | os.PathLike[str]) -> Any:
    """The layers in the .caffemodel at `path`, as protobuf has read them. Raises Mistake if it is not one."""
    from caffe.proto import caffe_pb2
    from google.protobuf.message import DecodeError

    net = caffe_pb2.NetParameter()
    try:
        with warnings.catch_warnings(record=True) as behind_the_end:  # protobuf only warns of that
            net.ParseFromString(Path(path).read_bytes())
        damaged = bool(behind_the_end)
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror}") from None
    except DecodeError:
        damaged = True
    if damaged:
        raise Mistake(f"{path} is not a file of Caffe weights (.caffemodel), or is cut short")
    return net.layer or net.layers  # `layers` is the format of 2014


def _shape(blob: Any) -> tuple[int, ...]:
    """A blob's shape as a tuple without leading ones, which the format of 2014 added to reach four axes.
    Empty if the blob does not have as many numbers as the shape says."""
    shape = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
    count = 1
    for size in shape:
        count *= size
    if count not in (len(blob.data), len(blob.double_data)):
        return ()
    return _trim(shape)


def _trim(shape: Iterable[int]) -> tuple[int, ...]:
    shape = tuple(shape)
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def check(path: str | os.PathLike[str], net: Any) -> None:
    """Raise Mistake unless the weights at `path` fit the caffe.Net `net` in every layer's shape."""
    there = shapes(path)
    for layer, blobs in net.params.items():
        wanted = [_trim(blob.data.shape) for blob in blobs]
        if layer not in there:
            raise Mistake(f"{path} does not fit this model: it has no weights for {layer}")
        if there[layer] != wanted:
            raise Mistake(f"{path} does not fit this model: the weights of {layer} are "
                          f"{_told(there[layer])}, not {_told(wanted)}")


def _told(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join("×".join(map(str, shape)) or "damaged" for shape in shapes)
