"""The image in a real Docker engine: its contents, the owners of its files, and how strictly it can be confined."""

import html
import os
import pty
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from PIL import Image

import dreamify
from client import Client
from containers import OWNER, WEIGHTS, checkout, drop_weights, run
from dreamer import __version__
from dreamer.nets import model
from dreamer.nets.model import Model
from helpers import ROOT, SHARED, pixels, psnr, search

pytestmark = pytest.mark.container

Start: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]  # runs the image

QUICK = ("photo.jpg", "dream.png", "inception_3b/output", "1", "1")
USER = ("--user", f"{OWNER[0]}:{OWNER[1]}")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def start(docker: str, image: str, folder: Path) -> Start:
    """Function of words and docker's options that runs the image on the folder, and returns a CompletedProcess."""
    def start(words: Sequence[str], *options: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        return run(docker, "run", "--rm", *options, "--volume", f"{folder}:/vagrant", image, *words, ok=ok)
    return start


def owners(folder: Path) -> set[tuple[str, int, int]]:
    return {(path.name, path.stat().st_uid, path.stat().st_gid) for path in folder.iterdir()}


def test_it_is_small_and_has_no_compilers(docker: str, image: str, context: Path) -> None:
    size = int(run(docker, "image", "inspect", "--format", "{{.Size}}", image).stdout)
    if (context / WEIGHTS).exists():  # they may be smaller than the downloaded ones
        size += model.find(model.DEFAULT).weights_size - (context / WEIGHTS).stat().st_size
    assert size <= 375e6
    # python3-numpy brings its own headers, under that name
    inside = run(docker, "run", "--rm", image, "sh", "-c", r"""
        dpkg-query -W -f '${Package}\n' | grep -E -- '-dev$|^(gcc|g[+][+]|cpp|binutils|cmake|make|git|curl)(-|$)' |
            grep -vE '^(gcc-[0-9]+-base|python3-numpy-dev)$'
        cd /opt/image-dreamer
        find /var/lib/apt/lists /var/cache/apt build log -type f -size +0 2>/dev/null
        for command in cc c++ gcc g++ ld make cmake; do command -v $command; done
        true""").stdout
    assert inside == ""


def test_a_photo_and_the_references(start: Start, folder: Path) -> None:
    """With the real network, the dreams of a photo equal those that an independent implementation computed."""
    for layer, iterations, octaves, seed, reference, agreement in (
            ("inception_4c/output", "1", "1", "0", "flowers-4c-1x1", 60),  # 8 bits: rounding alone gives about 60 dB
            ("inception_4c/output", "10", "4", "1", "flowers-4c-10x4", 25)):
        start(("photo.jpg", "dream.png", layer, iterations, octaves, "1.4", "--seed", seed))
        assert psnr(pixels(folder / "dream.png"), pixels(SHARED / "reference" / f"{reference}.png")) >= agreement


@pytest.mark.parametrize("options", [
    (),
    USER,
    ("--read-only",),
    ("--network", "none"),
    ("--cap-drop", "ALL", *USER),
    ("--cap-drop", "ALL", "--cap-add", "SETUID", "--cap-add", "SETGID"),
    ("--read-only", "--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
     "--memory", "512m", "--pids-limit", "64", *USER),
], ids=" ".join)
def test_a_dream_belongs_to_the_owner_of_the_folder(start: Start, folder: Path, options: tuple[str, ...]) -> None:
    done = start(QUICK, *options)
    assert done.stderr == ""
    assert owners(folder) == {("photo.jpg", *OWNER), ("dream.png", *OWNER)}
    assert (folder / "dream.png").stat().st_mode & 0o777 == 0o644
    assert 20 < psnr(pixels(folder / "photo.jpg"), pixels(folder / "dream.png")) < 50  # changed, but still recognisable


@pytest.fixture
def capped(start: Start, folder: Path) -> Start:
    """Function that dreams a photo of 1024×575, large.jpg in `folder`, in a container with this many MB."""
    shutil.copy(SHARED / "photos/sky1024px.jpg", folder / "large.jpg")

    def capped(cap: int, **options: Any) -> subprocess.CompletedProcess[str]:
        limit = f"{cap}m"
        return start(("large.jpg", "dream.png", "inception_4c/output", "1", "1", "--seed", "1"),
                     "--memory", limit, "--memory-swap", limit, **options)
    return capped


def test_a_limit_on_memory_is_seen_and_kept(capped: Start, folder: Path) -> None:
    """Nothing is killed, and in tiles the dream is the same."""
    dreams = []
    for cap, tiles in ((512, False), (310, True)):
        done = capped(cap)
        assert done.stderr == ""
        assert ("in tiles" in done.stdout) == tiles
        dreams.append(pixels(folder / "dream.png"))
    assert psnr(*dreams) >= 60


def test_too_little_memory_is_told_with_the_smallest_limit_that_works(capped: Start, folder: Path) -> None:
    done = capped(160, ok=False)
    assert done.returncode == 1
    told = re.fullmatch(r"dreamify: inception_4c/output needs at least (\d+) MB of memory; 160 MB are available\n",
                        done.stderr)
    assert told, done.stderr
    least = int(told[1])
    assert capped(int(least * 0.9), ok=False).returncode == 1
    assert not (folder / "dream.png").exists()
    assert capped(int(least * 1.03)).stderr == ""  # the need differs by some MB from run to run
    (folder / "dream.png").unlink()
    done = capped(80, ok=False)
    assert done.returncode == 1
    assert re.fullmatch(r"dreamify: bvlc_googlenet needs at least \d+ MB of memory in all; \d+ MB are free\n",
                        done.stderr), done.stderr
    assert not (folder / "dream.png").exists()


def test_two_dreams_share_a_gigabyte(docker: str, image: str, folder: Path) -> None:
    """Each alone would take most of it. The second sees what the first has reserved, and neither is killed."""
    Image.open(ROOT / "tests/pictures/sky.jpg").resize((3000, 2000)).save(folder / "large.png")
    name = run(docker, "run", "--detach", "--memory", "1g", "--memory-swap", "1g", "--volume", f"{folder}:/vagrant",
               "--entrypoint", "sleep", image, "infinity").stdout.strip()
    try:
        both = [subprocess.Popen([docker, "exec", name, "dreamify", "large.png", f"dream{number}.png",
                                  "inception_3b/output", "1", "2", "--seed", "1"], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True) for number in (1, 2)]
        said = [process.communicate(timeout=300) for process in both]
        killed = run(docker, "exec", name, "sh", "-c", "cat /sys/fs/cgroup/memory.events "
                     "/sys/fs/cgroup/memory/memory.oom_control 2>/dev/null", ok=False).stdout
    finally:
        run(docker, "rm", "--force", name)
    assert [process.returncode for process in both] == [0, 0], said
    assert [errors for _, errors in said] == ["", ""]
    assert set(re.findall(r"oom_kill (\d+)", killed)) == {"0"}
    told = [line for words, _ in said for line in words.splitlines() if "another dream has reserved" in line]
    assert len(told) == 1
    assert psnr(pixels(folder / "dream1.png"), pixels(folder / "dream2.png")) > 35


def test_a_folder_that_is_mounted_read_only_is_told_at_once(docker: str, image: str, folder: Path) -> None:
    for option in ((), USER):
        done = run(docker, "run", "--rm", *option, "--volume", f"{folder}:/vagrant:ro", image, *QUICK, ok=False)
        assert done.returncode == 2
        assert done.stderr == "dreamify: output: cannot write into /vagrant: Read-only file system\n"
        assert done.stdout == ""


@root_only
@pytest.mark.parametrize("options", [(), ("--cap-drop", "ALL"), ("--read-only", "--cap-drop", "ALL")], ids=" ".join)
def test_a_folder_of_root(start: Start, folder: Path, options: tuple[str, ...]) -> None:
    for path in (folder, folder / "photo.jpg"):
        os.chown(path, 0, 0)
    start(QUICK, *options)
    assert owners(folder) == {("photo.jpg", 0, 0), ("dream.png", 0, 0)}


@root_only
def test_root_that_may_do_nothing_says_which_user_to_be(start: Start, folder: Path) -> None:
    done = start(QUICK, "--cap-drop", "ALL", ok=False)
    assert done.returncode == 2
    assert f"add --user {OWNER[0]}:{OWNER[1]}" in done.stderr
    assert "Traceback" not in done.stderr
    assert owners(folder) == {("photo.jpg", *OWNER)}


@root_only
def test_nobody_reads_what_the_owner_may_not(start: Start, folder: Path) -> None:
    """The container has the rights of the folder's owner, not root's."""
    os.chown(folder / "photo.jpg", 0, 0)
    os.chmod(folder / "photo.jpg", 0o600)
    done = start(QUICK, ok=False)
    assert done.returncode == 2
    assert "ermission denied" in done.stderr


@pytest.fixture(scope="module")
def remapped(docker: str, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Start, int]]:
    """(function that runs the image in an engine with user namespaces, uid on the host of the containers' root)."""
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("a second engine takes root and dockerd")
    folder = tmp_path_factory.mktemp("engine")
    env = os.environ | {"DREAMER_ENGINE": str(folder), "DREAMER_ENGINE_RUN": f"/run/dreamer-{os.getpid()}",
                        "DREAMER_ENGINE_OPTIONS": "--userns-remap=default --bridge=none --iptables=false"}
    above = 3 if "PYTEST_XDIST_WORKER" in os.environ else 2  # pytest's own folders
    for path in (folder, *folder.parents[:above]):  # the containers' root has no rights here, but must reach the folder
        path.chmod(0o711)
    try:
        host = run(ROOT / "tests/engine.sh", "start", env=env).stdout.strip()
        saved = subprocess.Popen([docker, "save", image], stdout=subprocess.PIPE)
        run(docker, "--host", host, "load", stdin=saved.stdout)
        assert saved.wait() == 0
        root = int(search(r"^dockremap:(\d+):", Path("/etc/subuid").read_text(), re.M)[1])

        def start(folder: Path, *words: Any, **options: Any) -> subprocess.CompletedProcess[str]:
            return run(docker, "--host", host, "run", "--rm", "--network", "none", "--volume", f"{folder}:/vagrant",
                       *words[:-1], image, *words[-1], **options)
        yield start, root
    finally:
        run(ROOT / "tests/engine.sh", "remove", env=env)


@root_only
@pytest.mark.parametrize("inside", [0, 1234])
@pytest.mark.parametrize("options", [(), ("--read-only",)], ids=" ".join)
def test_a_dream_belongs_to_the_owner_of_the_folder_through_a_user_namespace(remapped: tuple[Start, int], folder: Path,
                                                                             inside: int,
                                                                             options: tuple[str, ...]) -> None:
    start, root = remapped
    for path in (folder, folder / "photo.jpg"):
        os.chown(path, root + inside, root + inside)
    for parent in folder.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)  # by default, only root can enter pytest's folders
    assert start(folder, *options, QUICK).stderr == ""
    assert owners(folder) == {(name, root + inside, root + inside) for name in ("photo.jpg", "dream.png")}


@root_only
def test_a_folder_outside_of_the_user_namespace_is_told(remapped: tuple[Start, int], folder: Path) -> None:
    """In the container, the folder seems to belong to nobody."""
    start, _ = remapped
    for parent in folder.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    done = start(folder, QUICK, ok=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "cannot write into /vagrant" in done.stderr
    assert owners(folder) == {("photo.jpg", *OWNER)}


def test_another_folder_than_vagrant(docker: str, image: str, folder: Path) -> None:
    run(docker, "run", "--rm", "--volume", f"{folder}:/pictures", "--workdir", "/pictures", image, *QUICK)
    assert ("dream.png", *OWNER) in owners(folder)


def test_no_arguments_give_the_help(docker: str, image: str) -> None:
    done = run(docker, "run", "--rm", image)
    assert "INPUT" in done.stdout
    assert "OUTPUT" in done.stdout


def test_wrong_use_is_told_as_everywhere(start: Start, folder: Path) -> None:
    done = start(("nothing.jpg", "dream.png"), ok=False)
    assert done.returncode == 2
    assert "nothing.jpg" in done.stderr
    assert "Traceback" not in done.stderr
    assert owners(folder) == {("photo.jpg", *OWNER)}


MOUNTED = ("--volume", "{folder}:/vagrant")
# (docker's options, what was typed, exit code, words that the answer must contain)
MISTAKES: list[tuple[tuple[str, ...], tuple[str, ...], int, tuple[str, ...]]] = [
    ((), ("photo.jpg", "dream.png"), 2, ("nothing is mounted", '-v "${PWD}:/vagrant"')),
    ((), ("keys",), 0, ("inception_4c/output",)),
    (("--volume", "{folder}/photo.jpg:/vagrant/photo.jpg"), ("photo.jpg", "dream.png"), 2,
     ("would disappear", "mount a folder")),
    (("--volume", "{folder}:/pics"), ("/pics/photo.jpg", "lost.png"), 2, ("would disappear", "/pics")),
    (("--volume", "{folder}:/pics"), ("/pics/photo.jpg", "lost/"), 2, ("would disappear", "/pics")),
    (MOUNTED, ("photo.jpg", "/tmp/dream.png"), 2, ("would disappear", "write into /vagrant", "--force")),
    (MOUNTED, ("photo.jpg", "dream.png", "conv2/3x3", "1", "1", "--preview", "/tmp/p.png"), 2, ("would disappear",)),
    ((*MOUNTED, "--tmpfs", "/vagrant/t"), ("photo.jpg", "t/dream.png"), 2, ("would disappear",)),
    (MOUNTED, ("photo.jpg", "/tmp/dream.png", "conv2/3x3", "1", "1", "--force"), 0, ("done",)),
    (MOUNTED, ("photo.jpg", "photo2.jpg"), 2, ("photo2.jpg exists and is not a dream",)),
    (MOUNTED, ("atlas", "photo.jpg", "photo2.jpg"), 2, ("photo2.jpg exists and is not a dream",)),
    (MOUNTED, ("./dreamify.py", "photo.jpg", "a.png", "conv2/3x3", "1", "1"), 0, ("done",)),
    (MOUNTED, ("dreamify.py", "photo.jpg", "b.png", "conv2/3x3", "1", "1"), 0, ("done",)),
    (MOUNTED, ("python", "dreamify.py", "photo.jpg", "c.png", "conv2/3x3", "1", "1"), 0, ("done",)),
    (MOUNTED, ("photo.jpg", "photo2.jpg", "dreams/", "conv2/3x3", "1", "1"), 0, ("photo2-dream.jpg: done",)),
    (MOUNTED, ("help",), 0, ("usage:",)),
    (MOUNTED, ("list",), 0, ("inception_4c/output",)),
    (MOUNTED, ("version",), 0, ("image-dreamer",)),
    (MOUNTED, (), 0, ("docker run", "photo.jpg dream.png")),
    (MOUNTED, ("photo.jpg", "x.png", "nolayer"), 2, ("image-dreamer keys",)),
    (MOUNTED, ("photo.jpg", "x.png", "conv9*"), 2, ("image-dreamer keys",)),
    (MOUNTED, ("photo.jpg", "film.mp4", "--zoom", "2"), 2, ("docker build --build-arg EXTRA=film",)),
    (MOUNTED, ("photo.jpg", "x.png", "--weights", "mine.caffemodel"), 2, ("mine.caffemodel",)),
    ((*MOUNTED, "--env", "BVLC_GOOGLENET=/vagrant/none"), ("photo.jpg", "x.png"), 2,
     ("BVLC_GOOGLENET", "/vagrant/none")),
    (MOUNTED, ("https://example.org/photo.jpg", "x.png"), 2, ("download it first",)),
    (MOUNTED, ("photo.jpg", "x.png", "--size", "100"), 2, ("--max-size",)),
    (MOUNTED, ("photo.jpg", "x.png", "eyes", "--iterations", "5"), 2, ("first number after LAYER",)),
    (MOUNTED, ("my", "photo.jpg", "x.png"), 2, ("quote names with spaces",)),
    (MOUNTED, ("photo.jpg", "nowhere/x.png"), 2, ("nowhere",)),
]


def test_mistakes(docker: str, image: str, folder: Path) -> None:
    """The answer fits the place: it names docker's commands. No picture is lost."""
    shutil.copyfile(folder / "photo.jpg", folder / "photo2.jpg")
    os.chown(folder / "photo2.jpg", *OWNER)
    photos = {name: (folder / name).read_bytes() for name in ("photo.jpg", "photo2.jpg")}
    for options, typed, code, words in MISTAKES:
        done = run(docker, "run", "--rm", *(word.format(folder=folder) for word in options), image, *typed, ok=False)
        said = done.stdout + done.stderr
        assert done.returncode == code, (typed, said)
        assert [word for word in words if word not in said] == [], (typed, said)
        assert "Traceback" not in said
        assert "./provision.sh" not in said
    assert {name: (folder / name).read_bytes() for name in photos} == photos
    assert len(MISTAKES) >= 25


def test_an_atlas_names_the_command_that_works_here(start: Start, folder: Path) -> None:
    start(("atlas", "photo.jpg", "atlas.html", "conv2/3x3", "1", "1"))
    command = html.unescape(search("<code>(docker run [^<]*)", (folder / "atlas.html").read_text())[1])
    assert command == ('docker run --rm -it -v "${PWD}:/vagrant" image-dreamer photo.jpg dream-conv2-3x3.png '
                       'conv2/3x3 1 1 --seed 0')


EXPERIMENTS = re.findall("```python\n(.*?)```", (ROOT / "docs/hacking.md").read_text(), re.S)


def test_three_experiments_in_a_row_are_those_alone(docker: str, image: str, folder: Path) -> None:
    """With the image's Python, in the mounted folder."""
    begin, *experiments = EXPERIMENTS
    names = ["strongest.png", "combed.png", "down and up.png"]
    Image.open(folder / "photo.jpg").resize((160, 120)).save(folder / "photo.jpg")
    pictures = []
    for scripts in ([begin + "".join(experiments)], [begin + each for each in experiments]):
        for script in scripts:
            (folder / "mine.py").write_text(script)
            run(docker, "run", "--rm", "--volume", f"{folder}:/vagrant", image, "python", "mine.py")
        pictures.append([pixels(folder / name).tobytes() for name in names])
        for name in names:
            (folder / name).unlink()
    assert pictures[0] == pictures[1]


def until_the_end(terminal: int) -> bytes:
    """All that is said in a terminal until its other end is closed."""
    said = b""
    while True:
        try:
            said += os.read(terminal, 1 << 16)
        except OSError:
            return said


def test_a_shell_in_the_repository(docker: str, image: str, folder: Path) -> None:
    """`docker run -it … bash`, at a terminal, opens the folder; `python dreamify.py` and `dreamify` work there."""
    checkout(folder)
    for path in folder.rglob("*"):
        os.chown(path, *OWNER)
    terminal, inside = pty.openpty()
    shell = subprocess.Popen([docker, "run", "--rm", "-it", "--volume", f"{folder}:/vagrant", image, "bash"],
                             stdin=inside, stdout=inside, stderr=inside)
    os.close(inside)
    os.write(terminal, f"""pwd; id -u; whoami
python dreamify.py {' '.join(QUICK)}; echo the code is $?
cd /tmp; dreamify keys | wc -l
exit
""".encode())
    said = until_the_end(terminal)
    assert shell.wait(timeout=60) == 0
    lines = [line.strip() for line in said.decode().splitlines()]
    for line in ("/vagrant", str(OWNER[0]), "the code is 0", "81"):
        assert line in lines
    assert "I have no name" not in " ".join(lines)
    made = folder / "dream.png"
    assert (made.stat().st_uid, made.stat().st_gid) == OWNER


def test_the_doctor_knows_the_place(docker: str, image: str, folder: Path) -> None:
    options = ("--memory", "1g", "--cpus", "1", "--volume", f"{folder}:/vagrant")
    done = run(docker, "run", "--rm", *options, image, "doctor")
    found = {line[:14].strip(): line[14:] for line in done.stdout.splitlines()}
    assert found["system"].startswith("container; ")
    assert "limit of the control group: 1024 MB" in found["memory"]
    assert found["processor"].endswith(", 1 by the CPU quota")
    assert found["Caffe"].startswith("in /opt/image-dreamer, build ")
    assert "docker build --build-arg EXTRA=film" in found["films"]
    assert found["a dream"] == "works"


def test_the_shell_completes_and_has_the_man_page(docker: str, image: str, folder: Path) -> None:
    terminal, inside = pty.openpty()
    shell = subprocess.Popen([docker, "run", "--rm", "-it", "--volume", f"{folder}:/vagrant", image, "bash"],
                             stdin=inside, stdout=inside, stderr=inside)
    os.close(inside)
    os.write(terminal, b"dreamify keys --descr\t| tail -n 1; ls /usr/local/share/man/man1; exit\n")
    said = until_the_end(terminal)
    assert shell.wait(timeout=60) == 0
    assert "inception_5b/output  " in said.decode()  # the last layer, and what it likes
    assert "dreamify.1" in said.decode().split()


# The tests of the algorithm, pictures and films; the others test things outside the image, or take long
FAST = ("test_algorithm.py", "test_api.py", "wings/pictures", "wings/jobs/test_film.py", "wings/jobs/test_folder.py",
        "wings/machine/test_worker.py", *(f"wings/nets/test_{room}.py" for room in (
            "compact", "guide", "layers", "model", "preprocess", "prototxt", "shapes", "tiles", "vintage", "weights")))


def test_the_fast_tests_with_the_images_python_and_numpy(docker: str, image: str, googlenet: Model, reference: Path,
                                                         tmp_path: Path) -> None:
    """The image may have another Debian than this machine: its dreams agree with the references too."""
    (tmp_path / "Dockerfile").write_text("FROM image-dreamer:test\nRUN apt-get update && apt-get install -y "
                                         "--no-install-recommends procps python3-pytest\n")
    run(docker, "build", "--tag", "image-dreamer:tests", tmp_path, env=os.environ | {"DOCKER_BUILDKIT": "1"})
    project = checkout(tmp_path / "project")
    drop_weights(project)
    done = run(docker, "run", "--rm", "--init", "--network", "none", "--entrypoint", "/usr/bin/python3",
               "--env", "DREAMER_PLACE=",  # because they write into their own folders
               "--volume", f"{project}:/srv/project", "--volume", f"{SHARED}:/srv/shared:ro",
               "--workdir", "/srv/project", "image-dreamer:tests", "-m", "pytest", "--quiet",
               *(f"tests/{name}" for name in FAST), timeout=1800, ok=False)
    assert done.returncode == 0, (done.stdout[-4000:], done.stderr[-1000:])
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    absent = ("ffmpeg", "AVX", "encoder", "heif-enc", "avifenc", "cjxl", "exiftool", "ImageMagick", "dcraw_emu",
              "vips")
    assert [line for line in skipped if not any(word in line for word in absent)] == []


def test_python_has_caffe_and_us(docker: str, image: str, folder: Path) -> None:
    run(docker, "run", "--rm", "--read-only", "--user", "4321", image, "python", "-c", "import caffe; caffe.Net")
    script = "import dreamify; print(dreamify.__version__, *dreamify.keys(model='daydream')[:1])"
    done = run(docker, "run", "--rm", "--volume", f"{folder}:/vagrant", image, "python", "-c", script)
    assert done.stdout == f"{__version__} {dreamify.keys(model='daydream')[0]}\n"


def test_stop_reaches_the_dream(docker: str, image: str, folder: Path) -> None:
    """`docker stop` ends a dream at once, like Ctrl-C: the dream so far is saved, whole, and belongs to the owner."""
    name = run(docker, "run", "--detach", "--volume", f"{folder}:/vagrant", image,
               "photo.jpg", "dream.png", "inception_4c/output", "100000", "--preview", "so far.png").stdout.strip()
    try:
        for _ in range(600):
            if (folder / "so far.png").exists():  # files written in the container are visible here at once
                break
            time.sleep(0.2)
        assert pixels(folder / "so far.png").shape == pixels(folder / "photo.jpg").shape
        began = time.monotonic()
        run(docker, "stop", "--time", "60", name)
        assert time.monotonic() - began < 30  # it was not killed
        assert run(docker, "inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip() == "130"
        assert {owner[1:] for owner in owners(folder)} == {OWNER}
        assert pixels(folder / "dream.png").shape == pixels(folder / "photo.jpg").shape
    finally:
        run(docker, "rm", "--force", name)


def test_the_studio(docker: str, image: str, folder: Path) -> None:
    """As in the manual, except for the port: the page answers on this machine's loopback, and the dream belongs to the
    owner of the folder. Ctrl-C, which is docker's signal, ends it."""
    name = run(docker, "run", "--detach", "--publish", "127.0.0.1::8420", "--volume", f"{folder}:/vagrant", image,
               "studio").stdout.strip()
    try:
        published = run(docker, "port", name, "8420").stdout.strip()
        assert published.startswith("127.0.0.1:")
        url = wait_for_line(docker, name, r"(http://127\.0\.0\.1:8420/\?token=\S+)")
        client = Client(url, int(published.rpartition(":")[2]))
        sample = client.json("POST", "/samples/dandelions.jpg")["name"]
        assert client.dream({"photo": sample, "model": "daydream", "max_size": 160}) == "dandelions-dream.jpg"
        assert {owner[1:] for owner in owners(folder)} == {OWNER}
        began = time.monotonic()
        run(docker, "stop", "--time", "60", name)
        assert time.monotonic() - began < 30
        said = run(docker, "logs", name)
        assert "Traceback" not in said.stdout + said.stderr
        assert run(docker, "inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip() == "130"
    finally:
        run(docker, "rm", "--force", name)


def wait_for_line(docker: str, name: str, pattern: str) -> str:
    """The group of the pattern in what the container prints, as soon as it is there."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        said = run(docker, "logs", name)
        if found := re.search(pattern, said.stdout + said.stderr):
            return found[1]
        time.sleep(0.2)
    pytest.fail(said.stdout + said.stderr)


def test_a_watched_folder(docker: str, image: str, folder: Path) -> None:
    """`docker run … --watch` dreams the pictures that exist, then those that arrive. `docker stop` ends it."""
    name = run(docker, "run", "--detach", "--volume", f"{folder}:/vagrant", image, "--watch", "--max-size", "100",
               ).stdout.strip()
    try:
        for new in (None, "new.jpg"):
            if new:
                shutil.copy(folder / "photo.jpg", folder / new)
            dream = folder / f"{(new or 'photo.jpg')[:-4]}-dream.jpg"
            for _ in range(600):
                if dream.exists():
                    break
                time.sleep(0.2)
            assert max(Image.open(dream).size) == 100
        began = time.monotonic()
        run(docker, "stop", "--time", "60", name)
        assert time.monotonic() - began < 30  # it was not killed
        assert run(docker, "inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip() == "130"
        made = {owner for owner in owners(folder) if "dream" in owner[0]}
        assert made == {("photo-dream.jpg", *OWNER), ("new-dream.jpg", *OWNER)}
    finally:
        run(docker, "rm", "--force", name)


def test_the_legacy_builder(docker: str, image: str, base: str, context: Path, folder: Path) -> None:
    """Engines without BuildKit build it too. Caffe comes from the other build, because compiling it takes long."""
    run(docker, "build", "--target", "caffe", "--tag", "image-dreamer:caffe", "--build-arg", f"BASE={base}", context,
        env=os.environ | {"DOCKER_BUILDKIT": "1"}, timeout=1200)
    run(docker, "build", "--tag", "image-dreamer:legacy", "--build-arg", "BASE=image-dreamer:caffe", context,
        env=os.environ | {"DOCKER_BUILDKIT": "0"}, timeout=1200)
    run(docker, "run", "--rm", "--volume", f"{folder}:/vagrant", "image-dreamer:legacy", *QUICK)
    assert owners(folder) == {("photo.jpg", *OWNER), ("dream.png", *OWNER)}


def test_the_base_is_pinned() -> None:
    """By tag, for readers, and by digest, for machines."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert any(line.startswith("ARG BASE=debian:") and "-slim@sha256:" in line for line in lines)
    assert not lines[0].startswith("# syntax")  # because that line would need the hub


def test_an_image_without_the_weights_dreams_without_a_network(docker: str, image: str, base: str, folder: Path,
                                                               tmp_path_factory: pytest.TempPathFactory) -> None:
    """A clean clone, and no host of the weights answers: the build succeeds, and the small net dreams."""
    clone = checkout(tmp_path_factory.mktemp("clone"))
    description = clone / "models/bvlc_googlenet/model.toml"
    # a unique name, so that no cached layer replaces the step whose output is checked below
    nowhere = f'"http://127.0.0.1:1/{clone.parent.name}-{os.getpid()}-{time.time_ns()}"'
    description.write_text(re.sub(r'"https?://[^"]*"', nowhere, description.read_text()))
    built = run(docker, "build", "--progress", "plain", "--tag", "image-dreamer:offline",
                "--build-arg", f"BASE={base}", clone, env=os.environ | {"DOCKER_BUILDKIT": "1"}, timeout=1200)
    last = (built.stdout + built.stderr).rpartition("dreamed a small picture")[2]
    assert "daydream" in last
    assert "--build-arg AGAIN=2" in last
    done = run(docker, "run", "--rm", "--network", "none", "--volume", f"{folder}:/vagrant", "image-dreamer:offline",
               *QUICK)
    assert len(done.stderr.splitlines()) == 1
    assert "daydream" in done.stderr
    assert "--build-arg AGAIN=2" in done.stderr
    assert "BVLC_GOOGLENET=/vagrant/" in done.stderr
    assert '"model": "daydream"' in run(docker, "run", "--rm", "--volume", f"{folder}:/vagrant",
                                        "image-dreamer:offline", "recipe", "dream.png").stdout


def test_the_hosts_are_asked_again_and_a_file_that_is_dropped_is_taken(
        docker: str, image: str, base: str, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither compiles Caffe again."""
    clone = checkout(tmp_path_factory.mktemp("clone"))
    description = clone / "models/bvlc_googlenet/model.toml"
    nowhere = f'"http://127.0.0.1:1/{clone.parent.name}-{os.getpid()}-{time.time_ns()}"'
    description.write_text(re.sub(r'"https?://[^"]*"', nowhere, description.read_text()))

    def build(*options: str) -> str:
        done = run(docker, "build", "--progress", "plain", "--tag", "image-dreamer:again",
                   "--build-arg", f"BASE={base}", *options, clone, env=os.environ | {"DOCKER_BUILDKIT": "1"},
                   timeout=1200)
        said = done.stdout + done.stderr
        assert "Caffe: built" not in said
        return said

    asked = "bvlc_googlenet: no weights from"
    assert asked in build()
    assert asked not in build()  # this layer is cached
    assert build("--target", "caffe", "--build-arg", "EXTRA=film").count("CACHED") > 3
    assert asked in build("--build-arg", "AGAIN=2")
    shutil.copyfile(model.find(model.DEFAULT).weights_path(), folder / "beside.caffemodel")
    run(docker, "run", "--rm", "--volume", f"{folder}:/vagrant", "--env", "BVLC_GOOGLENET=/vagrant/beside.caffemodel",
        "image-dreamer:again", *QUICK)
    assert '"model": "bvlc_googlenet"' in run(docker, "run", "--rm", "--volume", f"{folder}:/vagrant",
                                              "image-dreamer:again", "recipe", "dream.png").stdout
    drop_weights(clone)
    assert asked not in build()
    run(docker, "run", "--rm", "--volume", f"{folder}:/vagrant", "image-dreamer:again", *QUICK)
    assert '"model": "bvlc_googlenet"' in run(docker, "run", "--rm", "--volume", f"{folder}:/vagrant",
                                              "image-dreamer:again", "recipe", "dream.png").stdout
