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


class Kept(NamedTuple):
    """What a stopped Unit leaves.

    output  what the dream so far is called, for people
    name    path of what it goes on from, relative to the unit's folder; with / at its end if that is a folder
    path    where that belongs"""

    output: str
    name: str
    path: Path


class _Sent(NamedTuple):
    """The name of a Unit in the job, where its results belong, and what it leaves if it is stopped; see Away.send."""

    name: str
    targets: dict[str, Path]
    kept: Kept | None


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
        self._work, self._count, self.written = 0.0, 0, 0
        self._so_far, self._goes_on = "", False  # what the dream so far is called; whether the same command goes on

    def send(self, unit: Unit, name: str, targets: dict[str, Path], kept: Kept | None = None) -> None:
        """Send a Unit.

        name     what the job calls it if it fails
        targets  {path of a result, relative to the unit's folder: where it is to be written}; or, with / at its end, of
                 a folder of results: the folder for them
        kept     what it leaves if it is stopped; None: nothing"""
        self._waiting.append(unit)
        self._sent[id(unit)] = _Sent(name, targets, kept)
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
            kept = f"{counted(self.written, 'dream')} came back before"
            if self._goes_on:
                kept = f"{printable(self._so_far)} is the dream so far" if self._so_far else "what is dreamed is kept"
            raise Stopped(end.number, f"{kept}; run the same command to continue", bool(self._so_far)) from None

    def _settle(self, unit: Unit, result: Result, missed: Missed) -> None:
        """Write the results of a unit."""
        sent = self._sent.pop(id(unit))
        for line in result.warnings:
            if line not in self._told:
                self._listen(events.Warned(line))
        lines = list(result.error)
        if lines and sent.kept:
            self._keep(sent.kept, sent.targets, result.files)
        for name, each in _placed(result.files, sent.targets).items():
            lines = lines or ([] if name in result.there else _write(each))
        if lines:
            missed(sent.name, lines)
            return
        self.written += 1
        for path in sent.targets.values():
            self._listen(events.Finished(os.fspath(path)))

    def _keep(self, kept: Kept, targets: dict[str, Path], found: Mapping[str, bytes]) -> None:
        """Write what a unit brings that was stopped, if it was."""
        placed = _placed(found, {**targets, kept.name: kept.path})
        left = placed.pop(kept.name)
        if not left:
            return
        wrong = [*_write(left), *(line for each in placed.values() if each for line in _write(each))]
        for line in wrong:
            self._listen(events.Warned(line))
        self._goes_on = not wrong
        self._so_far = kept.output if all(placed.values()) and not wrong else ""


def _placed(found: Mapping[str, bytes], targets: Mapping[str, Path]) -> dict[str, dict[Path, bytes]]:
    """{name in `targets`: {where a result belongs: its content}}. `targets` are as for Away.send; a result that is in
    two of their folders belongs to the inner one."""
    placed: dict[str, dict[Path, bytes]] = {name: {} for name in targets}
    for path, data in found.items():
        names = [name for name in targets if path == name or (name.endswith("/") and path.startswith(name))]
        if names:
            name = max(names, key=len)
            placed[name][targets[name] / path.removeprefix(name) if name.endswith("/") else targets[name]] = data
    return placed


def _write(placed: Mapping[Path, bytes]) -> list[str]:
    """Write results where they belong; returns lines on what went wrong. What is hidden comes last: a dream goes on
    from that, and then the frames before it must be there."""
    if not placed:
        return ["the other machine gave no dream"]
    for target, data in sorted(placed.items(), key=lambda one: one[0].name.startswith(".")):
        try:
            files.make_folder(target.parent)
            with files.replacing(target) as file:
                file.write(data)
        except OSError as error:
            return [f"{target} could not be written: {error.strerror or error}"]
    return []
