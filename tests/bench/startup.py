#!/usr/bin/python3
"""What a dream costs before and after its steps: starting, loading, writing.

    $ tests/bench/startup.py [--rounds 7] [--many]

Runs the real commands, in turn with an interpreter that only imports numpy, scipy.ndimage and PIL.Image, and prints the
medians and their ratios to that. A dream is one step of 64×64 pixels. With --many also, once, what keeps a net for many
dreams: a folder of 20 pictures of 96×64, a film of 20 such frames, and an atlas at 256 pixels, one step each. Compiled
modules and what dreamify.py keeps are there when the rounds begin; "first dream" has only the modules.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from dreamer.nets import model  # noqa: E402

IMPORTS = "three imports"
FIRST = "first dream"


def commands(folder: Path) -> dict[str, list[str]]:
    """{name: the words of a command}"""
    script, chosen = str(ROOT / "dreamify.py"), model.default()[0]
    dream = [script, "tiny.jpg", "out.png", chosen.default_layer, "1", "1", "--force", "--quiet"]
    small = [script, "tiny.jpg", "small.png", model.find(model.SPARE).default_layer, "1", "1", "--force", "--quiet",
             "--model", model.SPARE]
    Image.fromarray(np.uint8(np.random.RandomState(0).randint(0, 256, (64, 64, 3)))).save(folder / "tiny.jpg")
    return {IMPORTS: [sys.executable, "-c", "import numpy, scipy.ndimage, PIL.Image"], f"dream ({chosen.name})": dream,
            FIRST: dream, f"dream ({model.SPARE})": small, "recipe": [script, "recipe", "out.png"],
            "keys": [script, "keys"], "--help": [script, "--help"]}


def measured(words: list[str], folder: Path, cache: str = "cache") -> tuple[float, float]:
    """(seconds, seconds of processor time) of a command in the folder."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "XDG_CACHE_HOME": str(folder / cache)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def in_turn(folder: Path, rounds: int) -> None:
    """Run the commands in turn, and print a table."""
    found: dict[str, list[tuple[float, float]]] = {}
    for number in range(rounds + 1):
        for name, words in commands(folder).items():
            if name == FIRST:
                shutil.rmtree(folder / "none", ignore_errors=True)
            one = measured(words, folder, "none" if name == FIRST else "cache")
            if number:  # the first round compiles and warms up
                found.setdefault(name, []).append(one)
    medians = {name: [statistics.median(each) for each in zip(*some, strict=True)] for name, some in found.items()}
    print(f"{'':>24} {'ms':>5} {'ratio':>6}   {'CPU ms':>6} {'ratio':>6}")
    for name, (took, busy) in medians.items():
        print(f"{name:>24} {1000 * took:5.0f} {took / medians[IMPORTS][0]:6.2f}   "
              f"{1000 * busy:6.0f} {busy / medians[IMPORTS][1]:6.2f}")


def many(folder: Path) -> None:
    """Dream many pictures with each command that does so, and print the time of each dream."""
    script, layer = str(ROOT / "dreamify.py"), model.default()[0].default_layer
    (folder / "in").mkdir()
    with Image.open(ROOT / "tests/pictures/sky.jpg") as sky:
        sky.resize((256, 256)).save(folder / "sky.jpg")
        for number in range(20):
            sky.crop((number * 5, 0, number * 5 + 300, 200)).resize((96, 64)).save(folder / f"in/{number}.jpg")
    count = len(model.default()[0].keys)
    for name, dreams, words in [
            ("folder", 20, ["in", "out/", layer, "1", "1"]),
            ("film", 20, ["in/0.jpg", "film.gif", layer, "1", "1", "--zoom", "20"]),
            ("atlas", count, ["atlas", "sky.jpg", "atlas.png", "*", "1", "1"])]:
        took, busy = measured([script, *words, "--quiet"], folder)
        print(f"{name:>24} {took:5.1f} s: {1000 * took / dreams:4.0f} ms for each of {dreams} dreams, "
              f"{1000 * busy / dreams:4.0f} ms of processor time")


def main() -> None:
    """Parse the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="%(default)s")
    parser.add_argument("--many", action="store_true", help="measure a folder, a film and an atlas as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        in_turn(Path(name), options.rounds)
        if options.many:
            many(Path(name))


if __name__ == "__main__":
    main()
