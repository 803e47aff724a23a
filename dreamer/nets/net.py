"""A Caffe net made for dreaming: cut off above the dreamed layers, and ready to compute the gradient of its input."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from dreamer.arrays import Pixels, Planes, bands, to_disk
from dreamer.errors import Failure, Mistake
from dreamer.machine import limits
from dreamer.nets import binding, classes, folding, prototxt, shapes, tiles
from dreamer.nets.budget import Budget, check_loading
from dreamer.nets.classes import Label
from dreamer.nets.layers import Layers, parse
from dreamer.nets.model import Model
from dreamer.nets.preprocess import deprocess, mean, preprocess
from dreamer.nets.prototxt import Message
from dreamer.nets.tiles import Window

TILE = 2 << 20  # pixels of a tile that must be the same on all machines; 1920×1080 fits in one
WINOGRAD = 9  # rows and columns of a blob for which the kernels use their usual way; see native/kernels/winograd.cpp
Each: TypeAlias = Callable[..., Iterable[Any]]  # like in_turn
_ALL = "all that is dreamed"  # name of a blob


class Net:
    """The part of a model that a dream needs, loaded into Caffe.

    what          what to dream: a layer's name or more (see layers.py), as text or parsed; the attribute `asked`.
                  The attribute `what` has the same, except that strength.choose() replaces Ranked channels there
    weights_file  path of the weights (default: the model's own)
    memory        bytes that this process may take in all (default: most of the free memory)
    threads       number of threads, for all nets together (default: limits.threads())
    reproducible  give the same bits on every x86-64 machine with AVX2. The order of sums never depends on instructions
                  or threads (see native/), so this only fixes the tiles, which otherwise depend on memory
    waiting       number of the process that waits for this one: its memory counts as ours
    side          pixels of the shorter side of the largest picture, if that may be small

    Layers that `what` does not need are not built, and weights get no gradient, because a dream needs neither.
    Raises Mistake if `what` cannot be dreamed or the weights do not fit the model, Failure if this machine cannot be
    reproducible or has too little memory."""

    caffe: Any  # a caffe.Net
    windows: tuple[list[Window], list[Window]]  # of the tiles: their rows and columns
    gradient: Planes  # of the objective with respect to the picture
    watch: Callable[[float], None] | None  # called with the share of a step that is done, if there are several tiles
    directions: list[Planes | None]  # of each of the Terms: float32 (channels, 1, 1) if it is a class

    def __init__(self, model: Model, what: str | Layers, weights_file: str | os.PathLike[str] | None = None,
                 memory: int | None = None, threads: int | None = None, reproducible: bool = False,
                 waiting: int | None = None, side: int | None = None) -> None:
        if reproducible and binding.instructions() == "baseline":
            raise Failure("this processor has no AVX2, so its dreams differ in the last bits; leave out --reproducible")
        self.model = model
        self.asked = self.what = parse(what, model)[0] if isinstance(what, str) else what
        self.layers = shapes.cut(model.net, self.what.names)
        self._path = model.weights_path(weights_file)
        check_loading(model.name, self._path)
        # Caffe runs up to one blob and takes the gradient there, so several layers are joined in one.
        self.end = self.what.names[0] if len(self.what.names) == 1 else _ALL
        self.caffe = folding.load(self.layers + (_gathering(self.what.names) if self.end is _ALL else []), self._path)
        self.threads = threads or limits.threads()
        binding.set_threads(self.threads)
        self.smallest_side = shapes.smallest_side(self.layers)
        self._warm_side = 0
        self._usual_side = shapes.smallest_side(self.layers, WINOGRAD)
        self._input = prototxt.value(self.layers[0], "top")
        self.renew(self.asked, memory, reproducible, waiting, side)

    def renew(self, what: Layers, memory: int | None = None, reproducible: bool = False,
              waiting: int | None = None, side: int | None = None) -> None:
        """Begin again, for another dream of the same layers. Arguments and errors as above."""
        self.asked = self.what = what
        # Smaller outputs are computed in another way, with the weights in another format: large dreams hardly need it.
        side = max(self.smallest_side, min(side or self._usual_side, self._usual_side))
        if side != self._warm_side:
            self._warm_side = side
            self.warm_up()
        self.directions = classes.directions([term.channels if isinstance(term.channels, Label) else None
                                              for term in what.terms], self.model, self._path)
        self.forwarded: Tile | None = None  # the Tile whose activations Caffe has now
        self.watch, self._passes = None, 0  # how often all tiles were gone through in this step
        self.budget = Budget(self, memory, TILE if reproducible else None, waiting)

    @property
    def lowest(self) -> Planes:
        """Black in the net's format: float32 (3, 1, 1). White is 255 more."""
        return -mean(self.model)

    def preprocess(self, image: Pixels) -> Planes:
        """`image` (h, w, 3), RGB, 0..255, in the net's format: float32 (3, h, w), in its order, minus its mean."""
        return preprocess(image, self.model, self.budget.allocate(*image.shape[:2]))

    def deprocess(self, dreamed: Planes) -> Pixels:
        """The inverse of preprocess, in the memory of `dreamed`: float32 (h, w, 3), RGB."""
        return deprocess(dreamed, self.model)

    def resize(self, height: int, width: int) -> None:
        """Prepare for pictures of height × width pixels; raises Mistake if that is too small for the net."""
        if min(height, width) < self.smallest_side:
            raise Mistake(f"{self.what} needs at least {self.smallest_side} pixels on each side; "
                          f"the picture has {width}×{height}")
        self.windows = tiles.layout(self.layers, self.what.names, height, width, self.budget.pixels)
        self.gradient = self.budget.allocate(height, width)

    def shrink(self) -> None:
        """Free the memory of what was computed last. The next tile takes what it needs."""
        self.forwarded = None
        self.shape(self.smallest_side, self.smallest_side)
        binding.trim_memory()

    def close(self) -> None:
        """Free all memory, for something large that follows and does not need the net."""
        self.caffe, self.gradient = None, np.empty((3, 0, 0), np.float32)
        binding.trim_memory()

    def work(self, height: int, width: int) -> int:
        """The number of pixels in all tiles of a picture of height × width."""
        rows, columns = tiles.layout(self.layers, self.what.names, height, width, self.budget.pixels)
        return sum(row.size for row in rows) * sum(column.size for column in columns)

    def warm_up(self) -> None:
        """Take a small step, in which the kernels convert the weights to their own format, once."""
        source = self.shape(self._warm_side, self._warm_side)
        source.data[...] = 0
        self.caffe.forward(end=self.end)
        self.caffe.blobs[self.end].diff[...] = 0
        self.caffe.backward(start=self.end)

    def shape(self, height: int, width: int) -> Any:
        """Make the net's input take height × width pixels, and return its blob."""
        blob = self.caffe.blobs[self._input]
        if tuple(blob.shape) != (1, 3, height, width):
            blob.reshape(1, 3, height, width)
            self.caffe.reshape()
        return blob

    def blobs(self, kind: str) -> dict[str, Planes]:
        """{layer: its activations (kind "data") or their gradient ("diff"), float32 (channels, h', w')}, as views."""
        whole = getattr(self.caffe.blobs[self.end], kind)[0]
        if self.end is not _ALL:
            return {self.end: whole}
        views, start = {}, 0
        for name in self.what.names:
            shape = tuple(self.caffe.blobs[name].shape)[1:]
            views[name] = whole[start:start + math.prod(shape)].reshape(shape)
            start += math.prod(shape)
        return views

    def tiles(self, picture: Planes, oy: int, ox: int, summed: bool = True) -> list["Tile"]:
        """The Tiles of `picture` (3, h, w), rolled by oy rows and ox columns: only one if there is enough memory.

        After backward() of each, self.gradient (3, h, w) is the objective's gradient with respect to `picture`, if that
        is to be `summed` here."""
        rows, columns = self.windows
        whole, self._passes = len(rows) == len(columns) == 1, 0
        if not whole and summed:
            for band in bands(self.gradient):
                self.gradient[:, band] = 0
        return [Tile(self, picture, row, column, oy, ox, whole) for row in rows for column in columns]

    def answered(self, tiles: Sequence["Tile"], answers: Iterable[Any]) -> Iterator[Any]:
        """`answers`, one for each of the tiles of a step, as they come; `watch` hears how far the step is.

        A sum of layers goes through the tiles twice, and the first time only forward."""
        count, sums = len(tiles), len(self.what.terms) > 1
        weight, before = (1, 0) if sums and not self._passes else (2, count * sums)
        for number, answer in enumerate(answers, 1):
            share = (before + weight * number) / (count * (2 + sums))
            if self.watch and count > 1 and share < 1:  # the end of the step is an event of its own
                self.watch(share)
            yield answer
        self._passes += 1


class Tile:
    """A piece of a picture on its way through a Net, forward and backward. `net` is the Net; `row` and `column` are
    the tile's Windows."""

    def __init__(self, net: Net, picture: Planes, row: Window, column: Window, oy: int, ox: int, whole: bool) -> None:
        self.net, self._picture, self._whole = net, picture, whole
        self.row, self.column = row, column
        height, width = picture.shape[1:]
        self._parts = [((..., to_y, to_x), (..., from_y, from_x))
                       for to_y, from_y in tiles.wrapped(row, height, oy)
                       for to_x, from_x in tiles.wrapped(column, width, ox)]

    def forward(self) -> list[Planes]:
        """The tile's share of the activations of each of the Net's Terms: [float32 (channels, h', w')].

        They are valid until another tile goes forward. Before that, and before backward(), a second call is free."""
        net = self.net
        if net.forwarded is not self:
            if not self._whole:
                binding.trim_memory()  # gaps that this tile might not fill if its size differs from the last one's
            self._fill(net.shape(self.row.size, self.column.size).data[0])
            net.caffe.forward(end=net.end)
            net.forwarded = self
        found = net.blobs("data")
        return [term.of(self._own(found[term.layer], term.layer)) for term in net.what.terms]

    def backward(self, gradients: Iterable[tuple[float, Planes]]) -> None:
        """Take the objective's gradient back to the picture, for all Terms at once.

        gradients  for each of the Net's Terms: (factor, gradient shaped like forward()'s result), to be multiplied"""
        net = self.net
        diffs = net.blobs("diff")
        whole = self._whole and len(net.what.terms) == 1 and net.what.terms[0].chosen == slice(None)
        for diff in diffs.values() if not whole else ():
            diff[:] = 0
        for term, (factor, gradient) in zip(net.what.terms, gradients, strict=True):
            own = self._own(diffs[term.layer], term.layer)
            if whole:
                np.multiply(gradient, factor, out=own)
            else:
                own[term.chosen] += factor * gradient
        net.caffe.backward(start=net.end)
        net.forwarded = None
        self.add(net.caffe.blobs[net._input].diff[0])

    def window(self) -> Planes:
        """A copy of the pixels that the tile needs: float32 (3, row.size, column.size)."""
        pixels = np.empty((3, self.row.size, self.column.size), np.float32)
        self._fill(pixels)
        return pixels

    def add(self, gradient: Planes) -> None:
        """Add the tile's share of the gradient, shaped like window(), to the Net's. Whatever computed it, the sum has
        the same bits if the tiles are added in their order."""
        for here, there in self._parts:
            if self._whole:
                self.net.gradient[there] = gradient[here]
            else:
                self.net.gradient[there] += gradient[here]
        to_disk(self.net.gradient)

    def _fill(self, window: Planes) -> None:
        for here, there in self._parts:
            window[here] = self._picture[there]

    def _own(self, blob: Planes, layer: str) -> Planes:
        return blob[:, self.row.own[layer], self.column.own[layer]]


def in_turn(function: Callable[..., Any], tiles: list[Tile], *more: Any) -> list[Any]:
    """function(tile, *more) for each of the tiles, one after the other."""
    return [*tiles[0].net.answered(tiles, (function(tile, *more) for tile in tiles))]


def _gathering(names: list[str]) -> list[Message]:
    """Layers that put the activations of the layers `names` into one blob, one after the other."""
    flat = [f"{name} flattened" for name in names]
    made = [[("name", f'"{to}"'), ("type", '"Flatten"'), ("bottom", f'"{name}"'), ("top", f'"{to}"')]
            for name, to in zip(names, flat, strict=True)]
    return [*made, [("name", f'"{_ALL}"'), ("type", '"Concat"'), *(("bottom", f'"{to}"') for to in flat),
                    ("top", f'"{_ALL}"')]]
