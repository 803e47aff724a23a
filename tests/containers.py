"""What the container tests share: a Docker engine, a context to build from, the image, a folder to mount."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from helpers import ROOT, SHARED, search

WEIGHTS = "models/bvlc_googlenet/bvlc_googlenet.caffemodel"

TOLD: list[str] = []  # lines for the summary at the end; the next test report takes them

# The owner of a mounted folder: neither root nor the usual first user.
OWNER = (1234, 5678) if os.geteuid() == 0 else (os.getuid(), os.getgid())


def run(*command: object, ok: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command; returns its subprocess.CompletedProcess, with text.

    Fails the test if the command fails, unless `ok` is False."""
    options = {"capture_output": True, "text": True, "timeout": 300} | options
    done = subprocess.run([str(word) for word in command], check=False, **options)
    if ok and done.returncode:
        pytest.fail(f"{' '.join(map(str, command))}: exit code {done.returncode}\n"
                    f"{(done.stdout or '')[-4000:]}\n{(done.stderr or '')[-4000:]}", pytrace=False)
    return done


def last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def builds_with_buildkit(client: str) -> bool:
    """Whether this docker client can build with BuildKit: newer clients need a plugin for it."""
    return run(client, "build", "--help", ok=False, env=os.environ | {"DOCKER_BUILDKIT": "1"}).returncode == 0


@pytest.fixture(scope="session")
def docker() -> Iterator[str]:
    """Path of the docker client. An engine answers it, and DOCKER_HOST is set."""
    clients = [path for path in (shutil.which("docker"), "/usr/bin/docker") if path and os.path.exists(path)]
    if not clients:
        pytest.skip("no docker client: apt-get install docker.io iptables mmdebstrap")
    client = next(filter(builds_with_buildkit, clients), None)
    if not client:
        pytest.skip("this docker client has no BuildKit: install its plugin buildx")
    engine = ROOT / "tests/engine.sh"
    none = run(client, "info", ok=False).returncode != 0
    if none and (os.geteuid() != 0 or not shutil.which("dockerd")):
        pytest.skip("no Docker engine answers; starting one takes root and the packages docker.io iptables mmdebstrap")
    before = os.environ.get("DOCKER_HOST")
    leave = run(engine, "running", ok=False).returncode == 0
    if none:
        started = run(engine, "start", ok=False)
        if started.returncode:
            pytest.skip(f"no Docker engine can be started here: {last_line(started.stderr)}")
        os.environ["DOCKER_HOST"] = started.stdout.strip()
    os.environ.setdefault("DOCKER_HOST", "")
    yield client
    if none and not leave:
        run(engine, "stop")
    os.environ.pop("DOCKER_HOST")
    if before is not None:
        os.environ["DOCKER_HOST"] = before


def debian(docker: str, name: str) -> str:
    """The image debian:SUITE-slim, with or without digest; if no hub answers, a similar one from Debian's packages."""
    if run(docker, "pull", "--quiet", name, ok=False).returncode == 0:
        return name
    if not shutil.which("mmdebstrap"):
        pytest.skip("no hub answers, and there is no mmdebstrap to make a base image with")
    made = run(ROOT / "tests/engine.sh", "base", search(r"^debian:(\w+)-slim", name)[1], ok=False)
    if made.returncode:
        pytest.skip(f"no hub answers, and no base image can be made here: {last_line(made.stderr)}")
    return made.stdout.strip()


@pytest.fixture(scope="session")
def base(docker: str) -> str:
    """The image that ours is built on: the value of DREAMER_BASE, else the pinned image; if no hub answers, the same
    Debian made from its packages."""
    if os.environ.get("DREAMER_BASE"):
        return os.environ["DREAMER_BASE"]
    return debian(docker, search(r"^ARG BASE=(\S+)", (ROOT / "Dockerfile").read_text(), re.M)[1])


def checkout(folder: Path) -> Path:
    """Copy all files that git tracks or would add into `folder`: a clean clone of the work tree as it is."""
    files = run("git", "-C", ROOT, "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others",
                "--exclude-standard", ok=False)
    if files.returncode:
        pytest.skip("this is no git checkout")
    for name in filter(None, files.stdout.split("\0")):
        if (ROOT / name).exists():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    return folder


def drop_weights(folder: Path) -> None:
    """Copy the weights into a checkout if this machine has them; otherwise they will be downloaded when needed."""
    for place in (os.environ.get("BVLC_GOOGLENET"), ROOT / WEIGHTS, SHARED / WEIGHTS):
        if place and os.path.isfile(place):
            shutil.copyfile(place, folder / WEIGHTS)
            break


class Vagrant:
    """vagrant in one folder, with its own environment. `before`: words to put before the command."""

    def __init__(self, folder: Path, before: Sequence[object] = (), **environment: str) -> None:
        self.folder = folder
        self.before = before
        self.environment = os.environ | {"VAGRANT_HOME": f"{folder}.vagrant.d", "VAGRANT_CHECKPOINT_DISABLE": "1"}
        self.environment |= environment

    def __call__(self, *words: object, ok: bool = True) -> subprocess.CompletedProcess[str]:
        return run(*self.before, "vagrant", *words, ok=ok, cwd=self.folder, env=self.environment, timeout=3600)

    def ssh(self, command: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        return self("ssh", "--no-tty", "--command", command, ok=ok)


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to build from: a checkout with the weights."""
    folder = checkout(tmp_path_factory.mktemp("context"))
    drop_weights(folder)
    return folder


@pytest.fixture(scope="session")
def image(docker: str, base: str, context: Path) -> str:
    """The id of our image, built with BuildKit; the engine's cache makes a second run short."""
    began = time.monotonic()
    run(docker, "build", "--tag", "image-dreamer:test", "--build-arg", f"BASE={base}", context,
        env=os.environ | {"DOCKER_BUILDKIT": "1"}, timeout=3600)
    name = run(docker, "image", "inspect", "--format", "{{.Id}}", "image-dreamer:test").stdout.strip()
    size = int(run(docker, "image", "inspect", "--format", "{{.Size}}", name).stdout)
    TOLD.append(f"image: {size / 1e6:.0f} MB on {base.partition('@')[0]}, built in {time.monotonic() - began:.0f} s")
    return name


@pytest.fixture(scope="session")
def farm_image(docker: str, base: str, context: Path) -> str:
    """The name of our image with what a farm needs."""
    run(docker, "build", "--tag", "image-dreamer:farm", "--build-arg", f"BASE={base}", "--build-arg", "EXTRA=farm",
        context, env=os.environ | {"DOCKER_BUILDKIT": "1"}, timeout=3600)
    return "image-dreamer:farm"


@pytest.fixture(scope="session")
def caffe(docker: str, base: str, context: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder .cache/ with a Caffe built on Debian 13, in a stage of our image, so that it is built only once."""
    folder = tmp_path_factory.mktemp("cache")
    run(docker, "build", "--tag", "image-dreamer:caffe", "--target", "caffe", "--build-arg", f"BASE={base}", context,
        env=os.environ | {"DOCKER_BUILDKIT": "1"}, timeout=3600)
    keep = 'source ./provision.sh && cache=true && log=/dev/null && distribution && into_cache "$(cat key)"'
    run(docker, "run", "--rm", "--volume", f"{folder}:/opt/image-dreamer/.cache", "image-dreamer:caffe",
        "bash", "-c", keep)
    return folder


@pytest.fixture(scope="session")
def tell() -> Callable[[str], None]:
    """Function that adds a line to the summary at the end."""
    return TOLD.append


@pytest.fixture(scope="session")
def photo() -> Path:
    """Path of a photo of about 320×240 pixels."""
    path = SHARED / "photos/flowers.jpg"
    if not path.exists():
        pytest.skip("no ../shared/photos here")
    return path


@pytest.fixture
def folder(tmp_path: Path, photo: Path) -> Path:
    """A folder to mount; it contains photo.jpg and belongs to OWNER."""
    shutil.copy(photo, tmp_path / "photo.jpg")
    os.chmod(tmp_path, 0o755)
    for path in (tmp_path, tmp_path / "photo.jpg"):
        os.chown(path, *OWNER)
    return tmp_path
