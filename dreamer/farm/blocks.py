"""On a worker of a farm: cells of giant pictures that it holds, and the gradients of windows that it has computed. The
workers exchange what lies at the borders; who asked for the dream only says what goes where."""

import asyncio
import collections
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from distributed.protocol import to_serialize

from dreamer.arrays import Light, Planes
from dreamer.farm.cells import Area, Name, Wanted, of
from dreamer.sums import block_sums


class Cell(NamedTuple):
    """A cell of a picture: float32 (3, h, w), and uint8 (h, w) or None, as dreamify.make_step's mask."""

    pixels: Planes
    light: Light | None


class _Dream:
    """What a worker holds of one picture; `who` is what the engine calls the command that dreams it."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.cells: dict[int, Cell] = {}
        self.sums: dict[int, Planes] = {}  # the gradients of the cells
        self.gradients: dict[str, Planes | None] = {}  # of windows; None where nothing excites the layer

    def views(self, wanted: Iterable[tuple[Name, Area]]) -> list[Planes | None]:
        """These pieces of cells and gradients; None for those of a gradient that is zero."""
        found = [(self.cells[name].pixels if isinstance(name, int) else self.gradients[name], area)
                 for name, area in wanted]
        return [None if array is None else of(array, area) for array, area in found]


class Blocks:
    """All that a worker holds.

    own  function that returns the worker's own address
    rpc  function of another worker's address: what its handlers are called by

    For a dream of which nothing is held, cut, window, add and move raise KeyError."""

    def __init__(self, own: Callable[[], str], rpc: Callable[[str], Any]) -> None:
        self._own, self._rpc = own, rpc
        self._dreams: dict[str, _Dream] = {}
        self._late = set[str]()  # owners that were gone at the last look
        self._dropped: collections.deque[str] = collections.deque(maxlen=100)  # a cell may come after that

    def handlers(self) -> dict[str, Callable[..., Any]]:
        """What other machines can ask for, for the engine."""
        return {"farm_hold": self.hold, "farm_cut": self.cut, "farm_add": self.add, "farm_move": self.move,
                "farm_drop": self.drop}

    def hold(self, dream: str, who: str, cell: int, pixels: Planes, light: Light | None) -> None:
        """Begin to hold a cell."""
        if dream in self._dropped:
            return
        held = self._dreams.setdefault(dream, _Dream(who))
        held.cells[cell] = Cell(np.array(pixels), light)  # what came cannot be written to

    def keep(self, dream: str, name: str, gradient: Planes | None) -> None:
        """Keep the gradient of a window, if anything of its dream is still held."""
        if held := self._dreams.get(dream):
            held.gradients[name] = gradient

    def cut(self, dream: str, wanted: Sequence[tuple[Name, Area]]) -> list[Any]:
        """These pieces, for another machine; None for those of a gradient that is zero."""
        return [None if piece is None else to_serialize(np.ascontiguousarray(piece))
                for piece in self._dreams[dream].views(wanted)]

    async def window(self, dream: str, shape: tuple[int, int], wanted: Sequence[Wanted]) -> Planes:
        """A window of that many rows and columns: float32 (3, h, w)."""
        pixels = np.empty((3, *shape), np.float32)
        for each, piece in zip(wanted, await self._pieces(dream, wanted), strict=True):
            of(pixels, each.there)[...] = piece
        return pixels

    async def add(self, dream: str, wanted: dict[int, list[Wanted]]) -> list[float]:
        """Add up the gradients of cells, from those of windows; returns the sums of the absolute values over all their
        blocks (see dreamer.sums).

        wanted  for each cell, the pieces in the order in which they are added"""
        held = self._dreams[dream]
        pieces = iter(await self._pieces(dream, [each for parts in wanted.values() for each in parts]))
        sums = list[float]()
        for cell, parts in wanted.items():
            added = [(each.there, next(pieces)) for each in parts]
            held.sums[cell] = np.zeros_like(held.cells[cell].pixels)
            sums += await asyncio.to_thread(_summed, held.sums[cell], added)
        return sums

    async def move(self, dream: str, rate: np.float32, lowest: Planes | None) -> None:
        """Change the cells along their gradients, as dreamify.make_step does, and forget the gradients.

        lowest  black in the net's format, float32 (3, 1, 1), to keep the picture in its range; None: it may leave it"""
        held = self._dreams[dream]
        held.gradients.clear()
        for cell in [*held.sums]:
            await asyncio.to_thread(_moved, held.cells[cell], held.sums.pop(cell), rate, lowest)

    def drop(self, dream: str) -> None:
        """Forget all of a dream."""
        self._dropped.append(dream)
        self._dreams.pop(dream, None)

    def clear(self) -> None:
        """Forget all dreams."""
        for dream in [*self._dreams]:
            self.drop(dream)

    async def forget(self, owners: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        """Forget the dreams of commands that were gone at two looks: those of one that connects again are kept.

        owners  asks the scheduler; as Scheduler.farm_owners"""
        if not self._dreams:
            return
        gone = {held.who for held in self._dreams.values()} - {*(await owners())["commands"]}
        for dream in [dream for dream, held in self._dreams.items() if held.who in gone & self._late]:
            self.drop(dream)
        self._late = gone

    async def _pieces(self, dream: str, wanted: Sequence[Wanted]) -> list[Planes | None]:
        """The pieces, in that order. Each machine is asked for all of its pieces at once."""
        async def asked(worker: str) -> list[Planes | None]:
            there = [(each.name, each.within) for each in wanted if each.worker == worker]
            if worker == self._own():
                return self._dreams[dream].views(there)
            found: list[Planes | None] = await self._rpc(worker).farm_cut(dream=dream, wanted=to_serialize(there))
            return found
        workers = [*dict.fromkeys(each.worker for each in wanted)]
        answers = dict(zip(workers, map(iter, await asyncio.gather(*map(asked, workers))), strict=True))
        return [next(answers[each.worker]) for each in wanted]


def _summed(gradient: Planes, added: Sequence[tuple[Area, Planes | None]]) -> list[float]:
    for there, piece in added:
        if piece is not None:
            of(gradient, there)[...] += piece
    return [*block_sums(gradient, np.abs)]


def _moved(cell: Cell, gradient: Planes, rate: np.float32, lowest: Planes | None) -> None:
    pixels, light = cell
    gradient *= rate if light is None else rate * (light / np.float32(255))
    pixels += gradient
    if lowest is not None:
        np.clip(pixels, lowest, lowest + 255, out=pixels)
