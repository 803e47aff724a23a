"""The place where the program runs, and advice that fits it."""

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dreamer.machine import here
from helpers import ROOT

PLACES = ["", here.CONTAINER, here.SHELL, here.MACHINE]
FOLDER = "/vagrant"
EVERYWHERE = {"/": "overlay", "/proc": "proc", "/dev": "tmpfs", "/dev/pts": "devpts", "/sys": "sysfs",
              "/etc/resolv.conf": "ext4", "/etc/hostname": "ext4", "/etc/hosts": "ext4"}  # every container has these


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Function that sets the place and its mounts, {mount point: type}."""
    def go(place: str, **mounted: str) -> None:
        monkeypatch.setenv("DREAMER_PLACE", place)
        monkeypatch.setattr(here, "_mounts", lambda: EVERYWHERE | mounted)
    return go


# commands ------------------------------------------------------------------------------------------------

def test_without_the_variable_this_is_a_bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DREAMER_PLACE", raising=False)
    assert here.place() == ""
    assert not here.contained()


@pytest.mark.parametrize(("place", "begins"), [
    ("", "./dreamify.py"), (here.MACHINE, "./dreamify.py"), (here.SHELL, "dreamify"),
    (here.CONTAINER, 'docker run --rm -it -v "${PWD}:/vagrant" image-dreamer')])
def test_a_command_begins_as_it_does_there(at: Callable[..., None], monkeypatch: pytest.MonkeyPatch, place: str,
                                           begins: str) -> None:
    at(place)
    monkeypatch.chdir(ROOT)
    assert here.command("keys --looks") == f"{begins} keys --looks"
    assert here.command() == begins


def test_from_another_folder_the_script_is_called_by_its_whole_path(at: Callable[..., None], tmp_path: Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """And for a shell it is one word, whatever the folder's name."""
    at("")
    monkeypatch.chdir(tmp_path)
    assert here.command("keys") == f"{ROOT}/dreamify.py keys"
    clone = tmp_path / "it's a clone"
    clone.mkdir()
    monkeypatch.setattr(here, "_CLONE", clone)
    assert shlex.split(here.command("keys")) == [f"{clone}/dreamify.py", "keys"]
    (tmp_path / "link").symlink_to(clone)
    monkeypatch.chdir(tmp_path / "link")
    assert here.command("keys") == "./dreamify.py keys"


def test_in_a_folder_that_was_removed_too(at: Callable[..., None], tmp_path: Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    at("")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert here.command("keys") == f"{ROOT}/dreamify.py keys"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("step", ["", "film", "model tiny"])
def test_a_step_that_lacks_is_done_where_it_can_be(at: Callable[..., None], monkeypatch: pytest.MonkeyPatch,
                                                   place: str, step: str) -> None:
    """An image cannot be provisioned from inside; it must be built again."""
    at(place)
    monkeypatch.chdir(ROOT)
    told = here.provision(step)
    if place in (here.CONTAINER, here.SHELL):
        assert "build the image again" in told
        assert told.endswith("docker build " + "--build-arg EXTRA=film " * (step == "film") + "-t image-dreamer .")
        assert "provision.sh" not in told
    else:
        assert told == f"run ./provision.sh {step}".rstrip()


@pytest.mark.parametrize("place", PLACES)
def test_weights_are_put_where_they_are_looked_for(at: Callable[..., None], monkeypatch: pytest.MonkeyPatch,
                                                   place: str) -> None:
    at(place)
    monkeypatch.chdir(ROOT)
    told = here.put_weights(Path("/srv/models/tiny"), "t.caffemodel", "DREAMER_WEIGHTS_TINY")
    wanted = {"": "put t.caffemodel into /srv/models/tiny",
              here.CONTAINER: ("put t.caffemodel beside your photos, and add "
                               "-e DREAMER_WEIGHTS_TINY=/vagrant/t.caffemodel"),
              here.SHELL: "put t.caffemodel beside your photos, and add --weights t.caffemodel"}
    assert told.startswith(wanted[place if place in wanted else ""])
    assert here.download_weights("tiny") == ("docker build --build-arg AGAIN=2 -t image-dreamer ."
                                             if place in (here.CONTAINER, here.SHELL) else "./provision.sh model tiny")


# files that would disappear ------------------------------------------------------------------------------

@pytest.mark.parametrize("place", ["", here.MACHINE])
def test_nothing_disappears_outside_a_container(at: Callable[..., None], place: str) -> None:
    at(place)
    assert here.lost("/tmp/dream.png") is None
    assert here.not_mounted("/vagrant/photo.jpg") == ""
    assert bool(here.not_mounted("/home/photo.jpg")) == (place == here.MACHINE)


@pytest.mark.parametrize("place", [here.CONTAINER, here.SHELL])
def test_without_a_mount_everything_does(at: Callable[..., None], place: str) -> None:
    at(place)
    for path in ("/vagrant/dream.png", "/tmp/dream.png", "/etc/hosts", "/dev/shm/dream.png"):
        told = here.lost(path)
        assert told == 'nothing is mounted: add -v "${PWD}:/vagrant" to docker run'
    assert here.not_mounted("photo.jpg") == f"; {told}"


@pytest.mark.parametrize(("mounted", "path", "stays"), [
    ({"/vagrant": "ext4"}, "/vagrant/dream.png", True), ({"/vagrant": "ext4"}, "/vagrant/a/b/dream.png", True),
    ({"/vagrant": "ext4"}, "/vagrant", True), ({"/vagrant": "ext4"}, "/vagrant/../tmp/dream.png", False),
    ({"/vagrant": "fuse.sshfs"}, "/vagrant/dream.png", True), ({"/vagrant": "9p"}, "/tmp/dream.png", False),
    ({"/vagrant": "overlay"}, "/vagrant/dream.png", True),  # as Docker Desktop mounts it
    ({"/vagrant": "ext4"}, "/vagrants/dream.png", False), ({"/pics": "ext4"}, "/vagrant/dream.png", False),
    ({"/pics": "ext4", "/vagrant": "tmpfs"}, "/vagrant/dream.png", False),
    ({"/vagrant": "ext4", "/vagrant/t": "tmpfs"}, "/vagrant/t/dream.png", False),
    ({"/t": "tmpfs", "/t/vagrant": "ext4"}, "/t/vagrant/dream.png", True),
    ({"/vagrant": "ext4"}, "/etc/hosts", False)])
def test_what_is_on_a_mount_stays(at: Callable[..., None], mounted: dict[str, str], path: str, stays: bool) -> None:
    at(here.CONTAINER, **mounted)
    told = here.lost(path)
    assert (told is None) == stays
    assert stays or (told or "").startswith(f"{path} would disappear with the container: ")
    inside = any(os.path.realpath(path).startswith(point) for point in ("/vagrant/", "/pics/", "/t/vagrant/"))
    assert (here.not_mounted(path) == "") == (stays or (inside and "/pics" not in mounted))


def test_it_is_told_which_folders_stay(at: Callable[..., None], tmp_path: Path) -> None:
    for name in ("b", "a", "shm"):
        (tmp_path / name).mkdir()
    (tmp_path / "photo.jpg").touch()
    file = {str(tmp_path / "photo.jpg"): "ext4"}
    at(here.CONTAINER, **file)
    assert (here.lost("/tmp/x") or "").endswith('mount a folder, not a file: -v "${PWD}:/vagrant"')
    at(here.CONTAINER, **file, **{str(tmp_path / name): "ext4" for name in ("b", "a")},
       **{str(tmp_path / "shm"): "tmpfs"})
    assert (here.lost("/tmp/x") or "").endswith(f": write into {tmp_path}/a or {tmp_path}/b")


def test_a_link_leads_to_where_the_file_would_be(at: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "mounted").mkdir()
    (tmp_path / "there").symlink_to("mounted/dream.png")  # a link to a file that does not exist
    (tmp_path / "mounted/away").symlink_to("/tmp")
    at(here.CONTAINER, **{str(tmp_path / "mounted"): "ext4"})
    assert here.lost(tmp_path / "there") is None
    assert here.lost(tmp_path / "mounted/away/dream.png")


# real mounts ---------------------------------------------------------------------------------------------

NAMES = ["plain", "with space", "tab\there", "new\nline", "back\\slash", "\\040", "ünï", "a,b:c"]
SHOW = """
import json, sys
from dreamer.machine import here
print(json.dumps([here._mounts(), {path: here.lost(path) for path in sys.argv[1:]}]))
"""


@pytest.fixture
def unshared(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Function of a script for sh and its arguments that runs it with its own mounts."""
    trial = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    if os.geteuid() != 0 or not shutil.which("unshare") or subprocess.run(
            trial, check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("needs root that may mount")

    def call(script: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["unshare", "--mount", "sh", "-ec", script, "sh", *words], cwd=ROOT, text=True,
                              capture_output=True, check=True, env=os.environ | {"DREAMER_PLACE": here.CONTAINER})
    return call


@pytest.fixture
def stays() -> Iterator[Path]:
    """A folder that is not in memory: on some machines /tmp is."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


def test_real_mounts_are_read(unshared: Callable[..., subprocess.CompletedProcess[str]], stays: Path) -> None:
    """With all characters that mountinfo escapes."""
    source = stays / "source"
    source.mkdir()
    for name in [*NAMES, "memory"]:
        (stays / name).mkdir()
    (stays / "file").touch()
    binds = [f"mount --bind {shlex.quote(str(source))} {shlex.quote(str(stays / name))}\n" for name in NAMES]
    paths = [str(stays / name / "dream.png") for name in [*NAMES, "memory"]]
    script = "".join(binds) + (f"mount -t tmpfs none {stays}/memory\nmkdir {stays}/plain/inner\n"
                               f"mount -t tmpfs none {stays}/plain/inner\n")
    done = unshared(f'{script}exec /usr/bin/python3 -c "$@"', SHOW, *paths, str(stays / "plain/inner/dream.png"))
    mounts, lost = json.loads(done.stdout)
    kind = mounts[str(stays / "plain")]
    assert {name: mounts.get(str(stays / name)) for name in NAMES} == dict.fromkeys(NAMES, kind)
    assert mounts[str(stays / "memory")] == mounts[str(stays / "plain/inner")] == "tmpfs"
    if kind in here._LOST:
        pytest.skip(f"{stays} is in a {kind}, as nothing that stays is")
    assert [path for path, why in lost.items() if why] == [paths[-1], str(stays / "plain/inner/dream.png")]
    assert "write into " in lost[paths[-1]]
    assert str(stays / "plain") in lost[paths[-1]]


def test_another_program_reads_the_same_mounts(unshared: Callable[..., subprocess.CompletedProcess[str]],
                                               tmp_path: Path) -> None:
    if not shutil.which("findmnt"):
        pytest.skip("no findmnt")
    (tmp_path / "a b").mkdir()
    done = unshared('mount -t tmpfs none "$1/a b"\nmount -t tmpfs none "$1/a b"\n'
                    'findmnt --list --json --output TARGET,FSTYPE\nshift\nexec /usr/bin/python3 -c "$@"',
                    str(tmp_path), SHOW)
    theirs, ours = done.stdout[:done.stdout.rindex("\n[") + 1], done.stdout[done.stdout.rindex("\n[") + 1:]
    wanted = {each["target"]: each["fstype"] for each in json.loads(theirs)["filesystems"]}
    assert json.loads(ours)[0] == wanted
    assert len(wanted) > 3


def test_the_command_refuses_what_would_disappear(unshared: Callable[..., subprocess.CompletedProcess[str]],
                                                  sky: Path, stays: Path) -> None:
    """A dream, a preview and a folder. With --force, it dreams anyway."""
    for name in ("kept", "memory"):
        (stays / name).mkdir()
    script = ('mount -t tmpfs none "$1/memory"\nmount --bind "$1/kept" "$1/kept"\nstat -fc %T "$1/kept" >&2\ncd "$1"\n'
              'photo=$2 dream=$3\nshift 3\nfor words in "$@"; do\n'
              '  code=0; "$dream" "$photo" $words 2>said || code=$?; echo "$code $(cat said)"\ndone')
    short = "conv2/3x3 1 1 --max-size 40 --quiet"
    cases = (f"memory/a.png {short}", f"memory {short}", f"memory/new/ {short}",
             f"kept/a.png {short} --preview memory/p.png", f"kept/a.png {short}", f"kept {short}",
             f"memory/a.png {short} --force")
    done = unshared(script, str(stays), str(sky), str(ROOT / "dreamify.py"), *cases)
    if "tmpfs" in done.stderr:
        pytest.skip(f"{stays} is in memory, as nothing that stays is")
    lines = [line for line in done.stdout.splitlines() if "using daydream" not in line]
    assert [line.split()[0] for line in lines] == ["2", "2", "2", "2", "0", "0", "0"]
    assert all("would disappear with the container" in line and line.endswith("use --force to dream anyway")
               for line in lines[:4])
    assert sorted(os.listdir(stays / "kept")) == ["a.png", "sky-dream.jpg"]
