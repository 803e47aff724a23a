"""What a dream will be, before it is dreamed: the sizes of its octaves, and its recipe."""

import functools
import hashlib
import os
from typing import Any

from dreamer import inputs
from dreamer.errors import Mistake
from dreamer.files import sha256
from dreamer.settings import Settings
from dreamer.shapes import cut, smallest_side

checksum = functools.cache(sha256)  # of large files
_BESIDE = ("guide", "mask")  # options that name a picture: a recipe has its name and checksum


def fitting_sizes(settings: Settings, height: int, width: int) -> list[tuple[int, int]]:
    """[(height, width)] of the octaves, the smallest first, that are large enough for the layer; raises Mistake where
    none is."""
    sizes = fitting(settings, settings.algorithm.octave_sizes(height, width, settings.octaves, settings.scale))
    if not sizes:
        raise Mistake(f"input: {width}×{height} pixels are too few for {settings.layer}: each side needs "
                      f"{least_side(settings)}")
    return sizes


def fitting(settings: Settings, sizes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those of the sizes, (height, width), that are large enough for the layer."""
    smallest = least_side(settings)
    return [size for size in sizes if min(size) >= smallest]


def least_side(settings: Settings) -> int:
    """The fewest pixels that a side of a picture may have, for what is to be dreamed."""
    return smallest_side(cut(settings.chosen.net, settings.layer.names))


def recipe(settings: Settings, sizes: list[tuple[int, int]]) -> dict[str, Any]:
    """How the dream is made, all but its seed: what is kept in the picture.

    sizes  those of the octaves"""
    made = {"version": settings.version, "model": settings.chosen.name,
            "weights_sha256": checksum(settings.chosen.weights_path(settings.weights)), "layer": settings.layer.text,
            "iterations": settings.iterations, "octaves": len(sizes), "scale": settings.scale,
            "step_size": settings.step_size, "jitter": settings.jitter, "clip": not settings.no_clip,
            "width": sizes[-1][1], "height": sizes[-1][0], "reproducible": settings.reproducible}
    for name in _BESIDE:
        if (path := getattr(settings, name)) is not None:
            made |= {name: os.path.basename(path), f"{name}_sha256": checksum(path)}
    if settings.guide is not None:
        made["guide_size"] = settings.guide_size
    if settings.video:
        made |= {"source_sha256": hashlib.sha256(settings.video.checksum().encode()).hexdigest(),
                 "flow": settings.flow, "blend": settings.blend}
    elif settings.input != inputs.STANDARD:
        made["source_sha256"] = sha256(settings.input)
    if settings.zoom:
        made |= {name: getattr(settings, name) for name in ("zoom", "zoom_step", "rotate", "pan")}
    if settings.film:
        made["fps"] = settings.fps
    return made


def is_recipe(found: dict[str, Any], settings: Settings) -> bool:
    """Whether the recipe `found` is that of the dream that is asked for, of a picture of the size in it."""
    made = recipe(settings, fitting_sizes(settings, found.get("height", 0), found.get("width", 0)))
    return ("unfinished" not in found and settings.seed in (None, found.get("seed"))
            and all(found.get(name) == made.get(name)
                    for name in {*made, *(f"{name}_sha256" for name in _BESIDE)} - {"version"}))
