"""How the steps of a giant picture are made, whatever is lost. The picture is a number to which each step adds one: no
machine is asked."""

from types import SimpleNamespace
from typing import Any

import pytest

from dreamer.errors import Failure

pytest.importorskip("distributed", reason="no python3-distributed: ./provision.sh farm")
stepping = pytest.importorskip("dreamer.farm.stepping")


class Owners:
    """Hold the picture, until they are told to lose it."""

    plan: list[str]  # what happens at each step: "made", "lost", "slow"; or "" at the beginning: it cannot be dealt out
    begun = 0

    def __init__(self, *_: object) -> None:
        self.behind, self.bringing, self.lost = list[Any](), 0.1, False

    def begin(self, net: Any, picture: list[float], mask: None) -> str:
        """As Owners.begin."""
        Owners.begun += 1
        if self.plan[0] == "":
            self.plan.pop(0)
            raise stepping.Gone("refused")
        self.picture = picture
        return ""

    def step(self, turn: Any, *_: object) -> float:
        """As Owners.step."""
        if (what := self.plan.pop(0)) == "lost":
            raise stepping.Gone("lost")
        clock.now += 9 if what == "slow" else 1
        self.behind.append(turn)
        return 1.0

    def bring(self) -> None:
        """As Owners.bring."""
        if self.plan[0] == "lost":
            self.plan.pop(0)
            raise stepping.Gone("lost")
        self.picture[0] += len(self.behind)
        self.behind = []

    def holds(self, picture: list[float]) -> bool:
        """As Owners.holds."""
        return picture is self.picture

    def are_outgrown(self) -> bool:
        """As Owners.are_outgrown."""
        return False

    def close(self, seconds: float) -> None:
        """As Owners.close."""


class Clock:
    """The time, which passes only when a step is made."""

    now = 0.0

    def monotonic(self) -> float:
        """As time.monotonic."""
        return self.now


clock = Clock()


class Dream:
    """A picture, its steps, and what the user hears."""

    def __init__(self, plan: list[str]) -> None:
        Owners.plan, Owners.begun = [*plan, *["made"] * 99], 0
        self.lines, self.fails = list[str](), False
        self.picture = SizedPicture([0.0])
        self.steps = stepping.Steps(SimpleNamespace(client=None), SimpleNamespace(busy=0.0, places=lambda: 2),
                                    lambda event: self.lines.append(event.line), lambda: None)

    def make(self, net: Any, picture: list[float], *_: object) -> float:
        """A step here, while the workers wait for most of the time."""
        if self.fails:
            raise Failure("a window failed")
        picture[0] += 1
        clock.now += 5
        return 1.0

    def step(self, count: int = 1) -> None:
        """Make steps."""
        for _ in range(count):
            self.steps.step(self.make, None, SimpleNamespace(windows=([1], [1, 2])), self.picture,
                            SimpleNamespace(randint=lambda *_: (0, 0)), 1.5, 32, True, [], None)


class SizedPicture(list[float]):
    """A number that has a size."""

    size = 1


@pytest.fixture(autouse=True)
def _nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "Owners", Owners)
    monkeypatch.setattr(stepping, "AtOwners", lambda *_: None)
    monkeypatch.setattr(stepping, "time", clock)


def test_the_workers_hold_it_once_they_are_warm_and_wait() -> None:
    dream = Dream([])
    dream.step(2)
    assert (dream.picture, Owners.begun) == ([2], 0)
    dream.step(3)
    assert (dream.picture, Owners.begun, dream.steps.is_here()) == ([2], 1, False)
    dream.steps.bring()
    assert (dream.picture, dream.steps.is_here()) == ([5], True)


def test_what_is_lost_is_made_again() -> None:
    dream = Dream(["made", "made", "lost"])
    dream.step(5)
    assert dream.picture == [5]
    assert dream.lines == ["a worker that held a part of the picture is lost, so 2 steps must be made again"]
    dream.step(3)
    dream.steps.bring()
    assert (dream.picture, Owners.begun) == ([8], 2)


def test_what_is_lost_on_its_way_home_is_made_again() -> None:
    dream = Dream(["made", "made", "lost"])
    dream.step(4)
    dream.steps.bring()
    assert dream.picture == [4]


@pytest.mark.parametrize("plan", [["lost", "lost"], ["", ""], ["", "lost"]])
def test_after_two_losses_they_do_not_hold_it_any_more(plan: list[str]) -> None:
    dream = Dream(plan)
    dream.step(20)
    assert (dream.picture, Owners.begun) == ([20], 2)
    assert len(dream.lines) == 1
    assert "the workers do not hold the picture any more" in dream.lines[0]


def test_after_two_slow_steps_they_do_not_hold_it_any_more() -> None:
    dream = Dream(["slow", "made", "slow", "slow"])
    dream.step(20)
    assert (dream.picture, Owners.begun) == ([20], 1)


def test_nothing_goes_on_with_a_picture_that_lacks_steps() -> None:
    """As when a checkpoint is due, and who saves it goes on without."""
    dream = Dream(["made", "made", "lost"])
    dream.step(4)
    dream.fails = True
    with pytest.raises(Failure, match="a window failed"):
        dream.steps.bring()
    dream.fails = False
    for again in (dream.step, dream.steps.bring):
        with pytest.raises(Failure, match="cannot be made again"):
            again()
    assert not dream.steps.is_here()
