"""What the tests share: the real model where it is, a tiny one always, and the rule that CI skips nothing."""

import collections
import os
import sys
from pathlib import Path

import pytest

from containers import base, caffe, context, docker, folder, image, photo, tell  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
sys.path[:0] = [str(ROOT)]
os.environ.setdefault("GLOG_minloglevel", "2")
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

_SHARED_WEIGHTS = SHARED / "models/bvlc_googlenet/bvlc_googlenet.caffemodel"
if _SHARED_WEIGHTS.is_file():
    os.environ.setdefault("BVLC_GOOGLENET", str(_SHARED_WEIGHTS))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a skipped test is a failed one: something that should be there is not."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, but CI skips nothing: {report.longrepr}"


def pytest_terminal_summary(terminalreporter):
    """Why tests were skipped: a line for each reason, however many tests it has."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = collections.Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"SKIPPED [{count}] {reason}")


@pytest.fixture(scope="session")
def googlenet():
    """The Model bvlc_googlenet, with its real weights."""
    from dreamer import model
    from dreamer.errors import Failure
    found = model.find("bvlc_googlenet")
    try:
        found.weights_path()
    except Failure:
        pytest.skip("the weights of bvlc_googlenet are not here: ./provision.sh model")
    return found


@pytest.fixture(scope="session")
def reference():
    """The folder of dreams that an independent implementation computed on unpatched Caffe."""
    if not (SHARED / "reference").is_dir():
        pytest.skip("no ../shared/reference here")
    return SHARED / "reference"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A Model of two layers and random weights; its mean and channel order are unlike bvlc_googlenet's."""
    import tinymodel
    from dreamer import model
    return model.find(str(tinymodel.make(tmp_path_factory.mktemp("models") / "tiny")))


@pytest.fixture
def sky():
    """The sample photo, a path."""
    return ROOT / "tests/pictures/sky.jpg"
