"""What the tests share, in one place: paths, the command line, and functions that examine pictures and films."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
FRAMES = 30, 64, 98  # of the test film: their number, height and width
PYTHON = "/usr/bin/python3"  # provision.sh installs packages for this one
SLOWLY = ROOT / "tests/slowly.py"
sys.path[:0] = [str(ROOT)]

import dreamify  # noqa: E402
from dreamer.arrays import Pixels  # noqa: E402
from dreamer.nets.layers import Layers  # noqa: E402
from dreamer.nets.model import Model  # noqa: E402
from dreamer.nets.net import Net  # noqa: E402

Word: TypeAlias = str | os.PathLike[str]  # of a command line; it may be a path

# the command line ----------------------------------------------------------------------------------------

def run(*words: object, python: Word | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run dreamify.py; returns the CompletedProcess."""
    command = [*([python] if python else []), str(ROOT / "dreamify.py"), *map(str, words)]
    return subprocess.run(command, **{"capture_output": True, "text": True, "check": False, "timeout": 300} | options)


def made(words: Sequence[Word]) -> subprocess.CompletedProcess[str]:
    """Run a command, which must succeed; returns the CompletedProcess."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def start(command: Sequence[Word], **options: Any) -> subprocess.Popen[str]:
    """Start a command whose output is read line by line."""
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def start_slow(command: Sequence[Word], after: int, **options: Any) -> subprocess.Popen[str]:
    """Like start, with a command line of dreamify.py: after that many steps, each takes 0.1 s longer, so that the dream
    can be stopped at this place on any machine."""
    return start([SLOWLY, *command[1:]], env=os.environ | {"SLOW_AFTER": str(after)}, **options)


class InMemory:
    """A video of these frames, for what takes a Moving."""

    def __init__(self, frames: Sequence[Pixels]) -> None:
        self._frames = frames

    def frames(self, first: int = 0) -> Iterator[Pixels]:
        """The frames from number `first` on."""
        yield from self._frames[first:]


def wait_for(process: subprocess.Popen[str], words: str) -> str:
    """Read the output of a process up to a line that contains `words`; returns these lines."""
    assert process.stdout
    lines = []
    too_late = threading.Timer(240, process.kill)
    too_late.start()
    try:
        for line in process.stdout:
            lines.append(line)
            if words in line:
                return "".join(lines)
    finally:
        too_late.cancel()
    pytest.fail(f"{words!r} never came: {process.stderr.read() if process.stderr else ''}")


_MEASURED = """
import sys, time
sys.path.insert(0, sys.argv[1])
from dreamer.errors import Mistake
from dreamer.pictures import reading

def most():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) >> 10

before, began = most(), time.process_time()
try:
    print(reading.read(sys.argv[2], max_size=1000).pixels.shape)
except Mistake as error:
    print(error)
print(f"{time.process_time() - began:.2f} s, {most() - before} MB")
sys.exit(most() - before >= 200)
"""


def measured(path: Path) -> str:
    """What reading.read gives for the file, with max_size 1000, in a process whose memory must not grow by 200 MB: its
    shape or the error, and the time."""
    done = subprocess.run([sys.executable, "-c", _MEASURED, ROOT, path], capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own with that `size`, such as 2m, at the new `folder`. Skips the test where none can be mounted."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True,
                      check=False).returncode:
        pytest.skip("needs root that may mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def children(pid: int) -> list[int]:
    """Numbers of the child processes of a process, whichever of its threads started them."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += map(int, (task / "children").read_text().split())
        except OSError:  # the thread has ended
            continue
    return found


def is_running(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def dies_with_its_parent(script: str, told: Path) -> None:
    """Run a Python script whose child writes its process number into the file `told`, and kill the script: then the
    child must end. The script may import the tests that are beside the one that calls this."""
    with subprocess.Popen([PYTHON, "-c", _begin() + script]) as parent:
        while not told.exists() or not told.read_text():
            assert parent.poll() is None
            time.sleep(0.02)
        child = int(told.read_text())
        assert is_running(child)
        parent.kill()
    assert ends(child)


def bears_signals(script: str) -> None:
    """Run a Python script, which must end well though signals that change nothing interrupt it all the time. (Python
    3.11's SimpleQueue waits for ever if a signal comes as the time is up, so that Ctrl-C would be lost.) The script
    may import the tests that are beside the one that calls this."""
    begin = "import signal; signal.signal(signal.SIGUSR1, lambda *_: None); print(flush=True)\n"
    end = "\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)"
    with subprocess.Popen([PYTHON, "-c", begin + _begin() + script + end], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        last = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < last:
            process.send_signal(signal.SIGUSR1)
            time.sleep(1e-5)
        process.kill()
    assert process.returncode == 0, "it is stuck" if process.returncode == -signal.SIGKILL else process.returncode


def _begin() -> str:
    """The begin of a script that may import what the test two calls above may, and the tests beside it."""
    beside = os.path.dirname(sys._getframe(2).f_code.co_filename)
    return f"import sys; sys.path[:0] = {[str(ROOT), beside, str(ROOT / 'tests')]!r}\n"


def ends(pid: int, seconds: float = 30) -> bool:
    """Whether the process ends within this many seconds."""
    until = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not is_running(pid)


class Watcher:
    """The command that watches the folder; its output is read line by line."""

    def __init__(self, folder: Path, model: Word, *words: object, after: int | None = None) -> None:
        """after: of start_slow"""
        command = [*map(str, [ROOT / "dreamify.py", *words, "--watch", "--model", model])]
        self.process = start(command, cwd=folder) if after is None else start_slow(command, after, cwd=folder)

    def until(self, words: str) -> str:
        """Read its output up to a line that contains `words`; returns these lines."""
        return wait_for(self.process, words)

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal; returns (exit code, rest of the output, errors)."""
        self.process.send_signal(number)
        rest, errors = self.process.communicate(timeout=60)
        return self.process.returncode, rest, errors


# files ---------------------------------------------------------------------------------------------------

def names(folder: Path) -> list[str]:
    """Names of all entries of a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def visible(folder: Path) -> list[str]:
    """Names of the entries that are not hidden, sorted."""
    return [name for name in names(folder) if not name.startswith(".")]


def dreams(folder: Path) -> dict[str, bytes]:
    """{name: bytes} of the dreams in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if "-dream" in path.name}


def tracked(*patterns: str) -> list[Path]:
    """Paths of the files in the repository that match, with those that git does not track yet."""
    done = subprocess.run(["git", "-C", ROOT, "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others",
                           "--exclude-standard", *patterns], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout")
    return sorted({ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).exists()})


def search(pattern: str, text: str, flags: int = 0) -> re.Match[str]:
    """The match that re.search finds; there must be one."""
    found = re.search(pattern, text, flags)
    assert found, (pattern, text)
    return found


# pictures and films --------------------------------------------------------------------------------------

def psnr(a: ArrayLike, b: ArrayLike) -> float:
    """How similar two pictures are, in dB."""
    error = np.mean((np.asarray(a, np.float64) - np.asarray(b, np.float64)) ** 2)
    return float(10 * np.log10(255 ** 2 / max(float(error), 1e-30)))


def noise(height: int, width: int, seed: int = 1) -> NDArray[np.uint8]:
    """A picture with detail at every frequency: uint8 (h, w, 3)."""
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)


def saved(path: Path, pixels: NDArray[Any]) -> Path:
    """Save the pixels as a picture at `path`; returns the path."""
    Image.fromarray(pixels).save(path)
    return path


def pixels(path: Word) -> NDArray[Any]:
    """The pixels of the picture in a file."""
    with Image.open(path) as image:
        return np.asarray(image)


def photo(name: str, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """One of the shared photos: uint8 (h, w, 3)."""
    with Image.open(SHARED / "photos" / name) as image:
        return np.asarray(image.convert("RGB").resize(size) if size else image.convert("RGB"))


def probed(path: Word) -> tuple[dict[str, Any], dict[str, Any]]:
    """What ffprobe says about a film: its picture stream, and the format."""
    words = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json", path]
    found = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    return found["streams"][0], found["format"]


def decoded(path: Word) -> NDArray[np.uint8]:
    """The frames (count, h, w, 3) of a film, decoded by ffmpeg."""
    stream, _ = probed(path)
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                         capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, stream["height"], stream["width"], 3)


def shown(path: Word) -> list[tuple[NDArray[np.float64], float]]:
    """[(pixels, milliseconds)] of the frames of a .gif or .webp, decoded by Pillow."""
    film, frames = Image.open(path), []
    for number in range(film.n_frames):
        film.seek(number)
        frames.append((np.asarray(film.convert("RGB"), np.float64), film.info["duration"]))
    return frames


# dreams --------------------------------------------------------------------------------------------------

def dream(net: Net, image: Pixels, **options: Any) -> tuple[Pixels, list[float]]:
    """(picture, objectives) of one dream."""
    objectives = []
    picture = dreamify.deepdream(net, image, each_step=lambda step: objectives.append(step.objective), **options)
    return picture, objectives


def one_step(model: Model, layer: str | Layers, image: Pixels, pixels: int | None = None,
             **options: Any) -> tuple[Pixels, float, int]:
    """(picture, objective, number of tiles) of a dream of one step, in tiles of at most `pixels` pixels."""
    net = Net(model, layer)
    if pixels:
        pytest.MonkeyPatch().setattr(net.budget, "_largest", lambda *_: pixels)
    picture, objectives = dream(net, image, iterations=1, octaves=1, **options)
    return picture, objectives[0], len(net.windows[0]) * len(net.windows[1])
