"""What a model offers to dream, as lines to print: layers, looks or classes."""

from dreamer.errors import Mistake
from dreamer.nets.classes import numbered
from dreamer.nets.model import Model


def listed(model: Model, word: str | None, *, describe: bool, looks: bool, classes: bool) -> list[str]:
    """A line for each layer; or each look, or each class. Only those with `word` in them, in any case.

    describe  whether to say what each layer likes

    Raises Mistake if there are no classes, or none has the word; Failure if a file with names cannot be read."""
    lines = (numbered(model) if classes else model.described_looks() if looks
             else model.described_keys() if describe else model.keys)
    chosen = [line for line in lines if (word or "").lower() in line.lower()]
    if word and not chosen:
        what = "class" if classes else "look" if looks else "layer"
        others = "" if classes or looks or describe else "; add --looks, --classes or --describe to look there"
        raise Mistake(f"keys: no {what} of {model.name} has {word!r} in its name{others}")
    return chosen
