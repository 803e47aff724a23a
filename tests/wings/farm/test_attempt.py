"""Pixels of windows that wait on a worker."""

import numpy as np
import pytest

from dreamer.farm.windows import NO_PIXELS

attempt = pytest.importorskip("dreamer.farm.attempt", reason="no python3-distributed: ./provision.sh farm")


def test_pixels_are_taken_once() -> None:
    arrived, pixels = attempt.Arrived(lambda _: True), np.ones((3, 2, 2), np.float32)
    arrived.add("a", pixels)
    arrived.add("b", NO_PIXELS)
    assert arrived.take("a") is pixels
    assert arrived.take("a") is None
    assert arrived.take("b") is NO_PIXELS


def test_what_nobody_wants_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only after a while, in which the scheduler tells the worker of the window."""
    known = {"wanted"}
    arrived = attempt.Arrived(known.__contains__)
    for name in ("wanted", "given up"):
        arrived.add(name, NO_PIXELS)
    arrived.forget()
    monkeypatch.setattr(attempt, "SOON", -1.0)
    assert arrived.take("given up") is NO_PIXELS
    arrived.add("given up", NO_PIXELS)
    arrived.forget()
    assert arrived.take("given up") is None
    assert arrived.take("wanted") is NO_PIXELS
