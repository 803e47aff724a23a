#!/usr/bin/python3
"""What a farm costs, and what it gains, on one machine.

    $ tests/bench/farm.py
    $ tests/bench/farm.py --rounds 1 --pictures 40 --size 96x64 --iterations 1 --octaves 1 --model daydream

Dreams a folder in turn without a farm, with --farm local (two workers share the cores; its start counts), on a farm of
one worker of one thread, and on one with two. Prints the medians, and two ratios: what --farm local costs, and how much
faster two workers are than one. All dreams must have the same bytes. The default takes about ten minutes a round."""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from dreamer.nets.model import find  # noqa: E402

SCRIPT = str(ROOT / "dreamify.py")
ALONE, LOCAL, ONE, TWO = "without a farm", "--farm local", "one worker", "two workers"


def pictures(folder: Path, count: int, width: int, height: int) -> None:
    """Write different photos of that size into the new folder."""
    folder.mkdir()
    with Image.open(ROOT / "tests/pictures/sky.jpg") as sky:
        for number in range(count):
            part = sky.rotate(number, Image.Resampling.BICUBIC, fillcolor="black").resize((width, height))
            part.save(folder / f"{number:04d}.jpg", quality=95)


@contextlib.contextmanager
def started(*words: str, environment: dict[str, str], until: str) -> Iterator[str]:
    """A process of the farm, for as long as the block lasts. Yields its first line with the text `until`."""
    with subprocess.Popen([SCRIPT, "farm", *words], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield next(line for line in process.stdout if until in line)
        finally:
            process.terminate()


@contextlib.contextmanager
def farm(workers: int, environment: dict[str, str]) -> Iterator[str]:
    """A farm whose workers have one thread each; yields its address."""
    with contextlib.ExitStack() as stack:
        line = stack.enter_context(started("scheduler", "--bind", "127.0.0.1", "--port", "0", environment=environment,
                                           until="tls://"))
        address = "tls://" + line.partition("tls://")[2].partition(";")[0]
        for _ in range(workers):
            stack.enter_context(started("worker", address, "--threads", "1", environment=environment,
                                        until="works for the farm"))
        yield address


def measured(words: list[str], target: Path, environment: dict[str, str]) -> tuple[float, dict[str, bytes]]:
    """(seconds that the command takes, {name: bytes} of the dreams in the new folder `target`)."""
    began = time.perf_counter()
    subprocess.run([*words, "--quiet"], env=environment, check=True)
    return time.perf_counter() - began, {path.name: path.read_bytes() for path in target.iterdir()}


def table(found: dict[str, list[float]]) -> list[str]:
    """Lines with the medians and the ratios, for {way: seconds of each round}."""
    took = {way: statistics.median(seconds) for way, seconds in found.items()}
    notes = {LOCAL: f": {took[LOCAL] / took[ALONE]:.2f} times as long",
             TWO: f": {took[ONE] / took[TWO]:.2f} times as fast as one"}
    return [f"{way:>16} {seconds:.1f} s{notes.get(way, '')}" for way, seconds in took.items()]


def main() -> None:
    """Parse the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="%(default)s")
    parser.add_argument("--pictures", type=int, default=20, help="%(default)s")
    parser.add_argument("--size", default="1024x576", help="%(default)s")
    parser.add_argument("--iterations", default="10", help="%(default)s")
    parser.add_argument("--octaves", default="4", help="%(default)s")
    parser.add_argument("--model", default="bvlc_googlenet", help="%(default)s")
    given = parser.parse_args()
    dream = [find(given.model).default_layer, given.iterations, given.octaves, "--model", given.model, "--seed", "1"]
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        pictures(folder / "in", given.pictures, *map(int, given.size.split("x")))
        environment = os.environ | {"DREAMER_FARM_KEYS": str(folder / "keys")}
        subprocess.run([SCRIPT, "farm", "keys", folder / "keys"], check=True, stdout=subprocess.DEVNULL)
        ways = {ALONE: "none", LOCAL: "local", ONE: stack.enter_context(farm(1, environment)),
                TWO: stack.enter_context(farm(2, environment))}
        found: dict[str, list[float]] = {way: [] for way in ways}
        dreams: dict[str, bytes] = {}
        for number in range(given.rounds):
            for way, address in ways.items():
                target = folder / f"{way}-{number}"
                took, made = measured([SCRIPT, str(folder / "in"), str(target), *dream, "--farm", address], target,
                                      environment)
                dreams = dreams or made
                if made != dreams or len(made) != given.pictures:
                    raise SystemExit(f"{way}: the dreams differ")
                found[way].append(took)
        print(f"{given.pictures} pictures of {given.size.replace('x', '×')}, {' '.join(dream)}; "
              f"{len(os.sched_getaffinity(0))} cores")
        print("\n".join(table(found)))


if __name__ == "__main__":
    main()
