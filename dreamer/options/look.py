"""A look: a name in LAYER's place that stands for a layer, with the steps and octaves that suit it. A class has some
that suit it too."""

import contextlib
from collections.abc import Mapping
from typing import Any

from dreamer.errors import Failure, Mistake
from dreamer.nets import model
from dreamer.nets.classes import WORD
from dreamer.nets.model import Look, Model

# Chosen for dreams out of noise: of 40 classes spread over the list, the net then takes TODO for what they are.
CLASS = Look("", 40, 4)


def find(name: str | None, chosen: Model) -> Look | None:
    """The model's look of that name, or a class's; None if there is none. Raises Failure."""
    if name is None or name in chosen.keys:
        return None
    if any(piece.strip().lower().startswith(f"{WORD}:") for piece in name.split("+")):
        return CLASS._replace(layer=name)
    return chosen.looks().get(name)


def filled(asked: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """`asked`, {field: value}, with the steps of the look that LAYER names, if ITERATIONS is left at its default.

    Errors in it are left to understand(), which reports them all."""
    made = dict(asked)
    with contextlib.suppress(Mistake, Failure):
        if asked["layer"] is not None and asked["iterations"] == usual["iterations"]:
            chosen = model.find(asked["model"]) if asked["model"] else model.default(asked["weights"])[0]
            if look := find(asked["layer"], chosen):
                made["iterations"] = look.iterations
    return made
