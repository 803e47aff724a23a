#!/usr/bin/python3
"""What a farm would reach with more machines than there are here: a simulation, event by event, of what dreamer/farm
does, fed with costs that were measured on two.

    $ tests/bench/farm_model.py
    $ tests/bench/farm_model.py --workers 10 100 --seconds 12 --link 0.117

It prints the efficiency (the time of one worker, divided by the number of workers and the time of all) of a folder of
pictures, and of a step of one giant picture. What is simulated: each worker has one unit that runs and one that waits;
what travels shares the client's link, each direction for itself; the engine takes a while for each task; one worker in
ten is slow, and the last units are tried again on workers that have nothing to do. What is not: that workers die, and
reading and writing of the client's files.

The giant picture has the tiles of --reproducible. Its gradients are added in the order of the tiles, and a window
counts as one that is on its way until all before it are added; there are at most as many as there is memory for. Three
forms are compared: its windows and gradients pass a scheduler on a machine of its own, whose link carries each twice;
they pass only the client's link; and the workers hold the picture, and exchange its borders. For that form, a formula
gives the efficiency of a step, and of an octave of ten steps: the picture goes out before the first and comes home
after the last. dreamer/farm takes the second form or the third, whichever is faster."""

import argparse
import heapq
import itertools
import random
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dreamer.farm import cells, giant
from dreamer.nets import model, shapes, tiles
from dreamer.nets.net import TILE

TASK = 1.7e-3  # seconds of the engine for each unit, with TLS
AHEAD = 2  # units that a worker has: one runs
BARRIER = 13.5e-3  # seconds until all workers have been asked something small, and have answered
LAYER = "inception_4c/output"
STEPS = 10  # in an octave
RATE = 0.23e-6  # seconds a pixel and step, on a worker of two cores
BYTES = 12  # of a pixel of a window, and of its gradient
COPYING = 4e-9  # seconds a pixel for the client to copy a window, and again to add its gradient
ENDING = 11e-9  # seconds a pixel of the client before the first window and after the last: sums, and the step itself
NOISE = 0.15  # by which a window takes more or less time than usual
TRIALS = 10  # steps whose mean is printed


class Link:
    """One direction of the client's link: what travels waits for what was there before.

    rate  bytes per second"""

    def __init__(self, rate: float) -> None:
        self._rate, self._free = rate, 0.0

    def carry(self, now: float, size: float) -> float:
        """The time at which `size` bytes have arrived that are ready at `now`."""
        self._free = max(now, self._free) + size / self._rate
        return self._free


class Costs(NamedTuple):
    """Of one unit: seconds on a usual worker, bytes to it and back, and seconds of the client to send it, and to take
    it back."""

    seconds: float
    there: float
    back: float
    client: float = 0.0


def folder(units: int, costs: Costs, speeds: Sequence[float], link: float) -> float:
    """Seconds until all units of a folder are back.

    speeds  of the workers; 1 is usual
    link    bytes per second of the client, each way"""
    out, home, engine, ended = Link(link), Link(link), 0.0, 0.0
    left, tries, done = deque(range(units)), dict[int, int](), set[int]()
    ready = [0.0] * len(speeds)  # when each worker has done what it has
    # what happens: (when, number, worker, unit that it has done; None: it can get one)
    happens: list[tuple[float, int, int, int | None]] = [
        (0.0, number, number % len(speeds), None) for number in range(AHEAD * len(speeds))]
    numbers = itertools.count(len(happens))
    while len(done) < units:
        now, _, worker, unit = heapq.heappop(happens)
        if unit is not None:
            back = home.carry(now, costs.back)
            if unit not in done:
                done.add(unit)
                ended = back
        late = [unit for unit in tries if unit not in done and tries[unit] == 1] if ready[worker] <= now else []
        if not left and not late:
            continue
        unit = left.popleft() if left else late[0]
        tries[unit] = tries.get(unit, 0) + 1
        engine = max(engine, now) + TASK
        begins = max(ready[worker], out.carry(engine, costs.there))
        ready[worker] = begins + costs.seconds / speeds[worker]
        heapq.heappush(happens, (ready[worker], next(numbers), worker, unit))
    return ended


def in_order(count: int, costs: Costs, workers: int, link: float, most: int, seed: int = 0) -> float:
    """Seconds until the gradients of `count` windows are added, in order.

    most  windows that may be on their way; each counts until all before it are added"""
    chance, out, home, client = random.Random(seed), Link(link), Link(link), 0.0
    ready, has = [0.0] * workers, [0] * workers  # when each worker has done what it has, and how many windows that is
    back, sent, first, now = set[int](), 0, 0, 0.0
    happens: list[tuple[float, int, int, bool]] = []  # when, window, its worker, whether it is back: else, it is done
    while first < count:
        while sent < min(count, first + most) and min(has) < AHEAD:
            worker = has.index(min(has))
            client = max(client, now) + costs.client
            begins = max(ready[worker], out.carry(client + TASK, costs.there))
            ready[worker] = begins + costs.seconds * chance.uniform(1 - NOISE, 1 + NOISE)
            heapq.heappush(happens, (ready[worker], sent, worker, False))
            has[worker] += 1
            sent += 1
        now, window, worker, is_back = heapq.heappop(happens)
        if not is_back:
            heapq.heappush(happens, (home.carry(now, costs.back), window, worker, True))
            continue
        has[worker] -= 1
        back.add(window)
        while first in back:
            client = max(client, now) + costs.client
            first += 1
    return client


class Giant:
    """A picture of so many pixels, twice as wide as it is high, and its tiles.

    count  number of windows in a step
    costs  of each of them, on the average"""

    def __init__(self, pixels: float) -> None:
        self.height, self.width = round((pixels / 2) ** 0.5), round((pixels * 2) ** 0.5)
        layers = shapes.cut(model.find("bvlc_googlenet").net, [LAYER])
        self.rows, self.columns = tiles.layout(layers, [LAYER], self.height, self.width, TILE)
        area = sum(row.size for row in self.rows) * sum(column.size for column in self.columns)
        self.count = len(self.rows) * len(self.columns)
        self._cells = cells.Cells(self.rows, self.columns, self.height, self.width)
        self.costs = Costs(area / self.count * RATE, BYTES * area / self.count, BYTES * area / self.count,
                           COPYING * area / self.count)

    def central(self, workers: int, link: float, most: int = giant.AHEAD) -> float:
        """The efficiency of a step, if windows and gradients pass one link of so many bytes per second, each way."""
        seconds = sum(in_order(self.count, self.costs, workers, link, most, seed) for seed in range(TRIALS)) / TRIALS
        return float(self.count * self.costs.seconds / (workers * (seconds + ENDING * self.height * self.width)))

    def owned(self, workers: int, link: float) -> tuple[float, float]:
        """The efficiency of a step, and of an octave, if the workers hold the picture. Each has such a link, too: it
        fetches the borders of the next window while it computes one, and those of the gradient at the end."""
        held = cells.dealt([1] * workers, len(self.rows), len(self.columns))
        has, fetched, seconds = [0.0] * workers, [0.0] * workers, [0.0] * workers
        for tile, (row, column) in enumerate(itertools.product(self.rows, self.columns)):
            seconds[held[tile]] += row.size * column.size * RATE
            for piece in self._cells.pieces(row, column, 0, 0):
                (tall, wide), there = ((part.stop - part.start for part in piece.within), held[piece.cell])
                if held[tile] == there:
                    has[there] += tall * wide
                else:
                    fetched[held[tile]] += tall * wide * BYTES / link
        one = max(max(busy, border) + border / max(1, self.count // workers) + border + ENDING * own
                  for busy, border, own in zip(seconds, fetched, has, strict=True))
        one += 2 * BARRIER + self.count * TASK / workers
        whole = 2 * BYTES * self.height * self.width / link
        return sum(seconds) / (workers * one), STEPS * sum(seconds) / (workers * (STEPS * one + whole))


def alike(workers: int, slow: float) -> list[float]:
    """Speeds of workers, of which a tenth (at least one, of more than three) has the speed `slow`."""
    late = max(1, workers // 10) if workers > 3 else 0
    return [1.0] * (workers - late) + [slow] * late


def efficiency(units: int, costs: Costs, speeds: Sequence[float], link: float) -> float:
    """The share of the workers' time that goes into units: what the speeds would need alone, of what was needed."""
    return units * costs.seconds / (sum(speeds) * folder(units, costs, speeds, link))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 10, 100])
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5.0, help="of a picture's dream")
    parser.add_argument("--megabytes", type=float, default=1.0, help="of a picture, and of its dream")
    parser.add_argument("--link", type=float, nargs="+", default=[0.117, 0.55],
                        help="GB/s of the client, each way: 0.117 is 1 Gbit/s; the engine carries 0.55 of 10 Gbit/s")
    parser.add_argument("--slow", type=float, default=0.5, help="speed of one worker in ten; usual ones have 1")
    given = parser.parse_args()
    size = given.megabytes * 1e6
    print(f"{given.pictures} pictures of {given.seconds:g} s")
    for count, link in itertools.product(given.workers, given.link):
        costs = Costs(given.seconds, size, size)
        usual, mixed = (efficiency(given.pictures, costs, speeds, link * 1e9)
                        for speeds in ([1.0] * count, alike(count, given.slow)))
        print(f"  {count:4} workers, {link:g} GB/s: {usual:4.0%}; with slow ones {mixed:4.0%}")
    print(f"one giant picture at {LAYER}: by the scheduler; by the client's link; the workers hold it")
    for megapixels in (100, 1000):
        picture = Giant(megapixels * 1e6)
        for count, link in itertools.product(given.workers, given.link):
            rate = link * 1e9
            step, octave = picture.owned(count, rate)
            print(f"  {megapixels:4} Mpx, {count:4} workers, {link:g} GB/s: {picture.central(count, rate / 2):4.0%} "
                  f"{picture.central(count, rate):4.0%} {step:4.0%} ({octave:.0%} of an octave)")


if __name__ == "__main__":
    main()
