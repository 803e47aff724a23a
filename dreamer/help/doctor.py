"""The doctor: what machine, limits, Caffe, model and optional parts are here, and whether a dream works; in few lines,
to be pasted into a report. They name no user.

It must also work where the program itself does not: it needs only Python, and asks everything else in processes of
their own."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from dreamer import __version__
from dreamer.errors import Failure, Mistake, printable, say, tell
from dreamer.machine import cache, here, limits

_CLONE = Path(__file__).resolve().parents[2]
_PACKAGES = {"numpy": "numpy", "scipy": "scipy", "Pillow": "PIL", "protobuf": "google.protobuf", "tornado": "tornado",
             "tqdm": "tqdm"}  # {name of the distribution: module}
_PLACES = {here.CONTAINER: "container", here.SHELL: "shell in the container", here.MACHINE: "Vagrant's machine"}
_ENGINE = """
import caffe, ctypes, json
blas = ctypes.CDLL("libopenblas.so.0")
blas.openblas_get_corename.restype = blas.openblas_get_config.restype = ctypes.c_char_p
print(json.dumps([caffe.instructions(), blas.openblas_get_corename().decode(), blas.openblas_get_config().decode()]))
"""
_SECONDS = 120  # after which something is stuck


def examine() -> int:
    """Print the lines; returns the exit code: 0 if a dream works, otherwise 1."""
    lines = [f"{name:<14}{_anonymous(_found(name))}" for name in _LINES]
    works, said = _dream()
    try:
        say("\n".join([*lines, f"{'a dream':<14}{_anonymous(said)}"]))
    except Failure as error:
        tell("", str(error))
        return 1
    return 0 if works else 1


def _found(name: str) -> str:
    """What the line of that name finds; if it fails, why: a doctor must always answer."""
    try:
        if name in _WITH_NUMPY and (lacking := limits.lacking(limits.needed())):  # OpenBLAS would try for ever
            return f"cannot be found out: {lacking}"
        return _LINES[name]()
    except Exception as error:
        return f"cannot be found out: {error or type(error).__name__}"


def _anonymous(text: str) -> str:
    """The text on one line, without names of users: ~ instead of home folders."""
    home = os.path.expanduser("~")
    if len(home) > 1:
        text = re.sub(rf"{re.escape(home)}(?=[/:,;\s)]|$)", "~", text)
    return printable(re.sub(r"/home/[^/\s]+", "~", text))


def _program() -> str:
    git = ["git", "-c", f"safe.directory={_CLONE}", "-C", str(_CLONE)]
    if not (_CLONE / ".git").exists() or not shutil.which("git"):
        return f"{__version__}, not a git clone" if not (_CLONE / ".git").exists() else f"{__version__}, no git here"
    commit = _output([*git, "rev-parse", "--short=9", "HEAD"])
    return f"{__version__}, commit {commit}" + (", with changes" if _output([*git, "status", "--porcelain"]) else "")


def _system() -> str:
    place = _PLACES.get(here.place(), "bare machine")
    release = platform.release()
    if not here.place() and any(map(os.path.exists, ("/.dockerenv", "/run/.containerenv"))):
        place = "container that is not ours"
    elif not here.place() and "microsoft" in release.lower():
        place = "WSL"
    return f"{place}; {_os_release()}; Linux {release} {platform.machine()}"


def _os_release() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown distribution"


def _python() -> str:
    return f"{platform.python_version()} ({sys.executable})"


def _processor() -> str:
    found = re.search(r"^(?:model name|Model|Processor)\s*: *(.+)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    name = re.sub(r"\s+", " ", found[1]) if found else platform.machine()
    cores, usable = os.cpu_count() or 0, len(os.sched_getaffinity(0))
    return f"{name}; {usable} of {cores} cores usable, {limits.threads()} by the CPU quota"


def _instructions() -> str:
    kernels, core, config = json.loads(_output([sys.executable, "-c", _ENGINE]))
    version = re.search(r"\d+(\.\d+)+", config)
    wished = os.environ.get("NATIVE_ISA")
    return (f"{kernels} in Caffe's kernels{f' (NATIVE_ISA={wished})' if wished else ''}, "
            f"{core} in OpenBLAS {version[0] if version else ''}".rstrip())


def _memory() -> str:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    most, addresses = limits.cap(), resource.getrlimit(resource.RLIMIT_AS)[0]
    return (f"{limits.told(limits.memory())} free for a dream, of {limits.told(total)}; limit of the control group: "
            f"{limits.told(most) if most else 'none'}; ulimit -v: "
            f"{'none' if addresses == resource.RLIM_INFINITY else limits.told(addresses)}")


def _caffe() -> str:
    found = importlib.util.find_spec("caffe")
    if not found or not found.origin:
        return f"not installed: {here.provision()}"
    prefix = Path(found.origin).resolve().parents[2]
    try:
        key = (prefix / "key").read_text().strip()
    except OSError:
        return f"in {prefix}, not finished by provision.sh, or another Caffe: {here.provision('caffe')}"
    if not (_CLONE / "native/patches").is_dir():  # as in the image
        return f"in {prefix}, build {key[:9]}"
    wanted = _output(["bash", "-c", '. "$1" && distribution && caffe_key', "", str(_CLONE / "provision.sh")],
                     PATH="/usr/sbin:/usr/bin:/sbin:/bin")
    fits = "as this clone needs it"
    if key != wanted:
        fits = f"but this clone needs {wanted[:9]}: {here.provision('caffe')}"
    return f"in {prefix}, build {key[:9]}, {fits}"


def _model() -> str:
    from dreamer.nets import checksum, model  # on Ubuntu 22.04, they need the package tomli
    chosen, warning = model.default()
    try:
        path = chosen.weights_path()
        if chosen.compact and path.is_relative_to("/proc"):
            return f"{chosen.name}, whose weights come with this repository; {warning}"
        right = checksum.sha256(path) == chosen.weights_sha256
    except (Failure, Mistake) as error:
        return f"{chosen.name}: {error}"
    told = "sha256 right" if right else "sha256 not the one in model.toml: other weights, or damaged ones"
    return f"{chosen.name}; {path}, {path.stat().st_size / 1e6:.1f} MB, {told}"


def _packages() -> str:
    told, missing = list[str](), list[str]()
    for name, module in _PACKAGES.items():
        try:
            told.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            (told if _is_there(module) else missing).append(name)
    lacks = [f"missing: {', '.join(missing)}; {here.provision()}"] if missing else []
    return "; ".join([", ".join(told), *lacks])


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its package is missing
        return False


def _films() -> str:
    told, missing = list[str](), list[str]()
    if path := shutil.which("ffmpeg"):
        found = re.match(r"ffmpeg version (\S+)", _output([path, "-version"]))
        told.append(f"ffmpeg {found[1] if found else 'of unknown version'}")
    else:
        missing.append("ffmpeg")
    if _is_there("cv2"):
        told.append("OpenCV " + _output([sys.executable, "-c", "import cv2; print(cv2.__version__)"]))
    else:
        missing.append("OpenCV")
    return "; ".join([*filter(None, [", ".join(told)]),
                      *([f"{' and '.join(missing)} missing: {here.provision('film')}"] if missing else [])])


def _pictures() -> str:
    from dreamer.pictures import modern, raw  # they need numpy and Pillow
    can = set(modern.extensions())
    told = [f"{name} {'yes' if extension in can else 'no'}"
            for name, extension in (("HEIC", ".heic"), ("AVIF", ".avif"), ("JPEG XL", ".jxl"))]
    return ", ".join(told) + ", raw photos " + ("yes" if raw.extensions() else f"no: {here.provision('raw')}")


def _disk() -> str:
    told = [f"{limits.told(shutil.disk_usage(tempfile.gettempdir()).free)} free for temporary data in "
            f"{tempfile.gettempdir()}"]
    if folder := cache.place():
        there = next(each for each in (folder, *folder.parents) if each.exists())
        told.append(f"{limits.told(shutil.disk_usage(there).free)} for the cache in {folder}")
    return ", ".join(told)


def _dream() -> tuple[bool, str]:
    """(whether a small dream works, what to print about it). Nothing is written."""
    command = [sys.executable, str(_CLONE / "dreamify.py"), "noise:96x96", "-", "inception_3b/output", "1", "1"]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, f"does not work: {error}"
    if done.returncode == 0 and done.stdout.startswith(b"\x89PNG"):
        return True, "works"
    errors = [line.removeprefix("dreamify: ") for line in done.stderr.decode(errors="replace").splitlines()
              if line.strip() and "warning: " not in line]
    return False, f"does not work: {errors[-1] if errors else f'exit code {done.returncode}'}"


def _output(command: list[str], **variables: str) -> str:
    """The standard output of a command, without blanks around it; raises Failure with its last line if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, cwd=_CLONE,
                          timeout=_SECONDS, env=os.environ | {"GLOG_minloglevel": "2"} | variables)
    if done.returncode:
        raise Failure((done.stderr.strip().splitlines() or [f"{command[0]}: exit code {done.returncode}"])[-1])
    return done.stdout.strip()


_LINES: dict[str, Callable[[], str]] = {
    "image-dreamer": _program, "system": _system, "Python": _python, "processor": _processor,
    "instructions": _instructions, "memory": _memory, "Caffe": _caffe, "model": _model, "packages": _packages,
    "films": _films, "pictures": _pictures, "disk": _disk}
_WITH_NUMPY = ("instructions", "model", "films", "pictures")
