#!/usr/bin/python3
"""How much slower a dream is on a busy machine, as ratios to an idle one.

    $ tests/bench/busy.py    # while something else keeps one core busy; and, if root, with a quota of one core

The quota is that of a control group (version 1), as `docker run --cpus 1` sets it. It is compared with --threads 1.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QUOTA = Path("/sys/fs/cgroup/cpu/dreamify-bench")


def dream(*options: str, group: Path | None = None) -> float:
    """The seconds that a dream of the sample picture takes."""
    def join() -> None:
        if group:
            (group / "cgroup.procs").write_text(str(os.getpid()))
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        subprocess.run([ROOT / "dreamify.py", ROOT / "tests/pictures/sky.jpg", Path(folder, "dream.png"),
                        "inception_4c/output", "4", "2", "--quiet", *options], check=True, preexec_fn=join)
        return time.monotonic() - began


def busy() -> float:
    """Like dream(), while a process of the same priority keeps the last core busy."""
    core = max(os.sched_getaffinity(0))
    with subprocess.Popen([sys.executable, "-c", "while True: pass"],
                          preexec_fn=lambda: os.sched_setaffinity(0, {core})) as other:
        try:
            return dream()
        finally:
            other.kill()


def capped() -> float:
    """Like dream(), with a quota of one core."""
    return dream(group=QUOTA)


def main() -> None:
    """Run each case in turn, several times, and print the medians."""
    ways = {"idle": dream, "one core busy": busy}
    if os.access(QUOTA.parent, os.W_OK):
        QUOTA.mkdir(exist_ok=True)
        (QUOTA / "cpu.cfs_quota_us").write_text("100000")
        ways |= {"--threads 1": lambda: dream("--threads", "1"), "quota of one core": capped}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    dream()
    for _ in range(4):
        for name, way in ways.items():
            taken[name].append(way())
    if QUOTA.exists():
        QUOTA.rmdir()
    seconds = {name: statistics.median(all_of_it) for name, all_of_it in taken.items()}
    for name, took in seconds.items():
        against = "--threads 1" if name == "quota of one core" else "idle"
        print(f"{name:18} {took:6.2f} s  {took / seconds[against]:5.2f}× {against}")


if __name__ == "__main__":
    main()
