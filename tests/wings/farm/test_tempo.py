"""How fast workers are, and how long the rest takes."""

import time
from typing import Any

from dreamer.farm.tempo import Tempo


def told(share: float, seconds: float, left: float | None = None, ago: float = 0) -> dict[str, Any]:
    return {"share": share, "seconds": seconds, "left": left, "heard": time.monotonic() - ago}


def workers(*names: str, slots: int = 1) -> dict[str, Any]:
    return {name: {"resources": {"slots": slots}} for name in names}


def test_the_time_to_go_follows_workers_that_come_and_go() -> None:
    tempo = Tempo()
    assert tempo.left(100, workers("a"), []) is None  # nothing is known
    tempo.tell("a", 100, told(0.5, 5))  # 10 a second
    assert tempo.left(100, workers("a"), []) == 10
    assert tempo.left(100, workers("a", "b"), []) == 5  # b is taken for as fast
    tempo.tell("b", 100, told(0.3, 1))  # 30 a second
    assert tempo.left(100, workers("a", "b"), []) == 100 / 40
    assert tempo.left(100, workers("b", slots=2), []) == 100 / 60
    assert tempo.left(100, {}, []) is None


def test_the_whole_is_not_done_before_its_slowest_dream() -> None:
    tempo = Tempo()
    tempo.tell("a", 100, told(0.5, 5))
    assert tempo.left(10, workers("a"), [told(0.1, 1, 60), told(0.9, 1)]) == 60


def test_the_newest_dream_counts_most() -> None:
    tempo = Tempo()
    tempo.end("a", 100, told(1, 10))
    tempo.end("a", 100, told(1, 5))
    assert tempo.left(150, workers("a"), []) == 10


def test_a_slow_dream_is_one_that_would_be_done_sooner_anew() -> None:
    tempo = Tempo()
    assert not tempo.is_slow(100, told(0.1, 100, 900))  # nothing to compare with
    assert tempo.is_slow(100, told(0.1, 100, 900, ago=60))  # it says nothing any more
    tempo.tell("a", 100, told(0.5, 5))  # 10 s for such a dream
    assert tempo.is_slow(100, told(0.1, 10, 90))
    assert not tempo.is_slow(100, told(0.5, 10, 10))
    assert not tempo.is_slow(100, told(0.9, 9, 1))
    assert tempo.is_slow(100, told(0.9, 9, 1, ago=30))
