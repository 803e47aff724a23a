"""Sequences of dreams, the frames of a film: the endless zoom, and the dream of a video or a folder of frames.

Each yields pairs: a dream, from which the next frame goes on, and the frame as the film shows it, which is finished."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Light, Pixels
from dreamer.films import cuts
from dreamer.films.camera import moved
from dreamer.films.moving import Moving
from dreamer.nets.net import Net
from dreamer.pictures.finish import AS_IT_IS, Finish
from dreamer.state import State, Step


def zooming(dream: Callable[..., Pixels], net: Net, image: Pixels, frames: int, zoom_step: float = 0.05,
            rotate: float = 0.0, pan: tuple[float, float] = (0.0, 0.0), seed: int = 0, first: int = 0,
            before: Pixels | None = None, state: State | None = None,
            each_step: Callable[[Step], None] | None = None,
            finish: Finish = AS_IT_IS) -> Iterator[tuple[Pixels, Pixels]]:
    """The endless zoom of 2015: the dream of `image`, the dream of a closer look at that, and so on. Yields the dreams,
    float32 (h, w, 3), twice each, from number `first` on, until there are `frames` in all.

    dream      dreamify.deepdream, or a function with the same arguments and result
    zoom_step  how much closer each look is: the fraction by which the visible part shrinks
    rotate     degrees by which the picture turns clockwise in each frame
    pan        (x, y) by which the camera moves right and down in each frame, as fractions of the width and height
    seed       of the first dream; each later dream adds 1
    first, before, state  to resume: the number of a frame, the frame before it, a State of its own dream
    each_step  as for `dream`
    finish     how a dream is finished; the next one is that of a closer look at the finished frame"""
    for number in range(first, frames):
        if before is not None:
            image = moved(before, zoom_step, rotate, pan, net.budget.allocate(*image.shape[:2]))
        before = dream(net, image=image, seed=(seed + number) % 2 ** 32, state=state, each_step=each_step)
        state = None
        yield finish(before, image), before


def following(dream: Callable[..., Pixels], net: Net, video: Moving, blend: float = 0.0,
              carry: Callable[[Pixels, Pixels, Pixels], tuple[Pixels, NDArray[np.float32]]] | None = None,
              mask: Light | None = None, seed: int = 0, first: int = 0, before: Pixels | None = None,
              state: State | None = None, each_step: Callable[[Step], None] | None = None,
              finish: Finish = AS_IT_IS) -> Iterator[tuple[Pixels, Pixels]]:
    """The dreams of the frames of a video, float32 (h, w, 3). Each frame takes over a share of the change that the
    previous dream made; the rest is dreamed anew. Nothing is carried over a cut: the first frame of a shot is dreamed
    as it would be alone.

    video   the frames: a Video or Frames
    blend   that share, 0..1
    carry   function of (earlier frame, frame, change of the earlier) that returns (that change, moved to fit the frame;
            confidence in it, 0..1), such as dreamer.films.flow.carried; None: the change is not moved
    mask    as for `dream`; nothing is carried into its black parts
    seed    the same for all dreams, so that things at rest are dreamed alike
    finish  how a frame is finished, with the video's own frame; what is carried over is not finished
    dream, first, before, state, each_step  as in `zooming`"""
    start = max(0, first - cuts.BEFORE)
    frames = cuts.marked(video.frames(start))
    earlier: Pixels | None = None
    for frame, _ in itertools.islice(frames, first - start):  # those dreamed before
        earlier = frame
    for frame, begins in frames:
        image = frame
        if earlier is not None and before is not None and blend and not begins:
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
        yield before, _finished(before, frame, finish, net)


def _finished(dreamed: Pixels, frame: Pixels, finish: Finish, net: Net) -> Pixels:
    """`dreamed`, float32 (h, w, 3), finished in a copy, if there is anything to do."""
    if not finish:
        return dreamed
    copied = net.budget.allocate(*frame.shape[:2]).transpose(1, 2, 0)
    copied[:] = dreamed
    return finish(copied, frame)
