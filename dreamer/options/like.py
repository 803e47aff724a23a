"""--like: what the recipe in a picture says of how to dream."""

import os
from collections.abc import Mapping
from typing import Any

from dreamer.errors import Mistake
from dreamer.films.names import may_be_film
from dreamer.pictures import inputs
from dreamer.pictures.recipe import read_recipe

# What a recipe says, beside the pictures that were used
_FOLLOWED = ("layer", "iterations", "octaves", "scale", "seed", "step_size", "jitter", "model", "no_clip", "guide_size",
             "reproducible", "zoom", "zoom_step", "rotate", "pan", "fps", "flow", "blend")
_FLAGS, _WORDS = ("no_clip", "reproducible", "flow"), ("layer", "model")  # the others are checked as options are


def followed(path: str) -> dict[str, Any]:
    """The recipe in the picture at `path`, in the words of dreamify.dreamify; raises Mistake where there is none, or
    where it makes no sense."""
    if path == inputs.STANDARD:
        raise Mistake("only INPUT can be standard input: name a file")
    found = read_recipe(path)
    found["no_clip"] = found.get("clip") is False
    for name in _FOLLOWED:
        kind = bool if name in _FLAGS else str if name in _WORDS else list if name == "pan" else int | float
        if not isinstance(found.get(name), kind | None) or (isinstance(found.get(name), bool) and kind is not bool):
            raise Mistake(f"{name}: the recipe in {path} is damaged: {found[name]!r} makes no sense")
    if not found.get("zoom") and (found.get("fps") or 0) > 120:  # a video's own rate; a film of ours has no more
        del found["fps"]
    return found


def _may_zoom(asked: Mapping[str, Any]) -> bool:
    """Whether a film of one picture is asked for."""
    source, output = asked.get("input"), asked.get("output")
    return output is not None and may_be_film(output) and (source is None or not os.path.isdir(source))


def filled(asked: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for, and for all that is as usual what the recipe in the picture `like` says. (From the command
    line 10 comes as text: it was said, and is not as usual.) Where there is no such recipe, nothing is changed: who
    understands what was asked for tells why."""
    made = dict(asked)
    try:
        found = followed(asked["like"]) if asked.get("like") is not None else {}
    except Mistake:
        return made
    if not _may_zoom(asked):
        found["zoom"] = None
    for name in _FOLLOWED:
        if found.get(name) is not None and asked.get(name, usual[name]) == usual[name]:
            made[name] = found[name]
    return made
