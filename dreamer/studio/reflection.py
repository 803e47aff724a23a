"""Dreams the frames of a camera, one after another, in a child process of the mirror's."""

import io
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dreamer.arrays import Pixels
from dreamer.errors import Mistake
from dreamer.films import flow
from dreamer.nets import model, strength
from dreamer.nets.layers import parse
from dreamer.nets.net import Net
from dreamer.options import look
from dreamer.pictures import inputs
from dreamer.scaling import zoom

JITTER = 16  # pixels, as for a small picture
QUALITY = 85  # of the JPEG
_LARGEST = 4 << 20  # pixels of a frame: no camera that a page asks for 640×480 sends more


class Settings(NamedTuple):
    """How the mirror dreams.

    model, layer    their names; None: the usual ones
    strength        mean change of a pixel value in each step, on a scale of 0..255
    steps           for each frame
    memory_of_past  share of the dream so far that the next frame takes over, 0..1
    flow            whether that moves along with the things in the frames"""

    model: str | None = None
    layer: str | None = None
    strength: float = 3.0
    steps: int = 2
    memory_of_past: float = 0.8
    flow: bool = True


class Frame(NamedTuple):
    """A question: a frame to dream.

    jpeg    bytes; None: only load the net
    pixels  the most that the dream may have"""

    jpeg: bytes | None
    settings: Settings
    pixels: int = 0


class Dreamed(NamedTuple):
    """The answer. After a question without a frame, only the names count.

    jpeg         bytes
    size         (height, width)
    asked        pixels of the frame as it came
    model, layer the names of what dreamed
    flow         whether OpenCV is here"""

    jpeg: bytes
    size: tuple[int, int]
    asked: int
    model: str
    layer: str
    flow: bool


class Reflection:
    """The dream of a camera: the net, and the changes so far, which the next frame takes over.

    step, objectives  dreamify.make_step and dreamify.objectives_of, or functions with the same arguments"""

    def __init__(self, step: Callable[..., float], objectives: Callable[..., Any]) -> None:
        self._step, self._objectives = step, objectives
        self._random = np.random.RandomState(0)
        self._net: Net | None = None
        self._loaded: tuple[str | None, str | None] | None = None  # the Settings' model and layer
        self._earlier = np.zeros((0, 0, 3), np.uint8)  # the last frame
        self._detail = np.zeros((0, 0, 3), np.float32)  # the changes so far, in the net's order

    def __call__(self, question: Frame) -> Dreamed:
        """Dream a frame. Raises Mistake if the settings or the frame are wrong, Failure if the net cannot be loaded."""
        settings = question.settings
        net = self._ready(settings)
        names, can_flow = (net.model.name, str(net.what)), _can_flow()
        if question.jpeg is None:
            return Dreamed(b"", (0, 0), 0, *names, can_flow)
        frame, asked = decoded(question.jpeg, question.pixels, net.smallest_side)
        size = frame.shape[:2]
        if not self._earlier.size and strength.choose(net, frame):
            self._fit(net, *size)
        if self._detail.shape[:2] != size:
            self._fit(net, *size)
        base = net.preprocess(frame)
        picture = base + np.float32(settings.memory_of_past) * self._carried(frame, settings.flow and can_flow)
        for _ in range(settings.steps):
            self._step(net, picture, self._random, settings.strength, JITTER, True, self._objectives(net))
        self._earlier, self._detail = frame, np.ascontiguousarray((picture - base).transpose(1, 2, 0))
        file = io.BytesIO()
        pixels = np.clip(net.deprocess(picture), 0, 255).astype(np.uint8)
        Image.fromarray(np.ascontiguousarray(pixels)).save(file, "JPEG", quality=QUALITY)
        return Dreamed(file.getvalue(), (size[0], size[1]), asked, *names, can_flow)

    def _ready(self, settings: Settings) -> Net:
        """The Net for the settings."""
        wanted = settings.model, settings.layer
        if self._net and self._loaded == wanted:
            return self._net
        if self._net:
            self._net.close()
            self._net = None
        chosen = model.find(settings.model) if settings.model else model.default()[0]
        name = settings.layer or chosen.default_layer
        if taken := look.find(name, chosen):
            name = taken.layer
        self._net, self._loaded = Net(chosen, parse(name, chosen)[0]), wanted
        self._earlier = np.zeros((0, 0, 3), np.uint8)
        if self._detail.size:
            self._fit(self._net, *self._detail.shape[:2])
        return self._net

    def _fit(self, net: Net, height: int, width: int) -> None:
        """Prepare for frames of that size."""
        net.budget.fit(height, width)
        net.resize(height, width)
        before, self._detail = self._detail, np.zeros((height, width, 3), np.float32)
        if before.size:
            self._detail = np.ascontiguousarray(zoom(before.transpose(2, 0, 1), height, width).transpose(1, 2, 0))
        self._earlier = np.zeros((0, 0, 3), np.uint8)

    def _carried(self, frame: Pixels, moves: bool) -> NDArray[np.float32]:
        """The changes so far, (3, h, w), for the new frame."""
        detail = self._detail
        if moves and self._earlier.size:
            moved, sure = flow.carried(self._earlier, frame, detail, live=True)
            detail = moved * sure
        return detail.transpose(2, 0, 1)


def decoded(jpeg: bytes, most: int, least_side: int) -> tuple[NDArray[np.uint8], int]:
    """(uint8 (h, w, 3), the pixels of the whole picture): a JPEG, shrunk to at most about `most` pixels, but not to
    fewer than `least_side` on a side. Raises Mistake if it is no JPEG, damaged or too large."""
    with inputs.decoding("the camera's frame"), Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        width, height = image.size
        if width * height > _LARGEST:
            raise Mistake(f"mirror: a frame has {width}×{height} pixels; send at most 640×480")
        scale = min(1.0, max(math.sqrt(most / (width * height)), least_side / min(width, height)))
        wanted = max(1, round(width * scale)), max(1, round(height * scale))
        image.draft("RGB", wanted)
        whole = image.convert("RGB")
    if whole.size != wanted:
        whole = whole.resize(wanted, Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BILINEAR)
    return np.array(whole), width * height


def _can_flow() -> bool:
    try:
        flow.opencv()
    except Mistake:
        return False
    return True
