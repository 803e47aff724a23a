"""What was asked for, and what that was found to mean. Nothing in it changes any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from dreamer.arrays import Light
from dreamer.films.moving import Moving
from dreamer.nets.guide import Guide
from dreamer.nets.layers import Layers
from dreamer.nets.model import Model
from dreamer.options.request import Request
from dreamer.pictures.picture import Picture

Sizes: TypeAlias = Callable[[int, int, int, float], list[tuple[int, int]]]  # as dreamify.octave_sizes


@dataclass(frozen=True)
class Subject:
    """What is dreamed, and what becomes of it."""

    picture: Picture  # of what moves: a black one of the size of its frames
    moving: Moving | None
    film: bool  # whether the output is a film
    rate: Fraction  # its ticks a second
    fps: float  # the same, as it is kept in the recipe
    blend: float
    where: Light | None  # the mask at the picture's size


@dataclass(frozen=True)
class Understood:
    """A Request whose values make sense; the fields that have the names of options are those options."""

    request: Request
    input: str
    output: str
    layer: Layers
    iterations: int
    octaves: int
    scale: float
    seed: int | None
    step_size: float
    jitter: int
    no_clip: bool
    guide: str | None
    guide_size: int
    mask: str | None
    weights: str | None
    max_size: int | None
    max_pixels: int
    keep_location: bool
    force: bool
    memory: int | None
    threads: int | None
    reproducible: bool
    preview: str | None
    events: str | None
    no_resume: bool
    watch: bool
    quiet: bool
    zoom: int | None
    zoom_step: float
    rotate: float
    pan: tuple[float, float]
    fps: float
    flow: bool
    blend: float | None

    model: Model
    followed: Mapping[str, Any]  # the recipe that is followed; {} where none is
    light: Light | None  # the mask as it was read
    leader: Guide | None  # the guide as it was read
    subject: Subject | None  # None where INPUT is a folder, whose pictures have one each
    warnings: tuple[str, ...]  # lines to tell before the dream
