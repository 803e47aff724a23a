#!/usr/bin/python3
"""What a dream takes, from a quarter of a megapixel to 64: the memory that it predicts and really uses, and the time.

    $ tests/bench/memory.py [--sizes 1920x1080 …] [--memory SIZE …] [--layer LAYER] [--model NAME]

Each is one octave and one step of the real command. Its memory, with the child's, is measured every 50 ms.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from dreamer.machine import limits  # noqa: E402
from dreamer.nets import model  # noqa: E402

SIZES = ["512x512", "1024x1024", "1920x1080", "2048x2048", "3840x2160", "5657x5657", "8000x8000"]


def held(process: int | str) -> int:
    """Bytes of memory that a process and its children hold. Shared memory counts once (Pss). Pages of the working files
    do not count, because the kernel can take them back at any time."""
    total, counts = 0, True
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
            if line.startswith("Pss:"):
                total += counts * int(line.split()[1]) << 10
            elif re.match("[0-9a-f]+-[0-9a-f]+ ", line):
                counts = not line.endswith("(deleted)") or "memfd:" in line
    except OSError:  # it has ended
        return 0
    return total + sum(held(child) for child in children)


def measure(picture: Path, folder: Path, options: argparse.Namespace, memory: str) -> None:
    """Dream once, and print a line of the table."""
    layer = options.layer or model.find(options.model).default_layer
    words = [ROOT / "dreamify.py", picture, folder / "out.png", layer, "1", "1", "--seed", "0", "--max-pixels",
             "1000000000", "--model", options.model] + (["--memory", memory] if memory else [])
    peak, began = 0, time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, held(process.pid))
            time.sleep(0.05)
        took = time.monotonic() - began
        said, wrong = process.communicate()
    with Image.open(picture) as image:
        width, height = image.size
    name = f"{width}×{height}"
    if process.returncode:
        print(f"{name:>12} {memory or '-':>7}  {wrong.strip()}", flush=True)
        return
    told = re.search(r"([\d.]+ [MG]B) of memory", said)
    assert told, said
    tiles = re.search(r"([\d.]+) times the work", said)
    foretold = limits.size(told[1].replace(" ", ""))
    print(f"{name:>12} {memory or '-':>7} {foretold >> 20:9} {peak >> 20:8} {foretold / peak - 1:+7.0%} "
          f"{peak / width / height / 1024:7.2f} {took * 1e6 / width / height:7.2f} {tiles[1] if tiles else '1':>6}",
          flush=True)


def main() -> None:
    """Parse the command line, and measure each picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="WIDTHxHEIGHT; %(default)s")
    parser.add_argument("--memory", nargs="+", default=[""], help="as for dreamify.py (default: what is free)")
    parser.add_argument("--layer", help="default: the model's")
    parser.add_argument("--model", default="bvlc_googlenet", help="%(default)s")
    options = parser.parse_args()
    print(f"{'pixels':>12} {'--memory':>8} {'told, MB':>8} {'was, MB':>8} {'off by':>7} {'kB/px':>7} {'s/Mpx':>7} "
          f"{'work':>6}")
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as name:
        folder = Path(name)
        for size in options.sizes:
            picture = folder / f"{size}.jpg"
            with Image.open(ROOT / "tests/pictures/sky.jpg") as image:
                image.resize(tuple(map(int, size.split("x")))).save(picture)
            for memory in options.memory:
                measure(picture, folder, options, memory)


if __name__ == "__main__":
    main()
