"""Optical flow, by the distribution's OpenCV: what was dreamed into a frame moves along with what it was dreamed on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Pixels
from dreamer.errors import Mistake

BLEND = 0.75  # how much of a frame's dream the next takes over, unless that is said
ARRAYS = 64  # bytes a pixel: the flow, where each pixel comes from, and what has moved
_DOUBT = 40  # levels by which a pixel and where it seems to come from may differ, at most


def opencv() -> Any:
    """The module cv2, whose types not every release tells; raises Mistake where it is not installed."""
    try:
        import cv2
    except ImportError:
        raise Mistake("flow: OpenCV is not installed; run ./provision.sh film") from None
    cv2.setNumThreads(1)  # the same film on every machine
    return cv2


def carried(earlier: Pixels, frame: Pixels, detail: Pixels) -> tuple[Pixels, NDArray[np.float32]]:
    """(`detail` (h, w, 3), which belongs to the frame `earlier`, moved to where things are in `frame`, both uint8
    (h, w, 3); how sure that is, 0..1, (h, w, 1): not at all where a pixel came from behind something, or at a cut)."""
    cv2 = opencv()
    grey = [cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY) for picture in (frame, earlier)]
    height, width = grey[0].shape
    if min(height, width) < 16:  # too small for DIS
        flow = np.zeros((height, width, 2), np.float32)
    else:
        flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None)
    flow[..., 0] += np.arange(width, dtype=np.float32)
    flow[..., 1] += np.arange(height, dtype=np.float32)[:, None]

    def moved(picture: Pixels) -> Pixels:
        there: Pixels = cv2.remap(np.ascontiguousarray(picture), flow, None, cv2.INTER_CUBIC,
                                  borderMode=cv2.BORDER_REFLECT)
        return there

    unlike = np.abs(np.subtract(moved(earlier), frame, dtype=np.float32)).mean(2, keepdims=True)
    return moved(np.asarray(detail, np.float32)), np.clip(1 - unlike / _DOUBT, 0, 1)
