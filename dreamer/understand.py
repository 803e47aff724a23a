"""From what was asked for to what is meant: each setting is checked, the model and the layer are found, and the
pictures are read. All that is wrong is collected, and told before any work is done."""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dreamer import guides, inputs, layers, masks, model, pictures, places, plan, recipe
from dreamer.errors import Mistake, Wrong
from dreamer.guides import Guide
from dreamer.settings import Algorithm, Settings

# What a recipe says of how to dream, beside the pictures that were used
_FOLLOWED = ("layer", "iterations", "octaves", "scale", "seed", "step_size", "jitter", "model", "no_clip", "guide_size",
             "reproducible", "zoom_step", "rotate", "pan", "fps", "flow", "blend")


def understand(asked: Mapping[str, Any], usual: Mapping[str, Any], checks: Mapping[str, Callable[[Any], Any]],
               algorithm: Algorithm, version: str, sheet: bool = False, unknown: Iterable[str] = ()) -> Settings:
    """The Settings that come of what was asked for, {option: value}.

    usual      {option: its default}
    checks     {option: function of its value, or its text, that gives what is meant}
    algorithm  what dreams; version: of it
    sheet      whether OUTPUT is to be an atlas
    unknown    lines on what is wrong already

    Raises Mistake with all that is wrong, a line each."""
    settings = Settings(**{**usual, **asked}, usual=usual, algorithm=algorithm, version=version, picture=None,
                        video=None, where=None, film=False, followed={}, chosen=None, warnings=[])
    wrong = Wrong(unknown)
    _follow(settings, wrong)
    for name, check in checks.items():
        value = getattr(settings, name)
        if value is not None:
            setattr(settings, name, usual[name])  # where it is wrong, to see what else is
            with wrong.noted(f"{name.replace('_', '-')}: "):
                setattr(settings, name, check(value))
    _find_model(settings, wrong)
    _read_mask(settings, wrong)
    _read_guide(settings, wrong)
    places.find(settings, wrong, sheet)
    if settings.preview is not None:
        with wrong.noted("preview: "):
            _check_preview(settings.preview, settings)
    wrong.tell()
    return settings


def _follow(settings: Settings, wrong: Wrong) -> None:
    """Of the recipe in the picture `settings.like` take what is still at its default. (From the command line 10 comes
    as text: it was said, and is none.)"""
    if settings.like is None:
        return
    with wrong.noted("like: "):
        settings.followed = found = recipe.read(settings.like)
        found["no_clip"] = found.get("clip") is False
        for name in _FOLLOWED:
            value, usual = found.get(name), settings.usual[name]
            if value is None or getattr(settings, name) != usual:
                continue
            kind = bool if isinstance(usual, bool) else str if name in ("layer", "model") else object
            if not isinstance(value, kind):  # the others are checked as what is asked for is
                raise Mistake(f"{name}: the recipe in {settings.like} is damaged: {value!r} makes no sense")
            setattr(settings, name, value)


def _find_model(settings: Settings, wrong: Wrong) -> None:
    """Find the Model, and what of it is to be dreamed."""
    with wrong.noted():
        if settings.model:
            settings.chosen = model.find(settings.model)
        else:
            settings.chosen, warning = model.default(settings.weights)
            settings.warnings += [warning] if warning else []
    if settings.chosen:
        with wrong.noted("layer: "):
            text = vars(settings)["layer"] or settings.chosen.default_layer  # as asked
            settings.layer, warnings = layers.parse(text, settings.chosen)
            settings.warnings += warnings
        with wrong.noted():
            settings.chosen.weights_path(settings.weights)


def _read_mask(settings: Settings, wrong: Wrong) -> None:
    settings.light = None
    if settings.mask is not None:
        with wrong.noted():
            if _same(settings.output, settings.mask):
                raise Mistake(f"output: {settings.output} is the mask itself: name another file")
            settings.light = masks.read(settings.mask, settings.max_pixels, settings.warnings.append)
    elif "mask" in settings.followed:  # it belongs to one picture, and this may be another
        settings.warnings.append(f"like: {settings.like} had the mask {settings.followed['mask']}; --mask names one "
                                 "here")


def _read_guide(settings: Settings, wrong: Wrong) -> None:
    """A recipe that had a guide is nothing without it."""
    settings.leader, had = None, settings.followed.get("guide")
    if settings.guide is None:
        if had is not None:
            wrong.append(f"like: {settings.like} was guided by {had}: name that picture with --guide")
        return
    with wrong.noted():
        if _same(settings.output, settings.guide):
            raise Mistake(f"output: {settings.output} is the guide itself: name another file")
        smallest = plan.least_side(settings) if settings.chosen and not wrong else 1
        settings.leader = Guide(guides.read(settings.guide, settings.guide_size, smallest, settings.max_pixels,
                                            settings.warnings.append))
        if had is not None and settings.followed.get("guide_sha256") != plan.checksum(settings.guide):
            settings.warnings.append(f"like: {settings.like} was guided by another picture ({had}) than "
                                     f"{settings.guide}")


def _check_preview(preview: str, settings: Settings) -> None:
    if preview == inputs.STANDARD:
        raise Mistake("only OUTPUT can be standard output: name a file")
    for name in ("guide", "like", "mask"):
        path = getattr(settings, name)
        if path and _same(preview, path):
            raise Mistake(f"{path} is what --{name} names: name another file")
    pictures.check_output(preview, settings.input)


def _same(output: str, path: str) -> bool:
    """Whether both are one file, by whatever names: links, or another case where the folder does not mind it."""
    if not output or output == inputs.STANDARD:
        return False
    if os.path.realpath(output) == os.path.realpath(path):  # there or not
        return True
    try:
        return os.path.samefile(output, path)
    except OSError:
        return False
