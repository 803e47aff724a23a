"""The camera's move from one frame of a zoom to the next."""

import math

import numpy as np

from dreamer.arrays import Pixels, Planes


def moved(image: Pixels, zoom_step: float, rotate: float, pan: tuple[float, float],
          out: Planes | None = None) -> Pixels:
    """`image` (h, w, 3) as the camera sees it after its move: a view of `out`, float32 (3, h, w), as (h, w, 3).

    zoom_step  fraction by which the visible part shrinks towards the middle; negative: grows
    rotate     degrees by which the picture turns clockwise
    pan        (x, y) by which the camera moves right and down, as fractions of the picture's width and height

    Beyond its borders the picture is mirrored."""
    from concurrent.futures import ThreadPoolExecutor

    from scipy import ndimage  # takes 60 ms, and few dreams need it
    height, width = image.shape[:2]
    if out is None:
        out = np.empty((3, height, width), np.float32)
    angle = math.radians(rotate)
    straight, across = (1 - zoom_step) * math.cos(angle), (1 - zoom_step) * math.sin(angle)
    matrix = np.array([[straight, -across], [across, straight]])
    y, x = height / 2, width / 2  # half a pixel off, as in Google's notebook
    # written out, because OpenBLAS multiplies matrices in another order on other processors
    start = (y - (straight * y - across * x) + pan[1] * height, x - (across * y + straight * x) + pan[0] * width)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda source, target: ndimage.affine_transform(source, matrix, start, output=target, order=1,
                                                                      mode="mirror"), image.transpose(2, 0, 1), out))
    return out.transpose(1, 2, 0)
