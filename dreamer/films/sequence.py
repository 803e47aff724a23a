"""Dreams that follow on each other, as the frames of a film: the endless zoom, and a dream of what moves already."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Light, Pixels
from dreamer.films.camera import moved
from dreamer.films.moving import Moving
from dreamer.nets.net import Net
from dreamer.state import State, Step


def zooming(dream: Callable[..., Pixels], net: Net, image: Pixels, frames: int, zoom_step: float = 0.05,
            rotate: float = 0.0, pan: tuple[float, float] = (0.0, 0.0), seed: int = 0, first: int = 0,
            before: Pixels | None = None, state: State | None = None,
            each_step: Callable[[Step], None] | None = None) -> Iterator[Pixels]:
    """The endless zoom of 2015: the dream of `image`, the dream of a closer look at that, and so on. Yields `frames`
    dreams, float32 (h, w, 3).

    dream      dreamify.deepdream, or a function that takes the same and gives the same
    zoom_step  how much closer each look is: what it sees shrinks by this part
    rotate     degrees by which it is turned clockwise
    pan        (x, y) by which it moves right and down, as parts of the width and height
    seed       of the first dream; each has the next
    first, before, state  to go on with: the number of a frame, the one before it, a State of its own dream
    each_step  as `dream` takes it"""
    for number in range(first, frames):
        if before is not None:
            image = moved(before, zoom_step, rotate, pan, net.budget.allocate(*image.shape[:2]))
        before = dream(net, image=image, seed=(seed + number) % 2 ** 32, state=state, each_step=each_step)
        state = None
        yield before


def following(dream: Callable[..., Pixels], net: Net, video: Moving, blend: float = 0.0,
              carry: Callable[[Pixels, Pixels, Pixels], tuple[Pixels, NDArray[np.float32]]] | None = None,
              mask: Light | None = None, seed: int = 0, first: int = 0, before: Pixels | None = None,
              state: State | None = None, each_step: Callable[[Step], None] | None = None) -> Iterator[Pixels]:
    """The dreams of the frames of a moving picture, float32 (h, w, 3): each adds to its frame a part of what the dream
    before it added, and for the rest something new.

    video   what gives frames from a number on, such as a dreamer.films.video.Video
    blend   that part, 0..1
    carry   function of (earlier frame, frame, what was added to the earlier) that gives (that, as it belongs to the
            frame; where it does, 0..1), such as dreamer.films.flow.carried; without, it stays where it was
    mask    as `dream` takes it: nothing is carried into its black
    seed    of all dreams: what stands still is dreamed alike
    dream, first, before, state, each_step  as in `zooming`"""
    frames = video.frames(max(0, first - 1))
    earlier = next(frames, None) if first else None
    for frame in frames:
        image = frame
        if earlier is not None and before is not None and blend:
            added = before - earlier
            where: NDArray[np.float32] = np.ones((1, 1, 1), np.float32)
            if carry:
                added, where = carry(earlier, frame, added)
            if mask is not None:
                added = added * (mask[..., None] > 0)
            part = np.float32(blend) * where
            image = np.clip(frame + part * added, 0, 255)
        before = dream(net, image=image, seed=seed, state=state, each_step=each_step)
        if image is not frame:
            before += part * (image - before)
        earlier, state = frame, None
        yield before
