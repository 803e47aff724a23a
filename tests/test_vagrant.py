"""`vagrant up --provider=docker` for real, and the Vagrantfile's settings for providers that are not installed."""

import hashlib
import http.server
import json
import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from client import Client
from commands import of_kind
from containers import OWNER, WEIGHTS, Vagrant, checkout, drop_weights, run
from helpers import ROOT, search, start, wait_for

pytestmark = pytest.mark.container


@pytest.fixture(scope="module")
def vagrant() -> None:
    if not shutil.which("vagrant"):
        pytest.skip("no vagrant here: apt-get install vagrant")


@pytest.fixture(scope="module")
def machine(vagrant: None, docker: str, base: str, image: str, photo: Path,
            tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vagrant]:
    """A running machine; its folder is a checkout with a photo, and belongs to OWNER. It is destroyed afterwards."""
    folder = checkout(tmp_path_factory.mktemp("vagrant") / "a folder with spaces")
    shutil.copy(photo, folder / "photo.jpg")
    drop_weights(folder)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, *OWNER)
    # a client with BuildKit, so that the engine caches the image's layers
    programs = f"{os.path.dirname(docker)}:{os.environ['PATH']}"
    up = Vagrant(folder, DREAMER_BOX=base, DOCKER_BUILDKIT="1", PATH=programs)
    try:
        up("up", "--provider=docker")
        yield up
    finally:
        up("destroy", "--force")
    assert (folder / WEIGHTS).exists()  # in the shared folder, so that the next `up` has them


def test_as_in_the_post(machine: Vagrant) -> None:
    """The exact commands of 2015; the dream is in the folder, and belongs to its owner."""
    said = machine.ssh("cd /vagrant && python dreamify.py photo.jpg dream.png inception_3b/output 2 2").stdout
    assert "inception_3b/output" in said
    dream = machine.folder / "dream.png"
    assert (dream.stat().st_uid, dream.stat().st_gid) == OWNER


def test_as_in_the_readme(machine: Vagrant) -> None:
    """The README's block, line by line: the first lines are typed here, those after `vagrant ssh` in the machine."""
    (machine.folder / "dream.png").unlink(missing_ok=True)
    here, _, there = "\n".join(command.line for command in of_kind("vagrant")).partition("vagrant ssh\n")
    script = f"{here}vagrant ssh --no-tty <<'THERE'\n{there}\nTHERE"
    run("bash", "-ec", script, cwd=machine.folder, timeout=600,
        env=machine.environment | {"VAGRANT_DEFAULT_PROVIDER": "docker"})
    dream = machine.folder / "dream.png"
    assert (dream.stat().st_uid, dream.stat().st_gid) == OWNER


def test_a_login_lands_in_the_folder(machine: Vagrant) -> None:
    assert machine.ssh("pwd").stdout.strip() == "/vagrant"


def test_dreamify_works_anywhere(machine: Vagrant) -> None:
    assert len(machine.ssh("cd /tmp && dreamify keys").stdout.split()) == 81


def test_advice_is_for_the_machine(machine: Vagrant) -> None:
    """It names commands that work in the machine, and the shared folder."""
    said = machine.ssh("cd /tmp && dreamify photo.jpg dream.png nolayer", ok=False).stderr
    assert "list them with: /vagrant/dreamify.py keys" in said
    assert "the folder with the Vagrantfile is /vagrant" in said
    assert "run /vagrant/provision.sh film" in machine.ssh(
        "cd /tmp && dreamify /vagrant/photo.jpg film.mp4 --zoom 2", ok=False).stderr
    assert "dreamify" in machine.ssh("cd /tmp && python -c 'import dreamify; print(dreamify.__name__)'").stdout


def test_caffe_is_there_to_tinker_with(machine: Vagrant) -> None:
    assert machine.ssh("python -c 'import caffe; print(caffe.Net.__name__)'").stdout.strip() == "Net"


def test_the_studio(docker: str, machine: Vagrant) -> None:
    """As in the manual: the page answers at the port that Vagrant forwards, on this computer's loopback alone."""
    number = (machine.folder / ".vagrant/machines/default/docker/id").read_text()
    forwarded = run(docker, "port", number, "8420").stdout.strip()
    assert forwarded.startswith("127.0.0.1:")
    process = start(["vagrant", "ssh", "--no-tty", "-c", "dreamify studio"], cwd=machine.folder,
                    env=machine.environment)
    try:
        url = search(r"(http://\S+\?token=\S+)", wait_for(process, "?token="))[1]
        client = Client(url, int(forwarded.rpartition(":")[2]))
        sample = client.json("POST", "/samples/raccoon.jpg")["name"]
        dream = machine.folder / client.dream({"photo": sample, "model": "daydream", "max_size": 160})
        assert (dream.stat().st_uid, dream.stat().st_gid) == OWNER
    finally:
        machine.ssh("pkill -INT -f 'dreamify studio'", ok=False)
        process.communicate(timeout=30)


def test_provisioning_again_finds_all_done(machine: Vagrant) -> None:
    (machine.folder / WEIGHTS).unlink()
    said = machine("provision").stdout
    assert "Caffe: already installed" in said
    assert "packages for building Caffe" not in said
    weights = (machine.folder / WEIGHTS).stat()  # from the image, without a download
    assert (weights.st_uid, weights.st_gid) == OWNER


def test_halt_and_up(machine: Vagrant) -> None:
    machine("halt")
    machine("up")
    machine.ssh("cd /vagrant && python dreamify.py photo.jpg again.png inception_3b/output 1 1")
    assert (machine.folder / "again.png").exists()


def own_state(tmp_path: Path) -> dict[str, str]:
    """Environment variables that keep vagrant's own files out of the checkout and the home folder."""
    return {"VAGRANT_HOME": f"{tmp_path}/home", "VAGRANT_DOTFILE_PATH": f"{tmp_path}/dot"}


def test_validate(vagrant: None, docker: str, tmp_path: Path) -> None:
    """`vagrant validate`, with the only provider that is installed."""
    run("vagrant", "validate", cwd=ROOT, env=os.environ | own_state(tmp_path) | {"VAGRANT_DEFAULT_PROVIDER": "docker"})


# Vagrant's own loader reads the file for each provider. If a provider's plugin is not installed, a class with
# the settings of its documentation stands in for it.
SETTINGS = r"""
require "json"
require "vagrant"
class Settings < Vagrant.plugin("2", :config)
  attr_accessor :memory, :cpus, :vmx, :driver, :cpu_mode, :cpu_model, :memory_backing
  def initialize; @vmx = {}; @memory_backing = {}; end
  def memorybacking(name, value) = @memory_backing[name] = value
end
%i[libvirt parallels vmware_desktop].each do |name|
  next if Vagrant.plugin("2").manager.provider_configs[name]
  Class.new(Vagrant.plugin("2")) do
    name("stand-in for #{name}")
    config(name, :provider) { Settings }
    provider(name) { Class.new(Vagrant.plugin("2", :provider)) }
  end
end
environment = Vagrant::Environment.new(cwd: ARGV[0])
told = %i[virtualbox libvirt parallels vmware_desktop docker].to_h do |name|
  config = environment.vagrantfile.machine_config(:default, name, nil, nil, false)[:config]
  of_provider = config.vm.get_provider_config(name)
  settings = { box: config.vm.box, url: config.vm.box_url&.first, version: config.vm.box_version,
               sha256: config.vm.box_download_checksum,
               folder: config.vm.synced_folders.dig("/vagrant", :type)&.to_s }
  %i[memory cpus customizations driver cpu_model vmx build_args has_ssh].each do |key|
    settings[key] = of_provider.public_send(key) if of_provider.respond_to?(key)
  end
  [name, settings]
end
puts JSON.generate(told)
"""


@pytest.fixture
def project(vagrant: None, tmp_path: Path) -> Path:
    """A folder with the Vagrantfile and no box."""
    (tmp_path / "a project").mkdir()
    shutil.copy(ROOT / "Vagrantfile", tmp_path / "a project")
    return tmp_path / "a project"


def settings(project: Path, *words: str, **environment: str) -> dict[str, Any]:
    """{provider: its settings in the Vagrantfile}; `words` are those of vagrant's command line."""
    script = project.parent / "settings.rb"
    script.write_text(SETTINGS)
    done = run("ruby", script, project, *words, env=os.environ | own_state(project.parent) | environment)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def virtualbox_size(told: dict[str, Any]) -> tuple[str, int]:
    """(memory, cpus) in the form that VBoxManage would get."""
    given = {words[2]: words[3] for _, words in told["virtualbox"]["customizations"]}
    return given["--memory"], given["--cpus"]


def test_every_provider_gets_its_size(project: Path) -> None:
    told = settings(project)
    assert virtualbox_size(told) == ("2048", os.cpu_count())
    for name in ("libvirt", "parallels"):
        assert (told[name]["memory"], told[name]["cpus"]) == (2048, os.cpu_count())
    assert told["vmware_desktop"]["vmx"] == {"memsize": "2048", "numvcpus": str(os.cpu_count())}
    for name in ("virtualbox", "libvirt", "parallels", "vmware_desktop"):
        assert told[name]["box"] == "bento/debian-13"
        assert told[name]["version"].count(".") == 2  # pinned
    assert told["docker"]["box"] is None
    assert told["docker"]["has_ssh"]
    assert told["libvirt"]["folder"] == "virtiofs"  # changes are visible on both sides at once


def test_environment_variables(project: Path) -> None:
    (project / "image-dreamer-virtualbox.box").touch()
    told = settings(project, DREAMER_MEMORY="4096", DREAMER_CPUS="3", DREAMER_BOX="my.box", DREAMER_DRIVER="qemu",
                    DREAMER_RELEASE="")
    assert virtualbox_size(told) == ("4096", 3)
    assert (told["libvirt"]["memory"], told["libvirt"]["cpus"]) == (4096, 3)
    assert told["virtualbox"]["box"] == "my.box"
    assert told["virtualbox"]["version"] is None  # a box from a file has no version
    assert told["docker"]["build_args"] == ["--target", "vagrant", "--build-arg", "BASE=my.box",
                                            "--build-arg", "DREAMER_RELEASE="]
    assert (told["libvirt"]["driver"], told["libvirt"]["cpu_model"]) == ("qemu", "Nehalem")


def test_our_own_box_comes_first(project: Path) -> None:
    """The box of each provider has its own name. If it is made again, it is a new box for Vagrant."""
    own = project / "image-dreamer-libvirt.box"
    own.touch()
    told = settings(project)
    assert told["libvirt"]["box"].startswith("image-dreamer-2")
    assert (told["libvirt"]["url"], told["libvirt"]["version"]) == (str(own), None)
    assert (told["virtualbox"]["box"], told["virtualbox"]["url"]) == ("bento/debian-13", None)
    os.utime(own, (0, 0))
    assert settings(project)["libvirt"]["box"] != told["libvirt"]["box"]


class Noting(http.server.SimpleHTTPRequestHandler):
    """A server of the files of a folder, which notes what it is asked for."""

    asked: ClassVar[list[str]] = []

    def log_message(self, *words: object) -> None:
        """Note the request."""
        self.asked.append(str(words[1]))


@pytest.fixture
def published(project: Path) -> Iterator[tuple[str, str]]:
    """(URL, sha256) of a release with a box for libvirt, which the project lists; the server runs on this machine."""
    folder = project.parent / "published"
    folder.mkdir()
    (folder / "image-dreamer-libvirt.box").write_text("a box")
    sha256 = hashlib.sha256(b"a box").hexdigest()
    Noting.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Noting, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        (project / "dreamer/machine").mkdir(parents=True)
        (project / "dreamer/machine/finished.txt").write_text(
            f"# a comment\nrelease v1 {url}\n{sha256}  image-dreamer-libvirt.box\n")
        yield url, sha256
        server.shutdown()


def test_the_releases_box_is_taken_by_its_checksum(project: Path, published: tuple[str, str]) -> None:
    """By `vagrant up` alone: other commands ask no server, unless Vagrant has the box already."""
    url, sha256 = published
    told = settings(project, "up")
    assert told["libvirt"]["box"] == f"image-dreamer-{sha256[:12]}"
    assert told["libvirt"]["url"] == f"{url}/image-dreamer-libvirt.box"
    assert (told["libvirt"]["sha256"], told["libvirt"]["version"]) == (sha256, None)
    assert (told["virtualbox"]["box"], told["virtualbox"]["sha256"]) == ("bento/debian-13", "")  # it is not listed
    assert told["docker"]["box"] is None
    assert Noting.asked == ["HEAD /image-dreamer-libvirt.box HTTP/1.1"]
    assert settings(project)["libvirt"]["box"] == "bento/debian-13"
    (project.parent / "home/boxes" / f"image-dreamer-{sha256[:12]}").mkdir(parents=True)
    assert settings(project)["libvirt"]["box"] == f"image-dreamer-{sha256[:12]}"
    (project / "image-dreamer-libvirt.box").touch()
    assert settings(project, "up")["libvirt"]["url"] == str(project / "image-dreamer-libvirt.box")
    assert len(Noting.asked) == 1


def test_without_an_answer_the_public_registry_is_next(project: Path, published: tuple[str, str]) -> None:
    for place in ("http://127.0.0.1:1", "http://no-such-host.invalid", f"{published[0]}/absent", "", "/nowhere",
                  "http://"):
        assert settings(project, "up", DREAMER_RELEASE=place)["libvirt"]["box"] == "bento/debian-13", place
    folder = project.parent / "published"
    for place in (str(folder), folder.as_uri()):
        told = settings(project, "up", DREAMER_RELEASE=place)["libvirt"]
        assert told["url"] == f"{place}/image-dreamer-libvirt.box"
