"""The command line that makes the same dream as a form, and the photo that a dream was made of."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dreamer.errors import Mistake
from dreamer.machine import files
from dreamer.nets import model
from dreamer.options.request import Request
from dreamer.pictures import nothing
from dreamer.studio import form, naming

_PATHS = ("input", "output", "guide", "mask")
_DREAM = re.compile(r"(.+)-dream(?:-\d+)?", re.S)  # the name of a dream, without its extension


def line(members: Mapping[str, Any], folder: Path, ask: Callable[..., Request],
         command: Callable[[Request], str]) -> str:
    """The command line, to be typed where the studio was started.

    members  of a request, with paths relative to `folder`
    ask, command  dreamify's"""
    request = ask({name: _path(value, folder) if name in _PATHS and not _is_nothing(name, value, folder) else value
                   for name, value in members.items()})
    if request.layer is None:
        chosen = model.find(request.model) if request.model else model.default()[0]
        request = dataclasses.replace(request, layer=chosen.default_layer)
    return command(request)


def _is_nothing(name: str, value: Any, folder: Path) -> bool:
    return name == "input" and isinstance(value, str) and nothing.named(value, folder)


def _path(name: Any, folder: Path) -> Any:
    """The path of a file in `folder` as one types it in the current folder."""
    if not isinstance(name, str):
        return name
    path, current = Path(folder, name), Path(os.path.realpath(os.curdir))
    if not path.is_relative_to(current):
        return str(path)
    near = str(path.relative_to(current))
    return f"./{near}" if near.startswith("-") else near


def beside(folder: Path, recipe: Mapping[str, Any]) -> dict[str, str]:
    """The fields `guide` and `mask` of the form for a dream with this recipe, if these files are still in `folder`.
    Reads files."""
    found = {}
    for name, place in (("guide", folder), ("mask", folder / form.MASKS)):
        named = recipe.get(name)
        if isinstance(named, str):
            with contextlib.suppress(Mistake, OSError):
                form.checked({name: named})
                if files.sha256(place / named) == recipe.get(f"{name}_sha256"):
                    found[name] = named
    return found


def source(folder: Path, dream: str, recipe: Mapping[str, Any]) -> str | None:
    """The name of the file in `folder` of which `dream` was made, by its name; of several, the one whose content is
    right. None if there is none. Reads files. For a dream from nothing, what it was made of."""
    found = _DREAM.fullmatch(re.sub(r"(-dream(?:-\d+)?)\.\w+(\.png)$", r"\1\2", dream).rpartition(".")[0])
    if nothing.told(recipe.get("source")):
        return str(recipe["source"])
    if not found:
        return None
    with os.scandir(folder) as entries:
        named = sorted(entry.name for entry in entries if os.path.splitext(entry.name)[0] == found[1]
                       and naming.kind(entry.name) and entry.is_file(follow_symlinks=False))
    for name in named:
        try:
            if files.sha256(folder / name) == recipe.get("source_sha256"):
                return name
        except OSError:
            continue
    return named[0] if named else None
