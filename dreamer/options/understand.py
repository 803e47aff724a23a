"""From what is asked for to what is meant: each option is checked, the model and the layer are found, and the pictures
are read. All that is wrong is collected, and told before any work is done."""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any

from dreamer.arrays import Light
from dreamer.errors import Mistake, Wrong
from dreamer.films.names import RATE
from dreamer.machine.files import sha256
from dreamer.nets import guide, layers, model
from dreamer.nets.guide import Guide
from dreamer.nets.model import Model
from dreamer.options import guide_and_mask, outputs, places
from dreamer.options.like import followed
from dreamer.options.request import Request
from dreamer.options.sizes import least_side
from dreamer.options.texts import OPTIONS
from dreamer.options.understood import Understood
from dreamer.pictures import inputs

# Where a value is wrong, these stand for it, to see what else is
_INSTEAD = {"max_pixels": inputs.MAX_PIXELS, "guide_size": guide.SIZE, "fps": float(RATE), "flow": False}


def understand(request: Request, sheet: bool = False, unknown: Iterable[str] = ()) -> Understood:
    """What the Request comes to.

    sheet    whether OUTPUT is to be an atlas
    unknown  lines on what is wrong already

    Raises Mistake with all that is wrong, a line each."""
    wrong, warnings = Wrong(unknown), list[str]()
    recipe: Mapping[str, Any] = {}
    with wrong.noted("like: "):
        recipe = {} if request.like is None else followed(request.like)
    values = _checked(request, wrong)
    found = _model(request, wrong, warnings)
    layer = _layer(request, found, wrong, warnings) if found else None
    if request.like is not None and "mask" in recipe and request.mask is None:
        # it belongs to one picture, and this may be another
        warnings.append(f"like: {request.like} was dreamed with the mask {recipe['mask']}; to use one here, add --mask")
    if "zoom" in recipe and request.zoom is None:
        warnings.append(f"like: {request.like} is a zoom of {recipe['zoom']} frames; this dream is not")
    folder = request.watch or bool(request.input and os.path.isdir(request.input))
    draft = Understood(**values | {  # what is None here but may not be was noted
        "request": request, "model": found, "layer": layer, "followed": recipe, "subject": None, "light": None,
        "leader": None, "warnings": (), "input": request.input or (os.curdir if request.watch else ""),
        "output": request.output or ((request.input or os.curdir) if folder else "")})
    with wrong.noted():
        draft = dataclasses.replace(draft, light=_light(draft, warnings))
    with wrong.noted():
        draft = dataclasses.replace(draft, leader=_leader(draft, wrong, warnings))
    subject = places.find(draft, wrong, warnings.append, sheet)
    _check_others(draft, wrong)
    wrong.tell()
    return dataclasses.replace(draft, subject=subject, warnings=tuple(warnings))


def _checked(request: Request, wrong: Wrong) -> dict[str, Any]:
    """{option: what its value means}; of a wrong one, what stands for it."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Understood):
        value = getattr(request, field.name, None)
        if field.name in OPTIONS and value is not None and OPTIONS[field.name].metavar:
            values[field.name] = _INSTEAD.get(field.name)
            with wrong.noted(f"{field.name.replace('_', '-')}: "):
                value = OPTIONS[field.name].check(value)
                values[field.name] = value
        else:
            values[field.name] = value
    return values


def _model(request: Request, wrong: Wrong, warnings: list[str]) -> Model | None:
    """The Model that is asked for; None where there is none."""
    with wrong.noted():
        if request.model:
            return model.find(request.model)
        chosen, warning = model.default(request.weights)
        warnings += [warning] if warning else []
        return chosen
    return None


def _layer(request: Request, chosen: Model, wrong: Wrong, warnings: list[str]) -> layers.Layers | None:
    """What of the Model is to be dreamed; None where that is wrong."""
    found = None
    with wrong.noted("layer: "):
        found, told = layers.parse(request.layer or chosen.default_layer, chosen)
        warnings += told
    with wrong.noted():
        chosen.weights_path(request.weights)
    return found


def _light(draft: Understood, warnings: list[str]) -> Light | None:
    if draft.mask is None:
        return None
    if _same(draft.output, draft.mask):
        raise Mistake(f"output: {draft.output} is the mask itself: name another file")
    return guide_and_mask.read_mask(draft.mask, draft.max_pixels, warnings.append)


def _leader(draft: Understood, wrong: Wrong, warnings: list[str]) -> Guide | None:
    """A recipe that had a guide is nothing without it."""
    had, like = draft.followed.get("guide"), draft.request.like
    if draft.guide is None:
        if had is not None:
            raise Mistake(f"like: {like} was guided by {had}: name that picture with --guide")
        return None
    if _same(draft.output, draft.guide):
        raise Mistake(f"output: {draft.output} is the guide itself: name another file")
    smallest = 1 if wrong else least_side(draft.model, draft.layer)
    leader = Guide(guide_and_mask.read_guide(draft.guide, draft.guide_size, smallest, draft.max_pixels,
                                             warnings.append))
    if had is not None and draft.followed.get("guide_sha256") != sha256(draft.guide):
        warnings.append(f"like: {like} was guided by {had}, which is another picture than {draft.guide}")
    return leader


def _check_others(draft: Understood, wrong: Wrong) -> None:
    """The other files that are written: the preview and the events."""
    if draft.events is not None:
        with wrong.noted():
            outputs.check_events(draft.request)
    if draft.preview is not None:
        with wrong.noted("preview: "):
            if draft.preview == inputs.STANDARD:
                raise Mistake("only OUTPUT can be standard output: name a file")
            for name in ("guide", "like", "mask"):
                path = getattr(draft.request, name)
                if path and _same(draft.preview, path):
                    raise Mistake(f"{path} is also the file of --{name}; name another file")
            outputs.check_picture(draft.preview, draft.input or None)
            if draft.input and os.path.isdir(draft.input):
                outputs.check_no_picture_of(draft.input, draft.preview)


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
