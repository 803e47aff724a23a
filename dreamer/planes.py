"""Pictures as a net has them: float32 (3, h, w), worked on in bands of rows that fit a core's cache.

A picture of some size does not fit there: whole-array numpy then waits for memory most of the time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dreamer.model import Model

Planes: TypeAlias = NDArray[np.float32]  # (3, h, w); also a layer's activations, (channels, h', w')
Pixels: TypeAlias = NDArray[Any]  # (h, w, 3), RGB, 0..255, of any real dtype
Light: TypeAlias = NDArray[np.uint8]  # (h, w): a mask, or how opaque a picture is

BAND = 64 << 10  # floats in a band of three planes: a quarter of a megabyte


def bands(planes: Planes) -> Iterator[slice]:
    """Slices of rows that together are all rows of `planes` (3, h, w), in turn."""
    height, width = planes.shape[-2:]
    rows = max(1, BAND // (3 * width))
    for number, top in enumerate(range(0, height, rows)):
        yield slice(top, min(height, top + rows))
        if number % 64 == 63:
            to_disk(planes)


def to_disk(planes: Planes) -> None:
    """Write out `planes` that are kept in a file: the kernel can take back only memory that is on disk as well."""
    if isinstance(planes, np.memmap):
        planes.flush()


def mean_size(planes: Planes) -> float:
    """The mean of the absolute values."""
    total = sum(float(np.abs(planes[:, rows]).sum(dtype=np.float64)) for rows in bands(planes))
    return total / planes.size


def preprocess(image: Pixels, model: Model, out: Planes | None = None) -> Planes:
    """`image` (h, w, 3), RGB, 0..255, as the nets of the model have it: in its order, minus its mean."""
    planes = np.empty((3, *image.shape[:2]), np.float32) if out is None else out
    for rows in bands(planes):
        planes[:, rows] = _ordered(image[rows].transpose(2, 0, 1), model)
        planes[:, rows] -= mean(model)
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


def zoom(planes: Planes, height: int, width: int, out: Planes | None = None) -> Planes:
    """`planes` scaled to height × width into `out`, linearly, as scipy.ndimage.zoom does it; each plane on a thread."""
    if out is None:
        out = np.empty((3, height, width), np.float32)
    factors = height / planes.shape[1], width / planes.shape[2]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda source, target: ndimage.zoom(source, factors, target, order=1), planes, out))
    return out
