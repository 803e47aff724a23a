"""The lightness of one picture in the colours of another.

Both are compared in OKLab (Björn Ottosson, 2020), a space of lightness L and two axes of colour, a and b. Its hue is
that of the eye: a blue that is made lighter there stays blue, and turns violet in the older CIELAB."""

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Pixels

_Floats = NDArray[np.float64]  # (3, n): a channel in each row

_CONES = np.array([[0.4122214708, 0.5363325363, 0.0514459929],  # of linear sRGB
                   [0.2119034982, 0.6806995451, 0.1073969566],
                   [0.0883024619, 0.2817188376, 0.6299787005]])
_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468],  # of the cones' cube roots
                 [1.9779984951, -2.4285922050, 0.4505937099],
                 [0.0259040371, 0.7827717662, -0.8086757660]])


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of a matrix (3, 3). For numpy's own, OpenBLAS would reserve 128 MB of address space."""
    columns = np.stack([np.cross(matrix[(row + 1) % 3], matrix[(row + 2) % 3]) for row in range(3)], 1)
    return np.asarray(columns / (matrix[0] * columns[:, 0]).sum())


_FROM_CONES, _FROM_LAB = _inverse(_CONES), _inverse(_LAB)
_ROUNDING = 1e-6  # by which linear sRGB may leave 0..1: white's own L is 7e-9 too low
_HALVINGS = 22  # of the chroma's interval: 2e-7 is left, far less than 8 bits can show


def with_lightness_of(dreamed: Pixels, image: Pixels) -> NDArray[np.float64]:
    """The colours of `image` with the lightness of `dreamed`: both (h, w, 3), sRGB, 0..255, of any real dtype; returns
    float64 of the same shape. Each pixel has the dream's L, and the photo's hue and chroma (a and b).

    sRGB lacks some of these colours, such as a dark yellow as strong as a light one. There the chroma is the largest
    that sRGB has for this L and hue. So no channel is clipped, which would change hue and lightness."""
    light = _times(_LAB[:1], _roots(dreamed))[0]
    tints = _times(_FROM_LAB[:, 1:], _times(_LAB[1:], _roots(image)))
    greys = _FROM_LAB[:, :1] * light
    linear = _times(_FROM_CONES, (greys + tints) ** 3)
    lacks = ~_has(linear)
    if lacks.any():
        linear[:, lacks] = _weaker(greys[:, lacks], tints[:, lacks])
    return 255 * _encoded(np.clip(linear, 0, 1)).T.reshape(image.shape)


def _weaker(greys: _Floats, tints: _Floats) -> _Floats:
    """Linear sRGB of colours with less chroma, so that sRGB has them: the cubes of greys + share * tints, where the
    share is found by bisection. They are polynomials of it."""
    parts = tints ** 3, 3 * greys * tints ** 2, 3 * greys ** 2 * tints, greys ** 3
    powers = [_times(_FROM_CONES, part) for part in parts]

    def colour(share: _Floats) -> _Floats:
        found: _Floats = ((powers[0] * share + powers[1]) * share + powers[2]) * share + powers[3]
        return found

    low, width = np.zeros(greys.shape[1]), 1.0
    for _ in range(_HALVINGS):
        width /= 2
        low += np.where(_has(colour(low + width)), width, 0)
    return colour(low)


def _has(linear: _Floats) -> NDArray[np.bool_]:
    """Whether sRGB has these colours."""
    found: NDArray[np.bool_] = ((linear >= -_ROUNDING) & (linear <= 1 + _ROUNDING)).all(0)
    return found


def _roots(pixels: Pixels) -> _Floats:
    """The cube roots of what the eye's cones see: (3, h * w)."""
    values = np.clip(pixels.reshape(-1, 3).T.astype(np.float64) / 255, 0, 1)
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    found: _Floats = np.cbrt(_times(_CONES, linear))
    return found


def _times(matrix: _Floats, values: _Floats) -> _Floats:
    """Their product, without OpenBLAS: in the same order on every machine."""
    found: _Floats = sum(matrix[:, at:at + 1] * values[at] for at in range(len(values)))
    return found


def _encoded(linear: _Floats) -> _Floats:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
