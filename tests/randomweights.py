"""Random weights for any model, of a size that keeps the activations of all its layers alike."""

from pathlib import Path
from typing import Any

import numpy as np

from dreamer.nets import binding, prototxt, shapes
from dreamer.nets.model import Model


def make(model: Model, path: Path, seed: int = 0, ends: tuple[str, ...] = ()) -> Path:
    """Write weights for the layers that the blobs `ends` need (default: for all) to `path`, and return it."""
    layers = shapes.cut(model.net, ends) if ends else prototxt.values(model.net, "layer")
    net = binding.load(layers)
    random = np.random.RandomState(seed)
    kinds = {prototxt.value(layer, "name"): prototxt.value(layer, "type") for layer in layers}
    for name, blobs in net.params.items():
        found = _numbers(kinds[name], [blob.data.shape for blob in blobs], random)
        for blob, numbers in zip(blobs, found, strict=True):
            blob.data[...] = numbers
    net.save(str(path))
    return path


def _numbers(kind: str, sizes: list[tuple[int, ...]], random: np.random.RandomState) -> list[Any]:
    if kind == "BatchNorm":  # sums over 2.5 batches: Caffe divides the mean and the variance by the last number
        return [random.normal(0, 0.5, sizes[0]), random.uniform(2, 8, sizes[1]), np.full(sizes[2], 2.5)]
    if kind == "Scale":
        return [random.uniform(0.5, 1.5, sizes[0]), *(random.normal(0, 0.3, size) for size in sizes[1:])]
    fan_in = int(np.prod(sizes[0][1:]))
    return [random.standard_normal(sizes[0]) * np.sqrt(2 / fan_in),
            *(random.normal(0, 0.1, size) for size in sizes[1:])]
