#!/usr/bin/python3
"""How fast the net is: one step (forward to inception_4c/output, and the gradient of the picture) with our Caffe, with
the Caffe of the original box, and with PyTorch.

    $ tests/bench/stock.sh .cache/stock                                             # ten minutes, once
    $ python3 -m venv .cache/torch && .cache/torch/bin/pip install numpy torch==2.13.0
    $ tests/bench/speed.py --stock .cache/stock --torch .cache/torch/bin/python

Each engine has its own process; they take turns, and must compute the same. Prints milliseconds (the median), how many
times faster ours is, memory, and two rates: the FLOP of direct convolutions, relative to the best large matrix product
on this machine (SGEMM), which can exceed 100 %, because Winograd's tiles need fewer multiplications; and the FLOP that
remain with those tiles, relative to the peak of multiply-adds, for ours alone (multiplications.py counts both).

Variables that make a library use the kernels of another machine are removed from the environment. OpenBLAS takes its
slowest kernels for a processor that it does not know, so the benchmark tries all that this one can run (rates.py), and
gives each of the other engines those that are best for it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

import multiplications  # noqa: E402
import rates  # noqa: E402
from dreamer.errors import Failure  # noqa: E402
from dreamer.nets import model, shapes  # noqa: E402

END = "inception_4c/output"
TURN = 10  # steps before the next engine has its turn, as many as in an octave: the first finds cold caches
# freed memory stays mapped, in huge pages; otherwise the kernel clears it for PyTorch in every step
TUNED = "glibc.malloc.mmap_threshold=4294967295:glibc.malloc.trim_threshold=4294967295:glibc.malloc.hugetlb=1"
NAMES = {"stock": "Caffe, original's set-up", "ours": "ours", "forward": "ours, forward alone", "eager": "PyTorch",
         "tuned": "PyTorch, tuned", "compiled": "PyTorch, tuned, compiled", "openvino": "OpenVINO, forward alone",
         "bound": "OpenVINO, lower bound"}


class Engine:
    """An engine, one of NAMES, in its own process, with OpenBLAS's `core_type`. `what` is passed to engines.py."""

    def __init__(self, kind: str, python: str, threads: int, core_type: str = "", **what: object) -> None:
        environment = rates.environment(threads, core_type) | {"PYTHONWARNINGS": "ignore"}
        if kind in ("tuned", "compiled"):
            environment["GLIBC_TUNABLES"] = TUNED
        self.kind = kind
        self.process = subprocess.Popen([python, HERE / "engines.py", json.dumps({"kind": kind, "threads": threads} |
                                                                                 what)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def ask(self, **task: object) -> Any:
        """The engine's answer to the task."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.close()
            raise ChildProcessError(f"{NAMES[self.kind]}: the process died")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


class Row(NamedTuple):
    """What was measured of an engine: `ms` of a step (the median), the process's peak memory in MB, and how far its
    gradient is from the first engine's (None: it computes none)."""

    kind: str
    ms: float
    mb: float
    off: float | None


Maker = Callable[[str, str], Engine]  # makes an engine of a kind, with a core type of OpenBLAS


def maker(options: argparse.Namespace, arrays: str) -> Maker:
    """The function that makes the engines for these `options`; PyTorch and OpenVINO read weights from `arrays`."""
    def make(kind: str, core_type: str) -> Engine:
        if kind in ("stock", "ours", "forward"):
            return Engine(kind, options.python, options.threads, core_type, weights=options.weights,
                          prefix=options.stock if kind == "stock" else options.ours)
        python = options.openvino if kind in ("openvino", "bound") else options.torch
        return Engine(kind, python, options.threads, core_type, arrays=arrays)
    return make


def trial(make: Maker, kind: str, core_type: str) -> float:
    """The milliseconds of a step of 224×224 with that core type; infinite if the process dies."""
    engine = make(kind, core_type)
    try:
        engine.ask(size=[224, 224])
        return float(min(engine.ask(steps=5)["ms"]))
    except (ChildProcessError, BrokenPipeError):
        return float("inf")
    finally:
        engine.close()


def core_types(make: Maker, kinds: Sequence[str], candidates: Sequence[str]) -> dict[str, str]:
    """{engine: the core type of OpenBLAS with which its step is fastest}, "" for OpenBLAS's own choice. Those of ours
    keep OpenBLAS's choice, because a dream does not use it; PyTorch's share one trial."""
    chosen = {kind: fastest({name: trial(make, kind, name) for name in ("", *candidates)})
              for kind in ("stock", "tuned") if kind in kinds}
    return {kind: chosen.get("tuned" if kind in ("eager", "tuned", "compiled") else kind, "") for kind in kinds}


def fastest(took: Mapping[str, float]) -> str:
    """The core type with the shortest time; "", OpenBLAS's own choice, if no other one saves a twentieth."""
    name = min(took, key=lambda each: took[each])
    return name if took[name] < 0.95 * took[""] else ""


def measure(make: Maker, types: Mapping[str, str], size: tuple[int, int], rounds: int,
            scratch: Path) -> tuple[list[Row], float]:
    """(the Rows of the engines in `types`, {engine: core type}; the best SGEMM of theirs, GFLOP/s) for pictures of
    (height, width). Exits if the engines do not agree."""
    running = [make(kind, core_type) for kind, core_type in types.items()]
    for engine in running:
        engine.ask(size=size)
    times: dict[str, list[float]] = {engine.kind: [] for engine in running}
    rate = 0.0
    for _ in range(rounds):
        for engine in running:
            rate = max(rate, engine.ask(sgemm=1)["sgemm"])
            times[engine.kind] += engine.ask(steps=TURN)["ms"]
    first: dict[str, Any] = {}
    rows = []
    for engine in running:
        path = scratch / f"{engine.kind}.npy"
        answer = engine.ask(save=str(path))
        engine.close()
        off = None
        if path.exists():
            gradient = np.load(path)
            off = float(np.linalg.norm(gradient - first.setdefault("gradient", gradient)) / np.linalg.norm(gradient))
            path.unlink()
        other = abs(answer["objective"] / first.setdefault("objective", answer["objective"]) - 1)
        if (off or 0) > 1e-2 or other > 1e-4:
            sys.exit(f"{NAMES[engine.kind]} computes something else: gradient off by {off}, objective by {other:.2g}")
        rows.append(Row(engine.kind, statistics.median(times[engine.kind]), answer["mb"], off))
    return rows, rate


def work(size: tuple[int, int]) -> tuple[int, int]:
    """(direct FLOP, real FLOP) of a step for pictures of (height, width)."""
    found = list(multiplications.convolutions(shapes.cut(model.find("bvlc_googlenet").net, [END]), *size))
    return multiplications.direct(found), multiplications.real(found)


def show(rows: Sequence[Row], size: tuple[int, int], sgemm: float, peak: float) -> None:
    """Print the table of one size, given the GFLOP/s of SGEMM and of multiply-adds (0: unknown)."""
    (height, width), (direct, real) = size, work(size)
    ours = next(row.ms for row in rows if row.kind == "ours")
    print(f"\n{width}×{height}")
    print(f"{'':26} {'ms':>8} {'ours is':>8} {'s/Mpx':>7} {'peak MB':>8} {'kB/px':>6} {'of SGEMM':>9} {'of FMA':>7}  "
          "gradient off by")
    for kind, ms, mb, off in rows:
        of_peak = f"{real / ms / 1e6 / peak:.0%}" if kind == "ours" and peak else ""
        print(f"{NAMES[kind]:26} {ms:8.1f} {ms / ours:7.2f}× {ms * 1e3 / height / width:7.3f} {mb:8.0f} "
              f"{mb * 1024 / height / width:6.2f} {direct / ms / 1e6 / sgemm:9.0%} {of_peak:>7}  "
              f"{'' if off is None else f'{off:.0e}'}", flush=True)


def parser(description: str) -> argparse.ArgumentParser:
    """The options that the benchmarks of steps share."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--ours", default="/opt/image-dreamer", help="where provision.sh installed Caffe (%(default)s)")
    made.add_argument("--python", default="/usr/bin/python3", help="the one that Caffe was built for (%(default)s)")
    made.add_argument("--weights", help="of bvlc_googlenet (default: the model's own)")
    made.add_argument("--threads", type=int, default=2, help="%(default)s")
    return made


def save_arrays(options: argparse.Namespace, path: Path) -> None:
    """Find the weights for the `options`, and write them as arrays for PyTorch and OpenVINO."""
    try:
        options.weights = str(model.find("bvlc_googlenet").weights_path(options.weights))
    except Failure as failure:
        sys.exit(str(failure))
    subprocess.run([options.python, HERE / "engines.py", json.dumps(
        {"prefix": options.ours, "weights": options.weights, "arrays_to": str(path)})], check=True)


def sized(text: str) -> tuple[int, int]:
    """(height, width) of a text like 1920x1080."""
    width, height = map(int, text.split("x"))
    return height, width


def main() -> None:
    """Parse the command line, and measure each size."""
    arguments = parser(str(__doc__))
    arguments.add_argument("--stock", metavar="FOLDER", help="what stock.sh made")
    arguments.add_argument("--torch", metavar="PYTHON", help="a python that has torch")
    arguments.add_argument("--sizes", nargs="+", default=["224x224", "1024x576", "1920x1080"], help="%(default)s")
    arguments.add_argument("--rounds", type=int, default=4, help=f"of {TURN} steps each (%(default)s)")
    arguments.add_argument("--skip", nargs="+", default=[], choices=["eager", "tuned", "compiled"],
                           help="less of PyTorch")
    options = arguments.parse_args()
    kinds = [*(["stock"] if options.stock else []), "ours",
             *(kind for kind in ("eager", "tuned", "compiled") if options.torch and kind not in options.skip)]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        save_arrays(options, scratch / "weights.npz")
        make = maker(options, str(scratch / "weights.npz"))
        print("".join(f"{line}\n" for line in rates.warning()), end="", flush=True)
        found, alone = rates.measured(options.python, options.threads)
        peak = rates.fma_peak(options.threads)
        types = core_types(make, kinds, list(found))
        print("\n".join(rates.told(options.threads, found, alone, peak)))
        for kind, name in types.items():
            if name:
                print(f"{NAMES[kind]}: fastest with {name}")
        for size in map(sized, options.sizes):
            rows, sgemm = measure(make, types, size, options.rounds, scratch)
            show(rows, size, max(sgemm, alone[0], *found.values()), peak[0])


if __name__ == "__main__":
    main()
