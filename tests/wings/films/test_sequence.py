"""Sequences of dreams, finished, with a dream that needs no net."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dreamer.arrays import Pixels
from dreamer.films import sequence
from dreamer.films.camera import moved
from dreamer.pictures.finish import Finish
from helpers import InMemory, noise

FINISHES = [Finish(), Finish(True), Finish(strength=30), Finish(True, 60)]


class Nothing:
    """A net and its budget, as far as a sequence needs them."""

    def __init__(self) -> None:
        self.budget = self

    def allocate(self, height: int, width: int) -> Pixels:
        """An array."""
        return np.empty((3, height, width), np.float32)


def dream(_: object, image: Pixels, seed: int, **__: object) -> Pixels:
    """A dream that differs from image to image."""
    random = np.random.RandomState(zlib.crc32(np.float32(image).tobytes()) ^ seed)
    return np.float32(image) + random.uniform(-60, 60, image.shape).astype(np.float32)


def shot() -> list[Pixels]:
    """Four frames with no cut between them: uint8 (40, 50, 3)."""
    return [(noise(40, 50) // 2 + shift).astype(np.uint8) for shift in range(4)]


def zoomed(**settings: Any) -> list[Pixels]:
    net: Any = Nothing()
    found = list[Pixels]()
    for dreamed, frame in sequence.zooming(dream, net, noise(40, 50), 4, 0.1, seed=3, **settings):
        assert dreamed is frame
        found.append(frame.copy())
    return found


def followed(frames: Sequence[Pixels], **settings: Any) -> tuple[list[Pixels], list[Pixels]]:
    net: Any = Nothing()
    moving: Any = InMemory(frames)
    found = [(dreamed.copy(), frame.copy())
             for dreamed, frame in sequence.following(dream, net, moving, seed=3, **settings)]
    return [dreamed for dreamed, _ in found], [frame for _, frame in found]


@pytest.mark.parametrize("finish", FINISHES)
def test_a_zoom_looks_closer_at_the_finished_frame(finish: Finish) -> None:
    look: Pixels = noise(40, 50)
    for number, frame in enumerate(zoomed(finish=finish)):
        expected = finish(dream(None, look, 3 + number), look)
        assert np.array_equal(frame, expected), number
        look = moved(expected, 0.1, 0, (0, 0), np.empty((3, 40, 50), np.float32))


@pytest.mark.parametrize("finish", FINISHES)
@pytest.mark.parametrize("blend", [0, 0.5])
def test_a_video_carries_over_what_is_not_finished(blend: float, finish: Finish) -> None:
    frames = shot()
    plain, shown = followed(frames, blend=blend)
    assert all(map(np.array_equal, plain, shown))
    dreams, finished = followed(frames, blend=blend, finish=finish)
    assert all(map(np.array_equal, dreams, plain))
    for dreamed, frame, own in zip(plain, finished, frames, strict=True):
        assert np.array_equal(frame, finish(dreamed.copy(), own))


@pytest.mark.parametrize("finish", FINISHES)
def test_what_resumes_goes_on_alike(finish: Finish) -> None:
    whole = zoomed(finish=finish)
    for first in (1, 2, 3):
        rest = zoomed(finish=finish, first=first, before=whole[first - 1].copy())
        assert all(map(np.array_equal, rest, whole[first:]))
    frames = shot()
    dreams, shown = followed(frames, blend=0.5, finish=finish)
    for first in (1, 2, 3):
        _, rest = followed(frames, blend=0.5, finish=finish, first=first, before=dreams[first - 1].copy())
        assert len(rest) == 4 - first
        assert all(map(np.array_equal, rest, shown[first:]))
