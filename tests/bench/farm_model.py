#!/usr/bin/python3
"""What a farm would reach with more machines than there are here: a simulation, event by event, of what dreamer/farm
does, fed with costs that were measured on two.

    $ tests/bench/farm_model.py
    $ tests/bench/farm_model.py --workers 10 100 --seconds 12 --link 0.117

It prints the efficiency (the time of one worker, divided by the number of workers and the time of all) of a folder of
pictures, and of a step of one giant picture whose windows one machine sends out. What is simulated: each worker has one
unit that runs and one that waits; what travels shares the client's link, each direction for itself; the engine takes a
while for each task; one worker in ten is slow, and the last units are tried again on workers that have nothing to do.
What is not: that workers die, and reading and writing of the client's files."""

import argparse
import heapq
import itertools
import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

TASK = 1.7e-3  # seconds of the engine for each unit, with TLS
AHEAD = 2  # units that a worker has: one runs
HALO = 159 + 187  # pixels around a tile for inception_4c/output, both sides together
RATE = 0.23e-6  # seconds a pixel and step, on a worker of two cores
BYTES = 12  # of a pixel of a window, and of its gradient
ADDING = 2e-9  # seconds a pixel for the client to add a gradient, and to take the step
SIDE = 2048  # pixels of a tile's side, without its halo


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
    """Of one unit: seconds on a usual worker, bytes to it and back, and seconds of the client when it is back."""

    seconds: float
    there: float
    back: float
    after: float = 0.0


def folder(units: int, costs: Costs, speeds: Sequence[float], link: float) -> float:
    """Seconds until all units of a folder are back.

    speeds  of the workers; 1 is usual
    link    bytes per second of the client, each way"""
    out, home, engine, client, ended = Link(link), Link(link), 0.0, 0.0, 0.0
    left, tries, done = deque(range(units)), dict[int, int](), set[int]()
    ready = [0.0] * len(speeds)  # when each worker has done what it has
    # what happens: (when, number, worker, unit that it has done; None: it can get one)
    happens: list[tuple[float, int, int, int | None]] = [
        (0.0, number, number % len(speeds), None) for number in range(AHEAD * len(speeds))]
    numbers = itertools.count(len(happens))
    while len(done) < units:
        now, _, worker, unit = heapq.heappop(happens)
        if unit is not None:
            client = max(client, home.carry(now, costs.back)) + costs.after
            if unit not in done:
                done.add(unit)
                ended = client
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


def windows(pixels: float) -> tuple[int, Costs]:
    """(windows of a step of a picture of so many pixels, the Costs of each)."""
    count = max(1, round(pixels / SIDE ** 2))
    area = (math.sqrt(pixels / count) + HALO) ** 2
    return count, Costs(area * RATE, BYTES * area, BYTES * area, ADDING * pixels / count)


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
    print("a step of one giant picture at inception_4c/output, windows from one machine")
    for megapixels, count, link in itertools.product((100, 1000), given.workers, given.link):
        units, costs = windows(megapixels * 1e6)
        print(f"  {megapixels:4} Mpx, {count:4} workers, {link:g} GB/s: "
              f"{efficiency(units, costs, [1.0] * count, link * 1e9):4.0%}")


if __name__ == "__main__":
    main()
