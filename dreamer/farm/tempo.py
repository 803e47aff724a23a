"""How fast the workers of a farm are, and how long the rest takes."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

_NEW = 0.5  # share of the newest dream in a worker's speed: its load changes
_ENOUGH = 0.1  # share of a dream after which its speed is known
_SLOW = 1.5  # a dream is tried elsewhere if that takes less than 1/_SLOW of what is left
_LATE, _SILENT = 5.0, 20.0  # seconds without news of a dream that are unusual, and that mean that its worker hangs


class Tempo:
    """What is known of the workers' speeds: work per second for each of their dreams.

    done  work of the dreams that have ended"""

    def __init__(self) -> None:
        self.done = 0.0
        self._speeds: dict[str, float] = {}

    def tell(self, worker: str, work: float, told: Mapping[str, Any]) -> None:
        """A dream of `work` on this worker has told how far it is. It counts if nothing better is known."""
        if told["share"] > _ENOUGH and told["seconds"] > 0:
            self._speeds.setdefault(worker, work * told["share"] / told["seconds"])

    def end(self, worker: str, work: float, told: Mapping[str, Any] | None) -> None:
        """A dream on this worker has ended; `told`: the last that it told before, if anything."""
        if told and told["share"] > _ENOUGH and told["seconds"] > 0:
            speed = work * told["share"] / told["seconds"]
            before = self._speeds.get(worker, speed)
            self._speeds[worker] = before + _NEW * (speed - before)

    def is_slow(self, work: float, told: Mapping[str, Any]) -> bool:
        """Whether a dream would be done sooner if another worker, of the usual speed, began it anew.

        told  what it told last; "heard": when, by time.monotonic"""
        usual, silent = self._usual(), time.monotonic() - told["heard"]
        if usual is None:
            return bool(silent > _SILENT)
        return bool(_SLOW * work / usual < _left(work, told, usual) + (silent if silent > _LATE else 0))

    def left(self, work: float, workers: Mapping[str, Mapping[str, Any]],
             running: Iterable[Mapping[str, Any]]) -> float | None:
        """Seconds until so much more `work` is done by these workers; None if not known yet, or if there are none.

        running  what the running dreams have told last"""
        usual = self._usual()
        if not usual or not workers:
            return None
        speed = sum(self._speeds.get(address, usual) * float(worker["resources"]["slots"])
                    for address, worker in workers.items())
        return max([work / speed, *(float(told["left"]) for told in running if told["left"] is not None)])

    def _usual(self) -> float | None:
        known = sorted(self._speeds.values())
        return known[len(known) // 2] if known else None


def _left(work: float, told: Mapping[str, Any], usual: float) -> float:
    """Seconds that a running dream still takes."""
    if told["left"] is not None:
        return float(told["left"])
    if told["share"] > 0:
        return float(told["seconds"] * (1 / told["share"] - 1))
    return work / usual
