"""What a dream will take, found in a child process: with the command line's own checks, its own planner of memory, and,
where nobody knows it yet, the speed of this machine."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from dreamer.errors import Failure, Mistake
from dreamer.films import names, video
from dreamer.jobs.estimate import FIXED, Estimate
from dreamer.nets.budget import Budget
from dreamer.nets.net import Net
from dreamer.options import sizes
from dreamer.options.request import Request
from dreamer.options.understand import options
from dreamer.options.understood import Sizes, Understood
from dreamer.pictures import reading

TRIAL = 240, 320  # height and width at which a step is timed
_STEPS = 3  # that are timed; the quickest counts, because other programs only make it slower
_ENCODED = 24  # frames that are encoded together
PARENT = 45 << 20  # bytes of the process that waits for the dream, except for the picture
_PIXEL = 4  # bytes per pixel of the picture there, about


class Question(NamedTuple):
    """What will this take?

    members        of a request, with paths relative to `folder`
    height, width  of the photo, in pixels
    timed          whether to measure the speed"""

    members: Mapping[str, Any]
    folder: str
    height: int
    width: int
    timed: bool


class Answer(NamedTuple):
    """What it takes.

    key       names the net whose speed counts
    memory    bytes at most
    sizes     [(height, width)] of the octaves, the smallest first
    asked     octaves that were asked for
    overhead  above 1 if it is dreamed in tiles
    frames    of a film; 1 for a picture; None if nobody knows
    total     the work, in the units of Estimate; None if nobody knows
    speed     units of work in a second; None if it was not measured
    warnings  lines"""

    key: str
    memory: int
    sizes: list[tuple[int, int]]
    asked: int
    overhead: float
    frames: int | None
    total: float | None
    speed: float | None
    warnings: list[str]


class Forecast:
    """Answers Questions.

    ask, octave_sizes, step, objective  dreamify's"""

    def __init__(self, ask: Callable[..., Request], octave_sizes: Sizes, step: Callable[..., float],
                 objective: Callable[..., Any]) -> None:
        self._ask, self._sizes, self._step, self._objective = ask, octave_sizes, step, objective
        self._loaded: tuple[object, Net, int] | None = None  # (what it is for, the net, bytes without pictures)
        self._speeds: dict[str, float] = {}

    def __call__(self, question: Question) -> Answer:
        """The Answer. Raises Mistake with the lines of the command line, Failure if there is too little memory."""
        members = {name: value for name, value in question.members.items() if name != "command"}
        asked = options(self._ask(members))
        width, height = reading.shrunk((question.width, question.height), asked.max_size)
        octaves = sizes.fitting_sizes(asked, self._sizes, height, width)
        wanted = sizes.octave_count(asked, height, width)
        net, base = self._net(asked)
        net.budget = Budget(net, asked.memory)  # because the free memory changes
        net.budget.base = base + PARENT + _PIXEL * height * width
        memory, overhead = net.budget.fit(height, width)
        frames, of_steps = _frames(asked, question.folder, len(octaves))
        total = None if frames is None else Estimate(
            [net.work(*size) for size in octaves], asked.iterations, 1 if of_steps else frames, of_steps=of_steps,
            encoded=_ENCODED if _is_film(asked) else 0).total
        key = key_of(asked.model.name, asked.layer.text, net.threads, asked.guide is not None)
        if question.timed and key not in self._speeds:
            self._speeds[key] = self._timed(net)
        lines = list(asked.warnings)
        if len(octaves) < wanted:
            lines.append(f"only {len(octaves)} of {wanted} octaves, because smaller ones would be too small for "
                         f"{asked.layer}")
        return Answer(key, memory, octaves, wanted, overhead, frames, total, self._speeds.get(key), lines)

    def _net(self, asked: Understood) -> tuple[Net, int]:
        """(the Net, the bytes that it takes without a picture), which is kept for the next question."""
        wanted = asked.model.name, asked.layer.text, asked.threads, asked.reproducible
        if self._loaded is None or self._loaded[0] != wanted:
            if self._loaded:
                self._loaded[1].close()
                self._loaded = None
            net = Net(asked.model, asked.layer, None, asked.memory, asked.threads, asked.reproducible)
            self._loaded = wanted, net, net.budget.base
        return self._loaded[1:]

    def _timed(self, net: Net) -> float:
        """Units of work that this machine does in a second."""
        height, width = (max(side, net.smallest_side) for side in TRIAL)
        picture = net.preprocess(np.random.RandomState(0).randint(0, 256, (height, width, 3)))
        net.budget.fit(height, width)
        net.resize(height, width)
        took = []
        for _ in range(_STEPS):
            began = time.perf_counter()
            self._step(net, picture, np.random.RandomState(0), 1.5, 32, True, [self._objective for _ in net.what.terms])
            took.append(time.perf_counter() - began)
        return (net.work(height, width) + FIXED) / min(took)


def key_of(name: str, layer: str, threads: int, guided: bool) -> str:
    """The name of what has a speed of its own: a model, its layers, the threads, and whether there is a guide."""
    return " ".join([name, layer, str(threads), *["guided"] * guided])



def _is_film(asked: Understood) -> bool:
    return asked.zoom is not None or names.always_film(asked.output) or video.named_so(asked.input)


def _frames(asked: Understood, folder: str, octaves: int) -> tuple[int | None, bool]:
    """(number of frames, whether each is a step of one dream). None for a video that does not say how long it is."""
    if asked.zoom is not None:
        return asked.zoom, False
    if not _is_film(asked):
        return 1, False
    if not video.named_so(asked.input):
        return octaves * asked.iterations, True
    try:
        seconds, rate = video.length(os.path.join(folder, asked.input))
    except (Mistake, Failure):
        return None, False
    whole = max(0.0, min(seconds, asked.end or seconds) - (asked.start or 0.0))
    return max(1, round(whole * (asked.fps or rate))) if seconds and rate else None, False
