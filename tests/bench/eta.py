#!/usr/bin/python3
"""How accurate the bar's ETA is: dreams on a terminal of its own, and compares the ETAs shown with the truth.

    $ tests/bench/eta.py [WIDTHxHEIGHT…]    # 640x480 1024x575 1920x1080

For each dream (Google's defaults, two threads), prints how long it took, which share of the ETAs after the first tenth
was more than 20 % off, and the worst one. The last half second does not count, because the bar shows tenths. Other
load on the machine affects the figures: nothing can predict a load that changes."""

import os
import pty
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def told(picture: Path, output: Path) -> tuple[list[tuple[float, float]], float]:
    """([(seconds since the bar began, seconds that it says are left)], total seconds)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([ROOT / "dreamify.py", picture, output, "inception_4c/output", "10", "4",
                                "--no-resume", "--threads", "2"], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    began: float | None = None
    said: list[tuple[float, float]] = []
    end = 0.0
    while True:
        try:
            text = os.read(ours, 1 << 16).decode(errors="replace")
        except OSError:  # the other end is closed
            break
        now = time.monotonic()
        if " to go" in text:
            began = began or now
            end = now - began
            for left in re.findall(r"((?:\d+:)?\d+:\d\d|\d+\.\d s) to go", text)[-1:]:
                parts = [float(part) for part in left.removesuffix(" s").split(":")]
                said.append((end, sum(part * 60 ** place for place, part in enumerate(reversed(parts)))))
    os.close(ours)
    if process.wait():
        sys.exit(f"dreamify.py ended with {process.returncode}")
    return said, end


def main(*sizes: str) -> None:
    """Dream in each size, and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes or ("640x480", "1024x575", "1920x1080"):
            picture = Path(folder, f"{size}.png")
            Image.open(ROOT / "tests/pictures/sky.jpg").resize(tuple(map(int, size.split("x")))).save(picture)
            said, end = told(picture, Path(folder, "dream.png"))
            errors = [left / (end - now) - 1 for now, left in said if 0.1 * end <= now < end - 0.5]
            far = sum(abs(error) > 0.2 for error in errors) / max(1, len(errors))
            print(f"{size}: {end:.1f} s; of {len(errors)} moments {100 * far:.0f} % more than 20 % off, the farthest "
                  f"{100 * max(errors, key=abs, default=0):+.0f} %; load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
