#!/usr/bin/python3
"""How fast the net is: one step (forward to inception_4c/output, and the gradient of the picture) with our Caffe, with
the Caffe of the original box, and with PyTorch.

    $ tests/bench/stock.sh .cache/stock                                             # ten minutes, once
    $ python3 -m venv .cache/torch && .cache/torch/bin/pip install numpy torch==2.13.0
    $ tests/bench/speed.py --stock .cache/stock --torch .cache/torch/bin/python

Each engine has its own process; they take turns, and must compute the same. Prints milliseconds (the median), how many
times faster ours is, memory, and the speed relative to a large matrix product on this machine. This can exceed 100 %,
because the FLOP of direct convolutions are counted, and Winograd's needs fewer multiplications. Variables that make a
library use the kernels of another machine are removed from the environment.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from dreamer.nets import model  # noqa: E402

PINNED = ("OPENBLAS_CORETYPE", "NVPL_BLAS_DEBUG_CPU_TYPE", "MKL_DEBUG_CPU_TYPE", "NATIVE_ISA", "OPENBLAS_NUM_THREADS",
          "OMP_NUM_THREADS", "GLIBC_TUNABLES")
# freed memory stays mapped, in huge pages; otherwise the kernel clears it for PyTorch in every step
TUNED = "glibc.malloc.mmap_threshold=4294967295:glibc.malloc.trim_threshold=4294967295:glibc.malloc.hugetlb=1"
NAMES = {"stock": "Caffe, original's set-up", "ours": "ours", "eager": "PyTorch", "tuned": "PyTorch, tuned",
         "compiled": "PyTorch, tuned, compiled"}


class Engine:
    """An engine, one of NAMES, in its own process. `what` is passed to engines.py."""

    def __init__(self, kind: str, python: str, threads: int, **what: object) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in PINNED}
        environment |= {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads),
                        "PYTHONWARNINGS": "ignore"}
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
            sys.exit(f"speed.py: {NAMES[self.kind]}: the process died")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def engines(options: argparse.Namespace, arrays: str) -> Iterator[Engine]:
    """The Engines for these `options`. Those with PyTorch read their weights from the file `arrays`."""
    caffe = {"weights": options.weights}
    if options.stock:
        yield Engine("stock", options.python, options.threads, prefix=options.stock, **caffe)
    yield Engine("ours", options.python, options.threads, prefix=options.ours, **caffe)
    for kind in ("eager", "tuned", "compiled") if options.torch else ():
        if kind not in options.skip:
            yield Engine(kind, options.torch, options.threads, arrays=arrays)


def measure(options: argparse.Namespace, height: int, width: int, scratch: Path) -> None:
    """Measure one size, and print its table. Exits if the engines do not agree."""
    running = list(engines(options, str(scratch / "weights.npz")))
    told = [engine.ask(size=[height, width])["flop"] for engine in running]
    flop = next(filter(None, told))
    times: dict[str, list[float]] = {engine.kind: [] for engine in running}
    rate = 0
    for _ in range(options.rounds):
        for engine in running:
            rate = max(rate, engine.ask(sgemm=1)["sgemm"])
            times[engine.kind] += engine.ask(steps=2)["ms"]
    first = None
    rows = []
    for engine in running:
        path = scratch / f"{engine.kind}.npy"
        answer = engine.ask(save=str(path))
        engine.close()
        gradient, objective = np.load(path), answer["objective"]
        first = first or (gradient, objective)
        off = float(np.linalg.norm(gradient - first[0]) / np.linalg.norm(first[0]))
        if off > 1e-2 or abs(objective / first[1] - 1) > 1e-4:
            sys.exit(f"speed.py: {NAMES[engine.kind]} computes something else: gradient off by {off:.2g}, "
                     f"objective {objective:.8g}, not {first[1]:.8g}")
        rows.append((engine.kind, statistics.median(times[engine.kind]), answer["mb"], off))
    ours = next(ms for kind, ms, _, _ in rows if kind == "ours")
    print(f"\n{width}×{height}, {options.threads} thread(s); large SGEMM {rate:.0f} GFLOP/s")
    print(f"{'':26} {'ms':>8} {'ours is':>8} {'s/Mpx':>7} {'peak MB':>8} {'kB/px':>6} {'of SGEMM':>9}  gradient off by")
    for kind, ms, mb, off in rows:
        print(f"{NAMES[kind]:26} {ms:8.1f} {ms / ours:7.2f}× {ms * 1e3 / height / width:7.3f} {mb:8.0f} "
              f"{mb * 1024 / height / width:6.2f} {flop / ms / 1e6 / rate:9.0%}  {off:.0e}", flush=True)


def main() -> None:
    """Parse the command line, and measure each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default="/opt/image-dreamer", help="where provision.sh installed Caffe (%(default)s)")
    parser.add_argument("--stock", metavar="FOLDER", help="what stock.sh made")
    parser.add_argument("--torch", metavar="PYTHON", help="a python that has torch")
    parser.add_argument("--python", default="/usr/bin/python3", help="the one that Caffe was built for (%(default)s)")
    parser.add_argument("--weights", help="of bvlc_googlenet (default: the model's own)")
    parser.add_argument("--sizes", nargs="+", default=["224x224", "1024x576", "1920x1080"], help="%(default)s")
    parser.add_argument("--threads", type=int, default=2, help="%(default)s")
    parser.add_argument("--rounds", type=int, default=4, help="of two steps each (%(default)s)")
    parser.add_argument("--skip", nargs="+", default=[], choices=["eager", "tuned", "compiled"], help="less of PyTorch")
    options = parser.parse_args()
    options.weights = str(model.find("bvlc_googlenet").weights_path(options.weights))
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        subprocess.run([options.python, HERE / "engines.py",
                        json.dumps({"prefix": options.ours, "weights": options.weights,
                                    "arrays_to": str(scratch / "weights.npz")})], check=True)
        for size in options.sizes:
            width, height = map(int, size.split("x"))
            measure(options, height, width, scratch)


if __name__ == "__main__":
    main()
