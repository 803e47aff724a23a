"""A model: a folder in models/ that describes itself in model.toml.

    licence          how the weights may be used
    prototxt         Caffe's description of the net; prototxt_sha256 pins it
    weights          the trained numbers; weights_size (bytes) and weights_sha256 or weights_sha1 pin the download
    sources          URLs of the weights, tried in order
    compact          instead of sources: the weights in 8 bits, in the repository (see compact.py)
    channel_order    "bgr" or "rgb": the order of the net's input channels
    mean             three values to subtract from the input channels, in channel_order, 0..255
    default_layer    the layer to dream if none is named
    classes          a file with the names of the classes that the net tells apart (see classes.py)
    gaps             a step's memory, divided by what its blobs take together, if that is more than usual (budget.LOOSE)
    described        files that say what each layer likes: "layer" = "words"; later files override earlier ones
    [aliases]        other names for layers: "name" = "layer"

Files named here are searched for beside model.toml, then in the folder of the same name where
provision.sh installed Caffe (bvlc_googlenet's prototxt comes with Caffe's source, without its learning rates).
"""

import dataclasses
import difflib
import functools
import hashlib
import importlib.util
import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dreamer.errors import Failure, Mistake
from dreamer.machine import files, here
from dreamer.nets import prototxt, vintage
from dreamer.nets.prototxt import Message
from dreamer.nets.shapes import numbers, obstacle

if sys.version_info >= (3, 11):
    import tomllib
else:  # Ubuntu 22.04
    import tomli as tomllib

MODELS = Path(__file__).resolve().parents[2] / "models"
DEFAULT = "bvlc_googlenet"
SPARE = "daydream"  # comes with the repository


class Look(NamedTuple):
    """A layer with the steps in each octave, the octaves (of a picture of up to 1.5 megapixels) and, if it needs any,
    the smoothing that suit it."""

    layer: str
    iterations: int
    octaves: int
    smooth: float | None = None


@dataclasses.dataclass(frozen=True)
class Model:
    """The contents of a model.toml, and its folder."""

    folder: Path
    prototxt: str
    weights: str
    mean: tuple[float, float, float]
    default_layer: str
    channel_order: str = "bgr"
    prototxt_sha256: str = ""
    weights_size: int = 0
    weights_sha256: str = ""
    weights_sha1: str = ""
    sources: tuple[str, ...] = ()
    compact: str = ""
    classes: str = ""
    gaps: float = 1.0
    described: tuple[str, ...] = ()
    aliases: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    def places(self, file: str) -> list[Path]:
        """The paths where `file` may be, best first."""
        caffe = importlib.util.find_spec("caffe")  # PREFIX/python/caffe/__init__.py
        installed = [Path(caffe.origin).parents[2] / "models" / self.name / file] if caffe and caffe.origin else []
        return [self.folder / file, *installed]

    def prototxt_path(self) -> Path:
        """The path of the net's description; raises Failure if it is not installed."""
        for path in self.places(self.prototxt):
            if path.is_file():
                return path
        raise Failure(f"{self.prototxt} of {self.name} is not installed: {here.provision()}")

    def weights_path(self, chosen: str | os.PathLike[str] | None = None) -> Path:
        """The path of the weights: `chosen`, else the variable DREAMER_WEIGHTS_NAME (NAME: the model's in capitals; or
        BVLC_GOOGLENET), else the file that model.toml names, else `compact`, else any .caffemodel in the folder.
        Raises Mistake if a chosen file does not exist, Failure if there are no weights."""
        for origin, path in (("--weights", chosen), *((name, os.environ.get(name)) for name in self._variables())):
            if path:
                if not os.path.isfile(path):
                    raise Mistake(f"{origin}: no such file: {path}{files.hint(path)}")
                return Path(path)
        for path in self.places(self.weights):
            if path.is_file():
                return path
        if self.compact:
            net = prototxt.value(self.net, "name", self.name)  # the same in a copy of the folder
            return _unpacked(self.folder / self.compact, net, self.weights_sha256)
        for folder in {path.parent: None for path in self.places(self.weights)}:
            for path in sorted(folder.glob("*.caffemodel")):
                return path
        put, command = self.put_weights(), here.download_weights(self.folder.name)
        raise Failure(f"the weights of {self.name} are missing: " +
                      (f"{put}. Or retry the download: {command}" if here.contained() else f"run {command}, or {put}"))

    def put_weights(self) -> str:
        """Where to put the weights if they are missing."""
        return here.put_weights(self.folder, self.weights, self._variables()[-1])

    def _variables(self) -> list[str]:
        own = f"DREAMER_WEIGHTS_{re.sub(r'[^A-Z0-9]', '_', self.name.upper())}"
        return [own, "BVLC_GOOGLENET"] if self.name == "bvlc_googlenet" else [own]

    @functools.cached_property
    def net(self) -> Message:
        """The net's description; raises Failure if it is not the pinned one."""
        path = self.prototxt_path()
        text = path.read_bytes()
        if self.prototxt_sha256 and hashlib.sha256(text).hexdigest() != self.prototxt_sha256:
            raise Failure(f"{path} is not the file that {self.name}'s model.toml describes (its sha256 differs)" +
                          ("" if path.parent == self.folder else f": {here.provision()}"))
        return vintage.modern(prototxt.parse(text.decode(errors="replace")))

    @functools.cached_property
    def least_size(self) -> int:
        """The bytes of the weights: weights_size if it is given, otherwise what the net's numbers take, and a file is a
        little larger. 0 if a layer's type is unknown. Raises Failure as `net` does."""
        return self.weights_size or 4 * numbers(prototxt.values(self.net, "layer"))

    @functools.cached_property
    def obstacles(self) -> dict[str, str]:
        """{blob: why it cannot be dreamed}, for blobs that need an unsupported layer (see shapes.obstacle)."""
        found: dict[str, str] = {}
        for layer in prototxt.values(self.net, "layer"):
            name, own = prototxt.value(layer, "name"), obstacle(layer)
            why = f"the layer {name} {own}" if own else next(
                (found[bottom] for bottom in prototxt.values(layer, "bottom") if bottom in found), None)
            if why:
                found.update(dict.fromkeys(prototxt.values(layer, "top"), why))
        return found

    @functools.cached_property
    def keys(self) -> list[str]:
        """Names of the layers that can be dreamed, in the order of the net.

        A layer qualifies if a blob of its own name holds its output (a ReLU works in place and has none),
        and if it works at any picture size: not the input, and nothing from the average before a classifier
        onwards."""
        layers = prototxt.values(self.net, "layer")
        flat: set[str] = set()  # inputs and outputs of the classifier's layers
        for layer in reversed(layers):
            bottoms, tops = prototxt.values(layer, "bottom"), prototxt.values(layer, "top")
            kind = prototxt.value(layer, "type")
            if kind in ("InnerProduct", "Softmax") or (kind == "Dropout" and flat & set(tops)):
                flat.update(bottoms, tops)
        return [name for layer in layers
                for name in prototxt.values(layer, "name")
                if name in prototxt.values(layer, "top") and name not in self.obstacles
                and prototxt.value(layer, "type") not in ("Input", "InnerProduct", "Softmax")
                and not (name in flat and prototxt.value(layer, "type") == "Pooling"
                         and prototxt.value(prototxt.value(layer, "pooling_param", []), "pool") == "AVE")]

    def looks(self) -> dict[str, Look]:
        """{name: Look}; empty if no file has any. Raises Failure if a file cannot be read or has a damaged one."""
        found: dict[str, Look] = {}
        for path, content in self._described():
            for name, fields in content.get("looks", {}).items():
                try:
                    look = Look(**fields)
                except TypeError:
                    look = Look("", 0, 0)
                if look.layer not in self.keys or not all(type(n) is int and n > 0 for n in look[1:3]) or not (
                        look.smooth is None or type(look.smooth) in (int, float)):
                    raise Failure(f"{path}: the look {name} needs a layer of {self.name}, iterations and octaves; "
                                  "smooth must be a number")
                found[name] = look
        return found

    def described_looks(self) -> list[str]:
        """A line for each look: its name, layer, steps, octaves, and what it likes. Raises Failure as `looks` does."""
        looks, words = self.looks(), self.likes()
        width, longest = max(map(len, looks), default=0), max((len(look.layer) for look in looks.values()), default=0)
        lines = [f"{name:<{width}}  {layer:<{longest}}  {iterations} steps, {octaves} octaves  {words.get(layer, '')}"
                 for name, (layer, iterations, octaves, _) in looks.items()]
        return [line.rstrip() for line in lines]

    def likes(self) -> dict[str, str]:
        """{layer: what it likes, in words}; empty if no file says so. Raises Failure if a file cannot be read."""
        words: dict[str, str] = {}
        for _, found in self._described():
            words |= {name: str(text) for name, text in found.items() if name != "looks"}
        return words

    def _described(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """(path, content) of each file that says what the layers like. Raises Failure."""
        for path in (self.folder / file for file in self.described):
            try:
                yield path, tomllib.loads(path.read_text("utf-8"))
            except (OSError, ValueError) as error:
                raise Failure(f"{path}: {getattr(error, 'strerror', None) or error}") from None

    def described_keys(self) -> list[str]:
        """A line for each of the keys: the layer, and what it likes. Raises Failure, as `likes` does."""
        width, words = max(map(len, self.keys), default=0), self.likes()
        return [f"{name:<{width}}  {words.get(name, '')}".rstrip() for name in self.keys]

    def layer(self, name: str) -> tuple[str, str | None]:
        """(layer, warning): the layer to dream for `name`; the warning is None, or says that another layer is used.
        Raises Mistake, with the closest names, if there is no such layer."""
        if name in self.keys:
            return name, None
        if name in self.aliases:
            taken = self.aliases[name]
            return taken, f"{self.name} has no {name}: using {taken} instead"
        if name in self.obstacles:
            raise Mistake(f"{self.name} cannot dream the layer {name!r}: {self.obstacles[name]}")
        if meant := self._meant(name):
            return meant, f"{name}: using {meant}"
        if name in self._look_names():
            raise Mistake(f"the look {name} stands alone; in a sum or with channels, write its layer: "
                          f"{self.looks()[name].layer}")
        near = difflib.get_close_matches(name, [*self.keys, *self._look_names()], 3, 0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"list them with: {here.command('keys')}"
        raise Mistake(f"{self.name} has no layer {name!r} that can be dreamed; {hint}")

    def _meant(self, name: str) -> str | None:
        """The layer that people mean by `name`: in other letters, without "inception_" or with TensorFlow's "mixed"
        instead, without "/output": 4c, mixed4c, Inception_4c. None if that is not one layer."""
        plain = _plain(name).replace("mixed", "inception")
        keys: dict[str, list[str]] = {}
        for key in self.keys:
            keys.setdefault(_plain(key), []).append(key)
        for form in (plain, f"{plain}output", f"inception{plain}", f"inception{plain}output"):
            if len(keys.get(form, ())) == 1:
                return keys[form][0]
        return None

    def _look_names(self) -> list[str]:
        try:
            return list(self.looks())
        except Failure:  # reported where it is needed
            return []


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@functools.cache
def _unpacked(path: Path, name: str, sha256: str) -> Path:
    """Path of the compact weights in Caffe's format: a file in memory, because the folder may be read-only. All Models
    of a folder share it."""
    from dreamer.nets.compact import caffemodel, unpack  # needs numpy, but the doctor must look at models without it
    weights = caffemodel(unpack(path), name)
    if hashlib.sha256(weights).hexdigest() != sha256:
        raise Failure(f"{path} is not the file that model.toml describes; restore it with git checkout, or: "
                      f"{here.provision()}")
    fd = os.memfd_create(name)
    with open(fd, "wb", closefd=False) as file:
        file.write(weights)
    return Path(f"/proc/self/fd/{fd}")


def default(weights: str | os.PathLike[str] | None = None) -> tuple[Model, str | None]:
    """(Model, warning): bvlc_googlenet and None; or, if its weights are missing, daydream and a line that says so.

    weights  path of chosen weights, or None"""
    wanted = find(DEFAULT)
    try:
        wanted.weights_path(weights)
        wanted.prototxt_path()
    except Failure as error:
        return find(SPARE), f"using {SPARE}, the small net, because {error}"
    except Mistake:  # a chosen file does not exist: reported when it is used
        pass
    return wanted, None


def names() -> list[str]:
    """Names of the models in models/."""
    return sorted(path.parent.name for path in MODELS.glob("*/model.toml"))


def find(name: str) -> Model:
    """The Model called `name`, or in the folder `name`; raises Mistake if there is none or its model.toml is wrong."""
    folder = MODELS / name if (MODELS / name / "model.toml").is_file() else Path(name)
    description = folder / "model.toml"
    if not description.is_file():
        raise Mistake(f"no model {name!r}; the models are: {', '.join(names())}")
    try:
        fields = tomllib.loads(description.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Mistake(f"{description}: {getattr(error, 'strerror', None) or error}") from None
    wrong = [f"{name} is not a field of a model" for name in fields if name not in _FIELDS]
    wrong += [f"{name} is missing" for name in _NEEDED if name not in fields]
    wrong += [f"{name} must be {what}" for name, (what, fits) in _FIELDS.items()
              if name in fields and not fits(fields[name])]
    if wrong:
        raise Mistake(*(f"{description}: {line}" for line in wrong))
    fields.pop("licence", None)  # only for people
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return Model(folder=folder.resolve(), **fields | lists | {"mean": tuple(map(float, fields["mean"]))})


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_checksum(value: object, digits: int = 64) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(f"[0-9a-f]{{{digits}}}", value))


def _is_mean(value: object) -> bool:
    return (isinstance(value, list) and len(value) == 3
            and all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in value))


# The requirements for each field of a model.toml
_TEXT: tuple[str, Callable[[object], bool]] = ("a non-empty string", _is_text)
_CHECKSUM: tuple[str, Callable[[object], bool]] = ("64 hexadecimal digits", _is_checksum)
_NEEDED = ("prototxt", "weights", "mean", "default_layer")
_FIELDS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "licence": _TEXT, "prototxt": _TEXT, "prototxt_sha256": _CHECKSUM, "weights": _TEXT,
    "weights_size": ("a number of bytes", lambda value: type(value) is int and value > 0),
    "weights_sha256": _CHECKSUM, "weights_sha1": ("40 hexadecimal digits", lambda value: _is_checksum(value, 40)),
    "sources": ("a list of URLs", _texts), "compact": _TEXT,
    "gaps": ("a number from 1 to 2", lambda value: isinstance(value, int | float) and 1 <= value <= 2),
    "channel_order": ('"bgr" or "rgb"', lambda value: value in ("bgr", "rgb")), "mean": ("three numbers", _is_mean),
    "default_layer": _TEXT, "classes": _TEXT,
    "described": ("a list of files", _texts),
    "aliases": ("a table of names", lambda value: isinstance(value, dict) and _texts([*value, *value.values()])),
}
