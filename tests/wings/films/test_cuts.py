"""Cuts between shots are found in the frames, and no dream is carried over one."""

import functools
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

import dreamify
from dreamer.arrays import Pixels
from dreamer.films import cuts, flow, sequence
from dreamer.nets import model
from dreamer.nets.net import Net
from helpers import ROOT, InMemory, noise

COUNT, HEIGHT, WIDTH = 12, 90, 120  # of the frames of each shot
Picture = NDArray[np.uint8]


@functools.lru_cache
def picture(name: str) -> Image.Image:
    with Image.open(ROOT / f"tests/pictures/{name}.jpg") as image:
        return image.convert("RGB").resize((4 * WIDTH, 4 * HEIGHT))


def shot(name: str, move: float = 0, zoom: float = 1, rotate: float = 0, count: int = COUNT) -> list[Picture]:
    """Frames of one of the pictures, seen by a camera that moves right by `move` pixels, comes closer by the factor
    `zoom` and turns by `rotate` degrees from frame to frame."""
    frames = []
    for number in range(count):
        wide, tall = WIDTH / zoom ** number, HEIGHT / zoom ** number
        left, top = 2 * WIDTH + move * (number - count / 2) - wide / 2, 2 * HEIGHT - tall / 2
        seen = picture(name).rotate(rotate * number, Image.Resampling.BILINEAR)
        box = (left, top, left + wide, top + tall)
        frames.append(np.asarray(seen.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box)))
    return frames


def lit(frames: Sequence[Pixels], light: Callable[[int], float]) -> list[Picture]:
    """The frames, as bright as `light` (function of the number of a frame) says."""
    return [np.clip(frame * light(number), 0, 255).astype(np.uint8) for number, frame in enumerate(frames)]


def grainy(frames: Sequence[Pixels], grain: float) -> list[Picture]:
    """The frames with noise of this standard deviation, in levels."""
    random = np.random.RandomState(1)
    return [np.clip(frame + random.normal(0, grain, frame.shape), 0, 255).astype(np.uint8) for frame in frames]


def beginnings(frames: Sequence[Pixels]) -> list[int]:
    """The numbers of the frames that begin a shot."""
    return [number for number, (_, begins) in enumerate(cuts.marked(frames)) if begins]


@pytest.mark.parametrize(("one", "other"), [
    (shot("sky", 2), shot("coffee")), (shot("coffee", zoom=1.04), shot("raccoon", 5)),
    (shot("dandelions", rotate=3), shot("sky")), (shot("raccoon"), shot("dandelions", -6)),
    (lit(shot("coffee"), lambda _: 0.2), lit(shot("dandelions"), lambda _: 0.2)),
    (grainy(shot("raccoon"), 20), grainy(shot("sky"), 20)),
    (shot("raccoon", count=2), shot("coffee")),
    (shot("raccoon"), [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * COUNT),
    ([np.full((HEIGHT, WIDTH, 3), (200, 60, 40), np.uint8)] * 3, [np.full((HEIGHT, WIDTH, 3), (30, 90, 160), np.uint8)])
])
def test_a_cut_is_found(one: list[Picture], other: list[Picture]) -> None:
    assert beginnings(one + other) == [0, len(one)]
    assert beginnings([frame[::2, ::2] for frame in one + other]) == [0, len(one)]  # as with --max-size


@pytest.mark.parametrize("frames", [
    shot("sky", 20), shot("coffee", -8), shot("raccoon", zoom=1.1), shot("dandelions", zoom=0.97),
    shot("coffee", rotate=6), grainy(shot("sky", 3), 40), grainy(lit(shot("coffee"), lambda _: 0.05), 4),
    lit(shot("raccoon"), lambda number: 1.4 if number == 6 else 1),  # a flash
    lit(shot("sky"), lambda number: 1 - number / COUNT),
    lit(shot("dandelions"), lambda number: 0.7 + 0.3 * (number % 2)),
    [np.uint8(early * (1 - number / COUNT) + late * (number / COUNT)) for number, (early, late)
     in enumerate(zip(shot("sky"), shot("coffee"), strict=True))],
    [ndimage.shift(frame, (0, (-3, 3)[number % 2], 0), order=0, mode="mirror")
     for number, frame in enumerate(shot("raccoon"))],
    [np.full((HEIGHT, WIDTH, 3), 20 * number, np.uint8) for number in range(COUNT)],
], ids=["fast-pan", "pan", "zoom-in", "zoom-out", "turn", "noise", "dark-noise", "flash", "fade", "flicker", "dissolve",
        "shake", "grey"])
def test_what_moves_or_changes_its_light_is_no_cut(frames: list[Picture]) -> None:
    assert beginnings(frames) == [0]


def test_changes_that_go_on_are_no_cuts() -> None:
    """Only the first can be taken for one: nothing tells yet that it will go on."""
    assert set(beginnings([noise(HEIGHT, WIDTH, seed) for seed in range(9)])) <= {0, 1}
    assert set(beginnings([(shot("sky") + shot("coffee"))[number * 13 % 24] for number in range(9)])) <= {0, 1}


def test_a_flash_that_blots_out_the_picture_counts_once() -> None:
    frames = shot("raccoon")
    frames[5] = np.full_like(frames[5], 255)
    assert beginnings(frames) == [0, 5]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2), (1, 40), (50, 1), (3, 5), (16, 16), (17, 33), (300, 9)])
def test_any_size_will_do(height: int, width: int) -> None:
    early, late = (np.asarray(Image.fromarray(shot(name)[0]).resize((width, height))) for name in ("sky", "coffee"))
    assert beginnings([early] * 4) == [0]
    if height * width > 2:
        assert beginnings([early] * 4 + [255 - early] * 4) == beginnings([early] * 4 + [late] * 4) == [0, 4]


def test_the_frames_from_any_on_are_marked_alike() -> None:
    frames = shot("coffee", 2, count=5) + shot("raccoon", 2, count=2) + shot("sky", count=4)
    whole = [begins for _, begins in cuts.marked(frames)]
    assert [number for number, begins in enumerate(whole) if begins] == [0, 5, 7]
    for first in range(cuts.BEFORE, len(frames)):
        rest = [begins for _, begins in cuts.marked(frames[first - cuts.BEFORE:])]
        assert rest[cuts.BEFORE:] == whole[first:], first


def dream(_: object, image: Pixels, seed: int, **__: object) -> Pixels:
    """A dream that differs from image to image."""
    random = np.random.RandomState(zlib.crc32(np.float32(image).tobytes()) ^ seed)
    return np.float32(image) + random.uniform(-20, 20, image.shape).astype(np.float32)


def followed(frames: Sequence[Pixels], **settings: Any) -> list[Pixels]:
    moving: Any = InMemory(frames)
    net: Any = None
    return [dreamed.copy() for dreamed, _ in sequence.following(dream, net, moving, seed=3, **settings)]


@pytest.mark.parametrize("carry", [None, flow.carried], ids=["blend", "flow"])
def test_nothing_is_carried_over_a_cut(carry: Any) -> None:
    if carry:
        pytest.importorskip("cv2", reason="no OpenCV: ./provision.sh film")
    early, late = shot("coffee", 2), shot("raccoon", 2)
    both, alone = (followed(frames, blend=0.75, carry=carry) for frames in (early + late, late))
    assert np.array_equal(both[COUNT:], alone)
    assert np.array_equal(both[COUNT], dream(None, late[0], 3))
    for number in (*range(1, COUNT), *range(COUNT + 1, 2 * COUNT)):
        assert np.abs(both[number] - dream(None, (early + late)[number], 3)).mean() > 1, number


@pytest.mark.parametrize("frames", [shot("coffee", 2, count=5) + shot("raccoon", 2, count=2) + shot("sky", count=4),
                                    [noise(HEIGHT, WIDTH, seed) for seed in range(6)]])
def test_a_run_that_resumes_decides_alike(frames: list[Picture]) -> None:
    whole = followed(frames, blend=0.5)
    for first in range(1, len(frames) + 1):
        rest = followed(frames, blend=0.5, first=first, before=whole[first - 1].copy())
        assert len(rest) == len(frames) - first
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(rest, whole[first:], strict=True)), first


@pytest.mark.parametrize("carry", [None, flow.carried], ids=["blend", "flow"])
def test_shots_that_are_dreamed_apart_are_those_of_the_film(carry: Any) -> None:
    """In every bit, and in any order: each has only the frames from BEFORE before it on. So a film can be divided at
    its cuts."""
    if carry:
        pytest.importorskip("cv2", reason="no OpenCV: ./provision.sh film")
    frames = shot("coffee", 2, count=3) + shot("raccoon", 2, count=3) + shot("sky", -2, count=2)
    net = Net(model.find("daydream"), "inception_3b/output", reproducible=True)
    dreaming = functools.partial(dreamify.deepdream, iterations=2, octaves=2)

    def dreamed(own: Sequence[Pixels], first: int) -> list[bytes]:
        video: Any = InMemory(own)
        return [pixels.tobytes() for _, pixels in
                sequence.following(dreaming, net, video, blend=0.75, carry=carry, seed=3, first=first)]

    whole = dreamed(frames, 0)
    assert len(set(whole)) == len(frames)
    bounds = [*beginnings(frames), len(frames)]
    assert bounds == [0, 3, 6, 8]
    for begin, end in list(zip(bounds, bounds[1:], strict=False))[::-1]:
        start = max(0, begin - cuts.BEFORE)
        assert dreamed(frames[start:end], begin - start) == whole[begin:end]
    start = 1  # within a shot, the rest would not be the same
    assert dreamed(frames[:3], start) != whole[start:3]
