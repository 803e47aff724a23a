"""Optical flow, with the distribution's OpenCV: the dream moves along with the things in a video."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Pixels
from dreamer.errors import Mistake
from dreamer.machine import here

BLEND = 0.75  # default share of a frame's dream that the next frame takes over
ARRAYS = 64  # bytes per pixel: the flow, each pixel's source, and the moved pictures
_DOUBT = 40  # a pixel that differs from its source by this many levels (of 255) is not trusted at all


def opencv() -> Any:
    """The module cv2 (typed as Any, because not every release has types). Raises Mistake if it is not installed."""
    try:
        import cv2
    except ImportError:
        raise Mistake(f"flow: OpenCV is not installed; {here.provision('film')}") from None
    cv2.setNumThreads(1)  # for the same film on every machine
    return cv2


def carried(earlier: Pixels, frame: Pixels, detail: Pixels,
            live: bool = False) -> tuple[Pixels, NDArray[np.float32]]:
    """(`detail` (h, w, 3), moved as the things moved from the frame `earlier` to `frame`, both uint8 (h, w, 3);
    confidence in each pixel, 0..1, (h, w, 1): near 0 at a cut, and where something was hidden before).

    live  in a quarter of the time (4 ms at 320×240), because a camera does not wait, but less exactly"""
    cv2 = opencv()
    preset = cv2.DISOPTICAL_FLOW_PRESET_FAST if live else cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    grey = [cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY) for picture in (frame, earlier)]
    height, width = grey[0].shape
    if min(height, width) < 16:  # too small for DIS
        flow = np.zeros((height, width, 2), np.float32)
    else:
        flow = cv2.DISOpticalFlow_create(preset).calc(*grey, None)
    flow[..., 0] += np.arange(width, dtype=np.float32)
    flow[..., 1] += np.arange(height, dtype=np.float32)[:, None]

    def moved(picture: Pixels) -> Pixels:
        there: Pixels = cv2.remap(np.ascontiguousarray(picture), flow, None,
                                  cv2.INTER_LINEAR if live else cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        return there

    unlike = np.abs(np.subtract(moved(earlier), frame, dtype=np.float32)).mean(2, keepdims=True)
    return moved(np.asarray(detail, np.float32)), np.clip(1 - unlike / _DOUBT, 0, 1)
