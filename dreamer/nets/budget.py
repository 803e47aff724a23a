"""How a dream keeps within the memory that it may take."""

import math
import os
import sys
import tempfile
import weakref
from math import isqrt
from typing import Any, Protocol

import numpy as np

from dreamer.arrays import Planes
from dreamer.errors import Failure
from dreamer.machine import limits, reservations
from dreamer.nets import tiles
from dreamer.nets.layers import Layers
from dreamer.nets.prototxt import Message

SHARE = 0.8  # of what is free; the rest is left for everybody else
ARRAYS = 48  # bytes a pixel beside the net: picture, its base and gradient (12 each), the last octave's detail, 8-bit
LOOSE = 1.15  # the net's memory is not packed without gaps: what it came to, over its own account, for one tile
LOOSER = 1.4  # and for tiles of several sizes
FILES = 24 << 20  # bytes for the file that is written, buffers and the like
WINDOW = 64 << 20  # bytes of such arrays that are in memory at a time where they are kept in files
WRITING = 11  # bytes a pixel, when the net is gone: 8-bit, Pillow's copy of that, and the file
LOADING = 2, 32 << 20  # what to load weights takes: so many times their size, and the engine
LEAST = 7, 40 << 20  # and what a dream takes at least, roughly
BLOB = 2 ** 31 - 1  # the most numbers that a blob of Caffe's can have


class TooLittle(Failure):
    """There is too little memory now.

    lacks  bytes of free memory that would be enough; math.inf where none would, because --memory or a ulimit is what
           allows no more"""

    lacks: float = math.inf


def check_loading(name: str, path: str | os.PathLike[str]) -> None:
    """Raise TooLittle where there is not even the memory to load the weights at `path`, those of the model `name`: the
    kernel would kill us on the way. Where another dream has reserved memory, what a dream takes at least must be there:
    one that loads weights only to wait would take what the other needs."""
    size, free = os.path.getsize(path), limits.memory()
    times, more = LEAST if reservations.reserved() else LOADING
    if free < times * size + more:
        told = TooLittle(f"{name} needs at least {limits.told(limits.used() + LEAST[0] * size + LEAST[1])} of "
                        f"memory in all; {limits.told(free)} are free")
        if free < limits.reservable():
            told.lacks = times * size + more - free
        raise told


class Sized(Protocol):
    """What a Budget needs to know of its dreamer.nets.net.Net."""

    layers: list[Message]
    what: Layers
    caffe: Any
    end: str
    smallest_side: int

    def warm_up(self) -> None:
        """As the Net does."""

    def shape(self, height: int, width: int) -> Any:
        """As the Net does."""


class Budget:
    """Of one Net: how large a tile may be, and where big arrays go.

    memory   bytes that this process may take in all; most of what is free where it is None
    tile     the most pixels of a tile, whatever the memory; what fits where it is None
    waiting  number of the process that waits for this one: what it holds counts too
    arrays   bytes a pixel beside the net, to which who needs more than one dream does adds its own
    seen     what else there is while somebody has it: a guide's activations, whose `bytes` count"""

    def __init__(self, net: Sized, memory: int | None = None, tile: int | None = None,
                 waiting: int | None = None) -> None:
        self._net = net
        net.warm_up()
        self._base = limits.used(waiting) + FILES  # Python, Caffe and the weights
        self.seen: weakref.WeakSet[Any] = weakref.WeakSet()
        self._free = limits.memory()
        self._given = memory is not None
        self._cap = None if self._given else limits.cap()
        self.memory = memory or min(self.base + int(self._free * SHARE), self._cap or sys.maxsize)
        self.arrays = ARRAYS
        self.pixels = 0
        self._tile = tile
        self._most = self._holds()
        self._folder: str | None = None  # where big arrays go, unless that is into memory

    @property
    def base(self) -> int:
        """Bytes that are taken whatever is dreamed."""
        return self._base + sum(int(seen.bytes) for seen in self.seen)

    @base.setter
    def base(self, count: int) -> None:
        self._base += count - self.base

    def fit(self, height: int, width: int) -> tuple[int, float]:
        """Decide for dreams of pictures of height × width pixels; returns (bytes, overhead): what the process will
        need in all, and how many times a picture's pixels the tiles compute (1 for a single one).

        Raises TooLittle, naming the least memory that would do, where there is too little."""
        arrays, self._folder = self.arrays * height * width, None
        need = self.memory + 1
        if arrays <= WINDOW or self.base + arrays <= self.memory * 3 / 4:
            need, overhead = self._divide(arrays, height, width)
        if need > self.memory and arrays > WINDOW:
            self._folder = _disk()
            need, overhead = self._divide(WINDOW, height, width)
        if need > self.memory or limits.most_used() > (self._cap or math.inf):
            raise self._too_little(need)
        return max(need, limits.most_used()), overhead

    def _divide(self, arrays: int, height: int, width: int) -> tuple[int, float]:
        """(need, overhead), as for `fit`, where so many bytes of arrays are in memory."""
        self.pixels = self._tile or self._largest(self.memory - self.base - arrays, height, width)
        while True:
            rows, columns = tiles.layout(self._net.layers, self._net.what.names, height, width, self.pixels)
            tall, wide = max(w.size for w in rows), max(w.size for w in columns)
            net = self.net_bytes(tall, wide, LOOSE if len(rows) == len(columns) == 1 else LOOSER)
            need = self.base + arrays + max(net, WRITING * height * width if self._folder else 0)
            if need <= self.memory or self._tile or tall * wide > self.pixels:  # which are the smallest there are
                return need, tiles.overhead(rows, columns, height, width)
            self.pixels = int(tall * wide * 0.95)  # these are longer than they are wide, which takes more

    def _too_little(self, need: int) -> TooLittle:
        """What says so where `need` bytes do not fit. A container is told the limit that it needs."""
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
        """What the net takes for a tile of that size."""
        self._net.shape(height, width)
        return int(self._net.caffe.memory_needed(self._net.end) * loose)

    def _holds(self) -> int:
        """The most pixels of a tile whose every blob is one that Caffe can have."""
        side = self._net.smallest_side + 1000  # where borders weigh little
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
    """As Budget.allocate, for who has no net and wants a few: in memory where there is plenty."""
    return _allocated(height, width, _disk() if 100 * height * width > limits.memory() else None)


def _allocated(height: int, width: int, folder: str | None) -> Planes:
    shape, count = (3, height, width), 4 * 3 * height * width
    if not folder or count <= WINDOW:
        return np.empty(shape, np.float32)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            # space that is only promised ends the process by a signal on the day it is not there
            os.posix_fallocate(file.fileno(), 0, count)
            return np.memmap(file, np.float32, "r+", shape=shape)
    except OSError as error:
        raise Failure(f"{folder} has no room for {count >> 20} MB of working data ({error.strerror}); "
                      "set TMPDIR to a folder on a larger disk") from None


def _disk() -> str:
    """A folder on a disk: /tmp is in memory on many machines."""
    return os.environ.get("TMPDIR") or ("/var/tmp" if os.access("/var/tmp", os.W_OK) else os.getcwd())
