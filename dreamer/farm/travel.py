"""The windows of a giant picture on their way to the workers of a farm, and back."""

import collections
import functools
import math
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import distributed

from dreamer.errors import Failure, Stopped
from dreamer.farm import engine
from dreamer.farm.client import LOOKS, SETTLED, Farm
from dreamer.farm.windows import Answer, Question, compute
from dreamer.jobs import events
from dreamer.jobs.events import Listener
from dreamer.machine import here
from dreamer.nets.net import Tile

AHEAD = 2  # windows per place at a worker that are handed over: one that is computed, and one that travels
TRIES = 3  # attempts at a window
SLOW = 3.0  # times what a window usually takes, after which another worker tries it too
_PAUSE = 0.01  # seconds between two looks whether a window is back


class _Sent(NamedTuple):
    """A window that is on its way.

    futures  of its Answer: of the attempt that runs, and of a second one if that is slow
    when     time when it was sent
    failed   workers that could not compute it
    tries    how many attempts have failed, and this one
    may      workers that may compute it; None for all
    slow     worker with the first attempt, if there is a second one"""

    tile: Tile
    futures: tuple[Any, ...]
    when: float
    failed: frozenset[str]
    tries: int
    may: list[str] | None
    slow: str = ""

    def back(self) -> Any:
        """The future of the attempt that has ended, or None."""
        return next((future for future in self.futures if future.done()), None)

    def drop(self) -> None:
        """Forget what still runs."""
        for future in self.futures:
            future.cancel()


class Travel:
    """Sends windows to the workers of a farm. The arguments are as for Spread.heard."""

    def __init__(self, farm: Farm, listen: Listener, asked: Callable[[], int | None]) -> None:
        self._farm, self._client, self._listen, self._asked = farm, farm.client, listen, asked
        self._workers: dict[str, dict[str, Any]] = {}  # those that have the weights
        self._looked, self._lacked, self._helped = -LOOKS, time.monotonic(), -LOOKS
        self._told, self._out = set[str](), set[str]()
        self._name, self._number = uuid.uuid4().hex[:12], 0
        self._usual = math.inf  # seconds that a window takes, there and back

    def answers(self, tiles: Sequence[Tile], question: Callable[[Tile], Question], weights: str,
                most: int) -> Iterator[Any]:
        """What the function returned for each tile, in the order of the tiles, each as soon as the tile's share of the
        gradient has been added. Raises Failure and Stopped.

        weights  sha256 of the weights that a worker must have
        most     windows that may be on their way"""
        sent: collections.deque[_Sent] = collections.deque()
        rest = collections.deque(tiles)
        try:
            while rest or sent:
                while rest and len(sent) < self._room(weights, most):
                    sent.append(self._send(rest.popleft(), question, weights))
                if sent and sent[0].back():
                    if answer := self._back(sent, question, weights):
                        first = sent.popleft()
                        first.drop()
                        if answer.gradient is not None:
                            first.tile.add(answer.gradient)
                        yield answer.found
                elif number := self._asked():
                    raise Stopped(number)
                else:
                    time.sleep(_PAUSE)
                    self._again(sent, question, weights)
                    self._help(sent, question, weights)
        finally:
            for each in sent:
                each.drop()

    def _send(self, tile: Tile, question: Callable[[Tile], Question], weights: str,
              failed: frozenset[str] = frozenset(), tries: int = 1) -> _Sent:
        """Hand a window over to a worker, except those where it failed."""
        out = failed | self._out
        may = [address for address in self._workers if address not in out] if out else None
        future = self._submitted(question(tile), weights, may or None)
        return _Sent(tile, (future,), time.monotonic(), failed, tries, may or None)

    def _submitted(self, question: Question, weights: str, may: list[str] | None) -> Any:
        self._number += 1
        future = self._client.submit(compute, question, key=f"window-{self._name}-{self._number}", pure=False,
                                     workers=may, resources={"slots": 1, f"weights-{weights}": 1})
        future.add_done_callback(functools.partial(self._ended, time.monotonic()))
        return future

    def _ended(self, when: float, future: Any) -> None:
        """In a thread of the engine: an attempt that began at `when` has ended."""
        if future.status == "finished":
            took = time.monotonic() - when
            self._usual = took if self._usual == math.inf else (self._usual + took) / 2

    def _back(self, sent: collections.deque[_Sent], question: Callable[[Tile], Question],
              weights: str) -> Answer | None:
        """The Answer for the first window, which has come back; or None if it failed there and was sent to another
        worker. Raises Failure."""
        first = sent[0]
        try:
            answer: Answer = first.back().result(timeout=60)
        except distributed.scheduler.KilledWorker:
            raise Failure(f"a window of the picture ended {engine.KILLS + 1} workers, one after the other") from None
        except Exception as error:  # it came back, and was lost with the worker before it was here
            if self._client.status != "running":
                raise self._farm.gone() from None
            answer = Answer(None, None, "", f"the farm lost a window {TRIES} times: {error or type(error).__name__}")
        if not answer.error:
            if first.slow and answer.worker != first.slow:
                self._give_up(first.slow)
            return answer
        self._look(weights, now=True)
        failed = first.failed | {answer.worker} - {""}
        if first.tries >= TRIES or not {*self._workers} - failed:
            name = self._workers.get(answer.worker, {}).get("name")
            raise Failure(f"{name}: {answer.error}" if name else answer.error)
        if answer.final and (name := self._workers.get(answer.worker, {}).get("name")):
            self._out.add(answer.worker)
            self._tell(f"{name}: {answer.error}; the other workers do it")
        first.drop()
        sent[0] = self._send(first.tile, question, weights, failed, first.tries + 1)
        return None

    def _again(self, sent: collections.deque[_Sent], question: Callable[[Tile], Question], weights: str) -> None:
        """Send the first window again if all workers that may compute it are gone."""
        self._look(weights)
        if sent and sent[0].may and self._workers and not {*self._workers} & {*sent[0].may}:
            sent[0].drop()
            sent[0] = self._send(sent[0].tile, question, weights)

    def _help(self, sent: collections.deque[_Sent], question: Callable[[Tile], Question], weights: str) -> None:
        """Try what takes long on workers that have nothing to do, because all windows that may be on their way are."""
        if time.monotonic() - self._helped < LOOKS:
            return
        self._helped = time.monotonic()
        slow = [number for number, each in enumerate(sent) if not each.back() and len(each.futures) == 1
                and time.monotonic() - each.when > SLOW * self._usual]
        busy = self._client.processing() if slow else {}
        free = [address for address in self._workers if not busy.get(address)]
        for number, address in zip(slow, free, strict=False):
            each = sent[number]
            has = next((other for other, keys in busy.items() if each.futures[0].key in keys), "")
            second = self._submitted(question(each.tile), weights, [address])
            sent[number] = each._replace(futures=(*each.futures, second), slow=has)

    def _give_up(self, worker: str) -> None:
        """Send no more windows to a worker that took so long that another was faster from the beginning."""
        if name := self._workers.get(worker, {}).get("name"):
            self._out.add(worker)
            self._tell(f"the worker {name} hangs, or is very slow: it gets no more of this picture")

    def _room(self, weights: str, most: int) -> int:
        """How many windows may be on their way now."""
        self._look(weights)
        places = sum(int(worker["resources"]["slots"]) for worker in self._workers.values())
        if most < places:
            self._tell(f"this machine's memory is enough for {most} windows at a time, so {places - most} of the "
                       f"farm's {places} places stay free; --memory gives more")
        return min(most, AHEAD * places)

    def _look(self, weights: str, now: bool = False) -> None:
        """Find out which workers there are, if that was long ago. Raises Failure if the scheduler is gone, or if no
        worker has the weights."""
        if time.monotonic() - self._looked < LOOKS and not now:
            return
        found, self._looked = self._farm.state()["workers"], time.monotonic()
        self._workers = {address: worker for address, worker in found.items()
                         if f"weights-{weights}" in worker["resources"]}
        if self._workers:
            self._lacked = time.monotonic()
        elif time.monotonic() - self._lacked > SETTLED:
            if found:
                raise Failure(f"no worker has these weights (sha256 {weights[:8]}…): use the same image on all "
                              "machines")
            self._tell(f"waiting for workers at {self._farm.where}; to start one: "
                       f"{here.command(f'farm worker {self._farm.where}')}")

    def _tell(self, line: str) -> None:
        """Tell the user, once."""
        if line not in self._told:
            self._listen(events.Warned(line))
        self._told.add(line)
