#!/usr/bin/python3
"""Our steps and dreams against those of the fastest libraries, side by side in one run. Prints tables in Markdown.

    $ tests/bench/peers.py --torch --openvino --tensorflow    # installs them with pip in .cache/peers: 7 GB
    $ tests/bench/peers.py --torch=PYTHON --openvino=PYTHON --tensorflow=PYTHON    # interpreters that have them
    $ tests/bench/peers.py --sizes 112x112 --dreams 160x90 --rounds 1              # a try without peers, in a minute

The engines take turns, and each has its own process. All figures are medians: of ten steps in each of five rounds, or
of five dreams. The steps of PyTorch and ours must have the same gradient, and all engines the same objective.
docs/speed.md says what is the same and what is not. Nothing else should run on the machine: a warning says so, and the
first lines name what takes part.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]

import rates  # noqa: E402
import speed  # noqa: E402
from speed import END, Row  # noqa: E402

PACKAGES = {"torch": ["numpy", "torch==2.13.0"], "openvino": ["numpy", "openvino==2026.4.1"],
            "tensorflow": ["numpy", "pillow", "tensorflow-cpu==2.21.0"]}
KINDS = {"torch": ["tuned"], "openvino": ["openvino", "bound"]}  # of engines
DREAM = 10, 4, 1.4  # iterations, octaves, scale
# what every dream needs before its own code; and the smallest dream, which is nearly all start
IMPORTS = "import numpy, scipy.ndimage, PIL.Image"
SMALL = 64, 64, 1, 1, 1.4


class Whole(NamedTuple):
    """A way to dream: its name, and a command whose words may be {input} and {output}."""

    name: str
    command: list[str]
    environment: dict[str, str]


class Taken(NamedTuple):
    """What a dream took: seconds, and MB of memory."""

    seconds: float
    mb: float


def install(name: str, folder: Path) -> str:
    """The interpreter of an environment in `folder` that has the peer; it is made if it is missing."""
    python = folder / name / "bin/python"
    test = [str(python), "-c", f"import {name}"]
    if not python.exists() or subprocess.run(test, capture_output=True, check=False).returncode:
        subprocess.run(["/usr/bin/python3", "-m", "venv", folder / name], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES[name]], check=True)
    return str(python)


def version(python: str, name: str) -> str:
    """The peer's version."""
    line = f"import importlib.metadata as m; print(m.version({PACKAGES[name][-1].partition('==')[0]!r}))"
    return f"{name} {subprocess.run([python, '-c', line], check=True, capture_output=True, text=True).stdout.strip()}"


def steps(options: argparse.Namespace, scratch: Path,
          found: Mapping[str, float]) -> tuple[dict[tuple[int, int], list[Row]], float]:
    """({(height, width): the Rows of the engines}, the best SGEMM of the engines' own libraries, GFLOP/s)."""
    make = speed.maker(options, str(scratch / "weights.npz"))
    kinds = ["ours", "forward", *(kind for name, kinds in KINDS.items() if getattr(options, name) for kind in kinds)]
    types = speed.core_types(make, kinds, list(found))
    measured = {size: speed.measure(make, types, size, options.rounds, scratch)
                for size in map(speed.sized, options.sizes)}
    return {size: rows for size, (rows, _) in measured.items()}, max(rate for _, rate in measured.values())


def ways(options: argparse.Namespace, arrays: str, sizes: tuple[int, int, float] = DREAM) -> list[Whole]:
    """The ways to dream that are compared; ours comes first."""
    more = [str(number) for number in sizes]
    plain = rates.environment(options.threads)
    ours = plain | {"BVLC_GOOGLENET": options.weights, "PYTHONPATH": f"{options.ours}/python"}
    found = [Whole("ours", [options.python, str(ROOT / "dreamify.py"), "{input}", "{output}", END, *more, "--seed", "1",
                            "--threads", str(options.threads), "--quiet", "--force"], ours),
             Whole("Google's notebook on our Caffe",
                   [options.python, str(HERE / "notebook.py"), f"{options.ours}/models/bvlc_googlenet/deploy.prototxt",
                    options.weights, "{input}", "{output}", *more], ours)]
    if options.tensorflow:
        found.append(Whole("TensorFlow, its tutorial's way",
                           [options.tensorflow, str(HERE / "tutorial.py"), arrays, "{input}", "{output}", *more,
                            str(options.threads)], plain))
    return found


def once(way: Whole, source: Path, to: Path) -> Taken:
    """What a dream takes, from the start of its process to the end. The memory is that of its largest process, and at
    least that of this one, because the kernel counts what a process has before it starts another program."""
    words = [word.format(input=source, output=to) for word in way.command]
    with tempfile.TemporaryFile("w+") as said:
        began = time.perf_counter()
        process = subprocess.Popen(words, env=way.environment, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode or not to.exists():
            said.seek(0)
            sys.exit(f"peers.py: {way.name} failed: {said.read()[-2000:]}")
    to.unlink()
    return Taken(took, usage.ru_maxrss / 1024)


def photo(size: tuple[int, int], scratch: Path) -> Path:
    """The sample photo in (height, width)."""
    path = scratch / f"{size[1]}x{size[0]}.png"
    with Image.open(ROOT / "tests/pictures/sky.jpg") as picture:
        picture.resize((size[1], size[0])).save(path)
    return path


def dreams(found: Sequence[Whole], size: tuple[int, int], rounds: int, scratch: Path) -> dict[str, Taken]:
    """{way: the median seconds and the most memory of a dream of (height, width)}, in the order of `found`."""
    source = photo(size, scratch)
    each: dict[str, list[Taken]] = {way.name: [] for way in found}
    for _ in range(rounds):
        for way in found:
            each[way.name].append(once(way, source, scratch / "dream.png"))
    return {name: Taken(statistics.median(one.seconds for one in taken), max(one.mb for one in taken))
            for name, taken in each.items()}


def start(options: argparse.Namespace, scratch: Path, rounds: int) -> tuple[float, float]:
    """(seconds of the SMALL dream, seconds of IMPORTS)."""
    height, width, *more = SMALL
    ours = ways(options, "", (int(more[0]), int(more[1]), more[2]))[0]
    source = photo((height, width), scratch)
    times: list[tuple[float, float]] = []
    for _ in range(rounds):
        took = once(ours, source, scratch / "dream.png").seconds
        began = time.perf_counter()
        subprocess.run([options.python, "-c", IMPORTS], check=True)
        times.append((took, time.perf_counter() - began))
    return statistics.median(took for took, _ in times), statistics.median(took for _, took in times)


def step_table(measured: Mapping[tuple[int, int], Sequence[Row]], sgemm: float, peak: float) -> list[str]:
    """The table of steps, in Markdown, given the GFLOP/s of SGEMM and of multiply-adds (0: unknown)."""
    titles = ["Picture", "ours", "forward alone", "PyTorch, tuned", "OpenVINO, lower bound of a step",
              "OpenVINO, forward alone", "direct work, of SGEMM", "real multiplications, of the FMA peak"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for (height, width), rows in measured.items():
        ms = {row.kind: row.ms for row in rows}
        direct, real = speed.work((height, width))

        def against(kind: str, own: str = "ours", ms: Mapping[str, float] = ms) -> str:
            return f"{ms[kind]:.1f} ms: {ms[kind] / ms[own]:.2f}×" if kind in ms else ""
        cells = [f"{width}×{height}", f"{ms['ours']:.1f} ms", f"{ms['forward']:.1f} ms", against("tuned"),
                 against("bound"), against("openvino", "forward"), f"{direct / ms['ours'] / 1e6 / sgemm:.0%}",
                 f"{real / ms['ours'] / 1e6 / peak:.0%}" if peak else ""]
        lines.append(f"| {' | '.join(cells)} |")
    small, large = (next((row.ms for row in measured.get((side, side), ()) if row.kind == "ours"), 0)
                    for side in (112, 224))
    if small and large:
        lines += ["", f"A step of 112×112 takes {small / (large / 4):.2f} times a quarter of one of 224×224."]
    return lines


def dream_table(measured: Mapping[tuple[int, int], Mapping[str, Taken]]) -> list[str]:
    """The table of whole dreams, in Markdown. The first way is ours."""
    names = list(next(iter(measured.values()), {}))
    lines = [f"| Picture | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    for (height, width), taken in measured.items():
        own = taken[names[0]].seconds
        cells = [f"{each.seconds:.1f} s" + (f": {each.seconds / own:.2f}×" if name != names[0] else "") +
                 f", {each.mb:.0f} MB" for name, each in taken.items()]
        lines.append(f"| {width}×{height} | {' | '.join(cells)} |")
    return lines


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    made = speed.parser(str(__doc__))
    for name in PACKAGES:
        made.add_argument(f"--{name}", nargs="?", const="", metavar="PYTHON",
                          help=f"compare with {name}; without PYTHON, in an environment that pip fills")
    made.add_argument("--folder", type=Path, default=ROOT / ".cache/peers", help="for the environments (%(default)s)")
    made.add_argument("--sizes", nargs="*", default=["1920x1080", "1024x576", "224x224", "112x112"],
                      help="of steps (%(default)s)")
    made.add_argument("--dreams", nargs="*", default=["1920x1080", "1024x576"], help="of whole dreams (%(default)s)")
    made.add_argument("--rounds", type=int, default=5, help="%(default)s")
    return made


def main() -> None:
    """Parse the command line, measure, and print."""
    options = arguments().parse_args()
    options.stock = None
    for name in PACKAGES:
        if getattr(options, name) == "":
            setattr(options, name, install(name, options.folder))
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        arrays = scratch / "weights.npz"
        speed.save_arrays(options, arrays)
        print("".join(f"- {line}\n" for line in rates.warning()), end="", flush=True)
        found, alone = rates.measured(options.python, options.threads)
        peak = rates.fma_peak(options.threads)
        print("\n".join(f"- {line}" for line in rates.told(options.threads, found, alone, peak)))
        present = [version(getattr(options, name), name) for name in PACKAGES if getattr(options, name)]
        print(f"- peers: {', '.join(present) or 'none'}\n", flush=True)
        if options.sizes:
            measured, own = steps(options, scratch, found)
            best = max(alone[0], own, *found.values())
            again = rates.fma_peak(options.threads)[0]  # the clock may have risen, or a neighbour left
            print("\n".join(step_table(measured, best, max(peak[0], again))), "\n", sep="", flush=True)
        if options.dreams:
            compared = ways(options, str(arrays))
            print("\n".join(dream_table({size: dreams(compared, size, options.rounds, scratch)
                                         for size in map(speed.sized, options.dreams)})), "\n", sep="", flush=True)
        small, imports = start(options, scratch, options.rounds)
        print(f"A dream of 64×64, one step: {1e3 * small:.0f} ms, {small / imports:.2f} times the import of numpy, "
              f"scipy.ndimage and Pillow ({1e3 * imports:.0f} ms).")


if __name__ == "__main__":
    main()
