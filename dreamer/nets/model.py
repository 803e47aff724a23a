"""A model: a folder in models/ that describes itself in model.toml.

    licence          what one may do with the weights
    prototxt         Caffe's description of the net; prototxt_sha256 pins it
    weights          the trained numbers; weights_size (bytes) and weights_sha256 pin the download
    sources          URLs of the weights, tried in order
    compact          instead of sources: the weights in 8 bits, in the repository (see compact.py)
    channel_order    "bgr" or "rgb": the order of the net's input channels
    mean             what is taken off each input channel, in channel_order, 0..255
    default_layer    the layer that is dreamed when none is named
    described        files that say what each layer likes: "layer" = "words"; a later one holds against an earlier
    [aliases]        layer names that are taken for others

A file that the description names is looked for beside it, then in the folder of the same name where
provision.sh installed Caffe (bvlc_googlenet's prototxt comes with Caffe's source).
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
from collections.abc import Callable
from pathlib import Path

from dreamer.errors import Failure, Mistake
from dreamer.nets import prototxt, vintage
from dreamer.nets.compact import caffemodel, unpack
from dreamer.nets.prototxt import Message
from dreamer.nets.shapes import obstacle

if sys.version_info >= (3, 11):
    import tomllib
else:  # Ubuntu 22.04
    import tomli as tomllib

MODELS = Path(__file__).resolve().parents[2] / "models"
DEFAULT = "bvlc_googlenet"
SPARE = "daydream"  # comes with the repository


@dataclasses.dataclass(frozen=True)
class Model:
    """What model.toml says, and where it stands."""

    folder: Path
    prototxt: str
    weights: str
    mean: tuple[float, float, float]
    default_layer: str
    channel_order: str = "bgr"
    prototxt_sha256: str = ""
    weights_size: int = 0
    weights_sha256: str = ""
    sources: tuple[str, ...] = ()
    compact: str = ""
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
        """The net's description; raises Failure where it is not installed."""
        for path in self.places(self.prototxt):
            if path.is_file():
                return path
        raise Failure(f"{self.prototxt} of {self.name} is not installed: run ./provision.sh")

    def weights_path(self, chosen: str | os.PathLike[str] | None = None) -> Path:
        """The weights to use: `chosen`, else what the variable DREAMER_WEIGHTS_NAME says (NAME is the model's, in
        capitals; BVLC_GOOGLENET does too), else the file that model.toml names, else any .caffemodel in the folder.
        Raises Mistake where a chosen file is not there, Failure where there is none at all."""
        variables = [f"DREAMER_WEIGHTS_{re.sub(r'[^A-Z0-9]', '_', self.name.upper())}"]
        variables += ["BVLC_GOOGLENET"] if self.name == "bvlc_googlenet" else []
        for origin, path in (("--weights", chosen), *((name, os.environ.get(name)) for name in variables)):
            if path:
                if not os.path.isfile(path):
                    raise Mistake(f"{origin}: no file {path}")
                return Path(path)
        for path in self.places(self.weights):
            if path.is_file():
                return path
        if self.compact:
            net = prototxt.value(self.net, "name", self.name)  # which a copy of the folder keeps
            return _unpacked(self.folder / self.compact, net, self.weights_sha256)
        for folder in {path.parent: None for path in self.places(self.weights)}:
            for path in sorted(folder.glob("*.caffemodel")):
                return path
        raise Failure(f"the weights of {self.name} are missing: run ./provision.sh model {self.name}, "
                      f"or put {self.weights} into {self.folder}")

    @functools.cached_property
    def net(self) -> Message:
        """The net's description; raises Failure where it is not the pinned one."""
        path = self.prototxt_path()
        text = path.read_bytes()
        if self.prototxt_sha256 and hashlib.sha256(text).hexdigest() != self.prototxt_sha256:
            raise Failure(f"{path} is not the file that {self.name}'s model.toml describes (its sha256 differs)")
        return vintage.modern(prototxt.parse(text.decode(errors="replace")))

    @functools.cached_property
    def obstacles(self) -> dict[str, str]:
        """{blob: why it cannot be dreamed} of those for which the size of the picture is fixed, or for which it is not
        known which part of the picture they see."""
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

        A layer qualifies when a blob of its own name holds its output (a ReLU works in place and has none),
        and when it makes sense at any size of picture: not the input, and nothing from the last pooling
        before a classifier on."""
        layers = prototxt.values(self.net, "layer")
        flat: set[str] = set()  # blobs that only a fixed size of picture gives, or that lead only to such a one
        for layer in reversed(layers):
            bottoms, tops = prototxt.values(layer, "bottom"), prototxt.values(layer, "top")
            kind = prototxt.value(layer, "type")
            if kind in ("InnerProduct", "Softmax") or (kind == "Dropout" and flat & set(tops)):
                flat.update(bottoms, tops)
        return [name for layer in layers
                for name in prototxt.values(layer, "name")
                if name in prototxt.values(layer, "top") and name not in self.obstacles
                and prototxt.value(layer, "type") not in ("Input", "InnerProduct", "Softmax")
                and not (name in flat and prototxt.value(layer, "type") == "Pooling")]

    def likes(self) -> dict[str, str]:
        """{layer: what it likes, in words}; empty where nobody has said. Raises Failure where a file cannot be read."""
        words: dict[str, str] = {}
        for path in (self.folder / file for file in self.described):
            try:
                found = tomllib.loads(path.read_text("utf-8"))
            except (OSError, ValueError) as error:
                raise Failure(f"{path}: {getattr(error, 'strerror', None) or error}") from None
            words |= {name: str(text) for name, text in found.items()}
        return words

    def described_keys(self) -> list[str]:
        """A line for each of the keys: it, and what it likes. Raises Failure as `likes`."""
        width, words = max(map(len, self.keys), default=0), self.likes()
        return [f"{name:<{width}}  {words.get(name, '')}".rstrip() for name in self.keys]

    def layer(self, name: str) -> tuple[str, str | None]:
        """(layer, warning): the layer to dream for `name`; the warning is None, or says what was taken instead.
        Raises Mistake, with the nearest names, where there is no such layer."""
        if name in self.keys:
            return name, None
        if name in self.aliases:
            taken = self.aliases[name]
            return taken, f"{self.name} has no {name}: {taken} is dreamed instead"
        if name in self.obstacles:
            raise Mistake(f"{self.name} cannot dream the layer {name!r}: {self.obstacles[name]}")
        near = difflib.get_close_matches(name, self.keys, 3, 0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "list them with: dreamify.py keys"
        raise Mistake(f"{self.name} has no layer {name!r} that can be dreamed; {hint}")


@functools.cache
def _unpacked(path: Path, name: str, sha256: str) -> Path:
    """Path of the compact weights as Caffe reads them: a file in memory, because the folder may be read-only. However
    many Models are made of a folder, there is one."""
    weights = caffemodel(unpack(path), name)
    if hashlib.sha256(weights).hexdigest() != sha256:
        raise Failure(f"{path} is not the file that model.toml describes; restore it with: git checkout -- {path}")
    fd = os.memfd_create(name)
    with open(fd, "wb", closefd=False) as file:
        file.write(weights)
    return Path(f"/proc/self/fd/{fd}")


def default(weights: str | os.PathLike[str] | None = None) -> tuple[Model, str | None]:
    """(Model, warning): bvlc_googlenet, or daydream with a line that says so where there are no weights for the other.

    weights  a file of weights that was chosen, or None"""
    wanted = find(DEFAULT)
    try:
        wanted.weights_path(weights)
        wanted.prototxt_path()
    except Failure:
        return find(SPARE), (f"the weights of {DEFAULT} are missing, so the small net {SPARE} dreams; run "
                             "./provision.sh model to get them")
    except Mistake:  # a file that was chosen is not there: told when it is used
        pass
    return wanted, None


def names() -> list[str]:
    """Names of the models that are there."""
    return sorted(path.parent.name for path in MODELS.glob("*/model.toml"))


def inventory() -> list[str]:
    """A line for each model: its name, its default layer, its weights and their size, and where they are."""
    told = []
    for name in names():
        try:
            found = find(name)
        except Mistake as error:
            told.append((name, "", "", "; ".join(error.args)))
            continue
        size = found.weights_size
        try:
            path = found.weights_path()
            size, where = path.stat().st_size, f"here: {path}"
            if path == found.places(found.weights)[0]:
                where = "here"
            if found.compact and path.is_relative_to("/proc"):
                size, where = (found.folder / found.compact).stat().st_size, "comes with this repository"
        except (Failure, Mistake) as error:
            where = f"missing: ./provision.sh model {name}" if isinstance(error, Failure) else str(error)
        told.append((name, found.default_layer, f"{size / 1e6:.1f} MB", where))
    widths = [max(len(line[column]) for line in told) for column in range(3)]
    return [f"{name:<{widths[0]}}  {layer:<{widths[1]}}  {size:>{widths[2]}}  {where}"
            for name, layer, size, where in told]


def find(name: str) -> Model:
    """The Model called `name`, or in the folder `name`; raises Mistake where there is none or its file is wrong."""
    folder = MODELS / name if (MODELS / name / "model.toml").is_file() else Path(name)
    description = folder / "model.toml"
    if not description.is_file():
        raise Mistake(f"no model {name!r}; there are: {', '.join(names())}")
    try:
        fields = tomllib.loads(description.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Mistake(f"{description}: {getattr(error, 'strerror', None) or error}") from None
    wrong = [f"{name}: no such field" for name in fields if name not in _FIELDS]
    wrong += [f"{name} is missing" for name in _NEEDED if name not in fields]
    wrong += [f"{name}: it must be {what}" for name, (what, fits) in _FIELDS.items()
              if name in fields and not fits(fields[name])]
    if wrong:
        raise Mistake(*(f"{description}: {line}" for line in wrong))
    fields.pop("licence", None)  # for people
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return Model(folder=folder.resolve(), **fields | lists | {"mean": tuple(map(float, fields["mean"]))})


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_checksum(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{64}", value))


def _is_mean(value: object) -> bool:
    return (isinstance(value, list) and len(value) == 3
            and all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in value))


# What each field of a model.toml must be
_TEXT: tuple[str, Callable[[object], bool]] = ("a text", _is_text)
_CHECKSUM: tuple[str, Callable[[object], bool]] = ("64 hexadecimal digits", _is_checksum)
_NEEDED = ("prototxt", "weights", "mean", "default_layer")
_FIELDS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "licence": _TEXT, "prototxt": _TEXT, "prototxt_sha256": _CHECKSUM, "weights": _TEXT,
    "weights_size": ("a number of bytes", lambda value: type(value) is int and value > 0),
    "weights_sha256": _CHECKSUM, "sources": ("a list of URLs", _texts), "compact": _TEXT,
    "channel_order": ('"bgr" or "rgb"', lambda value: value in ("bgr", "rgb")), "mean": ("three numbers", _is_mean),
    "default_layer": _TEXT, "described": ("a list of files", _texts),
    "aliases": ("a table of names", lambda value: isinstance(value, dict) and _texts([*value, *value.values()])),
}
