"""The image for arm64, made on x86-64. It takes half an hour: only `-m arm64` runs it."""

import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from containers import OWNER, checkout, drop_weights, last_line, run
from dreamer import __version__
from helpers import ROOT, SHARED, pixels, psnr, search

pytestmark = [pytest.mark.arm64, pytest.mark.container, pytest.mark.skipif(
    os.uname().machine != "x86_64" or os.geteuid() != 0, reason="needs root, and an x86-64 that emulates arm64")]

FORMATS = Path("/proc/sys/fs/binfmt_misc")  # the kernel's list of program formats, and of who runs them
KNOWN = FORMATS / "qemu-aarch64"


@pytest.fixture(scope="module")
def emulated() -> Iterator[None]:
    """The kernel gives arm64's programs to qemu, in containers too. What was not so before is not so afterwards."""
    line = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
    if not line.exists() or not shutil.which("qemu-aarch64-static"):
        pytest.skip("no emulator of arm64 for containers: apt-get install qemu-user-static")
    mounts = not (FORMATS / "register").exists()
    if mounts and run("mount", "-t", "binfmt_misc", "binfmt_misc", FORMATS, ok=False).returncode:
        pytest.skip("this kernel has no binfmt_misc, or does not let us mount it")
    registers = not KNOWN.exists()
    if registers:
        (FORMATS / "register").write_text(line.read_text().strip())
    yield
    if registers:
        KNOWN.write_text("-1")
    if mounts:
        run("umount", FORMATS)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the weights, in which release.sh may write."""
    folder = checkout(tmp_path_factory.mktemp("arm64") / "clone")
    drop_weights(folder)
    return folder


@pytest.fixture(scope="module")
def released(docker: str, base: str, emulated: None, clone: Path, tell: Callable[[str], None]) -> Path:
    """The folder with what release.sh makes for arm64: a Caffe, and an image, in which it dreamed."""
    found = os.environ | {"PATH": f"{os.path.dirname(docker)}:{os.environ['PATH']}", "DOCKER_BUILDKIT": "1"}
    other = base
    if base == "dreamer-base:trixie":  # no hub answers, which would have it for both
        made = run(ROOT / "tests/engine.sh", "base", "trixie", "arm64", ok=False, env=found, timeout=7200)
        if made.returncode:
            pytest.skip(f"no base image for arm64 can be made here: {last_line(made.stderr)}")
        other = made.stdout.strip()
    done = run(clone / "dreamer/machine/release.sh", "caffe", "images", timeout=14400,
               env=found | {"DREAMER_ARCH": "arm64", "DREAMER_BASES": base, "DREAMER_BASE": other})
    tell(search(r"image .*-arm64: \d+ MB", done.stdout)[0])
    return clone / "dist"


def test_a_caffe_for_arm64_has_the_form_of_every_finished_caffe(released: Path, tmp_path: Path) -> None:
    (finished,) = released.glob("caffe-debian-13-aarch64-*.tar.gz")
    with tarfile.open(finished) as archive:
        names = archive.getnames()
        archive.extract("lib/libcaffe.so.1.0.0", tmp_path)
        archive.extract("python/caffe/_caffe.so", tmp_path)
        packages = archive.extractfile("packages")
        assert packages
        needed = packages.read().decode().split()
    for name in ("lib/LICENSE.caffe", "models/bvlc_googlenet/deploy.prototxt", "python/caffe/pycaffe.py"):
        assert name in names
    for library in ("lib/libcaffe.so.1.0.0", "python/caffe/_caffe.so"):
        assert (tmp_path / library).read_bytes()[18:20] == b"\xb7\0"  # ELF's number of arm64
    assert {"libc6", "libopenblas0-pthread", "libstdc++6"} < set(needed)
    listed = (released / ".packages" / finished.name).read_text().splitlines()
    assert [line.split("\t")[2] for line in listed] == ["arm64"] * len(needed)


@pytest.mark.usefixtures("released")
def test_the_image_for_arm64_dreams_what_the_reference_says(docker: str, folder: Path) -> None:
    name = f"image-dreamer:{__version__}-arm64"
    start = (docker, "run", "--rm", "--platform", "linux/arm64", "--network", "none")
    assert run(*start, "--entrypoint", "uname", name, "-m").stdout == "aarch64\n"
    run(*start, "--volume", f"{folder}:/vagrant", name, "photo.jpg", "dream.png", "inception_4c/output", "1", "1",
        "1.4", "--seed", "0", timeout=3600)
    assert psnr(pixels(folder / "dream.png"), pixels(SHARED / "reference/flowers-4c-1x1.png")) >= 60
    assert (folder / "dream.png").stat().st_uid == OWNER[0]
