"""One giant picture on many machines: each tile's window goes out, and its gradient comes back. The machine that holds
the picture adds the gradients up in the tiles' order, so the sums have the bits of one machine's.

All windows pass this machine's network. If that keeps the workers waiting, they hold the picture between its steps, and
exchange borders; see stepping.py."""

import contextlib
import functools
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from dreamer.arrays import Light, Pixels, Planes
from dreamer.farm.keys import Keys
from dreamer.farm.windows import Dreaming, Question
from dreamer.jobs.events import Listener
from dreamer.nets import checksum
from dreamer.nets.balance import Objectives
from dreamer.nets.net import Net, Tile, in_turn

AHEAD = 32  # windows on their way: two for each place of a farm of 16, which is more than 10 Gbit/s feed


class Giant:
    """Computes the tiles of a picture's steps on the farm whose scheduler is at `where`; a Spread.

    guide, reproducible, side  as for Elsewhere.divided"""

    ahead = AHEAD

    def __init__(self, where: str, keys: Keys, guide: Pixels | None, reproducible: bool, side: int) -> None:
        self._where, self._keys = where, keys
        self._guide, self._reproducible, self._side = guide, reproducible, side
        self._steps: Any = None
        self._whole = False  # whether the windows must all come from here
        self._travel: Any = None
        self._dreaming: Dreaming | None = None

    @contextlib.contextmanager
    def heard(self, listen: Listener, asked: Callable[[], int | None]) -> Iterator[None]:
        """As Spread says."""
        from dreamer.farm.client import Farm  # with the engine
        from dreamer.farm.stepping import Steps
        from dreamer.farm.travel import Travel
        farm = Farm(self._where, self._keys)
        try:
            self._travel = Travel(farm, listen, asked)
            self._steps = Steps(farm, self._travel, listen, asked)
            yield
        finally:
            if self._steps:
                self._steps.close()
            self._travel = self._steps = None
            farm.close()

    def __call__(self, function: Callable[..., Any], tiles: Sequence[Tile], *more: Any) -> Iterable[Any]:
        """As Spread says. A single tile is computed here; the objectives, which are the first of `more`, have their
        likes on the workers."""
        if len(tiles) == 1:
            return in_turn(function, [*tiles], *more)
        net, dreaming = tiles[0].net, self._dreamed(tiles[0].net)
        arguments, most, advice = more[1:], _most(net, tiles), None
        if most < AHEAD and self._whole:  # else the workers may hold the picture; if tiles depend on memory, they grow
            advice = "; --memory gives more" if self._reproducible and net.budget.raisable else ""

        def question(tile: Tile) -> Question:
            return Question(dreaming, tile.window(), tile.row, tile.column, function.__name__, arguments)
        return net.answered(tiles, self._travel.answers(tiles, question, dreaming.weights, most, advice))

    def step(self, make: Callable[..., float], whole: bool, net: Net, picture: Planes, rng: Any, step_size: float,
             jitter: int, clip: bool, objectives: Objectives, mask: Light | None = None) -> float:
        """As Spread says."""
        make, self._whole = functools.partial(make, each=self), whole
        if whole or len(net.windows[0]) == len(net.windows[1]) == 1:
            return make(net, picture, rng, step_size, jitter, clip, objectives, mask)
        made: float = self._steps.step(make, self._dreamed(net), net, picture, rng, step_size, jitter, clip, objectives,
                                       mask)
        return made

    def is_here(self) -> bool:
        """As Spread says."""
        return bool(self._steps.is_here())

    def bring(self) -> float:
        """As Spread says."""
        return float(self._steps.bring())

    def _dreamed(self, net: Net) -> Dreaming:
        """With what the picture is dreamed."""
        if self._dreaming is None:
            self._dreaming = Dreaming(uuid.uuid4().hex, net.model.name, checksum.sha256(net.model.weights_path()),
                                      net.what, self._guide, self._reproducible, self._side)
        return self._dreaming


def _most(net: Net, tiles: Sequence[Tile]) -> int:
    """How many windows may be on their way at once: they get the memory that the net would take here."""
    net.shrink()  # nothing is computed here
    return net.budget.most_ahead(max(tile.row.size for tile in tiles), max(tile.column.size for tile in tiles))
