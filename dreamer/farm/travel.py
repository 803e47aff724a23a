"""The windows of a giant picture on their way to the workers of a farm, and back."""

import collections
import math
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from dreamer.errors import Failure, Stopped
from dreamer.farm import engine
from dreamer.farm.attempt import Attempt
from dreamer.farm.client import LOOKS, SETTLED, Farm
from dreamer.farm.windows import Answer, Question
from dreamer.jobs import events
from dreamer.jobs.events import Listener
from dreamer.machine import here
from dreamer.nets.net import Tile

AHEAD = 2  # windows per place at a worker that are handed over: one that is computed, and one that travels
LEAVING = 3  # windows whose pixels leave at once: all share the network, and the first worker would wait for the last
TRIES = 3  # attempts at a window
SLOW = 3.0  # times what a window usually takes, after which another worker tries it too
PAUSE = 0.01  # seconds between two looks whether a window is back


class Sent(NamedTuple):
    """A window that is on its way.

    attempts  the one that runs, and a second one if that is slow
    failed    workers that could not compute it
    tries     how many attempts have failed, and this one
    lost      how many workers have died with it"""

    tile: Tile
    attempts: tuple[Attempt, ...]
    failed: frozenset[str] = frozenset()
    tries: int = 1
    lost: int = 0

    def back(self) -> Attempt | None:
        """The attempt that has ended, or None."""
        return next((attempt for attempt in self.attempts if attempt.back()), None)

    def drop(self) -> None:
        """Forget what still runs."""
        for attempt in self.attempts:
            attempt.drop()


class Travel:
    """Sends windows to the workers of a farm. The arguments are as for Spread.heard.

    busy  seconds that the workers have computed windows"""

    def __init__(self, farm: Farm, listen: Listener, asked: Callable[[], int | None]) -> None:
        self._farm, self._client, self._listen, self._asked = farm, farm.client, listen, asked
        self._workers: dict[str, dict[str, Any]] = {}  # those that have the weights
        self._looked, self._lacked, self._mended = -LOOKS, time.monotonic(), -LOOKS
        self._told, self._out = set[str](), set[str]()
        self._name, self._number = uuid.uuid4().hex[:12], 0
        self.busy = 0.0
        self._usual = math.inf  # seconds that a window takes, there and back
        self._sent: collections.deque[Sent] = collections.deque()  # in the order of the tiles
        self._question: Callable[[Tile], Question]
        self._weights = ""

    def answers(self, tiles: Sequence[Tile], question: Callable[[Tile], Question], weights: str,
                most: int, advice: str | None) -> Iterator[Any]:
        """What the function returned for each tile, in the order of the tiles, each as soon as the tile's share of the
        gradient has been added. Raises Failure and Stopped.

        weights  sha256 of the weights that a worker must have
        most     windows that may be on their way
        advice   what the user is told to do if the workers could compute more at once; None: nothing is told"""
        rest = collections.deque(tiles)
        self._sent.clear()
        self._question, self._weights = question, weights
        try:
            while rest or self._sent:
                self._look()
                self._warn(min(len(tiles), self.places()), most, advice)
                while rest and len(self._sent) < most and self._leaving() < LEAVING and (worker := self._ready(rest)):
                    self._sent.append(self._to(worker, Sent(rest.popleft(), ())))
                if self._sent and (attempt := self._sent[0].back()):
                    if answer := self._back(self._sent[0], attempt):
                        first = self._sent.popleft()
                        first.drop()
                        self.busy += answer.seconds
                        if answer.gradient is not None:
                            first.tile.add(answer.gradient)
                        yield answer.found
                elif number := self._asked():
                    raise Stopped(number)
                else:
                    time.sleep(PAUSE)
                    self._mend()
        finally:
            for each in self._sent:
                each.drop()

    # ---------------------------------------------------------------------------------------- there

    def _to(self, worker: str, each: Sent) -> Sent:
        """Hand a window over to a worker."""
        self._number += 1
        attempt = Attempt(self._client, worker, f"window-{self._name}-{self._number}", self._question(each.tile),
                          self._weights, self._took)
        return each._replace(attempts=(*each.attempts, attempt))

    def _took(self, seconds: float) -> None:
        """In a thread of the engine: an attempt has succeeded, after so long."""
        self._usual = seconds if self._usual == math.inf else (self._usual + seconds) / 2

    def workers(self, weights: str) -> dict[str, dict[str, Any]]:
        """{address: as Scheduler.farm_state says} of the workers that have the weights, and have not failed."""
        self._weights = weights
        self._look(now=True)
        return {address: worker for address, worker in self._workers.items() if address not in self._out}

    def places(self) -> int:
        """How many windows the workers compute at a time, as far as known."""
        return sum(int(worker["resources"]["slots"]) for worker in self._workers.values())

    def _leaving(self) -> int:
        """How many windows' pixels are on their way out."""
        return sum(attempt.leaves() for each in self._sent for attempt in each.attempts)

    def _warn(self, useful: int, most: int, advice: str | None) -> None:
        """Tell the user if memory is short for as many windows at once as would be useful."""
        if advice is not None and most < useful:
            self._tell(f"this machine's memory is enough for {most} windows at a time, so only {most} of the farm's "
                       f"{self.places()} places are used{advice}")

    def _ready(self, rest: collections.deque[Tile]) -> str:
        """The worker that gets the next window now, the first of `rest`; or "". (Others choose which that is.)"""
        best = self._best()
        return best if best and self._load(best, self._has()) < AHEAD else ""

    def _best(self, failed: frozenset[str] = frozenset()) -> str:
        """The worker that has least to do, of those that have not failed if there are any; "" if there is none."""
        can = [address for address in self._workers if address not in failed | self._out] or [*self._workers]
        has = self._has()
        return min(can, key=lambda address: self._load(address, has), default="")

    def _has(self) -> collections.Counter[str]:
        """How many windows each worker has now."""
        return collections.Counter(attempt.worker for each in self._sent for attempt in each.attempts
                                   if not attempt.back())

    def _load(self, worker: str, has: collections.Counter[str]) -> float:
        """Windows per place that a worker has; dreams of others count too."""
        return (has[worker] + len(self._workers[worker]["doing"])) / float(self._workers[worker]["resources"]["slots"])

    # ---------------------------------------------------------------------------------------- and back

    def _back(self, first: Sent, attempt: Attempt) -> Answer | None:
        """The Answer of an attempt at the first window, which has come back; or None if it failed there. Raises
        Failure."""
        answer = attempt.answer()
        if not answer.error:
            if attempt is not first.attempts[0]:
                self._give_up(first.attempts[0].worker)
            return answer
        if self._client.status != "running":
            raise self._farm.gone()
        self._look(now=True)
        first.drop()
        failed = first.failed | {attempt.worker}
        if not answer.worker:
            self._sent[0] = self._lost(first, answer.error)._replace(failed=failed)
            return None
        name = self._workers.get(answer.worker, {}).get("name", "a worker")
        if first.tries >= TRIES or not {*self._workers} - failed:
            raise Failure(f"{name}: {answer.error}")
        if answer.final:
            self._out.add(answer.worker)
            self._tell(f"{name}: {answer.error}; the other workers do it")
        self._sent[0] = self._to(self._best(failed), first._replace(attempts=(), failed=failed, tries=first.tries + 1))
        return None

    def _lost(self, each: Sent, why: str) -> Sent:
        """A window was lost with its worker, or on the way: it is sent again when it is known who is left. Raises
        Failure."""
        if each.lost == engine.KILLS:
            raise Failure(f"the farm lost a window {each.lost + 1} times: {why}")
        return each._replace(attempts=(), lost=each.lost + 1)

    def _mend(self) -> None:
        """Send again what was lost with a worker, and try what takes long on workers that have nothing to do, because
        all windows that may be on their way are."""
        if time.monotonic() - self._mended < LOOKS:
            return
        self._mended = time.monotonic()
        slow = []
        for number, each in enumerate(self._sent):
            if each.attempts and not any(attempt.back() or attempt.worker in self._workers
                                         for attempt in each.attempts):
                each.drop()
                self._sent[number] = each = self._lost(each, "its worker has died")
            if not each.attempts and (worker := self._best(each.failed)):
                self._sent[number] = self._to(worker, each)
            elif len(each.attempts) == 1 and not each.back() and (
                    time.monotonic() - each.attempts[0].when > SLOW * self._usual):
                slow.append(number)
        has, busy = self._has(), self._client.processing() if slow else {}
        free = [address for address in self._workers if not busy.get(address) and not has[address]]
        for number, address in zip(slow, free, strict=False):
            self._sent[number] = self._to(address, self._sent[number])

    def _give_up(self, worker: str) -> None:
        """Send no more windows to a worker that took so long that another was faster from the beginning."""
        if name := self._workers.get(worker, {}).get("name"):
            self._out.add(worker)
            self._tell(f"the worker {name} hangs, or is very slow: it gets no more of this picture")

    # ---------------------------------------------------------------------------------------- the workers

    def _look(self, now: bool = False) -> None:
        """Find out which workers there are, if that was long ago. Raises Failure if the scheduler is gone, or if no
        worker has the weights."""
        if time.monotonic() - self._looked < LOOKS and not now:
            return
        found, self._looked = self._farm.state()["workers"], time.monotonic()
        self._workers = {address: worker for address, worker in found.items()
                         if f"weights-{self._weights}" in worker["resources"]}
        if self._workers:
            self._lacked = time.monotonic()
        elif time.monotonic() - self._lacked > SETTLED:
            if found:
                raise Failure(f"no worker has these weights (sha256 {self._weights[:8]}…): use the same image on all "
                              "machines")
            self._tell(f"waiting for workers at {self._farm.where}; to start one: "
                       f"{here.command(f'farm worker {self._farm.where}')}")

    def _tell(self, line: str) -> None:
        """Tell the user, once."""
        if line not in self._told:
            self._listen(events.Warned(line))
        self._told.add(line)
