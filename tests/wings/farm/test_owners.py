"""Which worker gets a window of a picture that the workers hold. No machine is asked."""

import collections
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("dreamer.farm.travel", reason="no python3-distributed: ./provision.sh farm")
owners = pytest.importorskip("dreamer.farm.owners")


@pytest.fixture
def way() -> Any:
    """An AtOwners for the tiles 0 to 5, of which "a" and "b" own three each, and nothing is sent yet."""
    made = owners.AtOwners(SimpleNamespace(client=None), lambda event: None, lambda: None)
    made._workers = {name: {"resources": {"slots": 1}, "doing": []} for name in "ab"}
    made.owner = {tile: "aaabbb"[tile] for tile in range(6)}
    return made


def sent(way: Any, rest: "collections.deque[int]") -> list[tuple[int, str]]:
    """Send what can be sent now; returns the tiles and their workers."""
    found = []
    while rest and (worker := way._ready(rest)):
        found.append((rest.popleft(), worker))
        way._sent.append(SimpleNamespace(attempts=[SimpleNamespace(worker=worker, back=lambda: False)]))
    return found


def test_each_gets_its_own(way: Any) -> None:
    rest = collections.deque(range(6))
    assert sent(way, rest) == [(0, "a"), (1, "a"), (3, "b"), (4, "b")]
    assert sorted(rest) == [2, 5]


def test_who_has_nothing_to_do_gets_another_ones(way: Any) -> None:
    rest = collections.deque(range(3))
    assert sent(way, rest) == [(0, "a"), (1, "a"), (2, "b")]


def test_who_cannot_compute_gets_none(way: Any) -> None:
    way._out.add("a")
    assert sent(way, collections.deque(range(6))) == [(0, "b"), (1, "b")]
