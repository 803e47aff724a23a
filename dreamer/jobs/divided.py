"""A film whose frames other machines dream: its parts go out when they can begin, and their frames enter the film in
order."""

from collections.abc import Callable, Collection, Generator, Iterator
from typing import TypeAlias

import numpy as np

from dreamer.arrays import Pixels
from dreamer.errors import Failure, Mistake
from dreamer.films.muxed import PIECE
from dreamer.jobs import events
from dreamer.jobs.elsewhere import Elsewhere, Result, Unit
from dreamer.jobs.events import Listener
from dreamer.jobs.parts import Part, Parts
from dreamer.jobs.spool import Spool
from dreamer.machine.signals import Stop

AHEAD = 100 * PIECE  # frames, at most, that wait on the disk because one before them is not done
Add: TypeAlias = Callable[[int, Pixels, Pixels | None], None]


class Undreamed(Failure):
    """Frames could not be dreamed; the others are kept."""


class Divided:
    """The rest of a film, to be dreamed in parts elsewhere.

    parts      the film's parts
    spool      where their frames wait
    elsewhere  who dreams them
    told       warnings that are not told again"""

    def __init__(self, parts: Parts, spool: Spool, elsewhere: Elsewhere, told: Collection[str] = ()) -> None:
        self._parts, self._spool, self._elsewhere, self._told = parts, spool, elsewhere, told
        self._next = self._decoded = self._count = 0
        self._left = 0  # frames that an earlier run has not dreamed
        self._begins, self._ends = set[int](), set[int]()  # frames at which a part can begin; at which none ever will
        self._waiting = list[Part]()  # nobody dreams them yet
        self._out: dict[str, Part] = {}  # {name of the Unit: part that is dreamed elsewhere}
        self._in: dict[int, Part] = {}  # {first frame: part that is dreamed, but not in the film yet}
        self._lost = list[Part]()
        self._reason = ""  # why they are
        self._broken: Failure | None = None  # why there are no more parts
        self._each: Iterator[Part] | None = None  # the parts that are not decoded yet

    def dream(self, first: int, count: int, before: Pixels | None, add: Add, listen: Listener, stop: Stop) -> int:
        """Dream, and return how many frames the film has then. Raises Stopped, Failure and OSError.

        first   number of the frame to go on from, counted from 0
        count   how many frames the film should have
        before  the dream before the first frame, float32 (h, w, 3), or None
        add     called in order with each frame: its number, the frame as the film shows it, uint8 (h, w, 3), and the
                dream from which the next one goes on, float32 (h, w, 3); None if it is not known"""
        known = set(self._told)
        self._next = self._decoded = first
        self._count, self._left, self._begins = count, count - first, {first}
        self._spool.begin()
        self._parts.go_on(first, before, self._spool)
        self._ahead = max(2 * PIECE, min(AHEAD, self._spool.room()))
        each = self._parts.each(first, self._spool)
        self._each = each
        results = self._elsewhere.carry_out(self._units(), self._work, listen, stop)
        try:
            for unit, result in results:
                self._take(self._out.pop(unit.name), result)
                for line in result.warnings:
                    if line not in known:
                        listen(events.Warned(line))
                        known.add(line)
                self._advance(add)
            self._advance(add)
        finally:
            for going in results, each:  # what they have started ends now, if an error ends this
                if isinstance(going, Generator):
                    going.close()
        if self._lost:
            raise Undreamed(f"{', '.join(map(str, self._lost))} could not be dreamed: {self._reason}")
        if self._broken:
            raise self._broken
        return self._next

    def has_kept(self) -> bool:
        """Whether frames wait for their turn."""
        return self._spool.has_any()

    def _work(self) -> float:
        """The work of all units, as far as known."""
        return self._parts.frame.work * self._left

    def _units(self) -> Iterator[Unit | None]:
        """The Units of the parts, each as soon as it can begin; None while none can."""
        while True:
            unit = None
            try:
                if part := self._ready():
                    unit = self._parts.unit(part, self._spool)
                    self._out[unit.name] = part
                    self._waiting.remove(part)
            except Failure as error:
                self._break(error)
            except OSError as error:
                self._break(_unkept(error))
            if not unit and not (self._out and (self._each or self._waiting)):  # none will come
                return
            yield unit

    def _ready(self) -> Part | None:
        """The first part that can begin now, or None. Raises Failure and OSError."""
        while True:
            for part in self._waiting:
                if part.begins or part.first in self._begins:
                    return part
            if not self._each or self._decoded - self._next >= self._ahead:
                return None
            found = next(self._each, None)
            if found is None:
                self._end()
                return None
            self._decoded = found.end
            if found.kept:
                self._left -= found.end - found.first
                self._arrive(found)
            else:
                self._waiting.append(found)
                self._give_up()

    def _take(self, part: Part, result: Result) -> None:
        """Note what came back for a part."""
        try:
            if result.error:
                raise Failure(*result.error)
            self._parts.take(part, result, self._spool)
            self._arrive(part)
        except Failure as error:
            self._lose(part, " ".join(error.args))
            self._ends.add(part.end)
            self._give_up()
        except OSError as error:
            self._break(_unkept(error))

    def _lose(self, part: Part, reason: str) -> None:
        self._lost.append(part)
        self._reason = self._reason or reason

    def _arrive(self, part: Part) -> None:
        self._in[part.first] = part
        self._begins.add(part.end)
        self._spool.drop_sources(part.first, part.end - self._parts.carried)

    def _give_up(self) -> None:
        """Forget the parts that would go on from one that is lost."""
        for part in list(self._waiting):
            if not part.begins and part.first in self._ends:
                self._waiting.remove(part)
                self._ends.add(part.end)

    def _break(self, error: Failure) -> None:
        self._broken = self._broken or error
        self._end()

    def _end(self) -> None:
        """There are no more parts than those that are decoded."""
        if self._each:
            self._each, self._left = None, self._left - (self._count - self._decoded)

    def _advance(self, add: Add) -> None:
        """Put the frames whose turn it is into the film. Raises Failure and OSError."""
        while part := self._in.pop(self._next, None):
            for number in range(part.first, part.end):
                try:
                    pixels = self._spool.pixels(number)
                except Mistake:
                    self._spool.forget(number)
                    self._lose(Part(number, number + 1, False), "it came back damaged")
                    return
                dreamed = None
                if number + 1 == part.end:
                    dreamed = self._spool.dream(part.end) if self._parts.chained else pixels.astype(np.float32)
                add(number, pixels, dreamed)
            self._spool.drop(part.first, part.end)
            self._spool.drop_sources(part.first - self._parts.carried, part.end - self._parts.carried)
            self._next = part.end


def _unkept(error: OSError) -> Undreamed:
    return Undreamed(f"frames cannot be kept: {error.strerror or error}")
