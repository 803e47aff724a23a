#!/usr/bin/python3
"""How fast each model's net is: one step (forward to its default layer, and the gradient of the picture), with random
weights, with our Caffe and with the Caffe of the original box.

    $ tests/bench/stock.sh .cache/stock    # ten minutes, once
    $ tests/bench/models.py --stock .cache/stock [MODEL …]

Both must compute the same. They take turns, each in its own process; the other one has OpenBLAS's best kernels for this
processor (rates.py), which ours does not need. Prints milliseconds (the median), how many times faster ours is, and the
processes' peak memory.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent)]

import randomweights  # noqa: E402
import rates  # noqa: E402
from dreamer.nets import model, prototxt, shapes  # noqa: E402
from dreamer.nets.net import Net  # noqa: E402


class Stock:
    """The step of a plain Caffe in the folder `prefix`."""

    def __init__(self, task: dict[str, Any], picture: NDArray[np.float32]) -> None:
        os.environ.setdefault("GLOG_minloglevel", "2")
        sys.path.insert(0, f"{task['prefix']}/python")
        import caffe
        self.net, self.end = caffe.Net(task["prototxt"], task["weights"], caffe.TEST), task["end"]
        self.net.blobs["data"].reshape(1, *picture.shape)
        self.net.blobs["data"].data[0] = picture

    def step(self) -> NDArray[np.float32]:
        """Take a step; returns the gradient (3, h, w)."""
        self.net.forward(end=self.end)
        self.net.blobs[self.end].diff[...] = self.net.blobs[self.end].data
        self.net.backward(start=self.end)
        gradient: NDArray[np.float32] = self.net.blobs["data"].diff[0]
        return gradient


class Ours:
    """The step of a dream."""

    def __init__(self, task: dict[str, Any], picture: NDArray[np.float32]) -> None:
        self.net, self.picture = Net(model.find(task["model"]), task["end"], task["weights"]), picture
        self.net.budget.fit(*picture.shape[1:])
        self.net.resize(*picture.shape[1:])

    def step(self) -> NDArray[np.float32]:
        """Take a step; returns the gradient (3, h, w)."""
        for tile in self.net.tiles(self.picture, 0, 0):
            [activations] = tile.forward()
            tile.backward([(1.0, activations)])
        return self.net.gradient


def serve(task: dict[str, Any]) -> None:
    """Be one side: take a step for each line that comes, and answer with its milliseconds and the peak memory."""
    side = (Ours if task["side"] == "ours" else Stock)(task, np.load(task["picture"]))
    np.save(task["gradient"], side.step())
    for _ in sys.stdin:
        began = time.perf_counter()
        side.step()
        took = 1e3 * (time.perf_counter() - began)
        print(json.dumps([took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]), flush=True)


def measure(name: str, options: argparse.Namespace, folder: Path) -> None:
    """Measure one model, and print its line. Exits if the sides do not agree."""
    chosen = model.find(name)
    end = chosen.default_layer
    layers = shapes.cut(chosen.net, [end])
    (folder / "prototxt").write_text("force_backward: true\n" + prototxt.unparse([("layer", each) for each in layers]))
    weights = randomweights.make(chosen, folder / "weights", ends=(end,))
    width, height = map(int, options.size.split("x"))
    picture = np.random.RandomState(0).normal(0, 60, (3, height, width)).astype(np.float32)
    np.save(folder / "picture.npy", picture)
    environment = rates.environment(options.threads, options.core_type)
    sides = {}
    for side in ("stock", "ours"):
        task = {"side": side, "model": name, "end": end, "prefix": options.stock, "weights": str(weights),
                "prototxt": str(folder / "prototxt"), "picture": str(folder / "picture.npy"),
                "gradient": str(folder / f"{side}.npy")}
        sides[side] = subprocess.Popen([sys.executable, __file__, "--serve", json.dumps(task)], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True, env=environment)
    told: dict[str, list[list[float]]] = {side: [] for side in sides}
    for _ in range(options.rounds):
        for side, process in sides.items():
            assert process.stdin
            assert process.stdout
            process.stdin.write("\n")
            process.stdin.flush()
            told[side].append(json.loads(process.stdout.readline() or sys.exit(f"models.py: {name}: {side} died")))
    for process in sides.values():
        process.communicate()
    stock, ours = (np.load(folder / f"{side}.npy") for side in sides)
    off = float(np.linalg.norm(ours - stock) / np.linalg.norm(stock))
    if off > 2e-2:
        sys.exit(f"models.py: {name}: the gradients differ by {off:.2g}")
    ms = {side: statistics.median(took for took, _ in each) for side, each in told.items()}
    mb = {side: max(peak for _, peak in each) for side, each in told.items()}
    print(f"{name:20} {end:20} {ms['stock']:8.0f} {ms['ours']:8.0f} {ms['stock'] / ms['ours']:8.2f}× "
          f"{mb['stock']:8.0f} {mb['ours']:8.0f}  {off:.0e}", flush=True)


def main() -> None:
    """Parse the command line, and measure each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="default: all")
    parser.add_argument("--stock", metavar="FOLDER", help="what stock.sh made")
    parser.add_argument("--size", default="448x320", help="%(default)s")
    parser.add_argument("--threads", type=int, default=2, help="%(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="%(default)s")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(json.loads(options.serve))
        return
    if not options.stock:
        parser.error("--stock is needed")
    options.stock = os.path.abspath(options.stock)
    found, alone = rates.measured(sys.executable, options.threads)
    found[""] = alone[0]  # OpenBLAS's own choice
    options.core_type = max(found, key=lambda name: found[name])
    print(f"{'':41} {'stock ms':>8} {'ours ms':>8} {'ours is':>9} {'stock MB':>8} {'ours MB':>8}  gradient off by")
    for name in options.models or model.names():
        with tempfile.TemporaryDirectory() as folder:
            measure(name, options, Path(folder))


if __name__ == "__main__":
    main()
