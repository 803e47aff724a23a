"""A look: a name in LAYER's place that stands for a layer, with the steps, octaves and smoothing that suit it. A
class has some that suit it too."""

import contextlib
from collections.abc import Mapping
from typing import Any

from dreamer.errors import Failure, Mistake
from dreamer.nets import model
from dreamer.nets.classes import WORD
from dreamer.nets.model import Look, Model

# Chosen by looking at dreams out of noise of 448×448 pixels: with half the steps, or half the smoothing, things fall
# apart into many small ones; with steps twice as long they drown in colours. `tests/bench/classes.py` then measured
# that the net takes 39 of 40 dreams, of classes spread over its list, for what they should be (the other one, an ear of
# corn, for an "ear").
CLASS = Look("", iterations=40, octaves=4, smooth=2.0)


def find(name: str | None, chosen: Model) -> Look | None:
    """The model's look of that name, or a class's; None if there is none. Raises Failure."""
    if name is None or name in chosen.keys:
        return None
    if any(piece.strip().lower().startswith(f"{WORD}:") for piece in name.split("+")):
        return CLASS._replace(layer=name)
    return chosen.looks().get(name)


def filled(asked: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """`asked`, {field: value}, with the steps and the smoothing of the look that LAYER names, if these are left at
    their defaults.

    Errors in it are left to understand(), which reports them all."""
    made = dict(asked)
    with contextlib.suppress(Mistake, Failure):
        if asked["layer"] is not None:
            chosen = model.find(asked["model"]) if asked["model"] else model.default(asked["weights"])[0]
            if look := find(asked["layer"], chosen):
                made |= {name: getattr(look, name) for name in ("iterations", "smooth") if asked[name] == usual[name]}
    return made
