"""Where the program runs: in our container, in a shell there, in Vagrant's machine, or on a bare machine. With it,
advice can name commands that work right here.

The Dockerfile, entrypoint.sh and the Vagrantfile set the variable DREAMER_PLACE. Nothing is guessed, because some bare
machines look like containers."""

import os
import shlex
from pathlib import Path

CONTAINER, SHELL, MACHINE = "container", "shell", "machine"  # values of DREAMER_PLACE; none on a bare machine
RUN = 'docker run --rm -it -v "${PWD}:/vagrant"'
_EXTRA = {"film": "films", "raw": "raw photos", "farm": "many machines"}  # steps of provision.sh that the image lacks
_NOTHING = 'nothing is mounted: add -v "${PWD}:/vagrant" to docker run'
_CLONE = Path(__file__).resolve().parents[2]
_LOST = ("tmpfs", "ramfs", "proc", "sysfs", "devpts", "devtmpfs", "mqueue", "cgroup", "cgroup2")
_OF_THE_ENGINE = ("/", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname", "/.dockerenv", "/run/.containerenv")


def place() -> str:
    """CONTAINER, SHELL or MACHINE; "" on a bare machine."""
    return os.environ.get("DREAMER_PLACE", "")


def contained() -> bool:
    """Whether this is our container, whose own files disappear with it."""
    return place() in (CONTAINER, SHELL)


def address() -> str | None:
    """The address, besides the loopback, at which the studio answers if --bind names none. In a container and in
    Vagrant's machine that is every address, because what reaches them from outside comes over their network;
    `docker run -p` and the Vagrantfile let in only the computer around them. None on a bare machine."""
    return "0.0.0.0" if place() else None


def command(words: str = "") -> str:
    """The command line that runs dreamify here with these words."""
    if place() == CONTAINER:
        begin = f"{RUN} image-dreamer"
    else:
        begin = "dreamify" if place() == SHELL else script("dreamify.py")
    return f"{begin} {words}".rstrip()


def script(name: str) -> str:
    """How to call a script of the clone from the current folder."""
    try:
        own = os.path.samefile(os.curdir, _CLONE)
    except OSError:
        own = False
    return f"./{name}" if own else shlex.quote(str(_CLONE / name))


def provision(step: str = "") -> str:
    """What to do so that a step of provision.sh is done: "film", "model NAME"; "" for the usual steps."""
    if not contained():
        return f"run {script('provision.sh')} {step}".rstrip()
    if step in _EXTRA:
        return (f"build the image again, with support for {_EXTRA[step]}: docker build --build-arg EXTRA={step} "
                "-t image-dreamer .")
    return "build the image again: docker build -t image-dreamer ."


def put_weights(folder: Path, file: str, variable: str) -> str:
    """Where to put the weights of a model.

    folder    the model's
    file      their name
    variable  the environment variable that names another file"""
    if not contained():
        return f"put {file} into {folder}"
    given = f"-e {variable}=/vagrant/{file} to docker run" if place() == CONTAINER else f"--weights {file}"
    return (f"put {file} beside your photos, and add {given}. Or put it into models/{folder.name}/ of the checkout and "
            "build the image again")


def download_weights(name: str) -> str:
    """The command that downloads the weights of the model `name`, or tries that again."""
    if contained():
        return "docker build --build-arg AGAIN=2 -t image-dreamer ."
    return f"{script('provision.sh')} model {name}"


def lost(path: str | os.PathLike[str]) -> str | None:
    """Why a file at `path` would disappear with the container, and what to do; None if it stays, or if this is not our
    container."""
    if not contained():
        return None
    mounts = _mounts()
    if not mounted():
        return _NOTHING
    real = Path(os.path.realpath(path))
    nearest = next(point for point in (real, *real.parents) if str(point) in mounts or point == Path("/"))
    if _stays(str(nearest), mounts.get(str(nearest), "overlay")):
        return None
    kept = [point for point in mounted() if os.path.isdir(point)]
    return (f"{path} would disappear with the container: " + (f"write into {' or '.join(kept)}" if kept else
            "mount a folder, not a file: -v \"${PWD}:/vagrant\""))


def not_mounted(path: str | os.PathLike[str]) -> str:
    """What to put behind a message that `path` does not exist: it may be on the user's machine; "" if not."""
    if contained():
        seen = mounted()
        if not seen:
            return f"; {_NOTHING}"
        real = os.path.realpath(path)
        if not any(f"{real}/".startswith(f"{point}/") for point in seen):
            return f"; of your files, the container sees only those in {' and '.join(seen)}"
    if place() == MACHINE and not os.path.realpath(path).startswith("/vagrant/"):
        return "; in this machine, the folder with the Vagrantfile is /vagrant"
    return ""


def mounted() -> list[str]:
    """The mount points in the container at which files of the user's are."""
    return sorted(point for point, kind in _mounts().items() if _stays(point, kind))


def _stays(point: str, kind: str) -> bool:
    return kind not in _LOST and point not in _OF_THE_ENGINE


def _mounts() -> dict[str, str]:
    """{mount point: type of its file system}, as /proc/self/mountinfo has them (proc(5))."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4]
        for code, character in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
            point = point.replace(code, character)
        found[point] = after.split(" ")[0]
    return found
