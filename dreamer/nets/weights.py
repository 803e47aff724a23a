"""Reads files of weights (.caffemodel) into a net, and checks whether they fit it: Caffe itself would abort the whole
process if not."""

import math
import mmap
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamer.errors import Mistake
from dreamer.nets import wire
from dreamer.nets.wire import DamagedError, Value

# Numbers of fields, from Caffe's caffe.proto
_LAYER, _NAME, _BLOBS = 100, 1, 7
_OLD_LAYER, _OLD_NAME, _OLD_BLOBS = 2, 4, 6  # of the format of 2014
_SHAPE, _DIM = 7, 1
_SIDES = (1, 2, 3, 4)  # the shape in the format of 2014: num, channels, height, width
_DATA, _DOUBLE_DATA = 5, 8


class Blob(NamedTuple):
    """Numbers of a layer, where they lie in the file.

    shape    without leading ones, which the format of 2014 added to reach four axes; empty if the file has not as many
             numbers as it says
    numbers  float32 or float64 (count,)"""

    shape: tuple[int, ...]
    numbers: NDArray[Any]


def shapes(path: str | os.PathLike[str]) -> dict[str, list[tuple[int, ...]]]:
    """{layer: [shape of each of its blobs]} of the .caffemodel at `path`; raises Mistake if it is not one."""
    return {layer: [blob.shape for blob in blobs] for layer, blobs in _layers(path).items()}


def matrix(path: str | os.PathLike[str], layer: str) -> NDArray[np.float32] | None:
    """The weights of a fully connected layer, float32 (outputs, inputs), in the .caffemodel at `path`; None if it has
    none. Raises Mistake if it is not a .caffemodel."""
    blob = next(iter(_layers(path).get(layer, [])), None)
    return np.array(blob.numbers, np.float32).reshape(blob.shape) if blob and len(blob.shape) == 2 else None


def check(path: str | os.PathLike[str], net: Any) -> None:
    """Raise Mistake unless the weights at `path` fit the caffe.Net `net` in every layer's shape."""
    _check(path, _layers(path), net)


def fill(path: str | os.PathLike[str], net: Any) -> None:
    """Copy the weights at `path` into the caffe.Net `net`. Raises Mistake as `check` does."""
    there = _layers(path)
    _check(path, there, net)
    for layer, blobs in net.params.items():
        for blob, (_, numbers) in zip(blobs, there[layer], strict=True):
            blob.data.reshape(-1)[:] = numbers


def _check(path: str | os.PathLike[str], there: dict[str, list[Blob]], net: Any) -> None:
    for layer, blobs in net.params.items():
        wanted = [_trim(tuple(blob.shape)) for blob in blobs]
        if layer not in there:
            raise Mistake(f"{path} does not fit this model: it has no weights for {layer}")
        if (found := [blob.shape for blob in there[layer]]) != wanted:
            raise Mistake(f"{path} does not fit this model: the weights of {layer} are "
                          f"{_told(found)}, not {_told(wanted)}")


def _layers(path: str | os.PathLike[str]) -> dict[str, list[Blob]]:
    """{layer: its Blobs} of the .caffemodel at `path`, of the layers that have any. Raises Mistake if it is not one."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            # the views of it keep the mapping open; an empty file cannot be mapped
            data = memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b"")
        parts = list(wire.fields(data))
        return (_named(parts, _LAYER, _NAME, _BLOBS) or _named(parts, _OLD_LAYER, _OLD_NAME, _OLD_BLOBS))
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror}") from None
    except DamagedError:
        raise Mistake(f"{path} is not a file of Caffe weights (.caffemodel), or is cut short") from None


def _named(parts: Iterable[tuple[int, Value]], layer: int, name: int, blobs: int) -> dict[str, list[Blob]]:
    """The layers among the fields of a net, given the numbers of the fields. Raises DamagedError."""
    found: dict[str, list[Blob]] = {}
    for part in _messages(parts, layer):
        own = list(wire.fields(part))
        if read := [_blob(blob) for blob in _messages(own, blobs)]:
            called = [bytes(text) for text in _messages(own, name)]
            found[called[-1].decode(errors="replace") if called else ""] = read
    return found


def _messages(parts: Iterable[tuple[int, Value]], wanted: int) -> Iterator[memoryview]:
    """The values of the field of that number that are bytes."""
    return (value for number, value in parts if number == wanted and isinstance(value, memoryview))


def _blob(data: memoryview) -> Blob:
    """The BlobProto `data`. Raises DamagedError."""
    own = list(wire.fields(data))
    shape = tuple(dim for value in _messages(own, _SHAPE) for number, dims in wire.fields(value) if number == _DIM
                  for dim in wire.varints(dims))
    if not shape:
        sides = {number: value for number, value in own if isinstance(value, int)}
        shape = tuple(sides.get(side, 0) for side in _SIDES)
    doubles = _numbers(own, _DOUBLE_DATA, np.dtype("<f8"))
    numbers = doubles if len(doubles) else _numbers(own, _DATA, np.dtype("<f4"))
    return Blob(_trim(shape) if math.prod(shape) == len(numbers) else (), numbers)


def _numbers(parts: Iterable[tuple[int, Value]], wanted: int, kind: np.dtype[Any]) -> NDArray[Any]:
    """The values of the repeated field of that number, which are one piece if they are packed. Raises DamagedError."""
    pieces = list(_messages(parts, wanted))
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if len(data) % kind.itemsize:
        raise DamagedError
    return np.frombuffer(data, kind)


def _trim(shape: tuple[int, ...]) -> tuple[int, ...]:
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _told(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join("×".join(map(str, shape)) or "damaged" for shape in shapes)
