"""From a Request to what it means: checks each option, finds the model and the layer, and reads the pictures. All
errors are collected and raised together, before any work is done."""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any

from dreamer.arrays import Light
from dreamer.errors import Mistake, Wrong
from dreamer.machine.files import sha256
from dreamer.nets import guide, layers, model
from dreamer.nets.guide import Guide
from dreamer.nets.model import Model
from dreamer.options import guide_and_mask, look, outputs, places, values
from dreamer.options.idle import idle
from dreamer.options.like import followed
from dreamer.options.request import Request
from dreamer.options.sizes import USUAL, least_side
from dreamer.options.texts import OPTIONS
from dreamer.options.understood import Understood
from dreamer.pictures import inputs

# Substitutes for wrong values, so that the other checks can run
_INSTEAD = {"max_pixels": inputs.MAX_PIXELS, "guide_size": guide.SIZE, "flow": False}


def understand(request: Request, sheet: bool = False, unknown: Iterable[str] = (),
               look: places.Look = lambda done, whole: None) -> Understood:
    """What the Request means.

    sheet    whether OUTPUT is to be an atlas
    unknown  lines about errors that are known already
    look     called about once a second while the frames of a video are counted, with the seconds of the video that are
             done, and all its seconds

    Raises Mistake with one line for each error."""
    wrong, warnings = Wrong(unknown), list[str]()
    draft = settings(request, wrong, warnings)
    with wrong.noted():
        draft = dataclasses.replace(draft, light=_light(draft, warnings))
    with wrong.noted():
        draft = dataclasses.replace(draft, leader=_leader(draft, wrong, warnings))
    subject = places.find(draft, wrong, warnings.append, sheet, look)
    _check_others(draft, wrong)
    if draft.preview is not None and draft.farm and subject is None and not wrong:
        wrong.append("farm: a farm makes no preview of several pictures; leave out --preview, or dream here, with "
                     "--farm none")
    wrong.tell()
    draft = dataclasses.replace(draft, subject=subject)
    return dataclasses.replace(draft, warnings=(*warnings, *idle(draft)))


def settings(request: Request, wrong: Wrong, warnings: list[str]) -> Understood:
    """What the options, the model and the layer of the Request mean, without its pictures: no file is read except the
    recipe in `like`. Lines are added to `wrong` and `warnings`; if something is wrong, the result has substitutes."""
    recipe: Mapping[str, Any] = {}
    with wrong.noted("like: "):
        recipe = {} if request.like is None else followed(request.like)
    checked = _checked(request, wrong)
    found = _model(request, wrong, warnings)
    layer, octaves = _layer(request, found, wrong, warnings) if found else (None, USUAL)
    if request.like is not None and "mask" in recipe and request.mask is None:
        # a mask belongs to one picture, and this may be a different one
        warnings.append(f"like: {request.like} was dreamed with the mask {recipe['mask']}; to use one here, add --mask")
    if "zoom" in recipe and request.zoom is None:
        warnings.append(f"like: {request.like} is a zoom of {recipe['zoom']} frames; this dream is not")
    source = request.input if isinstance(request.input, str) else ""
    folder = request.watch or bool(source and os.path.isdir(source))
    return Understood(**checked | {  # for each None that is not allowed, an error is noted
        "request": request, "model": found, "layer": layer, "usual_octaves": octaves, "followed": recipe,
        "subject": None, "light": None, "leader": None,
        "warnings": (), "farm": _farm(request, checked.get("farm"), wrong),
        "input": source or (os.curdir if request.watch else ""),
        "pictures": request.input if isinstance(request.input, tuple) else None,
        "output": request.output or ((source or os.curdir) if folder else "")})


def _farm(request: Request, asked: str | None, wrong: Wrong) -> str | None:
    """The farm to dream on: `asked`, or that of the variable; None to dream here."""
    found = asked
    if request.farm is None and (named := os.environ.get("DREAMER_FARM")):
        with wrong.noted("DREAMER_FARM: "):
            found = values.farm(named)
    if not found or found == values.NONE:
        return None
    files = request.input if isinstance(request.input, tuple) else (request.input,)
    if inputs.STANDARD in (*files, request.output):
        wrong.append("farm: INPUT and OUTPUT must be files, not -; or dream here, with --farm none")
    return found


def _checked(request: Request, wrong: Wrong) -> dict[str, Any]:
    """{option: its value, checked and converted, or a substitute if it is wrong}."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(Understood):
        value = getattr(request, field.name, None)
        if field.name in OPTIONS and value is not None and OPTIONS[field.name].metavar:
            found[field.name] = _INSTEAD.get(field.name)
            with wrong.noted(f"{field.name.replace('_', '-')}: "):
                value = OPTIONS[field.name].check(value)
                found[field.name] = value
        else:
            found[field.name] = value
    return found


def _model(request: Request, wrong: Wrong, warnings: list[str]) -> Model | None:
    """The Model that is asked for; None if it is not found."""
    with wrong.noted():
        if request.model:
            return model.find(request.model)
        chosen, warning = model.default(request.weights)
        warnings += [warning] if warning else []
        return chosen
    return None


def _layer(request: Request, chosen: Model, wrong: Wrong, warnings: list[str]) -> tuple[layers.Layers | None, int]:
    """(the layers to dream, None if they are wrong; the usual number of octaves): what was asked for, or a look."""
    found, octaves = None, USUAL
    with wrong.noted("layer: "):
        name = request.layer or chosen.default_layer
        if taken := look.find(name, chosen):
            name, octaves = taken.layer, taken.octaves
        found, told = layers.parse(name, chosen)
        warnings += told
    with wrong.noted():
        chosen.weights_path(request.weights)
    return found, octaves


def _light(draft: Understood, warnings: list[str]) -> Light | None:
    if draft.mask is None:
        return None
    if _same(draft.output, draft.mask):
        raise Mistake(f"output: {draft.output} is the mask itself; name another file")
    return guide_and_mask.read_mask(draft.mask, draft.max_pixels, warnings.append)


def _leader(draft: Understood, wrong: Wrong, warnings: list[str]) -> Guide | None:
    """The guide, or None. Raises Mistake if the recipe that is followed had a guide and none is given now."""
    had, like = draft.followed.get("guide"), draft.request.like
    if draft.guide is not None and draft.layer and (taken := draft.layer.label):
        raise Mistake(f"guide: {taken} says already what to dream; leave out --guide, or name a layer")
    if draft.guide is None:
        if had is not None:
            raise Mistake(f"like: {like} was guided by {had}; name that picture with --guide")
        return None
    if _same(draft.output, draft.guide):
        raise Mistake(f"output: {draft.output} is the guide itself; name another file")
    smallest = 1 if wrong else least_side(draft.model, draft.layer)
    leader = Guide(guide_and_mask.read_guide(draft.guide, draft.guide_size, smallest, draft.max_pixels,
                                             warnings.append))
    if had is not None and draft.followed.get("guide_sha256") != sha256(draft.guide):
        warnings.append(f"like: {like} was guided by {had}, but {draft.guide} is a different picture")
    return leader


def _check_others(draft: Understood, wrong: Wrong) -> None:
    """Check the other files to be written: the preview and the events."""
    if draft.events is not None:
        with wrong.noted():
            outputs.check_events(draft.request)
    if draft.preview is not None:
        with wrong.noted("preview: "):
            if draft.preview == inputs.STANDARD:
                raise Mistake("only OUTPUT can be standard output; name a file")
            for name in ("guide", "like", "mask"):
                path = getattr(draft.request, name)
                if path and _same(draft.preview, path):
                    raise Mistake(f"{path} is also the file of --{name}; name another file")
            if any(source and _same(draft.preview, source) for source in draft.pictures or (draft.input,)):
                raise Mistake(f"{draft.preview} is the input itself; name another file")
            if draft.input and os.path.isdir(draft.input):
                outputs.check_no_picture_of(draft.input, draft.preview, draft.recursive)
            outputs.check_picture(draft.preview, None, draft.force)


def _same(output: str, path: str) -> bool:
    """Whether both are the same file, also under two names: links, or a folder that ignores case."""
    if not output or output == inputs.STANDARD:
        return False
    if os.path.realpath(output) == os.path.realpath(path):  # even if it does not exist
        return True
    try:
        return os.path.samestat(os.stat(output), os.fstat(0) if path == inputs.STANDARD else os.stat(path))
    except OSError:
        return False
