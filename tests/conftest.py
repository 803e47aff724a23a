"""What the tests share: the real model if it is installed, a tiny model, and the rule that CI skips nothing."""

import collections
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _pytest.terminal import TerminalReporter
from PIL import Image

from browser import axe, chromium, client, page, studio  # noqa: F401
from containers import TOLD, base, caffe, context, docker, farm_image, folder, image, photo, tell  # noqa: F401
from dreamer.nets.model import Model
from farms import farm  # noqa: F401
from helpers import FRAMES, ROOT, SHARED

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
_reserved = tempfile.TemporaryDirectory()
os.environ["XDG_RUNTIME_DIR"] = _reserved.name  # so that they do not wait for other dreams
_kept = tempfile.TemporaryDirectory()
os.environ["XDG_CACHE_HOME"] = _kept.name  # so that they leave nothing in the home folder

_SHARED_WEIGHTS = SHARED / "models/bvlc_googlenet/bvlc_googlenet.caffemodel"
if _SHARED_WEIGHTS.is_file():
    os.environ.setdefault("BVLC_GOOGLENET", str(_SHARED_WEIGHTS))


LARGE = ("container", "vm", "native", "slow")  # marks of tests that may take more than 20 seconds


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """All container tests go to one worker, and start first. Those that emulate arm64 run only if -m names them."""
    if "arm64" not in config.option.markexpr:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("arm64")])
        items[:] = [item for item in items if not item.get_closest_marker("arm64")]
    for item in items:
        if item.get_closest_marker("container"):
            item.add_marker(pytest.mark.xdist_group("engine"))
    items.sort(key=lambda item: not item.get_closest_marker("container"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]") -> Generator[None, Any, None]:
    """In CI, a skipped test counts as failed: something that should be there is missing."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, but CI skips nothing: {report.longrepr}"
    report.user_properties += [("told", words) for words in TOLD]
    TOLD.clear()
    if call.duration > 20 and not any(map(item.get_closest_marker, LARGE)):
        report.user_properties.append(("told", f"{item.nodeid}: {call.duration:.0f} s, without the mark slow"))


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print what tests measured, and why tests were skipped: one line for each reason."""
    reports = [report for group in terminalreporter.stats.values() for report in group]
    for words in dict.fromkeys(value for report in reports for key, value in getattr(report, "user_properties", ())
                               if key == "told"):
        terminalreporter.write_line(words)
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = collections.Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"SKIPPED [{count}] {reason}")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let a worker give way to another if its tests would not run in its main thread, which alone gets signals: on a
    busy machine, what starts the workers of pytest-xdist (execnet 1.9) may lose a race."""
    if hasattr(session.config, "workerinput") and threading.current_thread() is not threading.main_thread():
        os._exit(1)


@pytest.fixture(autouse=True)
def no_threads_are_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A process with threads dreams in another way, so that a thread that a test leaves changes the tests after it.
    (Tests with an engine dream elsewhere.)"""
    before = set(threading.enumerate())
    yield
    if any(map(request.node.get_closest_marker, ("container", "vm", "native"))):
        return
    end = time.monotonic() + 30
    while left := set(threading.enumerate()) - before:
        if time.monotonic() > end:
            pytest.fail(f"threads are left: {', '.join(each.name for each in left)}")
        time.sleep(0.02)


@pytest.fixture(scope="session")
def googlenet() -> Model:
    """The Model bvlc_googlenet, with its real weights."""
    from dreamer.errors import Failure
    from dreamer.nets import model
    found = model.find("bvlc_googlenet")
    try:
        found.weights_path()
    except Failure:
        pytest.skip("the weights of bvlc_googlenet are not here: ./provision.sh model")
    return found


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of reference dreams, which an independent implementation computed with an unpatched Caffe."""
    if not (SHARED / "reference").is_dir():
        pytest.skip("no ../shared/reference here")
    return SHARED / "reference"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A tiny Model with random weights; its mean and channel order differ from bvlc_googlenet's."""
    import tinymodel
    from dreamer.nets import model
    return model.find(str(tinymodel.make(tmp_path_factory.mktemp("models") / "tiny")))


@pytest.fixture
def sky() -> Path:
    """Path of the sample photo."""
    return ROOT / "tests/pictures/sky.jpg"


@pytest.fixture(scope="session")
def ffmpeg() -> None:
    """Tests that need ffmpeg are skipped if it is not installed."""
    if not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg: ./provision.sh film")


@pytest.fixture(scope="session")
def described() -> Model:
    """The Model bvlc_googlenet, whose weights may be missing."""
    from dreamer.errors import Failure
    from dreamer.nets import model
    found = model.find("bvlc_googlenet")
    try:
        found.prototxt_path()
    except Failure:
        pytest.skip("deploy.prototxt is not installed: ./provision.sh")
    return found


@pytest.fixture
def photos(sky: Path, tmp_path: Path) -> Path:
    """A folder with three pictures in three formats, a text file, and a hidden file."""
    made = tmp_path / "in"
    made.mkdir()
    with Image.open(sky) as picture:
        for name, size in (("a10.jpg", (90, 60)), ("a2.PNG", (60, 80)), ("b.bmp", (64, 64))):
            picture.resize(size).save(made / name)
    (made / "notes.txt").write_text("no picture")
    (made / ".hidden.jpg").write_bytes(b"")
    return made


@pytest.fixture
def small(sky: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of the sample photo in 93×62 pixels: an odd width, though .mp4 needs an even one."""
    path = tmp_path_factory.mktemp("small") / "small.png"
    Image.open(sky).resize((93, 62)).save(path)
    return path


@pytest.fixture
def dreaming(tiny: Model, sky: Path, tmp_path: Path) -> list[str]:
    """The command line of a dream with the tiny model that takes some seconds; the output is tmp_path/dream.png."""
    return [str(ROOT / "dreamify.py"), str(sky), str(tmp_path / "dream.png"), "mix/output", "150", "3", "--seed", "5",
            "--model", str(tiny.folder)]


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of frames, 1.png, 2.png, …: the sample photo moves past, with a red square in front of it."""
    made, (count, height, width) = tmp_path_factory.mktemp("frames"), FRAMES
    sky = np.asarray(Image.open(ROOT / "tests/pictures/sky.jpg").resize((270, 180)))
    for number in range(count):
        frame = sky[80:80 + height, 20 + 3 * number:20 + 3 * number + width].copy()
        frame[10 + number:26 + number, 70 - 2 * number:86 - 2 * number] = 200, 60, 40
        Image.fromarray(frame).save(made / f"{number + 1}.png")
    return made
