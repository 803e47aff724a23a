"""What a dream is asked to be, and what that was found to mean."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dreamer.guides import Guide
    from dreamer.layers import Layers
    from dreamer.model import Model
    from dreamer.pictures import Picture
    from dreamer.planes import Light
    from dreamer.video import Moving


class Algorithm(NamedTuple):
    """The functions of dreamify.py of these names, which whoever reads it may have changed."""

    deepdream: Callable[..., Any]
    octave_sizes: Callable[[int, int, int, float], list[tuple[int, int]]]


class Settings(SimpleNamespace):
    """What was asked for, an attribute for each option of dreamify.py, and what came of it when it was understood."""

    # as asked: the names and defaults are those of dreamify.dreamify
    input: str  # None until it is understood, where it was not named; so is output
    output: str
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
    model: str | None
    weights: str | None
    max_size: int | None
    max_pixels: int
    keep_location: bool
    force: bool
    memory: int | None
    threads: int | None
    reproducible: bool
    like: str | None
    preview: str | None
    no_resume: bool
    watch: bool
    quiet: bool
    zoom: int | None
    zoom_step: float
    rotate: float
    pan: tuple[float, float]
    fps: float
    flow: bool
    blend: float  # None where it was not said, until it is understood

    # as understood
    usual: dict[str, Any]  # {option: its default}
    algorithm: Algorithm
    version: str  # of dreamify.py
    warnings: list[str]  # lines to tell before the dream
    followed: dict[str, Any]  # the recipe that is followed; {} where none is
    chosen: Model
    layer: Layers
    picture: Picture  # None where INPUT is a folder: then each picture in it has Settings of its own
    video: Moving | None  # what moves, where that is dreamed
    film: bool  # whether OUTPUT is a film
    rate: Fraction  # its ticks a second
    light: Light | None  # the mask as it was read
    where: Light | None  # the mask at the picture's size
    leader: Guide | None

    def but(self, **changes: Any) -> Settings:
        """The same with other values for some, and no warnings yet."""
        return Settings(**vars(self) | {"warnings": []} | changes)
