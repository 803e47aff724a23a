"""The box for VirtualBox, as far as it can be tested without VirtualBox: it is made in our container, Vagrant unpacks
it, its description is checked, and its disk boots on hardware like VirtualBox's."""

import glob
import os
import re
import shutil
import socket
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from containers import OWNER, Vagrant, checkout, run

pytestmark = [pytest.mark.container, pytest.mark.vm]

Ssh: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]  # takes a command

CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
NAMES = {"": "http://schemas.dmtf.org/ovf/envelope/1", "ovf": "http://schemas.dmtf.org/ovf/envelope/1", "rasd": CIM,
         "vssd": CIM.replace("Resource", "Virtual").replace("Allocation", "System")}
OVF = f"{{{NAMES['ovf']}}}"


@pytest.fixture(scope="module")
def checked_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = checkout(tmp_path_factory.mktemp("box") / "a folder with spaces")
    os.chown(folder, *OWNER)
    return folder


@pytest.fixture(scope="module")
def box(docker: str, base: str, checked_out: Path) -> Path:
    """Path of a box that was made in a container without extra rights."""
    run(docker, "build", "--tag", "dreamer-box:test", "--target", "box", "--build-arg", f"BASE={base}", checked_out,
        env=os.environ | {"DOCKER_BUILDKIT": "1"}, timeout=1800)
    said = run(docker, "run", "--rm", "--volume", f"{checked_out}:/vagrant", "dreamer-box:test", "virtualbox",
               timeout=1800).stdout
    path = checked_out / "image-dreamer-virtualbox.box"
    assert run("sha256sum", path).stdout.split()[0] == said.split()[-2]
    return path


@pytest.fixture(scope="module")
def unpacked(box: Path, checked_out: Path) -> str:
    """The folder into which Vagrant unpacks the box after its own checks."""
    if not shutil.which("vagrant"):
        pytest.skip("no vagrant here: apt-get install vagrant")
    vagrant = Vagrant(checked_out)
    vagrant("box", "add", "--provider", "virtualbox", "--name", "dreamer", box)
    (folder,) = glob.glob(f"{vagrant.environment['VAGRANT_HOME']}/boxes/dreamer/0/virtualbox")
    return folder


@pytest.fixture(scope="module")
def envelope(unpacked: str) -> ET.Element:
    return ET.parse(f"{unpacked}/box.ovf").getroot()


def child(element: ET.Element, path: str) -> ET.Element:
    """The element at a path below an element; there must be one."""
    found = element.find(path, NAMES)
    assert found is not None, path
    return found


def test_size_and_owner(box: Path) -> None:
    assert box.stat().st_size < 220e6
    assert (box.stat().st_uid, box.stat().st_gid) == OWNER


def test_its_description_has_what_virtualbox_reads(envelope: ET.Element, unpacked: str) -> None:
    if not shutil.which("qemu-img"):
        pytest.skip("no qemu-img here: apt-get install qemu-utils")
    assert envelope.tag == OVF + "Envelope"
    (file,) = envelope.findall("References/File", NAMES)
    disk_path = f"{unpacked}/{file.attrib[OVF + 'href']}"
    assert os.path.getsize(disk_path) == int(file.attrib[OVF + "size"])
    (disk,) = envelope.findall("DiskSection/Disk", NAMES)
    assert disk.attrib[OVF + "fileRef"] == file.attrib[OVF + "id"]
    assert disk.attrib[OVF + "format"].endswith("vmdk.html#streamOptimized")
    told = run("qemu-img", "info", disk_path).stdout
    assert f"({disk.attrib[OVF + 'capacity']} bytes)" in told
    assert "create type: streamOptimized" in told
    assert f"cid: {0x64726d72}\n" in told  # it is the same in each build
    system = child(envelope, "VirtualSystem")
    assert re.fullmatch(r"[\w-]+", system.attrib[OVF + "id"])  # Vagrant finds it by its quotes, and uses it in paths
    assert child(system, "OperatingSystemSection").attrib[OVF + "id"] == "96"  # Debian, 64 bits
    assert child(system, ".//vssd:VirtualSystemType").text == "virtualbox-2.2"
    items = [{part.tag.rpartition("}")[2]: part.text or "" for part in item}
             for item in system.iterfind("VirtualHardwareSection/Item", NAMES)]
    assert len({item["InstanceID"] for item in items}) == len(items)
    assert all(list(item) == sorted(item) for item in items)  # the order of the schema
    of_type = {int(item["ResourceType"]): item for item in items}
    assert set(of_type) == {3, 4, 10, 17, 20}  # processors, memory, network, disk, SATA
    assert int(of_type[3]["VirtualQuantity"]) > 1
    assert of_type[20]["ResourceSubType"] == "AHCI"
    assert of_type[17]["Parent"] == of_type[20]["InstanceID"]
    assert of_type[17]["HostResource"] == f"ovf:/disk/{disk.attrib[OVF + 'diskId']}"
    assert of_type[10]["ResourceSubType"] == "E1000"
    assert of_type[10]["Connection"] == child(envelope, "NetworkSection/Network").attrib[OVF + "name"] == "NAT"


@pytest.fixture(scope="module")
def ssh(unpacked: str,
        tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    """Function that runs a command in the machine: the box's disk on SATA, an Intel network card, a BIOS, no more."""
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("no QEMU here: apt-get install qemu-system-x86")
    folder = tmp_path_factory.mktemp("machine")
    key = shutil.copy(f"{unpacked}/../../../../insecure_private_key", folder)  # Vagrant's, which everybody has
    os.chmod(key, 0o600)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    machine = subprocess.Popen(
        ["qemu-system-x86_64", "-nodefaults", "-machine", "pc,accel=tcg", "-cpu", "Nehalem", "-smp", "2", "-m", "1024",
         "-vga", "std", "-display", "none", "-device", "ahci,id=sata", "-device", "ide-hd,bus=sata.0,drive=disk",
         "-drive", f"id=disk,if=none,format=vmdk,snapshot=on,file={glob.glob(f'{unpacked}/*.vmdk')[0]}",
         "-device", "e1000,netdev=nat", "-netdev", f"user,id=nat,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"],
        env=os.environ | {"TMPDIR": str(folder)})

    def ssh(command: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        return run("ssh", "-q", "-i", key, "-p", port, "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
                   "-o", f"UserKnownHostsFile={folder}/known", "-o", "ConnectTimeout=20", "vagrant@127.0.0.1", command,
                   ok=ok)

    try:
        until = time.monotonic() + 600
        while ssh("true", ok=False).returncode and time.monotonic() < until:
            assert machine.poll() is None
            time.sleep(1)
        yield ssh
    finally:
        machine.kill()
        machine.wait()


def test_it_starts_on_such_hardware(ssh: Ssh) -> None:
    assert ssh("findmnt -no SOURCE /").stdout.strip() == "/dev/sda2"
    assert ssh("basename $(readlink /sys/class/net/eth0/device/driver)").stdout.strip() == "e1000"
    assert ssh("systemctl is-system-running --wait", ok=False).stdout.strip() == "running"
    assert ssh("sudo id -un").stdout.strip() == "root"


def test_the_kernel_can_share_the_folder(ssh: Ssh) -> None:
    """Vagrant's command that mounts it. Without VirtualBox outside, the module finds no device; all else works."""
    ssh("sudo mkdir -p /vagrant && sudo modprobe vboxguest")
    owners = ssh("echo uid=$(id -u vagrant),gid=$(getent group vagrant | cut -d: -f3)").stdout.strip()
    assert ssh(f"sudo mount -t vboxsf -o {owners},_netdev vagrant /vagrant", ok=False).returncode
    told = ssh("sudo dmesg").stdout
    assert "vboxsf: make sure you are inside a VirtualBox VM" in told
    assert "Unknown parameter" not in told
    alias = ssh("sudo modinfo --field alias vboxguest").stdout
    assert alias.startswith("pci:v000080EEd0000CAFE")  # udev loads the module by this alias
