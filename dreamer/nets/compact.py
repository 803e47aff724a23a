"""Small weights: convolutions in 8 bits, as an .npz in the repository, unpacked to the .caffemodel that Caffe reads.

The .npz holds, for each convolution (/ in its name written as __):

    NAME.weight   (outputs, inputs, h, w) int8
    NAME.scale    (outputs,) float32: a weight is scale[output] * its int8
    NAME.bias     (outputs,) float32

The .caffemodel is written by hand, field by field: a few lines, the same bytes everywhere, and no Caffe needed.
"""

import os
import struct
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dreamer.errors import Failure

# {name of a convolution: (weight float32 (o, i, h, w), bias float32 (o,))}
Weights: TypeAlias = Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]


def pack(path: str | os.PathLike[str], layers: Weights) -> None:
    """Write the weights of `layers` to the .npz `path`, rounded to 8 bits."""
    arrays = {}
    for name, (weight, bias) in layers.items():
        key = name.replace("/", "__")
        scale = np.abs(weight).max((1, 2, 3)).astype(np.float32) / 127
        scale[scale == 0] = 1
        arrays[key + ".weight"] = np.rint(weight / scale[:, None, None, None]).astype(np.int8)
        arrays[key + ".scale"] = scale
        arrays[key + ".bias"] = np.asarray(bias, np.float32)
    np.savez_compressed(path, **arrays)


def unpack(path: str | os.PathLike[str]) -> Weights:
    """The weights that pack() was given, rounded; raises Failure if the file is damaged."""
    try:
        with np.load(path) as file:
            arrays = dict(file)
        names = [key[:-len(".weight")] for key in arrays if key.endswith(".weight")]
        return {name.replace("__", "/"): (arrays[name + ".weight"] * arrays[name + ".scale"][:, None, None, None],
                                          arrays[name + ".bias"]) for name in names}
    except OSError as error:
        raise Failure(f"{path}: {error.strerror or error}") from None
    except Exception:  # zip, zlib and numpy each raise different errors for a damaged file
        raise Failure(f"{path} is damaged; restore it with: git checkout -- {path}") from None


def caffemodel(layers: Weights, net_name: str) -> bytes:
    """A .caffemodel with these layers' weights: protobuf's wire format of a NetParameter."""
    net = _field(1, [net_name.encode()])
    for name, blobs in layers.items():
        layer = _field(1, [name.encode()]) + _field(2, [b"Convolution"])
        for blob in blobs:
            shape = _field(1, list(map(_varint, blob.shape)))
            layer += _field(7, _field(7, shape) + _field(5, [np.ascontiguousarray(blob, "<f4").tobytes()]))
        net += _field(100, layer)
    return b"".join(net)


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += struct.pack("B", number & 127 | 128)
        number >>= 7
    return out + struct.pack("B", number)


def _field(field: int, pieces: list[bytes]) -> list[bytes]:
    """A length-delimited field: text, a message, or packed numbers. In pieces, because a copy for each message around
    them took 150 ms of a dream."""
    return [_varint(field << 3 | 2), _varint(sum(map(len, pieces))), *pieces]
