"""The bar on a real terminal, and the lines elsewhere."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from dreamer.jobs import bar, events
from dreamer.nets.model import Model
from helpers import SLOWLY


def on_a_terminal(*words: object, columns: int = 120) -> tuple[str, int]:
    """The command's output on a terminal with this many columns, and its exit code. From its 171st step on, the dream
    is slow."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    process = subprocess.Popen([SLOWLY, *map(str, words)], stdin=theirs, stdout=theirs, stderr=theirs,
                               env=os.environ | {"SLOW_AFTER": "170"})
    os.close(theirs)
    said = b""
    while True:
        try:
            said += os.read(ours, 1 << 16)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    return said.decode(), process.wait()


@pytest.mark.parametrize("columns", [120, 0])
def test_the_bar_on_a_terminal(tiny: Model, sky: Path, tmp_path: Path, columns: int) -> None:
    """A terminal that does not know its width, such as a serial line or a container's, reports 0 columns."""
    said, code = on_a_terminal(sky, tmp_path / "a.png", "mix/output", "60", "3", "--model", tiny.folder,
                               columns=columns)
    assert code == 0
    shown = re.findall(r"(\d+) % \|[^|]*\| (\d\d:\d\d), ([\d:]+|[\d.]+ s|\?) to go  "
                       r"(octave \d/3  iteration \d+/60)?", said)
    percents = [int(percent) for percent, *_ in shown]
    assert len(shown) > 4
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 100)
    assert shown[0][2] == "?"
    assert shown[-1][2:] == ("0.0 s", "octave 3/3  iteration 60/60")
    assert "Traceback" not in said
    assert all(len(line) <= 120 for line in re.split(r"[\r\n]+", said) if "%" in line)


def test_quiet_is_quiet_on_a_terminal(tiny: Model, sky: Path, tmp_path: Path) -> None:
    assert on_a_terminal(sky, tmp_path / "a.png", "conv1", "1", "2", "--model", tiny.folder, "--quiet") == ("", 0)


@pytest.mark.parametrize(("done", "next_step"), [
    ((1, 4), "octave 2, iteration 5"), ((1, 10), "octave 3, iteration 1"), ((2, 10), "octave 3, iteration 10")])
def test_a_dream_continues_from_its_next_step(done: tuple[int, int], next_step: str) -> None:
    """If all steps are done, only writing is left, and the line names the last step."""
    began = events.Began(output="a.png", layer="conv1", layers=["conv1"], sizes=[(4, 4)] * 3, iterations=10, frames=1,
                         rate=None, of_steps=False, seed=1, memory=1, threads=1, overhead=1, work=[16] * 3, done=0,
                         total=480, after=(0, *done))
    out = io.StringIO()
    bar.Bar(out)(began)
    assert out.getvalue().splitlines()[-1] == f"continues from {next_step}"


def test_the_time_that_is_left_is_told() -> None:
    assert (bar._told(5.4), bar._told(300)) == ("5 s", "5 min")
