"""Converts a picture to a model's input (its channel order, minus its mean) and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Pixels, Planes, bands, let_go
from dreamer.nets.model import Model


def preprocess(image: Pixels, model: Model, out: Planes | None = None) -> Planes:
    """`image` (h, w, 3), RGB, 0..255, as the model's input: float32 (3, h, w), in its order, minus its mean."""
    planes = np.empty((3, *image.shape[:2]), np.float32) if out is None else out
    for rows in bands(planes):
        planes[:, rows] = _ordered(image[rows].transpose(2, 0, 1), model)
        planes[:, rows] -= mean(model)
    let_go(image)
    return planes


def deprocess(planes: Planes, model: Model) -> Pixels:
    """The inverse of preprocess, in the memory of `planes`: float32 (h, w, 3), RGB."""
    for rows in bands(planes):
        planes[:, rows] += mean(model)
    return _ordered(planes, model).transpose(1, 2, 0)


def mean(model: Model) -> Planes:
    """The model's mean: float32 (3, 1, 1)."""
    return np.array(model.mean, np.float32).reshape(3, 1, 1)


def _ordered(planes: NDArray[Any], model: Model) -> NDArray[Any]:
    return planes[::-1] if model.channel_order == "bgr" else planes
