"""What a dream will take, found out in a child process of the planner's: it checks the settings as the command line
does, plans the memory as the dream will, and measures how fast the layer is here."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from dreamer import steps
from dreamer.errors import Failure, Mistake, Wrong
from dreamer.films import flow, names, video
from dreamer.films.containers import container
from dreamer.films.muxed import PIECE
from dreamer.jobs.estimate import FIRST, FIXED, Estimate
from dreamer.jobs.film import arrays_of
from dreamer.machine import limits
from dreamer.nets import binding
from dreamer.nets.budget import FILES, Budget
from dreamer.nets.net import TILE, Net
from dreamer.options.request import Request
from dreamer.options.sizes import fitting_sizes, octave_count
from dreamer.options.understand import settings
from dreamer.options.understood import Sizes, Understood
from dreamer.pictures.finish import Finish
from dreamer.pictures.reading import shrunk

START = 0.7  # seconds from the start of a dream's process to its first step, on two cores
_SAMPLE = 240, 320  # size at which a layer's speed is measured
_STEPS = 3
# A new process takes so many bytes for Caffe, and so many times the weights that it needs, measured with four nets.
# What this one holds says little, because other nets were here before.
_CAFFE, _WEIGHTS = 53 << 20, 3.6


class Question(NamedTuple):
    """A dream to plan.

    request        members of a request
    height, width  of the photo, upright
    frames         of a video; None: unknown
    speeds         {key(): seconds for a pixel} as far as known"""

    request: Mapping[str, Any]
    height: int
    width: int
    frames: int | None
    speeds: Mapping[str, float]


class Forecast(NamedTuple):
    """What it will take.

    plan    as the page gets it
    speeds  what was measured now, as in Question"""

    plan: dict[str, Any]
    speeds: dict[str, float]


def key(model: str, layer: str, threads: int, guided: bool) -> str:
    """What a speed belongs to."""
    return f"{model} {layer} {threads}{' guided' if guided else ''}"


def work(pixels: list[int], iterations: int, frames: int = 1, of_steps: bool = False, encoded: int = 0) -> float:
    """The work of a dream in pixels, from its first step to its end; arguments as for Estimate. The first step of all
    takes longer."""
    return Estimate(pixels, iterations, frames, of_steps=of_steps, encoded=encoded).total + first(pixels[0])


def first(pixels: int) -> float:
    """What the very first step takes more than another one, in pixels."""
    return (FIRST - 1) * (pixels + FIXED)


def empty() -> dict[str, Any]:
    """The plan of a dream about which nothing is known."""
    return {"seconds": None, "memory": None, "sizes": [], "octaves": 0, "tiles": False, "warnings": [], "errors": []}


class Forecaster:
    """Answers Questions, and keeps the last net for the next one.

    ask, sizes        dreamify.ask and dreamify.octave_sizes
    step, objectives  dreamify.make_step and dreamify.objectives_of"""

    def __init__(self, ask: Callable[..., Request], sizes: Sizes, step: Callable[..., float],
                 objectives: Callable[..., Any]) -> None:
        self._ask, self._sizes, self._step, self._objectives = ask, sizes, step, objectives
        self._net: Net | None = None
        self._loaded: object = None
        self._own = 0  # bytes that this process takes without a net

    def __call__(self, question: Question) -> Forecast:
        """The Forecast; what is wrong is in its plan."""
        found, measured = empty(), dict[str, float]()
        try:
            self._fill(found, measured, question)
        except (Mistake, Failure) as error:
            found["errors"] = list(error.args)
        return Forecast(found, measured)

    def _fill(self, found: dict[str, Any], measured: dict[str, float], question: Question) -> None:
        """Write into `found` and `measured` what can be found out. Raises Mistake and Failure."""
        wrong, warnings = Wrong(), list[str]()
        asked = settings(self._ask(dict(question.request)), wrong, warnings)
        wrong.tell()
        width, height = shrunk((question.width, question.height), asked.max_size)
        sizes = fitting_sizes(asked, self._sizes, height, width)
        found |= {"sizes": [list(size) for size in sizes], "octaves": len(sizes), "warnings": warnings}
        if len(sizes) < (wanted := octave_count(asked, height, width)):
            warnings.append(f"only {len(sizes)} of {wanted} octaves, because smaller ones would be too small for "
                            f"{asked.layer}")
        net = self._ready(asked)
        film = _film(asked, question.frames)
        need, overhead = self._fit(net, asked, film, height, width)
        found |= {"memory": need, "tiles": overhead > 1}
        pixels = [net.work(*size) for size in sizes]
        speed = self._speed(net, asked, question.speeds, measured)
        if film is None:
            seconds = work(pixels, asked.iterations) * speed
        elif film.frames is None:
            return
        else:
            seconds = work(pixels, asked.iterations, film.frames, film.of_steps, film.encoded) * speed
        found["seconds"] = round(START + seconds, 2)

    def _ready(self, asked: Understood) -> Net:
        """The Net for the layer. Raises TooLittle if there is not even the memory to load it."""
        wanted = asked.model, asked.layer.text
        if self._net is None or self._loaded != wanted:
            if self._net:
                self._net.close()
                self._net = None
            self._own = self._own or limits.used()
            self._net, self._loaded = Net(asked.model, asked.layer, threads=limits.threads()), wanted
        return self._net

    def _fit(self, net: Net, asked: Understood, film: "_Film | None", height: int, width: int) -> tuple[int, float]:
        """(bytes, overhead) of the dream, as Budget.fit says. Raises TooLittle."""
        net.forwarded = None
        tile = TILE if asked.reproducible else None
        net.budget = Budget(net, asked.memory, tile)
        weights = 4 * sum(blob.count for blobs in net.caffe.params.values() for blob in blobs)
        net.budget.base = self._own + FILES + _CAFFE + int(_WEIGHTS * weights)
        net.budget.arrays += steps.PYRAMID * asked.pyramid
        net.budget.base += steps.memory(asked.smooth, height, width)
        if film:
            if asked.zoom or film.moves:
                net.budget.arrays += arrays_of(bool(asked.zoom), Finish(asked.keep_colours, asked.strength))
            net.budget.arrays += flow.ARRAYS * (film.moves and asked.flow)
            net.budget.base += film.arrays * height * width
        found = net.budget.planned(height, width)
        net.warm_up()  # with the smallest picture, so that what Caffe allocated for this size can be returned
        binding.trim_memory()
        return found

    def _speed(self, net: Net, asked: Understood, known: Mapping[str, float], measured: dict[str, float]) -> float:
        """Seconds for a pixel of a step: as learned, else as measured here and now."""
        threads = asked.threads or limits.threads()
        for guided in dict.fromkeys((asked.guide is not None, False)):
            if found := known.get(key(asked.model.name, asked.layer.text, threads, guided)):
                return found
        before = net.budget.pixels
        height, width = (max(side, net.smallest_side) for side in _SAMPLE)
        net.budget.planned(height, width)
        net.resize(height, width)
        binding.set_threads(threads)
        picture = np.zeros((3, height, width), np.float32)
        picture += np.random.RandomState(0).randint(-60, 60, picture.shape)
        took = []
        for _ in range(_STEPS + 1):  # the first one does not count
            begun = time.perf_counter()
            self._step(net, picture, np.random.RandomState(0), asked.step_size, 16, True, self._objectives(net))
            took.append(time.perf_counter() - begun)
        pixels = net.work(height, width)
        net.budget.pixels = before
        net.shape(net.smallest_side, net.smallest_side)
        net.warm_up()
        binding.trim_memory()
        speed = min(took[1:]) / (pixels + FIXED)
        measured[key(asked.model.name, asked.layer.text, threads, False)] = speed
        return speed


class _Film(NamedTuple):
    """What makes a film dearer than a picture.

    frames    their number, 1 if each is a step; None if unknown
    moves     whether the input is a video
    encoded   as for Estimate; arrays: bytes per pixel that its form takes"""

    frames: int | None
    of_steps: bool
    moves: bool
    encoded: int
    arrays: int


def _film(asked: Understood, frames: int | None) -> _Film | None:
    """The film that is asked for; None for a picture. `frames`: of a video."""
    if not (asked.zoom or names.always_film(asked.output) or (frames and names.may_be_film(asked.output))):
        return None
    held = container(asked.output)
    moves = not asked.zoom and (frames is not None or video.named_so(asked.input))
    return _Film(asked.zoom or (frames if moves else 1), not asked.zoom and not moves, moves,
                 PIECE if held else 0, held.memory if held else 0)
