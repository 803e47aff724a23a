"""Hands dreams to the workers of a farm, and takes what comes back."""

import contextlib
import math
import queue
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import distributed

from dreamer.errors import Failure, Stopped
from dreamer.farm import engine, inplace, unit
from dreamer.farm.arrival import Arrival, GivenUp
from dreamer.farm.connection import Connection
from dreamer.farm.keys import Keys
from dreamer.farm.leases import living
from dreamer.farm.likeness import check, likeness
from dreamer.farm.share import Share
from dreamer.farm.shared import SILENT, Shared
from dreamer.farm.tempo import Tempo
from dreamer.jobs import events
from dreamer.jobs.elsewhere import Content, Result, Unit
from dreamer.jobs.events import Listener
from dreamer.machine import here
from dreamer.machine.signals import LOOK, Stop

AHEAD = 2  # units per place at a worker that are handed over: one that runs, and one that waits for its end
TRIES = 3  # attempts at a unit that fails
OFTEN = 0.25  # seconds between two reports to the listener
LOOKS = 1.0  # seconds between two looks at the workers
STOPPING, KEEPING = 3.0, 7.0  # seconds to ask for a stop, and for a dream to stop
ARRIVING = 20.0  # seconds after a stop was asked for, until what has been made must be here
SETTLED = 5.0  # seconds without a new worker after which the user hears of it, and a unit that fits none is given up


class Farm:
    """The farm whose scheduler is at `where`; an Elsewhere. Raises Failure if it does not answer, or if this machine is
    not like it. `folder`: the one that all machines share, or None."""

    def __init__(self, where: str, keys: Keys, folder: Path | None = None) -> None:
        self.where, self.folder = where, folder
        engine.listens(where)
        try:
            self.client = distributed.Client(where, security=engine.security(keys), timeout=engine.WAIT,
                                             set_as_default=False, name="image-dreamer")
        except Exception as error:
            raise engine.unreachable(where, error) from None
        self.connection = Connection(self.client)
        try:
            check(likeness(), self.state()["likeness"])
        except BaseException:
            self.close()
            raise

    def state(self) -> dict[str, Any]:
        """What Scheduler.farm_state says. Raises Failure if the scheduler is gone."""
        if self.connection.is_lost():
            raise self.gone()
        return self._told("farm_state")

    def owners(self) -> dict[str, Any]:
        """What Scheduler.farm_owners says. Raises Failure if the scheduler is gone."""
        return self._told("farm_owners")

    def _told(self, handler: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self.client.sync(getattr(self.client.scheduler, handler), callback_timeout=20)
            return found
        except Exception:
            raise self.gone() from None

    def gone(self) -> Failure:
        """The Failure if the scheduler no longer answers."""
        return Failure(f"the farm's scheduler at {self.where} is gone; run the same command to continue")

    def carry_out(self, units: Iterable[Unit | None], total: Callable[[], float], listen: Listener, stop: Stop,
                  folders: Iterable[Path] = ()) -> Iterator[tuple[Unit, Result]]:
        """As Elsewhere says."""
        run = _Run(self, units, total, listen, stop)
        try:
            yield from run.results()
        finally:
            run.end(folders)

    def close(self) -> None:
        """Leave the farm."""
        with contextlib.suppress(Exception):
            self.client.close(timeout=2)


class _Open:
    """A Unit that has not ended: its attempts, {key: future}, what each has told, and the workers where it failed."""

    def __init__(self, unit: Unit, number: int) -> None:
        self.unit, self.number = unit, number
        self.futures: dict[str, Any] = {}
        self.told: dict[str, dict[str, Any]] = {}
        self.only: dict[str, set[str]] = {}  # workers that an attempt may use, if not all
        self.placed = set[str]()  # attempts whose files are in the shared folder
        self.failed = set[str]()
        self.travels = False  # whether its files must travel
        self.place: dict[str, Any] | None = None  # where they are in the shared folder
        self.tries, self.lost, self.handed = 0, 0, 0.0
        self.last: dict[str, Any] | None = None

    def share(self) -> float:
        """How much of it is done in the attempt that is farthest."""
        return max((told["share"] for told in self.told.values()), default=0.0)


class _Run:
    """One call of carry_out."""

    def __init__(self, farm: Farm, units: Iterable[Unit | None], total: Callable[[], float], listen: Listener,
                 stop: Stop) -> None:
        self._farm, self._client = farm, farm.client
        self._units, self._total, self._listen, self._stop = iter(units), total, listen, stop
        self._name, self._count = uuid.uuid4().hex[:12], 0
        self._topic = f"dreams-{self._name}"
        self._open: dict[int, _Open] = {}
        self._of: dict[str, _Open] = {}  # by key
        self._aside: list[_Open] = []  # no worker has the room for them now
        self._ended: queue.Queue[str] = queue.Queue()
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()
        self._shared, self._hung, self._said = Shared(farm.client, self._name), set[str](), set[str]()
        self._workers: dict[str, dict[str, Any]] = {}
        self._looked = self._reported = self._asked = -LOOKS
        self._changed = self._alone = time.monotonic()
        self._more, self._dry = True, False  # whether there may be more units, but not now
        self._late = math.inf  # when what has been made is not waited for any longer
        self._tempo = Tempo()
        self._share = None if farm.folder is None else Share(
            farm.folder, lambda: living(farm.owners()), farm.owners()["farm"], self._client.id, self._name)
        self._client.subscribe_topic(self._topic, self._hear)

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        self._told.put(event[1])

    def results(self) -> Iterator[tuple[Unit, Result]]:
        """Each Unit with its Result."""
        with self._stop.heard():
            yield from self._results()

    def _results(self) -> Iterator[tuple[Unit, Result]]:
        self._listen(events.Farmed(0, 0, 0, 0))
        while self._more or self._open:
            if number := self._stop.asked():
                kept = [*self._kept()]
                yield from kept
                if self._more or self._open or any(result.error for _, result in kept):
                    raise Stopped(number)
                break  # the last one has ended meanwhile
            self._look()
            self._take()
            self._again()
            yield from self._unfit()
            self._help()
            self._report()
            with contextlib.suppress(queue.Empty):
                key = self._ended.get(timeout=LOOK)
                while True:
                    yield from self._settle(key)
                    key = self._ended.get_nowait()
        self._listen(events.Farmed(self._tempo.done, self._tempo.done, 0, len(self._workers), 0.0, self._places()))

    def end(self, folders: Iterable[Path]) -> None:
        """Give up what has not ended: its dreams are stopped everywhere. `folders`: as for carry_out."""
        futures = [future for each in self._open.values() for future in each.futures.values()]
        self._open.clear()
        self._of.clear()
        with contextlib.suppress(Exception):  # the scheduler may be gone
            self._client.unsubscribe_topic(self._topic)
            if futures:
                self._client.sync(self._client._cancel, futures, callback_timeout=10)
        self._shared.clear()
        if self._share:
            self._share.end(folders)

    # ------------------------------------------------------------------------------------ the workers

    def _look(self) -> None:
        """Find out which workers there are, and what they have told."""
        with contextlib.suppress(queue.Empty):
            while True:
                told = self._told.get_nowait()
                if (each := self._of.get(told["key"])) and not told["ended"]:
                    self._follow(each, told)
                    each.told[told["key"]] = told | {"heard": time.monotonic()}
                    self._tempo.tell(told["worker"], each.unit.work, told)
        if time.monotonic() - self._looked < LOOKS:
            return
        self._looked = time.monotonic()
        found = self._farm.state()["workers"]
        if self._farm.connection.is_new():
            self._client.subscribe_topic(self._topic, self._hear)
        if {*found} - {*self._workers}:
            self._changed = time.monotonic()
        self._workers = found
        if found:
            self._alone = time.monotonic()
        elif time.monotonic() - self._alone > SETTLED:
            self._alone = math.inf
            self._listen(events.Warned(f"waiting for workers at {self._farm.where}; to start one: "
                                       f"{here.command(f'farm worker {self._farm.where}')}"))
        for each in [*self._open.values()]:
            for key, only in [*each.only.items()]:
                if not only & {*found}:  # all that it may use are gone
                    self._drop(each, key)
                    self._hand_over(each)
        self._send_again()

    def _follow(self, each: _Open, told: dict[str, Any]) -> None:
        """Pass on the events of the attempt that is farthest."""
        if each.unit.follow is None or told["share"] < each.share():
            return
        for event in told["events"]:
            picture = b""
            if event["event"] == "preview":
                with contextlib.suppress(Exception):  # the scheduler may be gone: _look tells
                    picture = self._client.sync(self._client.scheduler.farm_glimpse, key=told["key"],
                                                callback_timeout=STOPPING)
                if not picture:
                    continue
            each.unit.follow(event, picture)

    def _kept(self) -> Iterator[tuple[Unit, Result]]:
        """Have the units that keep something stop, and yield what they bring, if they do so in time."""
        for each in [*self._open.values()]:
            if each.unit.keeps and each.told:
                key, told = max(each.told.items(), key=lambda one: one[1]["share"])
                try:
                    self._client.sync(self._client._run, unit.stop, key, workers=[told["worker"]],
                                      callback_timeout=STOPPING)
                    found = self._stopped(each.futures[key])
                except Exception:  # the worker is gone, or too slow: then nothing is kept
                    continue
                yield self._close(each, Result(found["files"], tuple(found["error"]), tuple(found["warnings"])))

    def _stopped(self, future: Any) -> dict[str, Any]:
        """What a stopped attempt brings. Raises TimeoutError if it does not stop in time, or its way here takes too
        long."""
        arrival = Arrival(self._client, future)
        try:
            if not arrival.is_here(KEEPING) and future.done():
                arrival.is_here(ARRIVING)
            return arrival.take()
        finally:
            arrival.drop()

    def _fits(self, unit: Unit, worker: dict[str, Any]) -> bool:
        """Whether the worker has what the unit needs."""
        has = worker["resources"]
        return has["memory"] >= (unit.memory or 0) and (unit.weights is None or f"weights-{unit.weights}" in has)

    def _places(self) -> int:
        return sum(int(worker["resources"]["slots"]) for worker in self._workers.values())

    # -------------------------------------------------------------------------------------- the units

    def _take(self) -> None:
        """Take units and hand them over, as long as the workers have places. One is taken also without any: if there is
        none, nobody needs to wait for a worker."""
        if not self._more or time.monotonic() - self._asked < LOOK:
            return
        while self._more and len(self._open) < max(1, AHEAD * self._places()):
            try:
                taken = next(self._units)
            except StopIteration:
                self._more = False
                return
            self._dry = taken is None
            if taken is None:
                self._asked = time.monotonic()
                return
            self._count += 1
            each = self._open[self._count] = _Open(taken, self._count)
            self._hand_over(each)

    def _hand_over(self, each: _Open, preferred: Iterable[str] = ()) -> None:
        """Begin an attempt at a unit. `preferred`: workers that should do it, but need not."""
        fit = {address for address, worker in self._workers.items() if self._fits(each.unit, worker)}
        better = fit - each.failed or fit
        may, place = self._placed(each, better - self._hung or better)
        if not may:
            self._aside.append(each)
            return
        each.tries, each.handed = each.tries + 1, time.monotonic()
        key = f"dream-{self._name}-{each.number}-{each.tries}"
        unit_of = each.unit
        travelling = {name: data for name, data in unit_of.files.items()
                      if isinstance(data, bytes) and not (place and name in place["reads"])}
        shared = {name: data for name, data in unit_of.files.items() if not isinstance(data, bytes)}
        job = {"name": unit_of.name, "request": dict(unit_of.request), "outputs": unit_of.outputs,
               "whole": unit_of.whole, "count": _pictures(unit_of), "key": key, "topic": self._topic,
               "number": each.number, "need": unit_of.memory, "shared": [*shared], "place": place,
               "follows": unit_of.follow is not None, "keeps": unit_of.keeps}
        needs = {"slots": 1} | ({"memory": unit_of.memory} if unit_of.memory else {})
        needs |= {f"weights-{unit_of.weights}": 1} if unit_of.weights else {}
        narrow = (each.failed or may != fit) and not preferred
        workers = sorted(preferred) or (sorted(may) if narrow else None)
        if narrow:
            each.only[key] = may
        if place:
            each.placed.add(key)
        try:
            future = self._client.submit(
                unit.carry_out, job, [*travelling], [*travelling.values()], *map(self._content, shared.values()),
                key=key, pure=False, resources=needs, workers=workers, allow_other_workers=bool(preferred))
        except CancelledError:  # with the connection, the engine gives up all that was submitted
            raise self._farm.gone() from None
        each.futures[key] = future
        self._of[key] = each
        future.add_done_callback(lambda ended: self._ended.put(ended.key))

    def _placed(self, each: _Open, may: set[str]) -> tuple[set[str], dict[str, Any] | None]:
        """(those of the workers `may` that shall do the unit, how they find its files in the shared folder: None if
        they travel)."""
        share, place = self._share, None
        if share and may and not (each.futures or each.travels):
            try:
                place = each.place = each.place or share.place(each.unit, each.number)
            except OSError as error:
                self._tell(f"the shared folder cannot be used ({error.filename}: {error.strerror}), so files travel")
        if not (share and place):
            return may, None
        share.ask(self._workers, lambda shown, worker: self._client.submit(
            inplace.prove, shown, key=f"share-{self._name}-{worker}", pure=False, workers=[worker]))
        for worker, why in [*share.refusals()]:
            self._leave_out(worker, why)
        may = may - share.waited_for()
        seen = share.seen_by(may)
        rest = may - seen
        if rest and not seen and not any("folder" in worker["resources"] for worker in self._workers.values()):
            self._tell("no worker has a --folder, so files travel")
        if seen and (not rest or self._load(seen, True) <= self._load(rest, False)):
            return seen, place
        return rest, None

    def _load(self, workers: set[str], placed: bool) -> float:
        """How many attempts of that kind there are for each place at the workers."""
        places = sum(int(self._workers[address]["resources"]["slots"]) for address in workers)
        return sum((key in each.placed) == placed for each in self._open.values() for key in each.futures) / places

    def _leave_out(self, worker: str, why: str) -> None:
        """Let the files of a worker travel from now on, and tell the user."""
        if self._share and self._share.leave_out(worker):
            name = self._workers.get(worker, {}).get("name", worker)
            self._tell(f"{name} cannot use the shared folder, so its files travel: {why}")

    def _tell(self, line: str) -> None:
        """Tell the user, once."""
        if line not in self._said:
            self._listen(events.Warned(line))
        self._said.add(line)

    def _content(self, path: Content) -> Any:
        """The future of a file's content."""
        assert isinstance(path, Path)  # noqa: S101
        return self._shared.content(path, self._hung, self._workers)

    def _send_again(self) -> None:
        """Send what only hung workers hold to others, and begin the attempts that wait for it anew."""
        self._hung = {address for address, worker in self._workers.items() if worker["silent"] > SILENT}
        if self._hung == {*self._workers}:  # nobody could get it
            return
        try:
            lost = self._shared.lost(self._hung, self._workers)
        except Exception:
            raise self._farm.gone() from None
        for each in [*self._open.values()] if lost else []:
            waiting = [key for key in each.futures if key not in each.told]
            if not lost.isdisjoint(each.unit.files.values()):
                for key in waiting:
                    self._drop(each, key)
                if not each.futures:
                    self._hand_over(each)

    def _again(self) -> None:
        """Hand over what no worker had the room for, if one has now."""
        waiting, self._aside = self._aside, []
        for each in waiting:
            if each.number in self._open:  # else another attempt was successful
                self._hand_over(each)

    def _unfit(self) -> Iterator[tuple[Unit, Result]]:
        """Give up units for which no worker has the room."""
        if not self._workers or time.monotonic() - self._changed < SETTLED or (
                self._share and self._share.waited_for() & {*self._workers}):
            return
        waiting, self._aside = self._aside, []
        for each in waiting:
            yield self._close(each, Result({}, (self._lack(each.unit),)))

    def _lack(self, wanted: Unit) -> str:
        if wanted.weights and not any(f"weights-{wanted.weights}" in worker["resources"]
                                      for worker in self._workers.values()):
            return (f"no worker has these weights of {wanted.request.get('model')} (sha256 {wanted.weights[:8]}…): "
                    "use the same image on all machines")
        return _advice("no worker has the memory to dream it in one piece, as this machine would")

    def _help(self) -> None:
        """When nothing is left to hand over, or nothing can be before a unit ends, try what is far from its end on a
        worker that has nothing to do."""
        if (self._more and not self._dry) or self._aside:
            return
        free = [address for address, worker in self._workers.items()
                if len(worker["doing"]) < worker["resources"]["slots"] and address not in self._hung]
        busy = [each for each in self._open.values() if len(each.futures) == 1
                and time.monotonic() - each.handed > 2 * LOOKS]  # older than what `doing` says
        for each in sorted(busy, key=lambda each: each.share()):
            can = [address for address in free if self._fits(each.unit, self._workers[address])
                   and address not in each.failed | {told["worker"] for told in each.told.values()}]
            told = next(iter(each.told.values()), None)
            if can and (told is None or self._tempo.is_slow(each.unit.work, told)):
                self._hand_over(each, can[:1])
                free.remove(can[0])

    # ------------------------------------------------------------------------------------- what comes back

    def _settle(self, key: str) -> Iterator[tuple[Unit, Result]]:
        """An attempt has ended."""
        each = self._of.get(key)
        if each is None or key not in each.futures:  # another attempt was first
            return
        if (ended := self._outcome(each, key)) is None:
            return
        told, failure = ended
        if told and told.get("apart"):
            each.travels = True
            if not told.get("only"):
                self._leave_out(told["worker"], told["apart"])
        if told and (told["code"] != 1):
            self._tempo.end(told["worker"], each.unit.work, each.told.get(key))
            yield self._close(each, self._result(each, told))
            return
        self._drop(each, key)
        if told and told.get("apart"):
            self._hand_over(each)
            return
        if told:
            each.failed.add(told["worker"])
            each.last = told
        if failure:  # its worker died, and others that tried it
            yield self._close(each, Result({}, (failure,)))
        elif not each.futures:
            if len(each.failed) >= TRIES or (told and not self._others(each)):
                lines = tuple(told["error"] if told else ())
                yield self._close(each, Result({}, (_advice(lines[0]),) if told and told["tiles"] else lines))
            else:
                self._hand_over(each)

    def _result(self, each: _Open, told: dict[str, Any]) -> Result:
        """What a worker tells, as a Result: what belongs into the shared folder is there then."""
        error, there = tuple(told["error"]), [*told.get("there", ())]
        if self._share and self._share.belongs(each.unit):
            for key in [*each.futures]:  # no other attempt may write any more
                self._drop(each, key)
            error += tuple(self._share.missing(each.unit, there))
            written, wrong = self._share.write(each.unit, each.number, told["files"])
            there, error = there + written, error + tuple(wrong)
        return Result(told["files"], error, tuple(told["warnings"]), frozenset(there))

    def _others(self, each: _Open) -> bool:
        return any(address not in each.failed and self._fits(each.unit, worker)
                   for address, worker in self._workers.items())

    def _outcome(self, each: _Open, key: str) -> tuple[dict[str, Any] | None, str] | None:
        """(what the attempt returned, ""), or (None, why it cannot be tried again: "" if it can). None if nothing is to
        be done now: the engine makes it again, it was given up meanwhile, or there is no time left. Raises Failure."""
        future = each.futures[key]
        arrival = Arrival(self._client, future)
        try:
            while not arrival.is_here(LOOK):
                self._look()
                self._report()
                if key not in each.futures or self._is_late():
                    return None
                if not future.done():  # it was lost with its worker
                    future.add_done_callback(lambda ended: self._ended.put(ended.key))
                    return None
                if arrival.is_stuck(self._hung):
                    if self._stop.asked():
                        return None
                    if any(self._fits(each.unit, self._workers[address]) for address in {*self._workers} - self._hung):
                        break
            return arrival.take(), ""
        except Failure:
            raise
        except distributed.scheduler.KilledWorker:
            return None, f"it ended {engine.KILLS + 1} workers, one after the other"
        except Exception as error:
            if not self._farm.connection.is_back():
                raise self._farm.gone() from None
            each.lost += not isinstance(error, GivenUp)
            return None, f"the farm lost it {TRIES} times: {error or type(error).__name__}" * (each.lost >= TRIES)
        finally:
            arrival.drop()

    def _is_late(self) -> bool:
        """Whether a stop was asked for so long ago that what has been made is not waited for any longer."""
        if self._stop.asked():
            self._late = min(self._late, time.monotonic() + ARRIVING)
        return time.monotonic() > self._late

    def _close(self, each: _Open, result: Result) -> tuple[Unit, Result]:
        for key in [*each.futures]:
            self._drop(each, key)
        self._open.pop(each.number, None)
        if not result.error:
            self._tempo.done += each.unit.work
        return each.unit, result

    def _drop(self, each: _Open, key: str) -> None:
        """Forget an attempt; if it runs, it is stopped."""
        future = each.futures.pop(key)
        each.told.pop(key, None)
        each.only.pop(key, None)
        each.placed.discard(key)
        del self._of[key]
        if not future.done():
            with contextlib.suppress(Exception):
                self._client.cancel([future], asynchronous=False)

    def _report(self) -> None:
        if time.monotonic() - self._reported < OFTEN:
            return
        self._reported = time.monotonic()
        done = self._tempo.done + sum(each.share() * each.unit.work for each in self._open.values())
        running = [told for each in self._open.values() for told in each.told.values()]
        total = max(self._total(), done)
        self._listen(events.Farmed(done, total, len(running), len(self._workers),
                                   self._tempo.left(total - done, self._workers, running), self._places()))


def _pictures(unit_of: Unit) -> int:
    """How many pictures it dreams."""
    asked = unit_of.request.get("input")
    return len(asked) if isinstance(asked, list | tuple) else 1


def _advice(what: str) -> str:
    return f"{what}: add --reproducible, or a smaller limit such as --memory 2g, to dream it in tiles"
