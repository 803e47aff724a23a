"""Dreams of a job that go to other machines: they are sent as the job comes to them, and what comes back is written."""

import collections
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from dreamer.errors import Stopped, counted, printable
from dreamer.jobs import events
from dreamer.jobs.elsewhere import Elsewhere, Result, Unit
from dreamer.jobs.events import Listener
from dreamer.machine import files
from dreamer.machine.signals import Stop

Missed: TypeAlias = Callable[[str, Sequence[str]], None]


class _Sent(NamedTuple):
    """Where the results of a Unit belong, {path relative to its folder: path here}, and the name in the job; `kept`:
    the same for what a stopped Unit leaves."""

    name: str
    targets: dict[str, Path]
    kept: dict[str, Path]


class Away:
    """The dreams of one job that other machines carry out.

    elsewhere  the machines
    told       lines that a warning need not repeat
    listen     called with each event
    stop       says when to stop"""

    def __init__(self, elsewhere: Elsewhere, told: Collection[str], listen: Listener, stop: Stop) -> None:
        self._elsewhere, self._told, self._listen, self._stop = elsewhere, set(told), listen, stop
        self._waiting: collections.deque[Unit] = collections.deque()
        self._sent: dict[int, _Sent] = {}
        self._work, self._count, self.written, self._so_far = 0.0, 0, 0, ""

    def send(self, unit: Unit, name: str, targets: dict[str, Path], kept: dict[str, Path] | None = None) -> None:
        """Send a Unit.

        name     what the job calls it if it fails
        targets  {path of a result, relative to the unit's folder: where it is to be written}; or, with / at its end, of
                 a folder of results: the folder for them
        kept     the same for what it leaves if it is stopped: the dream so far is the first"""
        self._waiting.append(unit)
        self._sent[id(unit)] = _Sent(name, targets, kept or {})
        self._work, self._count = self._work + unit.work, self._count + 1

    def run(self, steps: Iterable[object], missed: Missed, rest: Callable[[], int] = lambda: 0,
            folders: Iterable[Path] = ()) -> None:
        """Go through the steps of the job, which call send(), and write what comes back. Raises Stopped and Failure.

        steps   yields after each step of the job; None means that there is nothing to do now
        missed  called with the name of each dream that failed, and lines that say why
        rest    function that returns how many more dreams may be sent
        folders where all dreams belong; see Elsewhere"""
        def units() -> Iterator[Unit | None]:
            for step in steps:
                while self._waiting:
                    yield self._waiting.popleft()
                if step is None:
                    yield None

        def total() -> float:
            return self._work * (1 + rest() / self._count) if self._count else 0.0

        try:
            for unit, result in self._elsewhere.carry_out(units(), total, self._listen, self._stop, folders):
                self._settle(unit, result, missed)
        except Stopped as end:
            if self._so_far:
                raise Stopped(end.number, f"{printable(self._so_far)} is the dream so far; run the same command to "
                              "continue", True) from None
            kept = f"{counted(self.written, 'dream')} came back before; run the same command to continue"
            raise Stopped(end.number, kept) from None

    def _settle(self, unit: Unit, result: Result, missed: Missed) -> None:
        """Write the results of a unit."""
        sent = self._sent.pop(id(unit))
        for line in result.warnings:
            if line not in self._told:
                self._listen(events.Warned(line))
        lines = list(result.error)
        if lines and sent.kept and {*sent.kept} <= {*result.files}:  # it was stopped
            wrong = [line for name, path in sent.kept.items() for line in _write(result.files, name, path)]
            self._so_far = "" if wrong else os.fspath(next(iter(sent.kept.values())))
            lines += wrong
        for name, path in sent.targets.items():
            lines = lines or ([] if name in result.there else _write(result.files, name, path))
        if lines:
            missed(sent.name, lines)
            return
        self.written += 1
        for path in sent.targets.values():
            self._listen(events.Finished(os.fspath(path)))


def _write(found: Mapping[str, bytes], name: str, path: Path) -> list[str]:
    """Write the result called `name`, or all in that folder; returns lines on what went wrong."""
    written = {path / each.removeprefix(name) if name.endswith("/") else path: data for each, data in found.items()
               if each == name or (name.endswith("/") and each.startswith(name))}
    if not written:
        return ["the other machine gave no dream"]
    for target, data in written.items():
        try:
            with files.replacing(target) as file:
                file.write(data)
        except OSError as error:
            return [f"{target} could not be written: {error.strerror or error}"]
    return []
