"""A giant picture that the workers hold between its steps: each has a few of its cells, computes the windows around
them, and exchanges borders with its neighbours. Only numbers come to who asked for the dream."""

import asyncio
import collections
import contextlib
import functools
import itertools
import math
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from distributed.protocol import to_serialize

from dreamer.arrays import Light, Planes, bands
from dreamer.errors import Failure, Stopped, counted
from dreamer.farm.attempt import Attempt
from dreamer.farm.cells import Cells, Wanted, dealt, of
from dreamer.farm.travel import AHEAD, PAUSE, Sent, Travel
from dreamer.farm.windows import ARRAYS, NO_PIXELS, Answer, Dreaming, Held, Question
from dreamer.machine import limits
from dreamer.nets.balance import Objectives, balance
from dreamer.nets.budget import LOOSER
from dreamer.nets.net import Net, Tile

HELD = 48  # bytes per pixel of a tile: its cell with mask and gradient, the window's gradient, and borders on their way
CLOSING = 5.0  # seconds for the workers to forget a picture, and for jobs that are given up to end
TRAVEL = 8  # cells, at most, that are on their way to workers or from them at a time
Job: TypeAlias = Callable[[], Awaitable[Any]]


class Gone(Exception):
    """A worker that holds a part of the picture is gone, or something there went wrong."""


class Turn(NamedTuple):
    """By how many rows and columns a step rolls the picture."""

    oy: int
    ox: int

    def randint(self, *_: int) -> tuple[int, int]:
        """As the generator of dreamify.make_step, to make the same step again."""
        return self.ox, self.oy


class AtOwners(Travel):
    """Has the windows of a picture computed by those who hold it; see Travel. Raises Gone if one of these is lost.

    holders  addresses of those who hold the picture; empty as long as it is not dealt out
    owner  address of the worker that holds the cell of each tile, for the next call of answers()
    found  what the function returned for each tile, after that call
    kept   where each tile's gradient is then: address of a worker, and its name there"""

    holders: frozenset[str] = frozenset()
    owner: dict[Tile, str]
    found: dict[Tile, Any]
    kept: dict[Tile, tuple[str, str]]

    def answers(self, tiles: Sequence[Tile], question: Callable[[Tile], Question], weights: str,
                most: int, advice: str | None = None) -> Iterator[Any]:
        """As Travel does, but in any order."""
        self.found, self.kept = {}, {}
        return super().answers(tiles, question, weights, most, advice)

    def workers(self, weights: str) -> dict[str, dict[str, Any]]:
        """As Travel says: also those that hold nothing."""
        self.holders = frozenset()
        return super().workers(weights)

    def check(self) -> None:
        """Raise Gone if a worker is lost that holds a part of the picture."""
        self._look()

    def _look(self, now: bool = False) -> None:
        super()._look(now)
        if missing := self.holders - {*self._workers}:
            raise Gone(f"{counted(len(missing), 'worker')} gone")
        if self.holders:  # only they can keep gradients
            self._workers = {address: self._workers[address] for address in self.holders}

    def _leaving(self) -> int:
        return 0  # nothing leaves here

    def _ready(self, rest: collections.deque[Tile]) -> str:
        """The owner of the first window of `rest` that can go to its owner, or to the best worker if its owner cannot
        compute. Or, if no window can, a worker that has nothing to do. The window comes to the beginning of `rest`."""
        has, best = self._has(), self._best()
        for _ in range(len(rest)):
            worker = best if self.owner[rest[0]] in self._out else self.owner[rest[0]]
            if worker and self._load(worker, has) < AHEAD:
                return worker
            rest.rotate(-1)
        rest.rotate(1)  # what would come last
        return best if best and not self._load(best, has) else ""

    def _back(self, first: Sent, attempt: Attempt) -> Answer | None:
        try:
            answer = super()._back(first, attempt)
        except Failure as error:  # perhaps a worker that holds nothing can compute it
            raise Gone(str(error)) from None
        if answer:
            self.found[first.tile], self.kept[first.tile] = answer.found, (attempt.worker, attempt.name)
        return answer

    def _lost(self, each: Sent, why: str) -> Sent:
        raise Gone(why)


class Owners:
    """A picture that is held by workers.

    travel    the way to them
    client    the engine's
    asked     as for Spread.heard
    dreaming  with what it is dreamed
    behind    the steps that the picture here lacks
    bringing  seconds that it took last to bring it here"""

    def __init__(self, travel: AtOwners, client: Any, asked: Callable[[], int | None], dreaming: Dreaming) -> None:
        self._travel, self._client, self._asked, self._dreaming = travel, client, asked, dreaming
        self._name, self._owner = uuid.uuid4().hex, list[str]()
        self.behind, self.bringing = list[Turn](), 0.0

    def begin(self, net: Net, picture: Planes, light: Light | None) -> str:
        """Deal out the picture, float32 (3, h, w), and its mask, as for dreamify.make_step. Returns why that cannot be;
        "" if it is done. Raises Gone, Failure and Stopped."""
        rows, columns = net.windows
        self._net, self._picture, self.behind = net, picture, []
        self._cells = Cells(rows, columns, *picture.shape[1:])
        workers = self._travel.workers(self._dreaming.weights)
        if not workers:
            raise Gone("no worker is left")
        self._known, why = {*workers}, ""
        while workers:
            addresses = [*workers]
            places = [int(workers[address]["resources"]["slots"]) for address in addresses]
            self._owner = [addresses[number] for number in dealt(places, len(rows), len(columns))]
            lacking = self._lacking(workers)
            why, workers = why or next(iter(lacking.values()), ""), {
                address: workers[address] for address in addresses if address not in lacking}
            if not lacking:
                break
        else:
            self._owner = []
            return why
        self._travel.holders = frozenset(self._owner)
        self._ask(functools.partial(self._deal, cell, light) for cell in range(len(self._owner)))
        return ""

    def step(self, turn: Turn, step_size: float, clip: bool, objectives: Objectives) -> float:
        """A step, as dreamify.make_step does it. Raises Gone if the picture is lost, Failure, and Stopped as long as
        the picture is as it was."""
        net, size = self._net, self._picture.size
        tiles = net.tiles(self._picture, turn.oy, turn.ox, summed=False)
        self._travel.owner = dict(zip(tiles, self._owner, strict=True))

        def each(function: Callable[..., Any], tiles: Sequence[Tile], _: Objectives, *more: Any) -> list[Any]:
            return self._found(function.__name__, turn, tiles, more)
        factors = balance(net.what.terms, tiles, objectives, each)
        value = float(sum(self._found("pull", turn, tiles, (factors,))))
        steepness = math.fsum(itertools.chain(*self._ask(self._adding(turn, tiles), len(tiles)))) / size
        rate = np.float32(step_size / steepness if steepness else 0)
        lowest = net.lowest if clip else None
        self._ask([functools.partial(self._move, worker, rate, lowest) for worker in {*self._owner}], len(tiles),
                  stops=False)
        self.behind.append(turn)
        return value

    def bring(self) -> None:
        """Bring the picture here. Raises Gone and Failure; then it is as it was."""
        if not self.behind:
            return
        started, arrived = time.monotonic(), self._net.gradient  # nothing else needs that
        self._ask((functools.partial(self._fetch, cell, arrived) for cell in range(len(self._owner))), stops=False)
        for rows in bands(self._picture):
            self._picture[:, rows] = arrived[:, rows]
        self.behind, self.bringing = [], time.monotonic() - started

    def holds(self, picture: Planes) -> bool:
        """Whether this is the picture."""
        return picture is self._picture

    def are_outgrown(self) -> bool:
        """Whether there are other workers now, and the picture is here, so that it can be dealt out anew."""
        return not self.behind and not {*self._travel.workers(self._dreaming.weights)} <= self._known

    def close(self, seconds: float) -> None:
        """Have the workers forget the picture, and wait so long for them. Those that do not answer forget it when this
        command has ended."""
        async def dropped() -> None:
            rpc, workers = self._client.rpc, {*self._owner}
            await asyncio.gather(*(rpc(worker).farm_drop(dream=self._name) for worker in workers),
                                 return_exceptions=True)
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(dropped(), self._client.loop.asyncio_loop).result(seconds)

    # ---------------------------------------------------------------------------------------- one step

    def _found(self, function: str, turn: Turn, tiles: Sequence[Tile], more: tuple[Any, ...]) -> list[Any]:
        """What the function returned for each of the tiles."""
        def question(tile: Tile) -> Question:
            wanted = [Wanted(self._owner[piece.cell], piece.cell, piece.within, piece.there)
                      for piece in self._cells.pieces(tile.row, tile.column, *turn)]
            return Question(self._dreaming, NO_PIXELS, tile.row, tile.column, function, more,
                            Held(self._name, (tile.row.size, tile.column.size), wanted))
        for _ in self._net.answered(tiles, self._travel.answers(tiles, question, self._dreaming.weights, len(tiles))):
            pass
        return [self._travel.found[tile] for tile in tiles]

    def _adding(self, turn: Turn, tiles: Sequence[Tile]) -> Iterator[Job]:
        """Have each worker add up the gradients of its cells, which others have too. They return the sums of blocks."""
        wanted: dict[str, dict[int, list[Wanted]]] = {}
        for cell, worker in enumerate(self._owner):
            wanted.setdefault(worker, {})[cell] = []
        for tile in tiles:
            for piece in self._cells.pieces(tile.row, tile.column, *turn):
                each = wanted[self._owner[piece.cell]][piece.cell]
                each.append(Wanted(*self._travel.kept[tile], piece.there, piece.within))
        for worker, cells in wanted.items():
            yield functools.partial(self._add, worker, cells)

    # ---------------------------------------------------------------------------------------- what workers are asked

    async def _deal(self, cell: int, light: Light | None) -> None:
        area = self._cells.areas[cell]
        await self._client.rpc(self._owner[cell]).farm_hold(
            dream=self._name, who=self._client.id, cell=cell,
            pixels=to_serialize(np.ascontiguousarray(of(self._picture, area))),
            light=None if light is None else to_serialize(np.ascontiguousarray(of(light, area))))

    async def _add(self, worker: str, cells: dict[int, list[Wanted]]) -> list[float]:
        sums: list[float] = await self._client.rpc(worker).farm_add(dream=self._name, wanted=to_serialize(cells))
        return sums

    async def _move(self, worker: str, rate: np.float32, lowest: Planes | None) -> None:
        await self._client.rpc(worker).farm_move(dream=self._name, rate=to_serialize(rate), lowest=to_serialize(lowest))

    async def _fetch(self, cell: int, arrived: Planes) -> None:
        area = self._cells.areas[cell]
        whole = slice(0, area[0].stop - area[0].start), slice(0, area[1].stop - area[1].start)
        [pixels] = await self._client.rpc(self._owner[cell]).farm_cut(dream=self._name,
                                                                      wanted=to_serialize([(cell, whole)]))
        of(arrived, area)[...] = pixels

    def _ask(self, jobs: Iterable[Job], most: int = TRAVEL, stops: bool = True) -> list[Any]:
        """What the jobs return, in any order; `most` of them run at a time. Raises Gone, Failure, and Stopped if that
        `stops` them."""
        waiting, ended = iter(jobs), threading.Event()

        async def some() -> list[Any]:
            return [await job() for job in waiting]

        async def together() -> list[list[Any]]:
            tasks = [asyncio.ensure_future(some()) for _ in range(most)]
            try:
                return await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                ended.set()
        running = asyncio.run_coroutine_threadsafe(together(), self._client.loop.asyncio_loop)
        try:
            while not running.done():
                if stops and (number := self._asked()):
                    raise Stopped(number)
                self._travel.check()
                time.sleep(PAUSE)
            return [*itertools.chain.from_iterable(running.result())]
        except (Stopped, Failure, Gone):
            raise
        except Exception as error:
            raise Gone(str(error) or type(error).__name__) from None
        finally:
            running.cancel()
            ended.wait(CLOSING)  # a job must not write into an array that is used for something else now

    def _lacking(self, workers: dict[str, dict[str, Any]]) -> dict[str, str]:
        """Those of the workers that have too little memory for their cells and the windows that they compute; and how
        much."""
        budget, (rows, columns) = self._net.budget, self._net.windows
        tall, wide = max(row.size for row in rows), max(column.size for column in columns)
        window = budget.loaded() + budget.net_bytes(tall, wide, LOOSER) + ARRAYS * tall * wide
        self._net.shrink()
        cells, lacking = collections.Counter(self._owner), {}
        for address, worker in workers.items():
            has = int(worker["resources"]["memory"])
            need = int(worker["resources"]["slots"]) * window + cells[address] * HELD * tall * wide
            if need > has:
                lacking[address] = (f"{worker['name']} has {limits.told(has)} of memory; for its part it needs "
                                    f"{limits.told(need)}")
        return lacking
