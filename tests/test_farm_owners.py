"""A giant picture that the workers of a farm hold between its steps: the same bytes as on one machine, whatever is
lost."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from farline import Line, Network
from farms import SCRIPT, Farm, farm
from helpers import PYTHON, ROOT, children, made, search, start, wait_for

__all__ = ["farm"]
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("farm")]
LAYERS = "conv1/7x7_s2*0.5+pool1/3x3_s2"
WORDS = [LAYERS, "6", "1", "--seed", "1", "--model", "daydream", "--reproducible"]
HOLDING = """
import sys
sys.path[:0] = [sys.argv[1]]
import dreamify
from dreamer.farm import engine
engine.load()
from dreamer.farm import owners, stepping
if sys.argv[2] == "always":
    stepping.ENOUGH, stepping.SLOWER = 2.0, 1e9
step = owners.Owners.step
def told(self, *more):
    found = step(self, *more)
    print("held", flush=True)
    return found
owners.Owners.step = told
sys.exit(dreamify.main(sys.argv[3:]))
"""  # dreamify; it prints a line for each step whose picture the workers hold: always from the third on, or if it pays


@pytest.fixture(scope="module")
def mask(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mask with a soft edge."""
    path = tmp_path_factory.mktemp("mask") / "mask.png"
    made([PYTHON, "-c", "import sys; from PIL import Image; Image.linear_gradient('L').save(sys.argv[1])", path])
    return path


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The dream of one machine."""
    output = tmp_path_factory.mktemp("alone") / "dream.png"
    made([SCRIPT, "noise:4000x2000", output, *WORDS, "--quiet"])
    return output.read_bytes()


class Dreaming:
    """A dream whose picture the workers hold."""

    def __init__(self, farm: Farm, stack: contextlib.ExitStack) -> None:
        self.farm, self._stack = farm, stack

    def begin(self, output: Path, words: list[str] = WORDS, when: str = "always",
              network: Network | None = None) -> "subprocess.Popen[str]":
        """The command."""
        given = [PYTHON, "-c", HOLDING, str(ROOT), when, "noise:4000x2000", str(output), *words, "--farm",
                 self.farm.address]
        process = start(network.words(*given) if network else given, env=self.farm.environment)
        self._stack.callback(process.communicate)
        self._stack.callback(process.kill)
        return process

    @staticmethod
    def end(process: "subprocess.Popen[str]") -> tuple[str, str]:
        """What the command printed, which must succeed."""
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        return out, errors


@pytest.fixture
def dreaming(farm: Farm) -> Iterator[Dreaming]:
    with contextlib.ExitStack() as stack:
        yield Dreaming(farm, stack)


def test_all_that_a_step_has(dreaming: Dreaming, mask: Path, tmp_path: Path) -> None:
    """Two layers with weights, two octaves, a mask, and a picture that may leave its range."""
    words = [LAYERS, "3", "2", "--seed", "1", "--model", "daydream", "--reproducible", "--no-clip", "--mask", str(mask)]
    made([SCRIPT, "noise:4000x2000", tmp_path / "alone.png", *words, "--quiet"])
    for _ in range(3):
        dreaming.farm.worker("--memory", "3g")
    out, _ = dreaming.end(dreaming.begin(tmp_path / "away.png", words=words))
    assert out.count("held") == 4  # in the first octave, the first step is cold, and the second is measured
    assert (tmp_path / "away.png").read_bytes() == (tmp_path / "alone.png").read_bytes()


def test_a_worker_dies_with_its_part_and_another_one_joins(dreaming: Dreaming, alone: bytes, tmp_path: Path) -> None:
    lost = dreaming.farm.worker("--memory", "3g")
    dreaming.farm.worker("--memory", "3g")
    process = dreaming.begin(tmp_path / "dream.png")
    wait_for(process, "held")
    lost.kill()
    dreaming.farm.worker("--memory", "3g")
    _, errors = dreaming.end(process)
    assert "a worker that held a part of the picture is lost, so 1 step must be made again" in errors
    assert (tmp_path / "dream.png").read_bytes() == alone


def test_a_computation_that_dies_is_done_elsewhere(dreaming: Dreaming, alone: bytes, tmp_path: Path) -> None:
    """The part of the picture is in another process."""
    first = dreaming.farm.worker("--memory", "3g")
    dreaming.farm.worker("--memory", "3g")
    process = dreaming.begin(tmp_path / "dream.png")
    wait_for(process, "held")
    computing = children(first.pid)
    assert len(computing) == 1
    os.kill(computing[0], signal.SIGKILL)
    _, errors = dreaming.end(process)
    assert "lost" not in errors
    assert (tmp_path / "dream.png").read_bytes() == alone


def test_a_stopped_dream_goes_on(dreaming: Dreaming, alone: bytes, tmp_path: Path) -> None:
    """The picture comes home as it is after the last whole step."""
    dreaming.farm.worker("--memory", "3g")
    dreaming.farm.worker("--memory", "3g")
    process = dreaming.begin(tmp_path / "dream.png")
    wait_for(process, "held")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert "run the same command to continue" in errors
    out, _ = dreaming.end(dreaming.begin(tmp_path / "dream.png"))
    assert search(r"continues from octave 1, iteration [456]\b", out)
    assert (tmp_path / "dream.png").read_bytes() == alone


def test_workers_that_have_too_little_memory_to_hold_it(dreaming: Dreaming, alone: bytes, tmp_path: Path) -> None:
    """They compute windows from here all the same. One window takes 1.1 GB, and the whole picture 0.4 more."""
    dreaming.farm.worker("--memory", "1300m")
    out, errors = dreaming.end(dreaming.begin(tmp_path / "dream.png"))
    assert "held" not in out
    assert "the workers wait for windows, but cannot hold the picture: " in errors
    assert (tmp_path / "dream.png").read_bytes() == alone


def test_workers_at_the_end_of_a_slow_line(tmp_path: Path) -> None:
    """They hold the picture by themselves, because its windows would take longer on the way than in the net."""
    pytest.importorskip("distributed", reason="no python3-distributed: ./provision.sh farm")
    words = ["conv1/7x7_s2", "4", *WORDS[2:]]
    made([SCRIPT, "noise:4000x2000", tmp_path / "alone.png", *words, "--quiet"])
    (tmp_path / "farm").mkdir()
    with contextlib.ExitStack() as stack:
        here, there = Network("10.78.0.1", stack), Network("10.78.0.2", stack)
        Line((here, there), "100mbit", 0.001, stack)
        far = Dreaming(Farm(tmp_path / "farm", stack, here), stack)
        for _ in range(2):
            far.farm.worker("--memory", "3g", network=there)
        out, _ = far.end(far.begin(tmp_path / "away.png", words, "if it pays", here))
    assert "held" in out
    assert (tmp_path / "away.png").read_bytes() == (tmp_path / "alone.png").read_bytes()
