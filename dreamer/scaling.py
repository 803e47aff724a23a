"""Scales pictures in a net's format, and parts of them: a part gets the same bits as the whole."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Planes, bands, to_disk


def zoom(planes: Planes, height: int, width: int, out: Planes | None = None) -> Planes:
    """`planes` (3, h, w) scaled linearly to height × width, into `out` or a new array.

    The pixels in the corners stay there, as in Google's notebook, which uses scipy.ndimage.zoom. That takes three times
    as long (1371×771 to 1920×1080: 82 ms, ours 23). Where rounding puts the last row or column outside the picture, it
    fills it with zeros: in three of ten dreams, among them those of 1920×1080 pixels."""
    old, new = (planes.shape[1], planes.shape[2]), (height, width)
    return zoom_part(planes, (0, 0), old, new, slice(0, height), slice(0, width), out)


def zoom_part(part: Planes, corner: tuple[int, int], old: tuple[int, int], new: tuple[int, int], rows: slice,
              columns: slice, out: Planes | None = None) -> Planes:
    """Some rows and columns of zoom(whole, *new), from only a part of the whole: (3, number of rows, of columns), into
    `out` or a new array.

    part    the part of the whole picture, or all of it: float32 (3, h, w)
    corner  (row, column) of the whole at which the part begins
    old     (height, width) of the whole
    new     (height, width) to which it is scaled

    A value depends on four of the whole and its own place, and its sums have one order. So it has the same bits in
    every part, on every machine. Raises ValueError if the part has not all that needed() names."""
    if out is None:
        out = np.empty((len(part), rows.stop - rows.start, columns.stop - columns.start), np.float32)
    left, right, across = _between(columns, old[1], new[1], corner[1], part.shape[2])
    for band in bands(out):
        here = slice(rows.start + band.start, rows.start + band.stop)
        above, below, down = _between(here, old[0], new[0], corner[0], part.shape[1])
        tall = _mixed(part.take(above, 1), part.take(below, 1), down[:, None])
        out[:, band] = _mixed(tall.take(left, 2), tall.take(right, 2), across)
    to_disk(out)
    return out


def needed(places: slice, old: int, new: int) -> slice:
    """The rows on which these rows depend, when `old` rows are scaled to `new`; or the columns, in the same way."""
    low, _ = _positions(np.array([places.start, places.stop - 1]), old, new)
    return slice(int(low[0]), min(int(low[1]) + 2, old))


def _between(places: slice, old: int, new: int, start: int,
             count: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """(the two rows between which each of these places is, in a part that has `count` rows from `start` on; the share
    of the second, 0..1). Raises ValueError."""
    known = needed(places, old, new)
    if not start <= known.start <= known.stop <= start + count:
        raise ValueError(f"{known.start}..{known.stop} are needed, and {start}..{start + count} are given")
    low, share = _positions(np.arange(places.start, places.stop), old, new)
    return low - start, np.minimum(low + 1, old - 1) - start, share


def _positions(numbers: NDArray[np.int64], old: int, new: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(whole part, fraction) of the positions of these rows among `old` rows. Whole numbers are exact."""
    low, rest = np.divmod(numbers * (old - 1), max(1, new - 1))
    return low, np.asarray(rest / max(1, new - 1), np.float32)


def _mixed(one: Planes, other: Planes, share: NDArray[np.float32]) -> Planes:
    """one + (other - one) * share, in the memory of `other`; what is equal stays as it is."""
    other -= one
    other *= share
    other += one
    return other


def reduced(planes: NDArray[Any], height: int, width: int) -> Planes:
    """A new array: `planes`, of any real dtype, shrunk to height × width. Each value is roughly the mean of the values
    that it replaces."""
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
