"""A farm on this machine alone, to try one: a scheduler and two workers as processes that end with this one."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dreamer.errors import Failure
from dreamer.farm import keys
from dreamer.farm.scheduler import LOOPBACK
from dreamer.farm.worker import SHARE
from dreamer.machine import limits

_PROGRAM = Path(__file__).resolve().parents[2] / "dreamify.py"
_WORKERS = 2


@contextlib.contextmanager
def local() -> Iterator[tuple[str, keys.Keys]]:
    """(address of the scheduler, the farm's keys), while the farm is there. The keys are made for this run. Raises
    Failure."""
    with tempfile.TemporaryDirectory(prefix="image-dreamer-farm-") as folder, contextlib.ExitStack() as stack:
        place = Path(folder, "keys")
        keys.make(place)
        scheduler = stack.enter_context(_started(["scheduler", "--bind", LOOPBACK, "--port", "0"], place))
        assert scheduler.stdout  # noqa: S101
        words = scheduler.stdout.readline().decode().partition("tls://")[2].partition(";")
        if not words[1]:
            raise Failure(f"the farm's scheduler did not start: {_said(scheduler)}")
        memory = int(limits.memory() * SHARE) // _WORKERS
        threads = max(1, limits.threads() // _WORKERS)
        for _ in range(_WORKERS):
            stack.enter_context(_started(["worker", f"tls://{words[0]}", "--memory", str(memory),
                                          "--threads", str(threads)], place))
        yield f"tls://{words[0]}", keys.find(place)


@contextlib.contextmanager
def _started(words: list[str], place: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of this program that does farm WORDS. The kernel ends it if this process dies; Ctrl-C in the terminal
    does not reach it."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise Failure("setpriv is not installed: install the package util-linux")
    with subprocess.Popen([setpriv, "--pdeathsig", "TERM", sys.executable, str(_PROGRAM), "farm", *words],
                          env=os.environ | {keys.VARIABLE: str(place)}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.communicate(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()


def _said(process: "subprocess.Popen[bytes]") -> str:
    """The last line of what a process that has ended printed as an error."""
    process.terminate()
    lines = process.communicate()[1].decode(errors="replace").strip().splitlines()
    return (lines or ["it printed nothing"])[-1].removeprefix("dreamify: ")
