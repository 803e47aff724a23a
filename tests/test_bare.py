"""The README's test command on bare machines: in containers that contain only Debian and a clone.

The clone is of the last commit. Each run takes about five minutes."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from containers import debian, run
from helpers import ROOT, search

pytestmark = pytest.mark.container

ADD_USER = """apt-get -q update && apt-get -q install -y --no-install-recommends sudo &&
    useradd --create-home --shell /bin/bash somebody &&
    echo 'somebody ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/somebody"""


@pytest.fixture
def clone(caffe: Path, tmp_path: Path) -> Path:
    """A clone of this repository. If .cache/ has Caffes that were built before, they save minutes."""
    folder = tmp_path / "image-dreamer"
    run("git", "-c", f"safe.directory={ROOT}", "-c", f"safe.directory={ROOT}/.git", "clone", "-q", ROOT, folder)
    shutil.copytree(caffe, folder / ".cache")
    for file in (ROOT / ".cache").glob("caffe-*"):
        shutil.copy(file, folder / ".cache")
    return folder


@pytest.fixture
def machine(docker: str, clone: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """(name of a container with the clone in /srv, user who owns the clone). The parameter is (suite, user)."""
    suite, user = request.param
    base = debian(docker, f"debian:{suite}-slim")
    name = run(docker, "run", "--detach", "--init", base, "sleep", "infinity").stdout.strip()
    try:
        if user != "root":
            run(docker, "exec", name, "bash", "-c", ADD_USER)
        run(docker, "cp", clone, f"{name}:/srv")
        run(docker, "exec", name, "chown", "-R", f"{user}:", "/srv/image-dreamer")
        yield name, user
    finally:
        run(docker, "rm", "--force", name)


@pytest.mark.parametrize("machine", [("trixie", "root"), ("bookworm", "somebody")], ids=" ".join, indirect=True)
def test_the_test_command(docker: str, machine: tuple[str, str], tell: Callable[[str], None]) -> None:
    """Nothing fails, and a few lines say what is skipped and why. CI=true, which allows no skips, is not passed on."""
    name, user = machine
    began = time.monotonic()
    done = run(docker, "exec", "--user", user, "--workdir", "/srv/image-dreamer", name, "tests/run", ok=False,
               timeout=1800)
    skipped = re.findall(r"^SKIPPED \[\d+\] .+", done.stdout, re.M)
    tell("\n".join([*skipped, done.stdout.splitlines()[-1], f"with its setup: {time.monotonic() - began:.0f} s"]))
    failures = done.stdout.find("= FAILURES =")  # before it, pages of dots
    assert done.returncode == 0, done.stdout[max(failures, 0):][:20000] + done.stderr[-4000:]
    assert int(search(r" (\d+) passed", done.stdout)[1]) > 800
    assert 0 < len(skipped) < 35
