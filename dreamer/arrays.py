"""Pictures in a net's format: float32 (3, h, w), processed in bands of rows that fit a core's cache.

A large picture does not fit there: numpy on the whole array would mostly wait for memory."""

import math
import mmap
import os
import tempfile
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dreamer.errors import Failure

Planes: TypeAlias = NDArray[np.float32]  # (3, h, w); also a layer's activations, (channels, h', w')
Pixels: TypeAlias = NDArray[Any]  # (h, w, 3), RGB, 0..255, of any real dtype
Light: TypeAlias = NDArray[np.uint8]  # (h, w): a mask, or a picture's opacity

BAND = 64 << 10  # floats in a band of three planes: a quarter of a megabyte


def bands(planes: Planes) -> Iterator[slice]:
    """Slices of rows that together cover `planes` (3, h, w), from top to bottom."""
    height, width = planes.shape[-2:]
    rows = max(1, BAND // (3 * width))
    for number, top in enumerate(range(0, height, rows)):
        yield slice(top, min(height, top + rows))
        if number % 64 == 63:
            to_disk(planes)


def to_disk(planes: Planes) -> None:
    """If `planes` are mapped to a file, write them to it: the kernel can free only memory that is also on disk."""
    if isinstance(planes, np.memmap):
        planes.flush()


def in_file(height: int, width: int, folder: str) -> Planes:
    """An array (3, height, width) of float32, mapped to a nameless file in `folder`. Raises Failure if the disk has no
    room."""
    return mapped((3, height, width), np.float32, folder)


def mapped(shape: tuple[int, ...], kind: type[np.generic], folder: str) -> NDArray[Any]:
    """An array of any shape and type, as in_file."""
    count = np.dtype(kind).itemsize * math.prod(shape)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            # reserve the space now: if the disk were full later, a signal would kill the process
            os.posix_fallocate(file.fileno(), 0, count)
            return np.memmap(file, kind, "r+", shape=shape)
    except OSError as error:
        raise Failure(f"{folder} has no room for {count >> 20} MB of working data ({error.strerror}); "
                      "set TMPDIR to a folder on a larger disk") from None


def let_go(array: NDArray[Any]) -> None:
    """If the array is mapped to a file, its memory counts no longer as this process's until it is used again."""
    mapping = getattr(array, "_mmap", None)
    if isinstance(array, np.memmap) and mapping:
        array.flush()
        mapping.madvise(mmap.MADV_DONTNEED)


def disk() -> str:
    """A folder on a disk: /tmp is in memory on many machines."""
    return os.environ.get("TMPDIR") or ("/var/tmp" if os.access("/var/tmp", os.W_OK) else os.getcwd())


def beside(planes: Planes, height: int, width: int) -> Planes:
    """An array (3, height, width) of float32 where `planes` are: in memory, or in a file. Raises Failure."""
    return in_file(height, width, disk()) if isinstance(planes, np.memmap) else np.empty((3, height, width), np.float32)
