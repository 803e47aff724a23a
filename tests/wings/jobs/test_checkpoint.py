"""A dream's state on disk."""

from pathlib import Path

import numpy as np

from dreamer.jobs.checkpoint import Checkpoint
from dreamer.state import State


def state() -> State:
    generator = np.random.RandomState(3)
    generator.rand(7)
    return State(2, 5, np.random.RandomState(0).rand(3, 4, 6).astype(np.float32), generator.get_state(legacy=False), 9)


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    kept = Checkpoint(tmp_path / "a.png", {"layer": "x"}, image)
    assert kept.load() is None
    kept.save(state())
    back = kept.load(9)
    assert back
    assert back[:2] == (2, 5)
    assert np.array_equal(back.picture, state().picture)
    generators = [np.random.RandomState() for _ in range(2)]
    for generator, known in zip(generators, (back, state()), strict=True):
        generator.set_state(known.random)
    assert generators[0].rand() == generators[1].rand()
    assert kept.load(8) is None
    assert Checkpoint(tmp_path / "a.png", {"layer": "y"}, image).load() is None
    assert Checkpoint(tmp_path / "a.png", {"layer": "x"}, image + 1).load() is None
    assert Checkpoint(tmp_path / "b.png", {"layer": "x"}, image).load() is None
    kept.remove()
    assert kept.load() is None


def test_a_damaged_state_is_none(tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path / "a.png", {}, np.zeros((4, 6, 3), np.uint8))
    kept.save(state())
    good = kept.path.read_bytes()
    for bad in (good[:-1], good[:50], b"", good[:-3] + bytes([good[-3] ^ 1]) + good[-2:], b"{}\n", b"[1]\n" + good):
        kept.path.write_bytes(bad)
        assert kept.load() is None
    kept.path.write_bytes(good)
    assert kept.load()
