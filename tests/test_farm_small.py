"""Small dreams on a farm, of which each worker's child carries out one after another."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreamer.nets.model import Model
from farms import MANY, SCRIPT, Farm, child_of, until
from helpers import children, dreams, ends, is_running, made

pytestmark = pytest.mark.slow

COUNT = 120  # pictures; tests/bench/farm.py compares as many as one likes
WORDS = ("conv2/3x3", "1", "1", "--model", "daydream", "--seed", "1")


def test_many_small_pictures(farm: Farm, tmp_path: Path) -> None:
    """However many there are, only a few are read and sent ahead, and no worker has a second child."""
    from dreamer.farm.client import AHEAD  # with the engine
    (tmp_path / "in").mkdir()
    for number in range(COUNT):
        pixels = np.random.RandomState(number).randint(0, 256, (16, 16, 3))
        Image.fromarray(np.uint8(pixels)).save(tmp_path / f"in/{number:03d}.png")
    workers = [farm.worker(), farm.worker()]
    done = farm.run(tmp_path / "in", tmp_path / "away", *WORDS, "--events", tmp_path / "events")
    assert done.returncode == 0, done.stderr
    assert [len(children(worker.pid)) for worker in workers] == [1, 1]
    away = dreams(tmp_path / "away")
    assert len(away) == COUNT
    (tmp_path / "some").mkdir()
    for name in (f"{number:03d}.png" for number in range(0, COUNT, 15)):
        os.link(tmp_path / "in" / name, tmp_path / "some" / name)
    made([SCRIPT, tmp_path / "some", tmp_path / "alone", *WORDS, "--quiet"])
    alone = dreams(tmp_path / "alone")
    assert alone == {name: away[name] for name in alone}
    assert len(alone) == COUNT // 15
    out = most = 0
    for line in (tmp_path / "events").read_text().splitlines()[:-1]:  # the last one is about the whole
        kind = json.loads(line)["event"]
        out += (kind == "taken") - (kind == "finished")
        most = max(most, out)
    assert (out, most) == (0, AHEAD * len(workers))


def test_a_dream_that_dies_is_tried_elsewhere_and_the_child_goes_on(farm: Farm, photos: Path, tiny: Model,
                                                                   tmp_path: Path) -> None:
    words = ["mix/output", "4000", "1", "--seed", "1", "--model", str(tiny.folder)]
    made([SCRIPT, photos, tmp_path / "alone", *words, "--quiet"])
    victim, _ = farm.worker(), farm.worker()
    dreaming = farm.command(photos, tmp_path / "away", *words)
    child = child_of(victim)
    dream: int = until(lambda: (children(child) or [0])[0])
    os.kill(dream, signal.SIGKILL)
    assert ends(dream)
    assert is_running(child)
    assert dreaming.wait(5 * MANY) == 0, dreaming.communicate()
    assert dreams(tmp_path / "away") == dreams(tmp_path / "alone")
