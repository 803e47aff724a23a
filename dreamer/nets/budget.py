"""Plans a dream so that it stays within its memory limit."""

import math
import os
import sys
import weakref
from math import isqrt
from typing import Any, Protocol

import numpy as np

from dreamer.arrays import Planes, disk, in_file
from dreamer.errors import Failure
from dreamer.machine import limits, reservations
from dreamer.nets import folding, prototxt, shapes, tiles
from dreamer.nets.layers import Layers
from dreamer.nets.model import Model
from dreamer.nets.prototxt import Message

SHARE = 0.8  # of the free memory; the rest is left for other programs
ARRAYS = 48  # bytes per pixel outside the net: picture, base and gradient (12 each), the last octave's detail, 8-bit
# How many blobs of its output's size a layer keeps for itself if Caffe's own code does it; MAX: pooling of the maximum
HIDDEN = {"BatchNorm": 3, "Scale": 1, "MAX": 1}
LOOSE = 1.15  # the net's memory has gaps: the measured size divided by the calculated one, for one tile
LOOSER = 1.4  # the same for tiles of several sizes
FILES = 24 << 20  # bytes for the file that is written, buffers and the like
WINDOW = 64 << 20  # bytes of the arrays that are in memory at a time if the arrays are in files
WRITING = 11  # bytes per pixel, after the net is freed: 8-bit, Pillow's copy of that, and the file
LOADING = 2, 32 << 20  # memory to load weights: so many times their size, plus the engine's bytes
LEAST = (7, 40 << 20), (2, 340 << 20)  # the same for a whole dream, at least, roughly: the smaller of the two
SENT = 12  # bytes per pixel of a window that other machines compute: its pixels go out, then its gradient comes back
KEPT = 5  # windows whose memory is taken beside: the gradient that is being added, and what malloc keeps for the next
BLOB = 2 ** 31 - 1  # the most numbers that one of Caffe's blobs can have


class TooLittle(Failure):
    """There is too little memory now.

    lacks  bytes of free memory that are missing; math.inf if more would not help, because --memory or a ulimit is the
           limit"""

    lacks: float = math.inf


def check_loading(name: str, path: str | os.PathLike[str]) -> None:
    """Raise TooLittle if there is not even the memory to load the weights at `path`, of the model `name`: the kernel
    would kill the process. If another dream has reserved memory, there must be enough for a whole dream, because one
    that loads its weights and then waits would take memory that the other needs."""
    size, free = os.path.getsize(path), limits.memory()
    dream = min(times * size + more for times, more in LEAST)
    wanted = dream if reservations.reserved() else LOADING[0] * size + LOADING[1]
    if free < wanted:
        told = TooLittle(f"{name} needs at least {limits.told(limits.used() + dream)} of "
                         f"memory in all; {limits.told(free)} are free")
        if free < limits.reservable():
            told.lacks = wanted - free
        raise told


class Sized(Protocol):
    """The part of dreamer.nets.net.Net that its Budget uses."""

    model: Model
    layers: list[Message]
    what: Layers
    caffe: Any
    end: str
    smallest_side: int

    def shape(self, height: int, width: int) -> Any:
        """As the Net does."""


class Budget:
    """The plan for one Net, which has its weights in the kernels' format: how large a tile may be, and where big arrays
    go.

    memory   bytes that this process may take in all (default: most of the free memory)
    tile     the most pixels of a tile, whatever the memory (default: as many as fit)
    waiting  number of the process that waits for this one: its memory counts too
    ahead    windows that should be on their way at once if other machines compute the tiles; 0 if none does. They take
             the net's memory, and more if there is some left
    raisable whether `memory` is given, and less than what could be had
    arrays   bytes per pixel outside the net; callers that need more (for films) add theirs
    writing  bytes per pixel to write the dream, after the net is freed; callers that write in strips set it to 0
    seen     a guide's activations, as long as they are in use; their `bytes` count"""

    def __init__(self, net: Sized, memory: int | None = None, tile: int | None = None,
                 waiting: int | None = None) -> None:
        self._net = net
        self._base = limits.used(waiting) + FILES  # Python, Caffe and the weights
        self.seen: weakref.WeakSet[Any] = weakref.WeakSet()
        self._free = limits.memory()
        self._given = memory is not None
        self._cap = None if self._given else limits.cap()
        self._usual = self.base + int(self._free * SHARE)
        self.memory = memory or min(self._usual, self._cap or sys.maxsize)
        self.raisable = memory is not None and memory < self._usual
        self.arrays, self.writing = ARRAYS, WRITING
        self.ahead = self._on_way = 0
        self.pixels = 0
        self._tile = tile
        self._most = self._holds()
        self._folder: str | None = None  # where big arrays go; None: into memory

    @property
    def base(self) -> int:
        """Bytes that are taken whatever is dreamed."""
        return self._base + sum(int(seen.bytes) for seen in self.seen)

    @base.setter
    def base(self, count: int) -> None:
        self._base += count - self.base

    def fit(self, height: int, width: int) -> tuple[int, float]:
        """Plan for pictures of height × width pixels; returns (bytes, overhead): the memory that the process will need
        in all, and the pixels of all tiles divided by the picture's (1 for a single tile).

        Raises TooLittle, which names the least memory that would do, if there is too little."""
        need, overhead = self.planned(height, width)
        if limits.most_used() > (self._cap or math.inf):
            raise self._too_little(need)
        return max(need, limits.most_used()), overhead

    def planned(self, height: int, width: int) -> tuple[int, float]:
        """As `fit`, for a process that has never held more than it does now."""
        arrays, self._folder = self.arrays * height * width, None
        need = self.memory + 1
        if arrays <= WINDOW or self.base + arrays <= self.memory * 3 / 4:
            need, overhead = self._divide(arrays, height, width)
        if need > self.memory and arrays > WINDOW:
            self._folder = disk()
            need, overhead = self._divide(WINDOW, height, width)
        if need > self.memory:
            raise self._too_little(need)
        return need, overhead

    def _divide(self, arrays: int, height: int, width: int) -> tuple[int, float]:
        """(need, overhead), as for `fit`, with so many bytes of arrays in memory."""
        self.pixels = self._tile or self._largest(self.memory - self.base - arrays, height, width)
        while True:
            rows, columns = tiles.layout(self._net.layers, self._net.what.names, height, width, self.pixels)
            tall, wide = max(w.size for w in rows), max(w.size for w in columns)
            net = self.net_bytes(tall, wide, LOOSE if len(rows) == len(columns) == 1 else LOOSER)
            need = self.base + arrays + max(net, self.writing * height * width if self._folder else 0)
            if need <= self.memory or self._tile or tall * wide > self.pixels:  # no tiles are smaller
                self._on_way = max(net, min(self._wanted(len(rows) * len(columns)) * SENT * tall * wide,
                                            min(self.memory, self._usual) - self.base - arrays))
                return max(need, self.base + arrays + self._on_way), tiles.overhead(rows, columns, height, width)
            self.pixels = int(tall * wide * 0.95)  # tiles that are not square take more

    def loaded(self) -> int:
        """Bytes that a process takes with such a Net and nothing else: Python, Caffe and the weights."""
        return LOADING[0] * os.path.getsize(self._net.model.weights_path()) + LOADING[1] + FILES

    def _wanted(self, count: int) -> int:
        """Windows for which there should be memory if there are `count` tiles."""
        return min(self.ahead, count) + KEPT if self.ahead and count > 1 else 0

    def most_ahead(self, height: int, width: int) -> int:
        """How many windows of that size may be on their way at once, in the memory that was planned."""
        return max(2, self._on_way // (SENT * height * width) - KEPT)

    def _too_little(self, need: int) -> TooLittle:
        """The error if `need` bytes do not fit. In a container it names the limit that would do."""
        given = self._cap or self.memory
        lacks = (need - self.base) / SHARE - self._free
        if self._cap:
            need = max(need, limits.most_used(), self._cap + int(lacks))
        told = TooLittle(f"{self._net.what} needs at least {limits.told(need)} of memory; "
                         f"{limits.told(given)} are available")
        if not self._given and self._free < limits.reservable():
            told.lacks = lacks
        return told

    def allocate(self, height: int, width: int) -> Planes:
        """An array (3, height, width) of float32, in memory or in a file; raises Failure on a full disk."""
        return _allocated(height, width, self._folder)

    def net_bytes(self, height: int, width: int, loose: float) -> int:
        """Bytes that the net takes for a tile of that size, with gaps (see LOOSE)."""
        self._net.shape(height, width)
        blobs = self._net.caffe.memory_needed(self._net.end) + self._hidden()
        return int(blobs * loose * max(1.0, self._net.model.gaps / LOOSE))

    def _hidden(self) -> int:
        """Bytes of the blobs that Caffe's own layers keep for themselves, at the present shape."""
        count = 0
        for layer in folding.fold(self._net.layers)[0]:
            kind = prototxt.value(layer, "type")
            if kind == "Pooling" and shapes.window(layer, "h")[0] != 3:  # native/ does maxima of 3x3
                kind = prototxt.value(prototxt.value(layer, "pooling_param"), "pool", "MAX")
            count += HIDDEN.get(kind, 0) * self._net.caffe.blobs[prototxt.value(layer, "top")].count
        return 4 * count

    def _holds(self) -> int:
        """The most pixels of a tile whose blobs all stay within Caffe's limit."""
        side = self._net.smallest_side + 1000  # so large that borders hardly matter
        self._net.shape(side, side)
        return int(BLOB / max(blob.count for blob in self._net.caffe.blobs.values()) * side * side * 0.9)

    def _largest(self, room: int, height: int, width: int) -> int:
        """The most pixels of a tile that takes no more than `room` bytes."""
        if height * width <= self._most and self.net_bytes(height, width, LOOSE) <= room:
            return height * width
        low, high = self._net.smallest_side - 1, isqrt(min(height * width, self._most)) + 1
        while high - low > 1:
            side = (low + high) // 2
            low, high = (side, high) if self.net_bytes(side, side, LOOSER) <= room else (low, side)
        return low * low


def allocate(height: int, width: int) -> Planes:
    """As Budget.allocate, for a few arrays of callers without a net: in memory if there is plenty."""
    return _allocated(height, width, disk() if 100 * height * width > limits.memory() else None)


def _allocated(height: int, width: int, folder: str | None) -> Planes:
    if not folder or 4 * 3 * height * width <= WINDOW:
        return np.empty((3, height, width), np.float32)
    return in_file(height, width, folder)
