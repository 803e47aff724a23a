"""Other machines for the tests, which are none: each Unit is carried out here, by a process of its own, in a folder of
its own. The order in which the results come back, and which Units fail, are the test's choice."""

import json
import os
import random
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from dreamer.arrays import Pixels
from dreamer.errors import Failure, Stopped
from dreamer.jobs import events
from dreamer.jobs.elsewhere import Result, Spread, Unit
from dreamer.jobs.events import Listener
from dreamer.machine.signals import Stop
from helpers import PYTHON, ROOT


class Nearby:
    """An Elsewhere of `workers` machines, whose Units end in an order that follows from `seed`.

    fails   function of a Unit that returns why it fails, or "" if it does not
    spoils  function of a Result that returns the one that comes back"""

    def __init__(self, workers: int = 3, seed: int = 0, fails: Callable[[Unit], str] = lambda unit: "",
                 spoils: Callable[[Result], Result] = lambda result: result) -> None:
        self._workers, self._random, self._fails, self._spoils = workers, random.Random(seed), fails, spoils
        self.units: list[Unit] = []  # in the order in which they came back

    def divided(self, guide: Pixels | None, reproducible: bool, side: int) -> AbstractContextManager[Spread]:
        """No machine here computes parts of a step."""
        raise Failure("a giant picture needs a real farm")

    def carry_out(self, units: Iterable[Unit | None], total: Callable[[], float], listen: Listener, stop: Stop,
                  folders: Iterable[Path] = ()) -> Iterator[tuple[Unit, Result]]:
        """As in Elsewhere. It takes as many Units as it can, and then carries out any of them."""
        taken, rest, done = list[Unit](), iter(units), 0.0
        while True:
            while len(taken) < self._workers and (unit := next(rest, None)):
                taken.append(unit)
            if not taken:
                assert next(rest, self) is self, "it waits, though nothing runs"
                return
            if number := stop.asked():
                raise Stopped(number)
            unit = taken.pop(self._random.randrange(len(taken)))
            self.units.append(unit)
            told = self._fails(unit)
            yield unit, Result({}, (told,)) if told else self._spoils(carried_out(unit))
            done += unit.work
            assert done <= total()
            listen(events.Farmed(done, total(), len(taken), self._workers))


def carried_out(unit: Unit) -> Result:
    """The Result of a Unit: what `dreamify.py --request -` makes of it in an empty folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, content in unit.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        (folder / unit.outputs).mkdir(exist_ok=True)
        done = subprocess.run([PYTHON, ROOT / "dreamify.py", "--request", "-"], cwd=folder, capture_output=True,
                              input=json.dumps(dict(unit.request)), text=True, check=False, timeout=300)
        if done.returncode:
            return Result({}, tuple(done.stderr.splitlines()))
        return Result({os.path.relpath(path, folder): path.read_bytes()
                       for path in (folder / unit.outputs).rglob("*") if path.is_file()})
