"""Rules for a step: functions that change the gradient before the picture follows it.

dreamify.make_step calls such a function with the gradient of the whole picture, float32 (3, h, w). It changes that in
place, and gives the same bits however many threads there are."""

import functools
import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import BAND, Planes, bands, beside, to_disk
from dreamer.sums import BLOCK, mean_square

Change: TypeAlias = Callable[[Planes], None]

LEVELS = 4  # of the pyramid, beside its coarsest picture, as in TensorFlow's tutorial on DeepDream
PYRAMID = 5  # bytes per pixel that the pyramid takes: all smaller levels together are a third of the picture's 12
_FAR = 4.0  # standard deviations at which the Gaussian ends, as scipy's does
_NOTHING = 1e-6  # a band that is so much smaller than the gradient is only what rounding leaves
_MAPPED = 4 << 20  # floats of a plane, after which a file is written


def rule(sigma: float | None = None, levels: bool = False) -> Change | None:
    """The rule that dreamify's options --smooth and --pyramid ask for; None if neither does. With both, the pyramid
    comes first: the other way round it would bring back the fine detail that was smoothed away."""
    soft = smooth(sigma) if sigma else None
    if levels and soft:
        return functools.partial(_each, (pyramid, soft))
    return pyramid if levels else soft


def smooth(sigma: float) -> Change:
    """The rule that blurs each colour with a Gaussian; `sigma`, in pixels, is its standard deviation. It ends at four
    of them. Beyond the picture's edge, the picture is mirrored."""
    return functools.partial(_blur, sigma=sigma)


def memory(sigma: float | None, height: int, width: int) -> int:
    """Bytes that smooth(sigma) takes for a gradient (3, height, width): a few bands of rows for each colour."""
    if not sigma:
        return 0
    rows, reach = _rows(width, sigma), _reach(sigma)
    return 3 * 4 * width * (2 * min(height, rows + 2 * reach) + min(height, rows) + min(height, reach))


def pyramid(gradient: Planes) -> None:
    """The rule that makes detail of all sizes grow alike: the gradient is split into bands of an octave each (its
    Laplacian pyramid of LEVELS levels), each is divided by its root mean square, and they are added up again. (In a
    picture of few pixels, a band of rounding errors stays as it is.)

    A level is the one before, blurred with the binomial (1 4 6 4 1) / 16 over rows and columns, of which every second
    pixel is kept. A band is a level minus the next one, enlarged with the same binomial; the coarsest level is the
    last band. Beyond the picture's edge, the edge's values repeat. Raises Failure if a disk has no room."""
    levels, least = [gradient], _NOTHING * math.sqrt(mean_square(gradient))
    for _ in range(LEVELS):
        fine = levels[-1]
        coarse = _halved(fine)
        for rows in bands(fine):
            fine[:, rows] -= _doubled(coarse, rows, fine.shape[2])
        levels.append(coarse)
    for number, level in enumerate(levels):
        _normalise(level, least, BLOCK >> number)  # so that the blocks of all levels are the same parts of the picture
    for fine, coarse in zip(levels[-2::-1], levels[:0:-1], strict=True):
        for rows in bands(fine):
            fine[:, rows] += _doubled(coarse, rows, fine.shape[2])
    to_disk(gradient)


def _each(changes: tuple[Change, ...], gradient: Planes) -> None:
    for change in changes:
        change(gradient)


# the Gaussian --------------------------------------------------------------------------------------------

def _blur(gradient: Planes, sigma: float) -> None:
    """smooth(sigma), each colour on its own thread, in bands of rows: a large picture's columns do not fit a cache."""
    from concurrent.futures import ThreadPoolExecutor  # takes 3 ms
    weights = _gaussian(sigma)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(functools.partial(_blur_plane, weights=weights, rows=_rows(gradient.shape[2], sigma)), gradient))
    to_disk(gradient)


def _gaussian(sigma: float) -> NDArray[np.float64]:
    """The weights of the pixels. They are fractions of whole numbers, so that they are the same on every machine:
    scipy's come from numpy's exp, which differs in the last bit between processors."""
    curve = [round(math.exp(-0.5 * (offset / sigma) ** 2) * 2 ** 40) for offset in range(_reach(sigma) + 1)]
    curve = curve[:0:-1] + curve
    return np.array([part / sum(curve) for part in curve])


def _blur_plane(plane: NDArray[np.float32], weights: NDArray[np.float64], rows: int) -> None:
    from scipy import ndimage  # takes 60 ms, and few dreams need it
    height, width = plane.shape
    reach, written = len(weights) // 2, 0
    above = np.empty((0, width), np.float32)  # the rows above the band, as they were
    for top in range(0, height, rows):
        end = min(height, top + rows)
        band = np.concatenate([above, plane[top:end + reach]])
        kept = len(above)
        above = band[max(0, kept + end - top - reach):kept + end - top].copy()
        soft = ndimage.correlate1d(band, weights, 0)[kept:kept + end - top]
        ndimage.correlate1d(soft, weights, 1, output=plane[top:end])
        written += (end - top) * width
        if written > _MAPPED:
            to_disk(plane)
            written = 0


def _reach(sigma: float) -> int:
    """The pixels on each side that the Gaussian sees."""
    return int(_FAR * sigma + 0.5)


def _rows(width: int, sigma: float) -> int:
    """The rows of a band: at least as many as the Gaussian sees beyond it, or most work would be done twice."""
    return max(1, BAND // width, 2 * _reach(sigma))


# the pyramid ---------------------------------------------------------------------------------------------

def _halved(fine: Planes) -> Planes:
    """A new array (3, ⌈h/2⌉, ⌈w/2⌉): `fine`, blurred with the binomial, every second pixel."""
    _, height, width = fine.shape
    small = beside(fine, (height + 1) // 2, (width + 1) // 2)
    columns = _within(np.arange(-2, 2 * small.shape[2] + 1), width)
    for rows in bands(small):
        band = fine[:, _within(np.arange(2 * rows.start - 2, 2 * rows.stop + 1), height)]
        small[:, rows] = _fifth(_fifth(band)[:, :, columns].transpose(0, 2, 1)).transpose(0, 2, 1)
    return small


def _fifth(band: NDArray[np.float32]) -> NDArray[np.float32]:
    """(3, n, w): the binomial of five rows, at every second row of (3, 2n + 3, w)."""
    outer, inner = band[:, :-4:2] + band[:, 4::2], band[:, 1:-3:2] + band[:, 3:-1:2]
    found: NDArray[np.float32] = (outer + 4 * inner + 6 * band[:, 2:-2:2]) / np.float32(16)
    return found


def _doubled(coarse: Planes, rows: slice, width: int) -> NDArray[np.float32]:
    """These rows of `coarse`, enlarged to twice its height, and to `width`: (3, number of rows, width)."""
    first, last = rows.start // 2, (rows.stop + 1) // 2
    band = _between(coarse[:, _within(np.arange(first - 1, last + 1), coarse.shape[1])])
    band = band[:, rows.start - 2 * first:][:, :rows.stop - rows.start]
    columns = _within(np.arange(-1, coarse.shape[2] + 1), coarse.shape[2])
    return _between(band[:, :, columns].transpose(0, 2, 1)).transpose(0, 2, 1)[:, :, :width]


def _between(band: NDArray[np.float32]) -> NDArray[np.float32]:
    """(3, 2n, w): what the binomial makes of the rows 1 to n of (3, n + 2, w), with an empty row after each."""
    _, height, width = band.shape
    found = np.empty((3, 2 * height - 4, width), np.float32)
    found[:, 0::2] = (band[:, :-2] + 6 * band[:, 1:-1] + band[:, 2:]) / np.float32(8)
    found[:, 1::2] = (band[:, 1:-1] + band[:, 2:]) / np.float32(2)
    return found


def _within(numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Numbers of rows or columns; those beyond the edge become the edge's."""
    return np.clip(numbers, 0, count - 1)


def _normalise(planes: Planes, least: float, side: int) -> None:
    """Divide by the root mean square, if that is more than `least`. It is summed over blocks of side × side pixels."""
    size = math.sqrt(mean_square(planes, side))
    if size > least:
        for rows in bands(planes):
            planes[:, rows] /= np.float32(size)
