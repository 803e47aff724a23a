"""A farm that is joined as soon as there is something for it to do."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dreamer.arrays import Pixels
from dreamer.farm import keys, share
from dreamer.jobs.elsewhere import Result, Spread, Unit
from dreamer.jobs.events import Listener
from dreamer.machine.signals import Stop
from dreamer.options.values import LOCAL


class Joined:
    """The farm whose scheduler is at `where`, or LOCAL, a farm on this machine for the run; an Elsewhere."""

    def __init__(self, where: str) -> None:
        self._where = where

    @contextlib.contextmanager
    def divided(self, guide: Pixels | None, reproducible: bool, side: int) -> Iterator[Spread]:
        """As Elsewhere says. Raises Mistake if this machine has no keys."""
        with self._reached() as (where, held):
            from dreamer.farm.giant import Giant  # with the net
            yield Giant(where, held, guide, reproducible, side)

    @contextlib.contextmanager
    def _reached(self) -> Iterator[tuple[str, keys.Keys]]:
        """(address of the scheduler, the farm's keys)."""
        from dreamer.farm import engine  # takes 14 ms, and a dream on this machine does not need it
        engine.load()
        if self._where != LOCAL:
            yield self._where, keys.find()
            return
        from dreamer.farm.local import local
        with local() as made:
            yield made

    def carry_out(self, units: Iterable[Unit | None], total: Callable[[], float], listen: Listener, stop: Stop,
                  folders: Iterable[Path] = ()) -> Iterator[tuple[Unit, Result]]:
        """As Elsewhere says. Raises Mistake if this machine has no keys, or if the shared folder is no folder."""
        root = None if self._where == LOCAL else share.named()
        with self._reached() as (where, held):
            yield from _carried_out(where, held, root, units, total, listen, stop, folders)


def _carried_out(where: str, held: keys.Keys, root: Path | None, units: Iterable[Unit | None],
                 total: Callable[[], float], listen: Listener, stop: Stop,
                 folders: Iterable[Path]) -> Iterator[tuple[Unit, Result]]:
    from dreamer.farm.client import Farm  # with the engine
    farm = Farm(where, held, root)
    try:
        yield from farm.carry_out(units, total, listen, stop, folders)
    finally:
        farm.close()
