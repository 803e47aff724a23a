"""How each step of a giant picture is made on a farm: its windows come from here (see travel.py), or the workers hold
the picture and exchange only borders (see owners.py).

The first way has no borders, and gives each worker what it has time for. But all windows pass this machine's network.
So the second is taken if the first leaves the workers waiting, and as long as it is faster. Ten workers of one
thread made a step of 100 megapixels in 22.9 s and 17.5 s; with 1 Gbit/s for each, in 28.1 s and 18.9 s.
tests/bench/farm_model.py compares more."""

import math
import time
from collections.abc import Callable
from typing import Any

from dreamer.arrays import Light, Planes
from dreamer.errors import Failure, counted
from dreamer.farm.client import Farm
from dreamer.farm.owners import CLOSING, AtOwners, Gone, Owners, Turn
from dreamer.farm.travel import Travel
from dreamer.farm.windows import Dreaming
from dreamer.jobs import events
from dreamer.jobs.events import Listener
from dreamer.nets.balance import Objectives
from dreamer.nets.net import Net

ENOUGH = 0.85  # share of their time for which the workers compute, if they do not wait for windows
SLOWER = 1.0  # times a step with windows from here: if the workers take longer, they need not hold the picture
TRIES = 2  # steps that are slower, or losses, one after the other, after which they do not hold it any more
_LOST = ("a worker is lost that held a part of the picture, and the steps since then cannot be made again; run the "
         "same command to continue")


class Steps:
    """Makes the steps of a picture.

    travel         the way to the workers for windows from here
    listen, asked  as for Spread.heard"""

    def __init__(self, farm: Farm, travel: Travel, listen: Listener, asked: Callable[[], int | None]) -> None:
        self._farm, self._travel, self._listen, self._asked = farm, travel, listen, asked
        self._owners: Owners | None = None  # while the workers hold the picture
        self._waits = False  # whether they wait for windows from here
        self._given_up = False  # whether they shall not hold the picture
        self._slow = self._losses = 0  # one after the other
        self._rate = math.inf  # seconds per number of the picture, of a step whose windows come from here
        self._warm = False  # whether the workers have loaded their nets
        self._lacks = False  # whether the picture here lacks steps that are being made again
        self._again: Callable[[Any], float]

    def step(self, make: Callable[..., float], dreaming: Dreaming, net: Net, picture: Planes, rng: Any,
             step_size: float, jitter: int, clip: bool, objectives: Objectives, mask: Light | None) -> float:
        """As Spread says; `make` has the windows computed from here."""
        def here(turn: Any) -> float:
            return make(net, picture, turn, step_size, jitter, clip, objectives, mask)
        if self._lacks:  # who asked for bring() went on without
            raise Failure(_LOST)
        self._again = here
        if not (owners := self._held(dreaming, net, picture, mask)):
            return self._measured(here, picture.size, len(net.windows[0]) * len(net.windows[1]), rng)
        ox, oy = (int(offset) for offset in rng.randint(-jitter, jitter + 1, 2))
        turn, started = Turn(oy, ox), time.monotonic()
        try:
            value = owners.step(turn, step_size, clip, objectives)
        except Gone as error:
            return self._made_again(error, [turn])
        is_slow = time.monotonic() - started > SLOWER * self._rate * picture.size
        self._slow, self._losses = (self._slow + 1) * is_slow, 0
        self._given_up = self._slow >= TRIES
        return value

    def is_here(self) -> bool:
        """Whether the picture here lacks no step."""
        return not self._lacks and not (self._owners and self._owners.behind)

    def bring(self) -> float:
        """As Spread says."""
        if self._lacks:
            raise Failure(_LOST)
        if self._owners:
            try:
                self._owners.bring()
            except Gone as error:
                self._made_again(error, [])
        return self._owners.bringing if self._owners else 0.0

    def close(self, seconds: float = CLOSING) -> None:
        """Have the workers forget the picture; wait so long for them."""
        owners, self._owners = self._owners, None
        if owners:
            owners.close(seconds)

    def _held(self, dreaming: Dreaming, net: Net, picture: Planes, mask: Light | None) -> Owners | None:
        """The Owners, if the workers hold the picture, or can from now on."""
        if self._owners and not self._owners.holds(picture):  # it is the next octave's
            self.close()
        elif self._owners and (self._given_up or self._owners.are_outgrown()):
            self.bring()
            self.close()
        if self._owners or self._given_up or not self._waits:
            return self._owners
        owners = Owners(AtOwners(self._farm, self._listen, self._asked), self._farm.client, self._asked, dreaming)
        try:
            why = owners.begin(net, picture, mask)
        except BaseException as error:
            owners.close(0)
            if isinstance(error, Gone):
                self._lose(error)
                return None
            raise
        if why:
            self._given_up = True
            self._listen(events.Warned(f"the workers wait for windows, but cannot hold the picture: {why}"))
            return None
        self._owners = owners
        return owners

    def _measured(self, here: Callable[[Any], float], size: int, count: int, turn: Any) -> float:
        """Make a step of `count` windows that come from here, and find out whether the workers wait for them."""
        started, busy = time.monotonic(), self._travel.busy
        value = here(turn)
        if self._warm:
            took, busy, places = time.monotonic() - started, self._travel.busy - busy, max(1, self._travel.places())
            self._rate = took / size
            self._waits = busy < ENOUGH * took * count / -(-count // places)  # in the last round, some have none
        self._warm = True
        return value

    def _made_again(self, error: Gone, more: list[Turn]) -> float:
        """The steps that the picture here lacks, and more, with windows from here. Returns what the last one does."""
        assert self._owners  # noqa: S101
        behind, value = [*self._owners.behind], 0.0
        self._lose(error)
        if behind:
            self._listen(events.Warned("a worker that held a part of the picture is lost, so "
                                       f"{counted(len(behind), 'step')} must be made again"))
        self._lacks = bool(behind)  # until all of these are made
        self.close(0)
        for turn in behind:
            value = self._again(turn)
        self._lacks = False
        for turn in more:
            value = self._again(turn)
        return value

    def _lose(self, error: Gone) -> None:
        """Count a loss."""
        self._losses += 1
        if self._losses >= TRIES and not self._given_up:
            self._given_up = True
            self._listen(events.Warned(f"the workers do not hold the picture any more, because that failed "
                                       f"{self._losses} times: {error}"))
