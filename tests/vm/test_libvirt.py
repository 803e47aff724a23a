"""`vagrant up --provider=libvirt` for real: our box, in a machine that QEMU emulates, without Internet access."""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from containers import OWNER, Vagrant, checkout, drop_weights, last_line, run
from helpers import ROOT, pixels

pytestmark = [pytest.mark.container, pytest.mark.vm]

LIBVIRT = ROOT / "tests/vm/libvirt.sh"
PACKAGES = {"libvirtd": "libvirt-daemon-system", "dnsmasq": "dnsmasq-base", "iptables": "iptables",
            "qemu-system-x86_64": "qemu-system-x86", "vagrant": "vagrant-libvirt", "mmdebstrap": "mmdebstrap",
            "mcopy": "mtools", "sfdisk": "fdisk", "syslinux": "syslinux"}
DREAM = "cd /vagrant && python dreamify.py photo.jpg {} inception_3b/output 1 1"


@pytest.fixture(scope="module")
def libvirt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[object, ...]]:
    """A command prefix that gives the command its own libvirt."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to start libvirt and to make a box")
    absent = [package for tool, package in PACKAGES.items() if not shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin")]
    if absent or "vagrant-libvirt" not in run("vagrant", "plugin", "list").stdout:
        pytest.skip(f"needs more packages: apt-get install vagrant-libvirt {' '.join(absent)}")
    environment = os.environ | {"DREAMER_LIBVIRT": str(tmp_path_factory.mktemp("libvirt"))}
    words = ("env", f"DREAMER_LIBVIRT={environment['DREAMER_LIBVIRT']}", LIBVIRT)
    started = run(*words, "start", ok=False)
    if started.returncode:
        pytest.skip(f"libvirt cannot be started here: {last_line(started.stderr)}")
    yield (*words, "run")
    run(*words, "remove")


@pytest.fixture(scope="module")
def machine(libvirt: tuple[object, ...], caffe: Path, tell: Callable[[str], None],
            tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vagrant]:
    """A machine after its first `up`, from a box that was just made, in a checkout that belongs to OWNER."""
    folder = checkout(tmp_path_factory.mktemp("vm") / "a folder with spaces")
    shutil.copytree(caffe, folder / ".cache")
    Image.open(ROOT / "tests/pictures/sky.jpg").resize((96, 64)).save(folder / "photo.jpg")
    drop_weights(folder)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, *OWNER)
    began = time.monotonic()
    run(folder / "dreamer/machine/box.sh", "libvirt", timeout=1800)
    box = folder / "image-dreamer-libvirt.box"
    tell(f"box for libvirt: {box.stat().st_size / 1e6:.0f} MB after {time.monotonic() - began:.0f} s")
    assert box.stat().st_size < 220e6
    assert (box.stat().st_uid, box.stat().st_gid) == OWNER
    up = Vagrant(folder, libvirt, DREAMER_DRIVER="qemu")
    try:
        began = time.monotonic()
        said = up("up", "--provider=libvirt").stdout
        tell(f"vagrant up: {time.monotonic() - began:.0f} s")
        assert "Caffe: installed in /opt/image-dreamer, from .cache/" in said
        assert "installing" not in said
        assert "check: dreamed a small picture" in said
        yield up
    finally:
        up("destroy", "--force", ok=False)


def test_as_in_the_post(machine: Vagrant, tell: Callable[[str], None]) -> None:
    """The exact commands of 2015; the dream is in the host's folder, and belongs to its owner."""
    began = time.monotonic()
    said = machine.ssh(DREAM.format("dream.png")).stdout
    tell(f"a dream of 96×64, 1 step: {time.monotonic() - began:.0f} s")
    assert "inception_3b/output" in said
    dream = machine.folder / "dream.png"
    assert (dream.stat().st_uid, dream.stat().st_gid) == OWNER
    assert np.abs(np.float64(pixels(dream)) - pixels(machine.folder / "photo.jpg")).mean() > 0.5


def test_the_same_caffe_dreams_without_avx(machine: Vagrant, docker: str, image: str) -> None:
    """The guest has no AVX; the container has all instructions of this machine, which native/tests test one by one."""
    assert machine.ssh("grep -cw avx /proc/cpuinfo", ok=False).stdout.strip() == "0"
    library = "sha256sum /opt/image-dreamer/lib/libcaffe.so.*"
    here = run(docker, "run", "--rm", "--entrypoint", "sh", image, "-c", library).stdout
    assert machine.ssh(library).stdout == here
    machine.ssh(DREAM.format("guest.png") + " --seed 1")
    run(docker, "run", "--rm", "--volume", f"{machine.folder}:/vagrant", image, "photo.jpg", "host.png",
        "inception_3b/output", "1", "1", "--seed", "1")
    difference = np.float64(pixels(machine.folder / "guest.png")) - pixels(machine.folder / "host.png")
    assert np.square(difference).mean() < 0.01


def test_watching_what_the_host_changes(machine: Vagrant) -> None:
    """A guest gets no notice of changes that the host makes in a shared folder."""
    (machine.folder / "pictures").mkdir()
    os.chown(machine.folder / "pictures", *OWNER)
    watching = "cd /vagrant/pictures && echo $$ >/tmp/watching && exec dreamify --watch . . inception_3b/output 1 1"
    command = [str(word) for word in machine.before]
    with subprocess.Popen([*command, "vagrant", "ssh", "--no-tty", "--command", watching], cwd=machine.folder,
                          env=machine.environment, stdout=subprocess.PIPE, text=True) as watch:
        try:
            dream = machine.folder / "pictures/late-dream.jpg"
            assert watch.stdout
            assert watch.stdout.readline()  # it is running
            shutil.copy(machine.folder / "photo.jpg", machine.folder / "pictures/late.jpg")
            until = time.monotonic() + 240
            while not dream.exists() and time.monotonic() < until:
                time.sleep(0.5)
            assert Image.open(dream).size == (96, 64)
            assert dream.stat().st_uid == OWNER[0]
        finally:
            machine.ssh("kill -INT $(cat /tmp/watching)")
            assert watch.wait(60) == 130


def test_halt_and_up(machine: Vagrant, tell: Callable[[str], None]) -> None:
    machine("halt")
    began = time.monotonic()
    said = machine("up").stdout
    tell(f"vagrant up again: {time.monotonic() - began:.0f} s")
    assert "Running provisioner" not in said
    machine.ssh(DREAM.format("again.png"))
    assert (machine.folder / "again.png").exists()


def test_a_new_machine_builds_and_fetches_nothing(machine: Vagrant, tell: Callable[[str], None]) -> None:
    """It uses .cache/ and models/, with half the memory, and a clock that is first years slow, then years fast."""
    weights = (machine.folder / "models/bvlc_googlenet/bvlc_googlenet.caffemodel").stat()
    machine("destroy", "--force")
    machine.environment["DREAMER_MEMORY"] = "1024"
    machine("up", "--provider=libvirt", "--no-provision")
    assert int(machine.ssh("awk '/MemTotal/ {print $2}' /proc/meminfo").stdout) < 1.05e6
    machine.ssh("sudo date --set 2019-07-01")
    began = time.monotonic()
    said = machine("provision").stdout
    tell(f"provisioning with 1 GB of memory: {time.monotonic() - began:.0f} s")
    assert "Caffe: installed in /opt/image-dreamer, from .cache/" in said
    assert "installing" not in said
    assert (machine.folder / "models/bvlc_googlenet/bvlc_googlenet.caffemodel").stat().st_mtime == weights.st_mtime
    machine.ssh(DREAM.format("slow.png"))
    machine.ssh("sudo date --set 2036-07-01")
    assert "Caffe: already installed" in machine("provision").stdout
    machine.ssh(DREAM.format("fast.png"))
    assert {(machine.folder / name).stat().st_uid for name in ("slow.png", "fast.png")} == {OWNER[0]}


def test_the_box_of_a_release_when_the_registry_is_closed(machine: Vagrant, libvirt: tuple[object, ...],
                                                         tmp_path: Path) -> None:
    """After 2026, with the box on a server of the release and its checksum in the clone; not with another box."""
    name = "image-dreamer-libvirt.box"
    later = tmp_path / "later.rb"
    later.write_text("class Time; def year = 2027; end\n")
    project = tmp_path / "project"
    (project / "dreamer/machine").mkdir(parents=True)
    shutil.copy(ROOT / "Vagrantfile", project)
    listed = project / "dreamer/machine/finished.txt"
    server = [*map(str, libvirt), "/usr/bin/python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "8421"]
    up = Vagrant(project, libvirt, DREAMER_DRIVER="qemu", RUBYOPT=f"-r{later}", DREAMER_RELEASE="http://127.0.0.1:8421")
    with subprocess.Popen(server, cwd=machine.folder, stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout
            assert "Serving" in serving.stdout.readline()
            listed.write_text(f"{'0' * 64}  {name}\n")
            wrong = up("up", "--provider=libvirt", "--no-provision", ok=False)
            assert wrong.returncode == 1
            assert "checksum" in wrong.stderr
            listed.write_text(f"{hashlib.sha256((machine.folder / name).read_bytes()).hexdigest()}  {name}\n")
            up("up", "--provider=libvirt", "--no-provision")
            assert up.ssh("cat /etc/hostname").stdout.strip() == "image-dreamer"
        finally:
            serving.terminate()
            up("destroy", "--force", ok=False)


def test_what_to_do_when_the_registry_is_closed(libvirt: tuple[object, ...], tmp_path: Path) -> None:
    """After 2026, a user without a box gets one line that says what to do."""
    later = tmp_path / "later.rb"
    later.write_text("class Time; def year = 2027; end\n")
    shutil.copy(ROOT / "Vagrantfile", tmp_path)
    up = Vagrant(tmp_path, libvirt, DREAMER_DRIVER="qemu", RUBYOPT=f"-r{later}")("up", "--provider=libvirt", ok=False)
    assert up.returncode == 1
    (line,) = up.stderr.strip().splitlines()
    assert "sudo dreamer/machine/box.sh libvirt" in line
