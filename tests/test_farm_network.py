"""A farm whose machines are far from each other: a link of 100 Mbit/s that takes 50 ms each way, and is cut."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dreamer.nets.model import Model
from farline import Line, Network
from farms import SCRIPT, Farm, child_of, until
from helpers import dreams, is_running, made, search, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("farm")]
RATE, DELAY, CUT = "100mbit", 0.05, 5  # of each direction, seconds, seconds
GIANT = ["noise:4000x2000", "conv1/7x7_s2", "2", "1", "--seed", "1", "--model", "daydream", "--reproducible"]


class Far:
    """A farm with its scheduler and its commands in one network, and a line to another network."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        pytest.importorskip("distributed", reason="no python3-distributed: ./provision.sh farm")
        self.here, self.there = Network("10.78.0.1", stack), Network("10.78.0.2", stack)
        self.line = Line((self.here, self.there), RATE, DELAY, stack)
        self.farm = Farm(folder, stack, self.here)


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Far]:
    (tmp_path / "farm").mkdir()
    with contextlib.ExitStack() as stack:
        yield Far(tmp_path / "farm", stack)


def test_a_folder_and_a_line_that_is_cut_for_some_seconds(far: Far, photos: Path, tiny: Model, tmp_path: Path) -> None:
    """The worker at the other end dreams all. While the line is cut it keeps what it is at (which stands still, so that
    it cannot end meanwhile)."""
    words = ["mix/output", "20", "2", "--seed", "1", "--model", str(tiny.folder)]
    made([SCRIPT, photos, tmp_path / "alone", *words, "--quiet"])
    worker = far.farm.worker(network=far.there)
    dreaming = far.farm.command(photos, tmp_path / "away", *words)
    child = child_of(worker)
    os.kill(child, signal.SIGSTOP)
    far.line.cut()
    time.sleep(CUT)
    far.line.mend()
    until(lambda: search("1 worker; ", far.farm.status()[0]))
    assert is_running(child)
    os.kill(child, signal.SIGCONT)
    out, errors = dreaming.communicate(timeout=300)
    assert dreaming.returncode == 0, out + errors
    assert dreams(tmp_path / "away") == dreams(tmp_path / "alone")
    assert worker.poll() is None


def test_a_giant_picture_and_a_line_that_is_cut_for_good(far: Far, tmp_path: Path) -> None:
    """The worker at this end does the rest; the one at the other end stops what it was at."""
    made([SCRIPT, GIANT[0], tmp_path / "alone.png", *GIANT[1:], "--quiet"])
    lost = far.farm.worker(network=far.there)
    far.farm.worker()
    dreaming = far.farm.command(GIANT[0], tmp_path / "away.png", *GIANT[1:])
    wait_for(dreaming, "iteration 1/2")
    far.line.cut()
    out, errors = dreaming.communicate(timeout=300)
    assert dreaming.returncode == 0, out + errors
    assert (tmp_path / "away.png").read_bytes() == (tmp_path / "alone.png").read_bytes()
    wait_for(lost, "the scheduler is gone")
    assert until(lambda: len(far.farm.status()) == 3)
