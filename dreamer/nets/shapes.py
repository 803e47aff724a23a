"""The sizes of a net's blobs, worked out from its prototxt alone."""

from collections.abc import Collection
from typing import NamedTuple

from dreamer.nets import prototxt
from dreamer.nets.prototxt import Message

# Types of layers whose output at a position depends only on the input at that position
POINTWISE = ("AbsVal", "BNLL", "BatchNorm", "Bias", "Clip", "Concat", "Dropout", "ELU", "Eltwise", "Exp", "LRN", "Log",
             "PReLU", "Power", "ReLU", "Scale", "Sigmoid", "Softmax", "Split", "Swish", "TanH", "Threshold")

_COUNTED = {"Convolution": "convolution_param", "InnerProduct": "inner_product_param"}  # these name their channels


def cut(net: Message, ends: Collection[str]) -> list[Message]:
    """The layers of `net` that the blobs `ends` need, in order, and no others.

    A layer that works in place on one of `ends` (the ReLU after a convolution) would change the blob that
    was asked for. It is kept only if another kept layer reads its result, and then gets a blob of its own."""
    kept: list[Message] = []
    wanted: set[str] = set()
    for layer in reversed(prototxt.values(net, "layer")):
        name, bottoms, tops = (prototxt.value(layer, "name"), prototxt.values(layer, "bottom"),
                               prototxt.values(layer, "top"))
        if wanted & set(tops) or (name in ends and name in tops):
            kept.append(layer)
            wanted.update(bottoms)
    return _out_of_place(kept[::-1], ends)


def _out_of_place(layers: list[Message], ends: Collection[str]) -> list[Message]:
    """`layers`, in which those that work in place on one of the blobs `ends` now write to a new blob."""
    apart: list[Message] = []
    called: dict[str, str] = {}  # blob of `ends` -> the blob that replaces it in the layers that follow
    for layer in layers:
        tops, before = prototxt.values(layer, "top"), dict(called)
        for blob in set(tops).intersection(prototxt.values(layer, "bottom"), ends):
            called[blob] = f"{blob} behind {prototxt.value(layer, 'name')}"
        names = {"bottom": before, "top": called}
        apart.append([(field, prototxt.quoted(names[field].get(old := prototxt.bare(value), old)))
                      if field in names else (field, value) for field, value in layer])
    return apart


def obstacle(layer: Message) -> str | None:
    """Why this layer cannot be part of a dream; None if it can. Such a layer sees all of the picture, or an unknown
    part of it: tiles and sizes would be wrong."""
    kind = str(prototxt.value(layer, "type"))

    def says(message: str, field: str, value: str) -> bool:
        return str(prototxt.value(prototxt.value(layer, message, []), field)) == value

    if _global(layer):
        return "sees all of the picture at once (global_pooling)"
    if kind == "LRN" and says("lrn_param", "norm_region", "WITHIN_CHANNEL"):
        return "normalizes WITHIN_CHANNEL, which is not supported"
    if kind == "BatchNorm" and says("batch_norm_param", "use_global_stats", "false"):
        return "takes its statistics from all of the picture (use_global_stats: false)"
    for message, field in (("concat_param", "axis"), ("softmax_param", "axis"), ("concat_param", "concat_dim")):
        if prototxt.value(prototxt.value(layer, message, []), field, "1") not in ("1", "-3"):
            return "works along an axis other than the channels"
    if kind not in POINTWISE and kind not in ("Convolution", "Pooling", "Input"):
        return f"is of the type {kind}, which is not supported"
    return None


def _global(layer: Message) -> bool:
    """Whether the layer pools all of the picture."""
    parameters = prototxt.value(layer, "pooling_param", [])
    return bool(prototxt.value(layer, "type") == "Pooling" and prototxt.value(parameters, "global_pooling") == "true")


def window(layer: Message, axis: str) -> tuple[int, int, int]:
    """(kernel, stride, pad) of a layer along axis "h" or "w"; the kernel's size includes its dilation.

    (1, 1, 0) if a position of the output depends only on the same position of the input."""
    kind = prototxt.value(layer, "type")
    if kind not in ("Convolution", "Pooling"):
        return 1, 1, 0
    parameters = prototxt.value(layer, "convolution_param" if kind == "Convolution" else "pooling_param")

    def one(name: str, short: str, default: int) -> int:
        if (value := prototxt.value(parameters, short)) is not None:
            return int(value)
        several = prototxt.values(parameters, name)  # a convolution may have two values, (h, w)
        return int(several[-1 if axis == "w" else 0]) if several else default

    reach = one("dilation", "", 1) * (one("kernel_size", f"kernel_{axis}", 1) - 1) + 1
    return reach, one("stride", f"stride_{axis}", 1), one("pad", f"pad_{axis}", 0)


class _Way(NamedTuple):
    """What a layer does to sizes along an axis: its window, and for a pooling whether it rounds up."""

    kernel: int
    stride: int
    pad: int
    pools: bool
    up: bool
    whole: bool  # it sees everything at once

    def out(self, size: int) -> int:
        """The size of the output, for an input of that size; below 1 if there is no output."""
        if self.whole:
            return 1
        kernel, stride, pad = self[:3]
        if not self.pools:
            return (size + 2 * pad - kernel) // stride + 1
        out = -((size + 2 * pad - kernel) // -stride) + 1 if self.up else (size + 2 * pad - kernel) // stride + 1
        return out - 1 if pad and (out - 1) * stride >= size + pad else out


class _Ways(NamedTuple):
    """The first blob that a layer reads (None: the picture), those that it writes, and its _Way along each axis."""

    bottom: str | None
    tops: list[str]
    h: _Way
    w: _Way


def _ways(layers: list[Message]) -> list[_Ways]:
    made = []
    for layer in layers:
        kind = prototxt.value(layer, "type")
        pools, whole = kind == "Pooling", kind == "InnerProduct" or _global(layer)
        up = pools and prototxt.value(prototxt.value(layer, "pooling_param"), "round_mode") not in ("FLOOR", "1")
        bottoms, (h, w) = prototxt.values(layer, "bottom"), (window(layer, axis) for axis in "hw")
        made.append(_Ways(bottoms[0] if bottoms else None, prototxt.values(layer, "top"),
                          _Way(*h, pools, up, whole), _Way(*w, pools, up, whole)))
    return made


def _sizes(ways: list[_Ways], height: int, width: int) -> dict[str, tuple[int, int]]:
    """As `spatial`."""
    sizes: dict[str, tuple[int, int]] = {}
    for way in ways:
        h, w = (height, width) if way.bottom is None else sizes[way.bottom]
        sizes.update(dict.fromkeys(way.tops, (way.h.out(h), way.w.out(w))))
    return sizes


def spatial(layers: list[Message], height: int, width: int) -> dict[str, tuple[int, int]]:
    """{blob: (height, width)} of the layers for a picture of height × width pixels."""
    return _sizes(_ways(layers), height, width)


def channels(layers: list[Message]) -> dict[str, int]:
    """{blob: its number of channels} of the layers."""
    counts: dict[str, int] = {}
    for layer in layers:
        kind, bottoms = prototxt.value(layer, "type"), prototxt.values(layer, "bottom")
        count = sum(counts[bottom] for bottom in bottoms) if kind == "Concat" else counts[bottoms[0]] if bottoms else 3
        if kind in _COUNTED:
            count = int(prototxt.value(prototxt.value(layer, _COUNTED[kind]), "num_output"))
        counts.update(dict.fromkeys(prototxt.values(layer, "top"), count))
    return counts


def smallest_side(layers: list[Message], least: int = 1) -> int:
    """The smallest number of pixels of a picture's side for which each blob of the layers has at least `least`
    rows and columns."""
    side, ways = 1, _ways(layers)
    while min(min(size) for size in _sizes(ways, side, side).values()) < least:
        side += 1
    return side


def numbers(layers: list[Message]) -> int:
    """How many numbers the weights of the layers have together, for the picture's size in the first layer, which must
    be the input; 0 if a layer's type is unknown."""
    dims = prototxt.values(prototxt.value(prototxt.value(layers[0], "input_param", []), "shape", []), "dim")
    if len(dims) != 4 or not all(obstacle(layer) is None or _global(layer) or prototxt.value(layer, "type") in _COUNTED
                                 for layer in layers):
        return 0
    counts, sizes = channels(layers), spatial(layers, int(dims[2]), int(dims[3]))
    return sum(_numbers(layer, counts, sizes) for layer in layers)


def _numbers(layer: Message, counts: dict[str, int], sizes: dict[str, tuple[int, int]]) -> int:
    """How many numbers the weights of a layer have, given the channels and sizes of all blobs."""
    kind = prototxt.value(layer, "type")
    if kind not in (*_COUNTED, "BatchNorm", "Scale"):
        return 0
    bottom = prototxt.value(layer, "bottom")
    inputs, outputs = counts[bottom], counts[prototxt.value(layer, "top")]
    parameters = prototxt.value(layer, _COUNTED.get(kind, "scale_param"), [])
    if kind == "BatchNorm":
        return 2 * inputs + 1  # mean, variance, and a factor for both
    if kind == "Scale":
        return inputs * (2 if prototxt.value(parameters, "bias_term") == "true" else 1)
    if kind == "InnerProduct":
        area = sizes[bottom][0] * sizes[bottom][1]
    else:
        dilation = int(prototxt.value(parameters, "dilation", 1))
        tall, wide = ((window(layer, axis)[0] - 1) // dilation + 1 for axis in "hw")
        area, inputs = tall * wide, inputs // int(prototxt.value(parameters, "group", 1))
    return outputs * (inputs * area + (0 if prototxt.value(parameters, "bias_term") == "false" else 1))
