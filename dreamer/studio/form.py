"""From the form on the page to a request, as data, and from a recipe to a form. What a browser sent is never an option,
a path or a command: only these fields are known, and each is checked."""

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dreamer.errors import Mistake, Wrong
from dreamer.films import names, video
from dreamer.films.containers import container
from dreamer.machine import ffmpeg
from dreamer.nets import model
from dreamer.options.texts import OPTIONS
from dreamer.pictures import inputs, nothing
from dreamer.studio import naming

KINDS = ("dream", "try")
FORMATS = ("jpg", "png", "webp", "tif")
FILMS = tuple(extension[1:] for extension in names.FILMS)
LONGEST = 1000  # characters of a text
MASKS = ".studio/masks"
TRIED = {"iterations": 10, "max_size": 192}  # of a dream of each layer on one photo
_NUMBERS = ("iterations", "octaves", "scale", "step_size", "jitter", "smooth", "strength", "seed", "max_size",
            "guide_size", "zoom", "zoom_step", "rotate", "pan", "fps", "start", "end", "blend")
_FLAGS = ("no_clip", "pyramid", "keep_colours", "keep_location", "flow", "no_sound", "no_deinterlace", "steps")
_CHOSEN = {"kind": KINDS, "format": FORMATS, "film": FILMS}
_OF_FILMS = ("zoom", "zoom_step", "rotate", "pan", "fps", "start", "end", "flow", "blend", "no_sound",
             "no_deinterlace")
_OF_THE_PAGE = ("photo", "kind", "format", "film", "steps")  # the request says this in its own way
_MAY_MOVE = (".apng", ".avif", ".gif", ".png", ".webp")  # pictures that may be films


def checked(form: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the form that have a value, each in its own type. Raises Mistake with all that is wrong."""
    if not isinstance(form, Mapping):
        raise Mistake("form: it must be an object")
    wrong, found = Wrong(), dict[str, Any]()
    for name, value in form.items():
        if value is None or value == "":
            continue
        with wrong.noted():
            found[name] = _value(name, value)
    with wrong.noted():
        _fit_together(found)
    wrong.tell()
    return found


def request_of(form: Mapping[str, Any], folder: Path, output: str) -> dict[str, Any]:
    """The members of a request for `dreamify.py --request -` that is carried out in `folder`.

    output  where the dream goes, relative to `folder`: the name of a file; a folder, for a dream of each layer

    Raises Mistake with all that is wrong."""
    wrong, found = Wrong(), dict[str, Any]()
    with wrong.noted():
        found = checked(form)
    for field in "photo", "guide":
        if field in found:
            with wrong.noted(f"{field}: "):
                if field == "guide" or not nothing.find(found[field], inputs.MAX_PIXELS, folder):
                    naming.opened(folder, found[field]).close()
    if "mask" in found and not os.path.isfile(Path(folder, MASKS, found["mask"])):
        wrong.append("mask: it is no longer there; paint it again")
    if not wrong and "photo" not in found:
        wrong.append("photo: choose a photo")
    wrong.tell()
    photo = found["photo"] if nothing.named(found["photo"], folder) else f"./{found['photo']}"
    request = {"input": photo, "output": f"./{output}", "quiet": True}
    if found.get("kind") == "try":
        model_and_seed = {name: found[name] for name in ("model", "seed") if name in found}
        return {"command": "atlas"} | request | TRIED | model_and_seed
    request |= {name: value for name, value in found.items() if name not in _OF_THE_PAGE}
    if "guide" in found:
        request["guide"] = f"./{found['guide']}"
    if "mask" in found:
        request["mask"] = f"./{MASKS}/{found['mask']}"
    if not film(found):
        request = {name: value for name, value in request.items() if name not in _OF_FILMS}
    return request


def film(form: Mapping[str, Any]) -> bool:
    """Whether the dream that a checked form asks for is a film."""
    return "film" in form or ("photo" in form and video.named_so(form["photo"]))


def extension(form: Mapping[str, Any]) -> str | None:
    """The extension of the dream that a checked form asks for; None for the one that the dreams of a folder get."""
    if film(form):
        own = os.path.splitext(form.get("photo", ""))[1].lower()
        return f".{form['film']}" if "film" in form else own if own in names.FILMS else ".mp4"
    return f".{form['format']}" if "format" in form else None


def form_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The form that asks for a dream with these settings, as far as a form can: guide and mask are files, and are named
    only in the recipe. Values that no form may have are left out."""
    found: dict[str, Any] = {}
    for name, value in (dict(recipe) | {"no_clip": recipe.get("clip") is False}).items():
        if name not in (*_NUMBERS, *_FLAGS, "layer", "model") or name == "steps" or value is None or value is False:
            continue
        with contextlib.suppress(Mistake):
            found[name] = _value(name, value)
    if "zoom" not in found:
        found = {name: value for name, value in found.items() if name not in ("zoom_step", "rotate", "pan")}
    return found


def _value(name: str, value: Any) -> Any:
    """The value of a field in its own type; raises Mistake."""
    told = name.replace("_", "-") if isinstance(name, str) else ""
    if name in _CHOSEN:
        if isinstance(value, str) and value in _CHOSEN[name]:
            return value
        raise Mistake(f"{told}: {_shown(value)} is not one of {' '.join(_CHOSEN[name])}")
    if name == "model":
        if isinstance(value, str) and value in model.names():
            return value
        raise Mistake(f"no model {_shown(value)}; the models are: {', '.join(model.names())}")
    if name in ("photo", "guide"):
        return _checked(told, naming.check, value)
    if name not in (*_NUMBERS, *_FLAGS, "layer", "mask"):
        raise Mistake(f"form: unknown field {_shown(name)}")
    if name in _FLAGS and isinstance(value, bool):
        return value
    if name == "mask" and isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}\.png", value, re.ASCII):
        return value
    if name == "layer" and isinstance(value, str) and _is_text(value):
        return value
    if name == "pan" and (_is_number(value) or _is_pair(value)):
        return ",".join(map(repr, _checked(told, OPTIONS[name].check, value)))  # as the command line has it
    if name in _NUMBERS and _is_number(value):
        return _checked(told, OPTIONS[name].check, value)
    raise Mistake(f"{told}: {_shown(value)} is not a valid value")


def _checked(told: str, check: Callable[[Any], Any], value: object) -> Any:
    """check(value); its Mistake tells of the field `told`."""
    wrong = Wrong()
    with wrong.noted(f"{told}: "):
        return check(value)
    raise Mistake(*wrong)


def _shown(value: object) -> str:
    """A value of any kind, short."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10 ** 40:
        return "a number of so many digits"
    if isinstance(value, str | int | float | None):
        text = repr(value)
        return text if len(text) <= 80 else f"{text[:80]}…"
    return "a list" if isinstance(value, list | tuple) else "an object"


def _is_text(value: str) -> bool:
    """Whether it is a text that a layer could be."""
    try:
        return len(value) <= LONGEST and "\0" not in value and bool(value.encode())
    except UnicodeEncodeError:
        return False


def _is_number(value: object) -> bool:
    """Whether it is a number, or may be one as text; the option's own check reads it."""
    if isinstance(value, str):
        return len(value) <= 100 and value.isascii()
    return isinstance(value, int | float) and not isinstance(value, bool) and not (
        isinstance(value, int) and abs(value) >= 10 ** 40)


def _is_pair(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value))


def _fit_together(found: Mapping[str, Any]) -> None:
    """Raise Mistake if the fields of films do not fit together, or if such a film cannot be made here."""
    wrong = Wrong()
    if "zoom" in found and found.get("steps"):
        wrong.append("steps: a film of every step has no zoom")
    if not film(found) and ("zoom" in found or found.get("steps")):
        wrong.append(f"film: choose one of {' '.join(FILMS)}")
    photo = found.get("photo", "")
    if found.get("film") == "webp" and "zoom" not in found and not video.named_so(photo) and (
            found.get("steps") or os.path.splitext(photo)[1].lower() not in _MAY_MOVE):
        wrong.append("film: a film of every step cannot be a webp; choose another kind")
    if film(found) and container(f"x{extension(found)}"):
        with wrong.noted("output: "):
            ffmpeg.find()
    wrong.tell()
