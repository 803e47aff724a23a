"""--like: takes settings from the recipe in a picture."""

import os
from collections.abc import Mapping
from typing import Any

from dreamer.errors import Mistake
from dreamer.films.names import FASTEST, may_be_film
from dreamer.machine.files import sha256
from dreamer.pictures import inputs, nothing
from dreamer.pictures.recipe import read_recipe

# The settings that a recipe gives; the guide and the mask are files, and are not among them
_OF_FILMS = ("zoom", "zoom_step", "rotate", "pan", "fps", "flow", "blend")
_FOLLOWED = ("layer", "iterations", "octaves", "scale", "seed", "step_size", "jitter", "model", "no_clip", "smooth",
             "pyramid", "keep_colours", "strength", "guide_size", "reproducible", *_OF_FILMS)
_FLAGS = ("no_clip", "pyramid", "keep_colours", "reproducible", "flow")
_WORDS = ("layer", "model")  # pan is a pair, the others are numbers


def followed(path: str) -> dict[str, Any]:
    """The recipe in the picture at `path`, with the names of dreamify.dreamify's arguments. Raises Mistake if there is
    none, or if a value has the wrong type."""
    if path == inputs.STANDARD:
        raise Mistake("only INPUT can be standard input; name a file")
    found = read_recipe(path)
    found["no_clip"] = found.get("clip") is False
    for name in _FOLLOWED:
        kind = bool if name in _FLAGS else str if name in _WORDS else list if name == "pan" else int | float
        if not isinstance(found.get(name), kind | None) or (isinstance(found.get(name), bool) and kind is not bool):
            raise Mistake(f"{name}: the recipe in {path} is damaged: it has the value {found[name]!r}")
    if found.get("source") is not None and not nothing.told(found["source"]):
        raise Mistake(f"source: the recipe in {path} is damaged: it has the value {found['source']!r}")
    if not found.get("zoom") and (found.get("fps") or 0) > FASTEST:  # the rate of a video
        del found["fps"]
    return found


def _may_zoom(asked: Mapping[str, Any]) -> bool:
    """Whether the output may be a film of one picture."""
    source, output = asked.get("input"), asked.get("output")
    return (output is not None and may_be_film(output)
            and (source is None or (isinstance(source, str) and not os.path.isdir(source))))


def _guide(asked: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """The path of the guide in the recipe `found`, if that very file lies beside the picture with the recipe or beside
    the input."""
    for path in (asked["like"], asked.get("input")):
        if isinstance(path, str) and isinstance(found["guide"], str):
            guide = os.path.join(os.path.dirname(path), os.path.basename(found["guide"]))
            if os.path.isfile(guide) and sha256(guide) == found.get("guide_sha256"):
                return guide
    return None


def filled(asked: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments `asked`; those at their defaults, `usual`, are taken from the recipe in the picture `like`. (From
    the command line values come as text, so even a typed default counts as given.) If the recipe cannot be read,
    nothing is changed, and `understand` reports the error."""
    made = dict(asked)
    try:
        found = followed(asked["like"]) if asked.get("like") is not None else {}
    except Mistake:
        return made
    if not may_be_film(asked.get("output") or "") and not asked.get("zoom"):
        found |= dict.fromkeys(_OF_FILMS)
    elif not _may_zoom(asked):
        found["zoom"] = None
    if found.get("guide") is not None and asked.get("guide") is None:
        made["guide"] = _guide(asked, found)
    if found.get("source") is not None and not asked.get("watch") and not isinstance(asked.get("input"), tuple):
        made["input"] = nothing.repeated(asked.get("input"), found["source"])
    for name in _FOLLOWED:
        if found.get(name) is not None and asked.get(name, usual[name]) == usual[name]:
            made[name] = found[name]
    return made
