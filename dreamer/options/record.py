"""The recipe of a dream: the settings, known before it starts, that its output records."""

import hashlib
import os
from typing import Any

from dreamer import __version__
from dreamer.films.moving import Moving
from dreamer.machine.files import sha256
from dreamer.nets import checksum
from dreamer.options.sizes import fitting_sizes
from dreamer.options.understood import Sizes, Subject, Understood
from dreamer.pictures import inputs
from dreamer.pictures.finish import WHOLE

_IF_USED = {"smooth": None, "pyramid": False, "keep_colours": False, "strength": WHOLE}  # left out at these defaults
_BESIDE = ("guide", "mask")  # options that name a picture: a recipe records its name and checksum


def recipe(understood: Understood, sizes: list[tuple[int, int]], subject: Subject | None = None) -> dict[str, Any]:
    """The recipe, without the seed.

    sizes    (height, width) of the octaves
    subject  what is dreamed; None for that of `understood`, or for a picture of a folder"""
    subject = subject or understood.subject
    made = {"version": __version__, "model": understood.model.name,
            "weights_sha256": checksum.sha256(understood.model.weights_path(understood.weights)),
            "layer": understood.layer.text, "iterations": understood.iterations, "octaves": len(sizes),
            "scale": understood.scale, "step_size": understood.step_size, "jitter": understood.jitter,
            "clip": not understood.no_clip, "width": sizes[-1][1], "height": sizes[-1][0],
            "reproducible": understood.reproducible}
    made |= {name: value for name, usual in _IF_USED.items() if (value := getattr(understood, name)) != usual}
    for name in _BESIDE:
        if (path := getattr(understood, name)) is not None:
            made |= {name: os.path.basename(path), f"{name}_sha256": sha256(path)}
    if understood.guide is not None:
        made["guide_size"] = understood.guide_size
    if subject and subject.moving:
        made |= _of_moving(subject.moving) | {"flow": understood.flow, "blend": subject.blend}
        made |= {name: value for name in ("start", "end", "no_deinterlace") if (value := getattr(understood, name))}
    elif subject and subject.nothing:
        made["source"] = str(subject.nothing)
    elif understood.input != inputs.STANDARD:
        made["source_sha256"] = sha256(understood.input)
    if understood.zoom:
        made |= {name: getattr(understood, name) for name in ("zoom", "zoom_step", "rotate", "pan")}
    if subject and subject.film:
        made["fps"] = subject.fps
    return made


def _of_moving(moving: Moving) -> dict[str, str]:
    return {"source_sha256": hashlib.sha256(moving.checksum().encode()).hexdigest()}


def is_of(found: dict[str, Any], understood: Understood, octave_sizes: Sizes) -> bool:
    """Whether `found` is the recipe of the dream that is asked for, if the picture has the size that `found` gives."""
    height, width = found.get("height"), found.get("width")
    if not (type(height) is int and type(width) is int and height > 0 and width > 0):  # not written by us
        return False
    made = recipe(understood, fitting_sizes(understood, octave_sizes, height, width))
    return ("unfinished" not in found and understood.seed in (None, found.get("seed"))
            and all(found.get(name) == made.get(name)
                    for name in {*made, *_IF_USED, *(f"{name}_sha256" for name in _BESIDE)} - {"version"}))
