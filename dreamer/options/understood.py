"""What was asked for, and what it means. Nothing in it changes afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeAlias

from dreamer.arrays import Light
from dreamer.films.moving import Moving
from dreamer.nets.guide import Guide
from dreamer.nets.layers import Layers
from dreamer.nets.model import Model
from dreamer.options.request import Request
from dreamer.pictures.nothing import Nothing
from dreamer.pictures.picture import Picture

Sizes: TypeAlias = Callable[[int, int, int, float], list[tuple[int, int]]]  # as dreamify.octave_sizes


@dataclass(frozen=True)
class Subject:
    """What is dreamed, and into what."""

    picture: Picture  # for moving input: a black one of the size of its frames; from nothing: of the same size
    moving: Moving | None
    film: bool  # whether the output is a film
    rate: Fraction  # the film's ticks per second
    fps: float  # the same, as the recipe records it
    blend: float
    where: Light | None  # the mask at the picture's size
    nothing: Nothing | None = None  # what the picture is made of, as soon as the seed is known

    def seeded(self, seed: int) -> Subject:
        """The same with its picture, if that is made from nothing. Raises Mistake if the memory is too small."""
        return self if self.nothing is None else replace(self, picture=Picture(self.nothing.pixels(seed)))


@dataclass(frozen=True)
class Understood:
    """A Request with checked values. Each field with the name of an option is the value of that option."""

    request: Request
    input: str  # "" if INPUT is several pictures
    output: str
    layer: Layers
    iterations: int
    octaves: int | None  # None: they follow from the size
    scale: float
    seed: int | None
    step_size: float
    jitter: int
    no_clip: bool
    smooth: float | None
    pyramid: bool
    keep_colours: bool
    strength: float
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
    farm: str | None  # None: dream here
    preview: str | None
    events: str | None
    no_resume: bool
    watch: bool
    recursive: bool
    quiet: bool
    zoom: int | None
    zoom_step: float
    rotate: float
    pan: tuple[float, float]
    fps: float | None
    start: float | None
    end: float | None
    no_deinterlace: bool
    no_sound: bool
    flow: bool
    blend: float | None

    pictures: tuple[str, ...] | None  # if INPUT is several pictures
    usual_octaves: int  # of a picture of up to 1.5 megapixels
    model: Model
    followed: Mapping[str, Any]  # the recipe that is followed; {} if there is none
    light: Light | None  # the mask as it was read
    leader: Guide | None  # the guide as it was read
    subject: Subject | None  # None if INPUT is a folder: each of its pictures has its own
    warnings: tuple[str, ...]  # lines to print before the dream
