"""A small language that says what to dream: layers of a net, some of their channels, and how much of each.

    inception_4c/output                           a layer
    inception_4c/output:56                        one of its channels, counted from 0
    inception_4c/output:3,7-9                     channels 3, 7, 8 and 9
    inception_4c/output:strongest5                the five channels that see most in the picture (see strength.py)
    inception_4c/output:weakest2-4                of those that see anything, the three after the one that sees least
    class:flamingo                                a class that the net was trained to recognise (see classes.py)
    inception_3b/output*0.3+inception_4d/3x3      a sum: one layer times 0.3, plus another
    inception_3b/output+inception_4d/3x3*-1       towards one, and away from the other
    inception_4?/output                           the sum of all layers with such names; ? is any character

If the whole text is the name of a layer, it means that layer, whatever characters it has. In a pattern, * matches any
characters, and [ab] one of a set; a * directly before a number makes it a weight. Everything is checked against the
net's description, before Caffe is loaded.
"""

import fnmatch
import math
import re
from typing import NamedTuple

from dreamer.arrays import Planes
from dreamer.errors import Mistake
from dreamer.machine import here
from dreamer.nets import classes, shapes
from dreamer.nets.classes import Label
from dreamer.nets.model import Model

_WEIGHT = re.compile(r"\*\s*(-?(?:\d+\.?\d*|\.\d+))\s*$")
_RANKED = re.compile(r"\s*(strongest|weakest)\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", re.IGNORECASE)
_NUMBER = re.compile(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?")


class Ranked(NamedTuple):
    """Channels by how much they see in a picture: from the `first` (counted from 1) to the `last` of the order."""

    strongest: bool  # the order; otherwise the weakest comes first
    first: int
    last: int

    def __str__(self) -> str:
        return f"{'strongest' if self.strongest else 'weakest'}{'' if self.first == 1 else f'{self.first}-'}{self.last}"


class Term(NamedTuple):
    """One of the layers in a sum, what of it, and its weight."""

    layer: str
    channels: list[int] | Ranked | Label | None  # None: all of them; Label: the direction of a class
    weight: float

    @property
    def chosen(self) -> list[int] | slice:
        """The channels as an index. Those that are Ranked must have been chosen (see strength.py)."""
        return self.channels if isinstance(self.channels, list) else slice(None)

    def of(self, activations: Planes) -> Planes:
        """The chosen channels of the layer's `activations` (channels, h, w)."""
        return activations[self.chosen]

    def each(self) -> list[str]:
        """What is dreamed separately in an atlas: the layer, each of its channels, or the class."""
        if isinstance(self.channels, Label):
            return [str(self.channels)]
        if isinstance(self.channels, Ranked):
            return [f"{self.layer}:{self.channels._replace(first=rank, last=rank)}"
                    for rank in range(self.channels.first, self.channels.last + 1)]
        return [self.layer] if self.channels is None else [f"{self.layer}:{channel}" for channel in self.channels]


class Layers(NamedTuple):
    """What to dream: the text (aliases replaced, no spaces), and its Terms, which are summed."""

    text: str
    terms: list[Term]

    def __str__(self) -> str:
        return self.text

    @property
    def names(self) -> list[str]:
        """The layers in it, each once."""
        return list(dict.fromkeys(term.layer for term in self.terms))

    @property
    def label(self) -> Label | None:
        """The first class in it; None if there is none."""
        return next((term.channels for term in self.terms if isinstance(term.channels, Label)), None)


def parse(text: str, model: Model) -> tuple[Layers, list[str]]:
    """(Layers, warnings) for `text`, in that model; a warning names the layer that replaces a missing one.

    Raises Mistake, which says where in the text the error is."""
    if text in model.keys or text in model.aliases:
        name, warning = model.layer(text)
        return Layers(name, [Term(name, None, 1.0)]), [warning] if warning else []
    terms: list[Term] = []
    told: list[str] = []
    warnings: list[str] = []
    start = 0
    for piece in text.split("+"):
        some, name, warning = _term(text, piece, start, model)
        terms += some
        told.append(name)
        warnings += [warning] if warning else []
        start += len(piece) + 1
    return Layers("+".join(told), terms), warnings


def _term(text: str, piece: str, start: int, model: Model) -> tuple[list[Term], str, str | None]:
    """([Term], text, warning) for `piece`, which begins at the character `start` of the whole `text`."""
    found = _WEIGHT.search(piece)
    weight = float(found[1]) if found else 1.0
    if found and not (weight and math.isfinite(weight)):
        raise _wrong(text, start + found.start(1), found[1], "is not a weight: write a number other than 0")
    body = piece[:found.start()] if found else piece
    name, colon, numbers = body.partition(":")
    told = f"*{found[1]}" if found else ""
    if colon and name.strip().lower() == classes.WORD and name.strip() not in model.keys:
        labels, shown = _classes(text, numbers, start + len(name) + 1, model)
        layer = classes.classifier(model).layer
        return [Term(layer, label, weight) for label in labels], shown + told, None
    at = start + len(name) - len(name.lstrip())
    name, warning = name.strip(), None
    if not name:
        raise _wrong(text, at, piece.strip(), "is not the name of a layer")
    layers = [name] if name in model.keys else fnmatch.filter(model.keys, name) if re.search(r"[*?[]", name) else []
    if not layers and re.search(r"[*?[]", name):
        raise _wrong(text, at, name, f"matches no layer of {model.name}; list them with: "
                                     f"{here.command('keys')}")
    if not layers:
        try:
            name, warning = model.layer(name)
        except Mistake as error:
            told = str(error)
            if near := classes.near(name, model):
                told = f"{told.partition(';')[0]}; did you mean {' or '.join(near)}?"
            raise Mistake(told if name == text.strip() else f"{_place(text, at, name)}: {told}") from None
        layers = [name]
    terms = [Term(layer, _channels(text, numbers, start + len(body) - len(numbers), layer, model) if colon else None,
                  weight) for layer in layers]
    return terms, name + colon + _close(numbers).lower() + told, warning


def _classes(text: str, name: str, start: int, model: Model) -> tuple[list[Label], str]:
    """(the classes that `name`, at the character `start` of `text`, means; the text by which they are found again)."""
    at, name = start + len(name) - len(name.lstrip()), name.strip()
    if not name:
        raise _wrong(text, at, "", f"is no name; write {classes.WORD}:NAME, such as {classes.WORD}:flamingo")
    try:
        labels = classes.found(name, model)
    except LookupError as error:
        raise _wrong(text, at, name, str(error)) from None
    return labels, str(labels[0]) if len(labels) == 1 else f"{classes.WORD}:{name}"


def _ranked(text: str, numbers: str, at: int, layer: str, count: int) -> Ranked | None:
    """The Ranked channels that `numbers` (at the character `at` of `text`) names; None if it names them otherwise."""
    word = next((word for word in ("strongest", "weakest") if numbers.strip().lower().startswith(word)), None)
    if word is None:
        return None
    found = _RANKED.fullmatch(numbers)
    first, last = (int(found[2] if found[3] else 1), int(found[3] or found[2])) if found else (0, 0)
    if not 1 <= first <= last <= count:
        raise _wrong(text, at, numbers.strip(), f"is not possible: write {word}5 for the first five, {word}3-4 for the "
                                                f"third and the fourth; {layer} has {count} channels")
    return Ranked(word == "strongest", first, last)


def _channels(text: str, numbers: str, start: int, layer: str, model: Model) -> list[int] | Ranked:
    """The channels of the layer, sorted, that `numbers` (at the character `start` of `text`) names."""
    count = shapes.channels(shapes.cut(model.net, [layer]))[layer]
    if (some := _ranked(text, numbers, start, layer, count)) is not None:
        return some
    chosen: set[int] = set()
    for piece in numbers.split(","):
        at = start + len(piece) - len(piece.lstrip())
        found = _NUMBER.fullmatch(piece)
        if not found:
            raise _wrong(text, at, piece.strip(), "is not a channel: write a number (56), a range (7-9) or "
                                                  "strongest5")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise _wrong(text, at, piece.strip(), f"goes backwards: write {last}-{first}")
        if last >= count:
            raise _wrong(text, at, piece.strip(), f"is too large: {layer} has the channels 0 to {count - 1}")
        chosen.update(range(first, last + 1))
        start += len(piece) + 1
    return sorted(chosen)


def _close(text: str) -> str:
    return re.sub(r"\s", "", text)


def _place(text: str, at: int, piece: str) -> str:
    return f"{piece!r} (character {at + 1} of {text!r})"


def _wrong(text: str, at: int, piece: str, why: str) -> Mistake:
    return Mistake(f"{_place(text, at, piece)} {why}")
