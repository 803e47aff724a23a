"""The windows of a giant picture on one of the machines that compute them: each goes forward and backward through a Net
that stays loaded between them."""

import queue
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dreamer.arrays import Pixels, Planes
from dreamer.errors import Failure
from dreamer.farm.cells import Wanted
from dreamer.machine import limits
from dreamer.machine.servant import Servant
from dreamer.machine.worker import Died
from dreamer.nets import checksum, model, tiles
from dreamer.nets.balance import squares
from dreamer.nets.budget import LOOSER, TooLittle
from dreamer.nets.guide import Guide
from dreamer.nets.layers import Layers
from dreamer.nets.net import Net, Tile

LONGEST = 3600.0  # seconds for a window, even on a machine that is busy and old
ARRAYS = 60  # bytes per pixel of a window outside the net: the window, its gradient, and copies on their way
NO_PIXELS: Planes = np.empty((3, 0, 0), np.float32)  # of a question whose pixels travel by themselves


class Dreaming(NamedTuple):
    """With what a picture is dreamed: the same for all of its windows.

    number        of the dream: no other has it
    model         name of the model
    weights       sha256 of its weights, in hexadecimal
    what          the layers, with their channels chosen
    guide         a picture, uint8 (h, w, 3), or None
    reproducible  as for Net
    side          pixels of the picture's shorter side, as for Net"""

    number: str
    model: str
    weights: str
    what: Layers
    guide: Pixels | None
    reproducible: bool
    side: int


class Held(NamedTuple):
    """A window of a picture that the workers hold (see blocks.py): the worker that computes it gets its pixels from the
    others, and keeps its gradient.

    picture  name of the picture
    shape    rows and columns of the window
    wanted   the pieces of which it consists"""

    picture: str
    shape: tuple[int, int]
    wanted: list[Wanted]


class Question(NamedTuple):
    """A window to compute.

    dreaming     with what
    pixels       float32 (3, h, w), in the net's format
    row, column  its place in the picture, with its share of each layer
    function     "pull" or "squares"
    more         the arguments of that function after its tile and the objectives
    held         where its pixels are, if the workers hold the picture"""

    dreaming: Dreaming
    pixels: Planes
    row: tiles.Window
    column: tiles.Window
    function: str
    more: tuple[Any, ...] = ()
    held: Held | None = None

    def without_pixels(self) -> "Question":
        """The same, without pixels and where they are, once the worker has them."""
        return self._replace(pixels=NO_PIXELS, held=self.held and self.held._replace(wanted=[]))


class Answer(NamedTuple):
    """What became of a window.

    found     what the function returned
    gradient  of the window, float32 (3, h, w); None if the function computed none, or if the worker keeps it
    worker    address of the machine; "" if the window was lost with it, or on the way
    error     why it failed; "" if it did not
    final     whether the machine would fail again
    seconds   that the computation took"""

    found: Any
    gradient: Planes | None
    worker: str = ""
    error: str = ""
    final: bool = False
    seconds: float = 0.0


def compute(question: Question, name: str) -> Answer:
    """Compute a window whose pixels have come under that name. Called by the engine, on a worker."""
    import distributed
    worker = distributed.get_worker()
    pixels = worker.arrived.take(name)
    if pixels is None:
        return Answer(None, None, "", "its pixels have not arrived")
    try:
        found: Answer = worker.windows.ask(question._replace(pixels=pixels, held=None))
        if question.held:
            worker.blocks.keep(question.held.picture, name, found.gradient)
            found = found._replace(gradient=None)
        return found._replace(worker=worker.address)
    except Failure as error:
        return Answer(None, None, worker.address, str(error), not isinstance(error, Died))


class Children:
    """Child processes that compute windows, each one at a time. They start when they are needed, and end a minute after
    the last window; one that Caffe or the kernel ends is replaced.

    windows  what they do
    count    how many"""

    def __init__(self, windows: "Windows", count: int) -> None:
        self._free: queue.LifoQueue[Servant] = queue.LifoQueue()  # so that the one that has loaded the net comes first
        self._all = [Servant(windows, called="the computation of a window") for _ in range(count)]
        for each in self._all:
            self._free.put(each)

    def ask(self, question: Question) -> Answer:
        """The Answer. Raises Failure, with Died if the child ended."""
        child = self._free.get()
        try:
            found: Answer = child.ask(question, LONGEST)
            return found
        finally:
            self._free.put(child)

    def close(self) -> None:
        """Kill the children."""
        for each in self._all:
            each.close()


class Windows:
    """Computes windows. It can be handed over as a pickle before the first one, to a process that may die with its Net.

    pull        dreamify.pull, or a function with the same arguments
    objectives  dreamify.objectives_of, or a function with the same arguments
    threads     number of threads (default: limits.threads())
    memory      bytes that the process may take in all (default: most of the free memory)"""

    def __init__(self, pull: Callable[..., float], objectives: Callable[..., Any],
                 threads: int | None = None, memory: int | None = None) -> None:
        self._functions: dict[str, Callable[..., Any]] = {"pull": pull, "squares": squares}
        self._objectives_of, self._threads, self._memory = objectives, threads, memory
        self._net: Net | None = None
        self._number = ""  # of the dream for which the Net is ready
        self._objectives: list[Any] = []
        self._fitting = set[tuple[int, ...]]()  # sizes of windows for which there is enough memory

    def __call__(self, question: Question) -> Answer:
        """Compute a window. Raises TooLittle if there is too little memory for it, Failure if this machine has other
        weights."""
        net = self._ready(question.dreaming)
        self._check(net, *question.pixels.shape[1:])
        started = time.monotonic()
        gradient = net.gradient = np.zeros(question.pixels.shape, np.float32)
        # counted from its own corner, a window is a picture of its own
        row, column = question.row._replace(start=0), question.column._replace(start=0)
        tile = Tile(net, question.pixels, row, column, 0, 0, whole=False)
        found = self._functions[question.function](tile, self._objectives, *question.more)
        net.gradient = np.empty((3, 0, 0), np.float32)
        return Answer(found, gradient if gradient.any() else None, seconds=time.monotonic() - started)

    def _check(self, net: Net, height: int, width: int) -> None:
        """Raise TooLittle if there is too little memory for a window of that size."""
        if (height, width) in self._fitting:
            return
        need = net.budget.base + net.budget.net_bytes(height, width, LOOSER) + ARRAYS * height * width
        if need > net.budget.memory:
            raise TooLittle(f"a window of {width}×{height} pixels needs {limits.told(need)} of memory; "
                            f"{limits.told(net.budget.memory)} are available: give the worker more")
        self._fitting.add((height, width))

    def _ready(self, dreaming: Dreaming) -> Net:
        """The Net for a dream, with the objectives."""
        if self._net and self._number == dreaming.number:
            return self._net
        if self._net:
            self._net.close()
        self._net, self._number = None, ""
        self._fitting.clear()
        chosen = model.find(dreaming.model)
        if checksum.sha256(chosen.weights_path()) != dreaming.weights:
            raise Failure(f"the weights of {dreaming.model} differ from those of the machine that sends the picture")
        net = Net(chosen, dreaming.what, None, self._memory, self._threads, dreaming.reproducible, side=dreaming.side)
        guide = None if dreaming.guide is None else Guide(dreaming.guide)
        self._objectives = self._objectives_of(net, guide=guide)
        self._net, self._number = net, dreaming.number
        return net
