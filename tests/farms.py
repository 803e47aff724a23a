"""A farm on this machine for tests: its keys, a scheduler and workers as real processes."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from farline import Network
from helpers import PYTHON, ROOT, SLOWLY, children, made, start, wait_for

SCRIPT = ROOT / "dreamify.py"
SLOW = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
import dreamify
from dreamer.farm import unit
unit._PROGRAM = Path(sys.argv[2])
sys.exit(dreamify.main(sys.argv[3:]))
"""  # a worker whose dreams are slow
MANY = 60  # seconds that something may take that takes one or two on an idle machine


class Farm:
    """A scheduler, and the workers that are started. Everything ends with the test.

    network  where the scheduler and the commands run, if not in this machine's own network"""

    def __init__(self, folder: Path, stack: contextlib.ExitStack, network: Network | None = None) -> None:
        self.folder, self._stack, self._network = folder, stack, network
        self.keys = folder / "keys"
        made([SCRIPT, "farm", "keys", self.keys])
        self.environment = os.environ | {"DREAMER_FARM_KEYS": str(self.keys)}
        self.scheduler = self.start("scheduler", "--port", "0", *(["--bind", network.own] if network else []))
        self.address = "tls://" + wait_for(self.scheduler, "tls://").partition("tls://")[2].partition(";")[0]

    def start(self, *words: object, program: Sequence[object] = (SCRIPT,), network: Network | None = None,
              **more: str) -> "subprocess.Popen[str]":
        """Start farm WORDS, with more variables of the environment."""
        process = start(self._there([*program, "farm", *words], network), env=self.environment | more)
        self._stack.callback(end, process)
        return process

    def _there(self, command: Sequence[object], network: Network | None = None) -> list[str]:
        """The words of a command in a network."""
        words, place = [*map(str, command)], network or self._network
        return place.words(*words) if place else words

    def worker(self, *words: object, network: Network | None = None, **more: str) -> "subprocess.Popen[str]":
        """Start a worker of one thread, and wait until it has joined."""
        process = self.start("worker", self.address, "--threads", "1", *words, network=network, **more)
        wait_for(process, "works for the farm")
        return process

    def slow_worker(self, after: int, seconds: float) -> "subprocess.Popen[str]":
        """A worker of one thread whose dreams take `seconds` longer for each step after so many; see slowly.py."""
        process = self.start("worker", self.address, "--threads", "1", program=[PYTHON, "-c", SLOW, ROOT, SLOWLY],
                             SLOW_AFTER=str(after), SLOW_SECONDS=str(seconds))
        wait_for(process, "works for the farm")
        return process

    def run(self, *words: object, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run a command with --farm; returns what it printed."""
        return subprocess.run(self._there([SCRIPT, *words, "--farm", self.address]), env=self.environment,
                              capture_output=True, text=True, check=False, timeout=300, **options)

    def command(self, *words: object) -> "subprocess.Popen[str]":
        """Start a command with --farm."""
        process = start(self._there([SCRIPT, *words, "--farm", self.address]), env=self.environment)
        self._stack.callback(end, process)
        return process

    def status(self) -> list[str]:
        """What `farm status` prints."""
        return made_with(self._there([SCRIPT, "farm", "status", self.address]), self.environment).splitlines()


def made_with(words: Sequence[object], environment: dict[str, str]) -> str:
    """What a command prints, which must succeed."""
    done = subprocess.run([*map(str, words)], env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_alone(picture: Path, dream: Path, folder: Path) -> bool:
    """Whether this machine alone makes the same bytes of a picture, with the recipe of the dream."""
    alone = folder / f"alone-{dream.name}"
    made([SCRIPT, picture, alone, "--like", dream, "--quiet"])
    return alone.read_bytes() == dream.read_bytes()


def end(process: "subprocess.Popen[str]") -> None:
    """End a process, however it is."""
    if process.poll() is None:
        process.kill()
    process.communicate()


def until(what: Callable[[], object], seconds: float = MANY) -> Any:
    """What the function returns, as soon as that is something."""
    last = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < last, "it never came"
        time.sleep(0.1)
    return found


def child_of(worker: "subprocess.Popen[str]") -> int:
    """The process of the dream that a worker carries out."""
    found: int = until(lambda: (children(worker.pid) or [0])[0])
    return found


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """A Farm without workers."""
    pytest.importorskip("distributed", reason="no python3-distributed: ./provision.sh farm")
    folder = tmp_path / "farm"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        yield Farm(folder, stack)
