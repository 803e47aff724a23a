"""What the tests share, in one place: where things are, the command line, and what there is to say about pictures."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
FRAMES = 30, 64, 98  # of the moving picture: how many, their height and width
PYTHON = "/usr/bin/python3"  # for which provision.sh installs
sys.path[:0] = [str(ROOT)]

import dreamify  # noqa: E402
from dreamer.nets.net import Net  # noqa: E402

# the command line ----------------------------------------------------------------------------------------

def run(*words, python=None, **options):
    """Run dreamify.py; returns the CompletedProcess."""
    command = [*([python] if python else []), str(ROOT / "dreamify.py"), *map(str, words)]
    return subprocess.run(command, **{"capture_output": True, "text": True, "check": False, "timeout": 300} | options)


def made(words):
    """Run a command that must succeed; returns the CompletedProcess."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def start(command, **options):
    """Start a command whose words are read as they come."""
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def wait_for(process, words):
    """Read the lines of a process up to one with `words`; returns them."""
    lines = []
    too_late = threading.Timer(240, process.kill)
    too_late.start()
    for line in process.stdout:
        lines.append(line)
        if words in line:
            too_late.cancel()
            return "".join(lines)
    pytest.fail(f"{words!r} never came: {process.stderr.read()}")


def children(pid):
    """Numbers of the child processes of a process, by whichever of its threads they were started."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += map(int, (task / "children").read_text().split())
        except OSError:  # the thread has ended
            continue
    return found


def is_running(pid):
    """Whether the process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends(pid, seconds=5):
    """Whether the process ends within so many seconds."""
    until = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not is_running(pid)


class Watcher:
    """The command that watches the folder; a line of its words at a time."""

    def __init__(self, folder, model, *words):
        command = [ROOT / "dreamify.py", *words, "--watch", "--model", model]
        self.process = start([*map(str, command)], cwd=folder)

    def until(self, words):
        """Read its lines up to one with `words`; returns them."""
        return wait_for(self.process, words)

    def end(self, number=signal.SIGTERM):
        """(exit code, rest of its words, errors, seconds) after a signal."""
        began = time.monotonic()
        self.process.send_signal(number)
        rest, errors = self.process.communicate(timeout=30)
        return self.process.returncode, rest, errors, time.monotonic() - began


# files ---------------------------------------------------------------------------------------------------

def names(folder):
    """What is in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def visible(folder):
    """The same, but for what is hidden."""
    return [name for name in names(folder) if not name.startswith(".")]


def dreams(folder):
    """What the dreams in a folder are: {name: bytes}."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if "-dream" in path.name}


def tracked(*patterns):
    """Paths of the files in the repository that match; of all files outside a checkout's .git too."""
    done = subprocess.run(["git", "-C", ROOT, "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others",
                           "--exclude-standard", *patterns], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout")
    return sorted({ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).exists()})


# pictures and films --------------------------------------------------------------------------------------

def psnr(a, b):
    """How near two pictures are, in dB."""
    return 10 * np.log10(255 ** 2 / max(np.mean((np.float64(a) - np.float64(b)) ** 2), 1e-30))


def noise(height, width, seed=1):
    """A picture with something in every frequency: uint8 (h, w, 3)."""
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)


def saved(path, pixels):
    """The path, when pixels are in a file there."""
    Image.fromarray(pixels).save(path)
    return path


def pixels(path):
    """Those of the picture in a file."""
    with Image.open(path) as image:
        return np.asarray(image)


def photo(name, size=None):
    """One of the shared photos: uint8 (h, w, 3)."""
    with Image.open(SHARED / "photos" / name) as image:
        return np.asarray(image.convert("RGB").resize(size) if size else image.convert("RGB"))


def probed(path):
    """What ffprobe says of a film's picture, and of the whole."""
    words = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json", path]
    found = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    return found["streams"][0], found["format"]


def decoded(path):
    """(count, h, w, 3) of a film, by ffmpeg."""
    stream, _ = probed(path)
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                         capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, stream["height"], stream["width"], 3)


def shown(path):
    """[(pixels, milliseconds)] of the frames of a .gif or .webp, as Pillow reads them."""
    film, frames = Image.open(path), []
    for number in range(film.n_frames):
        film.seek(number)
        frames.append((np.asarray(film.convert("RGB"), np.float64), film.info["duration"]))
    return frames


# dreams --------------------------------------------------------------------------------------------------

def dream(net, image, **options):
    """(picture, objectives) of one dream."""
    objectives = []
    picture = dreamify.deepdream(net, image, each_step=lambda step: objectives.append(step.objective), **options)
    return picture, objectives


def one_step(model, layer, image, pixels=None, **options):
    """(picture, objective, number of tiles) of a dream of one step whose tiles have at most `pixels` pixels."""
    net = Net(model, layer)
    if pixels:
        net.budget._largest = lambda *_: pixels
    picture, objectives = dream(net, image, iterations=1, octaves=1, **options)
    return picture, objectives[0], len(net.windows[0]) * len(net.windows[1])
