"""The memory that a dream would take on this machine, found out in a child process without dreaming it."""

import functools
from collections.abc import Callable
from typing import NamedTuple

from dreamer.machine import worker
from dreamer.machine.signals import Stop
from dreamer.machine.worker import Worker
from dreamer.nets.net import Net


class Needed(NamedTuple):
    """memory: bytes in all; tiles: whether the dream would be divided."""

    memory: int
    tiles: bool


class Needs:
    """What dreams need, of those that were asked for so far. A picture that has the size of one before, or is a little
    smaller than one that is dreamed whole, is not planned again.

    stop  says when to stop"""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._known: dict[object, list[tuple[int, int, Needed]]] = {}

    def find(self, what: object, make_net: Callable[[int | None], Net], arrays: int, beside: int, height: int,
             width: int) -> Needed:
        """What a dream of height × width pixels needs. `what` is the same for dreams that differ only in their size;
        the other arguments are as of an Order. Raises Mistake, Failure and Stopped."""
        known = self._known.setdefault(what, [])
        for tall, wide, need in known:
            near = height <= tall and width <= wide and 2 * height * width > tall * wide and not need.tiles
            if near or (height, width) == (tall, wide):
                return need
        found = list[Needed]()
        worker.run(functools.partial(_find, make_net, arrays, beside, height, width), found.append, self._stop)
        known.append((height, width, found[-1]))
        return found[-1]


def _find(make_net: Callable[[int | None], Net], arrays: int, beside: int, height: int, width: int,
          child: Worker) -> None:
    net = make_net(child.parent)
    net.budget.arrays += arrays
    net.budget.base += beside
    memory, overhead = net.budget.fit(height, width)
    child.send(Needed(memory, overhead > 1))
