"""How fast workers are, and how long the rest takes."""

import time
from typing import Any

from dreamer.farm.pace import Pace


def told(share: float, seconds: float, left: float | None = None, ago: float = 0) -> dict[str, Any]:
    return {"share": share, "seconds": seconds, "left": left, "heard": time.monotonic() - ago}


def workers(*names: str, slots: int = 1) -> dict[str, Any]:
    return {name: {"resources": {"slots": slots}} for name in names}


def test_the_time_to_go_follows_workers_that_come_and_go() -> None:
    pace = Pace()
    assert pace.left(100, workers("a"), []) is None  # nothing is known
    pace.tell("a", 100, told(0.5, 5))  # 10 a second
    assert pace.left(100, workers("a"), []) == 10
    assert pace.left(100, workers("a", "b"), []) == 5  # b is taken for as fast
    pace.tell("b", 100, told(0.3, 1))  # 30 a second
    assert pace.left(100, workers("a", "b"), []) == 100 / 40
    assert pace.left(100, workers("b", slots=2), []) == 100 / 60
    assert pace.left(100, {}, []) is None


def test_the_whole_is_not_done_before_its_slowest_dream() -> None:
    pace = Pace()
    pace.tell("a", 100, told(0.5, 5))
    assert pace.left(10, workers("a"), [told(0.1, 1, 60), told(0.9, 1)]) == 60


def test_the_newest_dream_counts_most() -> None:
    pace = Pace()
    pace.end("a", 100, told(1, 10))
    pace.end("a", 100, told(1, 5))
    assert pace.left(150, workers("a"), []) == 10


def test_a_slow_dream_is_one_that_would_be_done_sooner_anew() -> None:
    pace = Pace()
    assert not pace.is_slow(100, told(0.1, 100, 900))  # nothing to compare with
    assert pace.is_slow(100, told(0.1, 100, 900, ago=60))  # it says nothing any more
    pace.tell("a", 100, told(0.5, 5))  # 10 s for such a dream
    assert pace.is_slow(100, told(0.1, 10, 90))
    assert not pace.is_slow(100, told(0.5, 10, 10))
    assert not pace.is_slow(100, told(0.9, 9, 1))
    assert pace.is_slow(100, told(0.9, 9, 1, ago=30))
