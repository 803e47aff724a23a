"""Pictures as a net has them: float32 (3, h, w), worked on in bands of rows that fit a core's cache.

A picture of some size does not fit there: whole-array numpy then waits for memory most of the time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

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


def zoom(planes: Planes, height: int, width: int, out: Planes | None = None) -> Planes:
    """`planes` scaled to height × width into `out`, linearly, as scipy.ndimage.zoom does it; each plane on a thread."""
    if out is None:
        out = np.empty((3, height, width), np.float32)
    factors = height / planes.shape[1], width / planes.shape[2]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda source, target: ndimage.zoom(source, factors, target, order=1), planes, out))
    return out


def reduced(planes: NDArray[Any], height: int, width: int) -> Planes:
    """A new array of `planes`, of any real dtype, shrunk to height × width: each value is the mean of what it stands
    for, about."""
    factor = min(planes.shape[1] // height, planes.shape[2] // width)
    if factor < 2:
        same = planes.shape[1:] == (height, width)
        return planes.astype(np.float32) if same else zoom(np.asarray(planes, np.float32), height, width)
    tall, wide = planes.shape[1] // factor * factor, planes.shape[2] // factor * factor
    small = np.zeros((len(planes), tall // factor, wide // factor), np.float32)
    for row in range(factor):
        for column in range(factor):
            small += planes[:, row:tall:factor, column:wide:factor]
    small /= factor ** 2
    return small if small.shape[1:] == (height, width) else zoom(small, height, width)
