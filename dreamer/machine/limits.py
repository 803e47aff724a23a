"""The cores and memory that this process may use, within the limits of its control groups."""

import math
import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path

from dreamer.errors import Mistake
from dreamer.machine import reservations

CGROUP = Path("/sys/fs/cgroup")
BEGIN = 160 << 20  # bytes of address space; without them OpenBLAS's threads try for ever, and fork waits for them
LOAD = 128 << 20  # more for the imports
THREAD = 136 << 20  # more for each OpenBLAS thread except the first: its stack and buffer
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def threads() -> int:
    """The number of threads that can run at once: the cores we may run on, or the CPU quota if that is less.

    A container with `--cpus 1` sees all cores, but one thread for each would mostly wait for the others."""
    cores = len(os.sched_getaffinity(0))
    for group in _groups("cpu"):
        quota, period = (_read(group / "cpu.max") or "max 1").split()  # version 2
        if quota == "max":
            quota, period = _read(group / "cpu.cfs_quota_us") or "-1", _read(group / "cpu.cfs_period_us") or "1"
        if int(quota) > 0:
            cores = min(cores, math.ceil(int(quota) / int(period)))
    return max(1, cores)


def memory() -> int:
    """Bytes that this process can still take without being killed, swapping, or taking memory that another dream has
    reserved."""
    free = _number(Path("/proc/meminfo"), "MemAvailable:") << 10
    for most, used in _caps():
        free = min(free, most - max(0, used))
    return max(0, int(min(free - reservations.others(held), reservable())))


def reservable() -> float:
    """Bytes that `ulimit -v` and `ulimit -d` still let this process reserve."""
    rooms = [math.inf]
    for which, field in ((resource.RLIMIT_AS, 0), (resource.RLIMIT_DATA, 5)):
        most = resource.getrlimit(which)[0]
        if most != resource.RLIM_INFINITY:
            rooms.append(most - _pages(field))
    return min(rooms)


def lacking(room: int) -> str | None:
    """The error message if this process cannot reserve `room` more bytes, else None."""
    missing = room - reservable()
    return None if missing <= 0 else ("ulimit -v (or -d) is too low to start: raise it by at least "
                                      f"{told(missing)}")


def start_no_blas_threads() -> None:
    """Have OpenBLAS use one thread, unless the environment says otherwise. Call it before numpy is loaded. A dream
    hardly needs OpenBLAS (see binding.py), but its threads spin as they start: 110 ms of CPU time on two cores."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def needed() -> int:
    """Bytes of address space needed to load everything for a dream, and to start it."""
    cores = len(os.sched_getaffinity(0))
    asked = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS", "")
    blas = min(cores, int(asked)) if asked.isdecimal() and int(asked) else cores
    return LOAD + THREAD * (blas - 1) + BEGIN


def cap() -> int | None:
    """Bytes that the control groups (for example a container's) allow in all; None if they allow all that there is."""
    total = _number(Path("/proc/meminfo"), "MemTotal:") << 10
    least = min((most for most, _ in _caps()), default=total)
    return least if least < total else None


def _caps() -> Iterator[tuple[int, int]]:
    """(limit, usage) in bytes of memory, for each control group that has a limit."""
    for group in _groups("memory"):
        for limit, usage, cache in (("memory.max", "memory.current", "inactive_file"),
                                    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")):
            if (most := _read(group / limit) or "max") != "max":
                used = int(_read(group / usage) or 0)
                # the kernel frees cached files before it kills anything
                used -= _number(group / "memory.stat", cache)
                yield int(most), used


def used(waiting: int | None = None) -> int:
    """Bytes of memory that this process holds now, plus those of the process `waiting`, which only waits for this one
    (see worker.py)."""
    return held("self") + (held(str(waiting)) if waiting else 0) or _pages(1)


def held(process: str) -> int:
    """Bytes of memory that a process (a number or "self") holds now, including its part of shared memory. 0 if it has
    ended."""
    return _number(Path("/proc", process, "smaps_rollup"), "Pss:") << 10


def most_used() -> int:
    """The most bytes of memory that this process has ever held: loading the weights takes more than holding them."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def size(text: str) -> int:
    """Bytes for a size like 512m, 1.5g or 2000000; raises Mistake."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kmgt]?)(?:i?b)?\s*", text.lower())
    count = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not 1 <= count < 1 << 63:
        raise Mistake(f"{text!r} is not a memory size such as 512m or 1.5g")
    return int(count)


def told(count: float) -> str:
    """A number of bytes for people: 820 MB, 12.5 GB. It is rounded up, because it may come back as a limit."""
    if count < 10_000 << 20:
        return f"{math.ceil(count / (1 << 20))} MB"
    return f"{math.ceil(count / (1 << 30) * 10) / 10:.1f} GB"


def _pages(field: int) -> int:
    return int(Path("/proc/self/statm").read_text().split()[field]) * resource.getpagesize()


def _number(path: Path, name: str) -> int:
    """The number after `name`, at the start of a line of a file; 0 if there is none."""
    found = re.search(rf"^{name} *(\d+)", _read(path) or "", re.MULTILINE)
    return int(found[1]) if found else 0


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _groups(controller: str) -> Iterator[Path]:
    """Folders of this process's control groups, from its own up to the root, in version 1 and 2.

    In a container the path in /proc/self/cgroup may be the host's: then only the root exists, and it is ours."""
    for line in (_read(Path("/proc/self/cgroup")) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = CGROUP / controllers if controllers else CGROUP
        if controllers and not root.is_dir():
            root = CGROUP / controller
        folder = root / path.lstrip("/")
        while True:
            yield folder
            if folder == root or root not in folder.parents:
                break
            folder = folder.parent
