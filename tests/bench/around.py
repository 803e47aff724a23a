#!/usr/bin/python3
"""How much of a dream is not the net: rolling, normalising, clipping, zooming, and reading and writing the picture.

  around.py [WIDTH HEIGHT [ITERATIONS]]    (default: 1920 1080 3; for the rest, Google's defaults)
"""
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from PIL import Image  # noqa: E402

import dreamify  # noqa: E402
from dreamer.nets import model  # noqa: E402
from dreamer.nets.net import Net, Tile  # noqa: E402
from dreamer.pictures import reading, writing  # noqa: E402

P = ParamSpec("P")
R = TypeVar("R")
inside = 0.0


def timed(method: Callable[P, R]) -> Callable[P, R]:
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        global inside
        began = time.perf_counter()
        result = method(*arguments, **options)
        inside += time.perf_counter() - began
        return result
    return call


def main() -> None:
    width, height, iterations = [int(word) for word in sys.argv[1:]] + [1920, 1080, 3][len(sys.argv) - 1:]
    net = Net(model.default()[0], "inception_4c/output")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in.jpg")
        Image.open(ROOT / "tests/pictures/sky.jpg").resize((width, height)).save(source)
        dreamify.deepdream(net, reading.read(source).pixels, iterations=1, octaves=1)  # so that the memory is mapped
        began = time.perf_counter()
        picture = reading.read(source)
        with mock.patch.multiple(Tile, forward=timed(Tile.forward), backward=timed(Tile.backward)):
            picture.pixels = dreamify.deepdream(net, picture.pixels, iterations=iterations)
        dreamed = time.perf_counter()
        writing.write(Path(folder, "out.png"), picture)
        whole = time.perf_counter() - began
    # reading, zooming and writing are done once, however many iterations there are
    print(f"{width}×{height}, {iterations} iterations: {whole:.2f} s, {100 * (whole - inside) / whole:.1f} % of it "
          f"not in the net (writing {100 * (time.perf_counter() - dreamed) / whole:.1f} %)")


if __name__ == "__main__":
    main()
