"""The windows of a giant picture on their way: how many at once, and what the user hears. No machine is asked."""

from types import SimpleNamespace
from typing import Any

import pytest

from dreamer.farm.windows import Answer

travel = pytest.importorskip("dreamer.farm.travel", reason="no python3-distributed: ./provision.sh farm")


class Asked:
    """An Attempt whose pixels have left after so many looks whether it is back, and that is back then."""

    out: list["Asked"]

    def __init__(self, client: object, worker: str, *_: object) -> None:
        self.worker, self.when, self.looks = worker, 0.0, 0
        self.out.append(self)

    def leaves(self) -> bool:
        """As Attempt.leaves."""
        return self.looks < 9

    def back(self) -> bool:
        """As Attempt.back."""
        self.looks += 1
        return not self.leaves()

    def answer(self) -> Answer:
        """As Attempt.answer."""
        self.out.remove(self)
        return Answer(1.0, None, self.worker)

    def drop(self) -> None:
        """As Attempt.drop."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sends `tiles` windows, of which `most` may be on their way, to three workers of two places each; returns what the
    user hears, and how many windows' pixels were on their way out at each moment."""
    def send(tiles: int, most: int, advice: str | None = "; --memory gives more") -> tuple[list[str], list[int]]:
        Asked.out, lines, counts = [], list[str](), list[int]()
        monkeypatch.setattr(travel, "Attempt", Asked)
        workers = {name: {"resources": {"slots": 2, "weights-w": 1}, "doing": []} for name in "abc"}
        farm = SimpleNamespace(client=None, state=lambda: {"workers": workers})

        def asked() -> None:
            counts.append(sum(each.leaves() for each in Asked.out))
        way = travel.Travel(farm, lambda event: lines.append(event.line), asked)
        assert sum(way.answers([SimpleNamespace()] * tiles, lambda tile: tile, "w", most, advice)) == tiles
        return lines, counts
    return send


def test_few_windows_leave_at_once(told: Any) -> None:
    """The engine shares the network among all; one after the other, the first worker begins sooner."""
    _, counts = told(20, 12)
    assert max(counts) == travel.LEAVING


def test_the_user_hears_of_short_memory_if_it_matters(told: Any) -> None:
    assert told(20, 4)[0] == ["this machine's memory is enough for 4 windows at a time, so only 4 of the farm's 6 "
                              "places are used; --memory gives more"]
    assert told(20, 6)[0] == []
    assert told(4, 4)[0] == []
    assert told(20, 4, None)[0] == []
