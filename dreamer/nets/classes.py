"""The classes that a net was trained to tell apart, and where each lies in the net: what `class:flamingo` means.

Behind its last layers a classifier averages each channel over the whole picture, multiplies the averages by a row of
numbers for each class, and takes the class with the largest sum. So a row is the direction, among the channels of the
layer before the pooling, in which a picture is more and more of that class. What all classes share (their mean row) is
taken off. So a dream grows what makes this class different from the others.

The names of the classes are in the file that model.toml calls `classes`: a line for each class, in the classifier's
order, with its names, separated by commas and blanks. For ImageNet's nets they are WordNet's words. In `class:NAME`,
NAME is one of these names in any case, or a word of it, or the number of the class, or a pattern (class:*shark).
"""

import difflib
import fnmatch
import functools
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamer.errors import Failure, Mistake
from dreamer.machine import here
from dreamer.nets import prototxt, weights
from dreamer.nets.model import Model
from dreamer.nets.prototxt import Message

WORD = "class"  # what stands before the colon
_MANY = 8  # names in a message
_PASSES = ("Dropout", "Flatten", "Reshape", "Split")  # layers that change no numbers when the net is used
_PATTERN = re.compile(r"[*?[]")


class Classifier(NamedTuple):
    """Where a net tells classes apart."""

    layer: str  # the layer before the pooling
    product: str  # the fully connected layer, whose weights have a row for each class
    size: int  # number of classes


class Label(NamedTuple):
    """A class: its number, counted from 0, and the name by which it is found again."""

    number: int
    name: str

    def __str__(self) -> str:
        return f"{WORD}:{self.name}"

    @property
    def typed(self) -> str:
        """Another way to write it, which no shell needs quotes for: class:tiger-shark."""
        return f"{WORD}:{'-'.join(_plain(self.name).split())}"


def classifier(model: Model) -> Classifier:
    """The model's Classifier. Raises Mistake, with the reason, unless its last layers are an average over the whole
    picture and one fully connected layer."""
    layers = prototxt.values(model.net, "layer")
    products = [layer for layer in layers if prototxt.value(layer, "type") == "InnerProduct"]
    if not products:
        raise Mistake(f"{model.name} has no classifier (a fully connected layer at its end), so it knows no classes; "
                      "dream a layer of it")
    last = products[-1]
    below = _below(last, layers)
    name = prototxt.value(below, "bottom") if _averages(below) else None
    if name not in model.keys:
        why = f"has {len(products)} fully connected layers" if len(products) > 1 else (
            "does not average over the picture just before its fully connected layer")
        raise Mistake(f"{model.name} {why}, so its classes lie in no layer that can be dreamed; dream a layer of it")
    return Classifier(str(name), str(prototxt.value(last, "name")),
                      int(prototxt.value(prototxt.value(last, "inner_product_param"), "num_output")))


def _below(layer: Message, layers: list[Message]) -> Message:
    """The layer whose output `layer` reads, behind those that change no numbers. Empty if there is none."""
    made = {top: other for other in layers for top in prototxt.values(other, "top")
            if prototxt.value(other, "type") not in _PASSES}
    passes = {prototxt.value(other, "top"): prototxt.value(other, "bottom") for other in layers
              if prototxt.value(other, "type") in _PASSES
              and prototxt.value(other, "top") != prototxt.value(other, "bottom")}
    blob = prototxt.value(layer, "bottom")
    while blob in passes:
        blob = passes[blob]
    return made.get(blob, [])


def _averages(layer: Message) -> bool:
    parameters = prototxt.value(layer, "pooling_param", [])
    return prototxt.value(layer, "type") == "Pooling" and prototxt.value(parameters, "pool") in ("AVE", "1")


def names(model: Model) -> list[list[str]]:
    """The names of each class, the usual one first; numbers if the model has no file with names. Raises Mistake as
    `classifier` does, and Failure if the file is wrong."""
    count = classifier(model).size
    if not model.classes:
        return [[str(index)] for index in range(count)]
    path = model.folder / model.classes
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if len(lines) != count or not all(line.strip() for line in lines):
        raise Failure(f"{path} must have a line for each of the {count} classes of {model.name}")
    return [line.strip().split(", ") for line in lines]


def labels(model: Model) -> list[Label]:
    """All classes. Raises as `names` does."""
    known = _Known(names(model))
    return [known.label(number) for number in range(len(known.names))]


def found(text: str, model: Model) -> list[Label]:
    """The classes that `text` names: one, or all that a pattern matches. Raises as `names` does, and LookupError, with
    the rest of a sentence about `text`, if it names none or several."""
    known = _Known(names(model))
    if re.fullmatch(r"\d{1,9}", text):
        if int(text) >= len(known.names):
            raise LookupError(f"is too large: {model.name} has the classes 0 to {len(known.names) - 1}")
        return [known.label(int(text))]
    if _PATTERN.search(text):
        several = [number for number, own in enumerate(known.names)
                   if any(fnmatch.fnmatchcase(name.lower(), text.lower()) for name in own)]
        if not several:
            raise LookupError(f"matches no class of {model.name}; list them with: {_command()}")
        return [known.label(number) for number in several]
    for some in known.meant(text):
        if len(some) == 1:
            return [known.label(some[0])]
        if some:
            told = ", ".join(map(known.told, some[:_MANY]))
            more = f" and {len(some) - _MANY} more ({_command(text)})" if len(some) > _MANY else ""
            raise LookupError(f"fits {len(some)} classes; write one of {told}{more}")
    near = difflib.get_close_matches(_plain(text), list(known.owners), 3, 0.7)
    told = " or ".join(f"{WORD}:{name}" for name in near)
    raise LookupError(f"is no class of {model.name}; " + (f"did you mean {told}?" if near else
                                                         f"list them with: {_command()}"))


def near(text: str, model: Model) -> list[str]:
    """The classes, as text, that have `text` as a name or as a word of it: at most three, none if there are more."""
    try:
        known = _Known(names(model))
    except (Mistake, Failure):
        return []
    some = next((some for some in [*known.meant(text)][:3] if some), [])
    return [known.told(number) for number in some] if len(some) <= 3 else []


class _Known:
    """The names of classes, as `names` returns them, and who has which.

    firsts, owners  {plain name: numbers of the classes whose first name it is, or one of whose names it is}"""

    def __init__(self, names: list[list[str]]) -> None:
        self.names = names
        self.firsts: dict[str, list[int]] = {}
        self.owners: dict[str, list[int]] = {}
        for number, own in enumerate(names):
            self.firsts.setdefault(_plain(own[0]), []).append(number)
            for plain in dict.fromkeys(map(_plain, own)):
                self.owners.setdefault(plain, []).append(number)

    def label(self, number: int) -> Label:
        """The Label of a class, with the first of its names that means no other class, else its number."""
        for name in self.names[number]:
            if (self.firsts.get(_plain(name)) or self.owners[_plain(name)]) == [number]:
                return Label(number, name)
        return Label(number, str(number))

    def told(self, number: int) -> str:
        """The label of a class for a message, with a name if it is only a number."""
        label, name = self.label(number), self.names[number][0]
        return str(label) if label.name in self.names[number] else f"{label} ({name})"

    def meant(self, text: str) -> Iterator[list[int]]:
        """The classes that may be meant, as lists of numbers; the most certain list comes first."""
        plain = _plain(text)
        words = set(plain.split())
        yield self.firsts.get(plain, [])
        yield self.owners.get(plain, [])
        yield self._having(lambda name: words <= set(name.split())) if words else []
        yield self._having(lambda name: plain in name) if len(plain) > 2 else []

    def _having(self, fits: Callable[[str], bool]) -> list[int]:
        return sorted({number for name, owners in self.owners.items() if fits(name) for number in owners})


@functools.lru_cache(8192)  # all names of ImageNet's classes
def _plain(name: str) -> str:
    """The name in small letters, its words separated by single blanks."""
    return " ".join(re.findall(r"[^\W_]+", name.lower().replace("'", "")))


def _command(*words: str) -> str:
    return here.command(" ".join(("keys --classes", *words)))


def numbered(model: Model) -> list[str]:
    """A line for each class: its number and names. Raises Mistake and Failure as `names` does."""
    known = names(model)
    return [f"{index:>{len(str(len(known)))}}  {', '.join(own)}" for index, own in enumerate(known)]


def directions(labels: Sequence[Label | None], model: Model,
               path: str | os.PathLike[str]) -> list[NDArray[np.float32] | None]:
    """The direction of each class among the channels of its layer, float32 (channels, 1, 1), of length 1, from the
    weights at `path`; None for None. Raises Mistake if they have no fitting classifier."""
    if not any(labels):
        return [None for _ in labels]
    _, product, count = classifier(model)
    rows = weights.matrix(path, product)
    if rows is None or len(rows) != count:
        raise Mistake(f"{path} has no weights for {product}, the classifier of {model.name}, so its classes cannot be "
                      "dreamed")
    shared = rows.mean(0, np.float64)
    return [_unit(rows[label.number].astype(np.float64) - shared) if label else None for label in labels]


def _unit(away: NDArray[np.float64]) -> NDArray[np.float32]:
    length = math.sqrt(math.fsum(np.square(away).tolist()))  # not numpy's norm: OpenBLAS sums in each processor's order
    return np.asarray(away / (length or 1), np.float32)[:, None, None]
