"""What the workers of a farm hold of a giant picture, and how they exchange borders."""

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dreamer.farm.cells import Area, Wanted
from dreamer.sums import mean_size

pytest.importorskip("distributed", reason="no python3-distributed: ./provision.sh farm")
blocks = importlib.import_module("dreamer.farm.blocks")
WHOLE = slice(0, 300), slice(0, 400)
LEFT, RIGHT = (slice(0, 300), slice(0, 192)), (slice(0, 300), slice(192, 400))


class Machines:
    """Two workers, "a" and "b", that ask each other at once."""

    def __init__(self) -> None:
        self.held = {name: blocks.Blocks(self._own(name), self._rpc) for name in "ab"}

    @staticmethod
    def _own(name: str) -> Callable[[], str]:
        return lambda: name

    def _rpc(self, name: str) -> Any:
        class Asked:
            @staticmethod
            async def farm_cut(dream: str, wanted: Any) -> Any:
                return [piece and piece.data for piece in self.held[name].cut(dream, wanted.data)]
        return Asked


def dealt(picture: np.ndarray[Any, Any], light: np.ndarray[Any, Any] | None = None) -> Machines:
    """The left part of a picture at "a", the right one at "b"."""
    machines = Machines()
    for number, (name, area) in enumerate((("a", LEFT), ("b", RIGHT))):
        machines.held[name].hold("dream", "me", number, picture[:, area[0], area[1]],
                                 None if light is None else light[area])
    return machines


def picture(seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(0, 50, (3, 300, 400)).astype(np.float32)


def test_a_window_consists_of_pieces_of_both() -> None:
    whole = picture(1)
    wanted = [Wanted("a", 0, (slice(10, 60), slice(100, 192)), (slice(0, 50), slice(0, 92))),
              Wanted("b", 1, (slice(10, 60), slice(0, 8)), (slice(0, 50), slice(92, 100)))]
    for machine in dealt(whole).held.values():
        assert np.array_equal(asyncio.run(machine.window("dream", (50, 100), wanted)), whole[:, 10:60, 100:200])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("lowest", [None, np.full((3, 1, 1), -110, np.float32)])
def test_a_step(masked: bool, lowest: np.ndarray[Any, Any] | None) -> None:
    """Three windows, of which one excites nothing. The sums and the picture have the bits of one machine's."""
    whole, gradients = picture(1), {"x": picture(2), "y": picture(3)[:, :, :300].copy(), "z": None}
    light = np.random.default_rng(4).integers(0, 256, (300, 400), dtype=np.uint8) if masked else None
    machines = dealt(whole, light)
    for name, where in (("x", "a"), ("y", "b"), ("z", "b")):
        machines.held[where].keep("dream", name, gradients[name])
    to_right: Area = slice(0, 300), slice(0, 108)
    wanted = {"a": {0: [Wanted("a", "x", LEFT, LEFT), Wanted("b", "y", LEFT, LEFT), Wanted("b", "z", LEFT, LEFT)]},
              "b": {1: [Wanted("a", "x", RIGHT, (slice(0, 300), slice(0, 208))),
                        Wanted("b", "y", (slice(0, 300), slice(192, 300)), to_right)]}}
    sums = [each for name, machine in machines.held.items()
            for each in asyncio.run(machine.add("dream", wanted[name]))]
    gradient = np.zeros_like(whole) + gradients["x"]
    gradient[:, :, :300] += gradients["y"]
    assert sum(sums) / whole.size == pytest.approx(mean_size(gradient), rel=1e-12)

    rate = np.float32(0.37)
    for machine in machines.held.values():
        asyncio.run(machine.move("dream", rate, lowest))
    expected = whole + (rate if light is None else rate * (light / np.float32(255))) * gradient
    if lowest is not None:
        expected = np.clip(expected, lowest, lowest + 255)
    for number, (name, area) in enumerate((("a", LEFT), ("b", RIGHT))):
        [found] = machines.held[name].cut("dream", [(number, (slice(0, 300), slice(0, 999)))])
        assert np.array_equal(found.data, expected[:, area[0], area[1]])
        with pytest.raises(KeyError):
            machines.held[name].cut("dream", [("x", WHOLE)])  # gradients are forgotten


def test_what_commands_left_is_forgotten_if_they_are_gone_at_two_looks() -> None:
    held = dealt(picture(1)).held["a"]
    commands = ["me"]

    async def owners() -> dict[str, Any]:
        return {"commands": commands}

    def is_held() -> bool:
        try:
            return bool(held.cut("dream", [(0, LEFT)]))
        except KeyError:
            return False
    for _ in range(2):
        asyncio.run(held.forget(owners))
    commands.clear()
    asyncio.run(held.forget(owners))
    commands.append("me")
    asyncio.run(held.forget(owners))
    commands.clear()
    asyncio.run(held.forget(owners))
    assert is_held()
    asyncio.run(held.forget(owners))
    assert not is_held()
    held.keep("dream", "x", None)
    assert not is_held()
