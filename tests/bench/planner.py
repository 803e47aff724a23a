#!/usr/bin/python3
"""Whether the studio's plan is true: seconds and memory of dreams, planned and real, as ratios.

    $ tests/bench/planner.py
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PIL import Image

import dreamify
from dreamer.studio.planner import Planner

ROOT = Path(__file__).resolve().parents[2]
SIZES = [(320, 240), (640, 480), (1024, 576)]
LAYERS = ["inception_4c/output", "inception_3b/output"]


async def run(folder: Path) -> None:
    planner = Planner(folder, dreamify.ask, dreamify.octave_sizes, dreamify.make_step, dreamify.objective_l2)
    source = Image.open(ROOT / "tests/pictures/dandelions.jpg")
    for learned in (False, True):
        for layer in LAYERS:
            for size in SIZES:
                photo, events = folder / "photo.jpg", folder / "events"
                source.resize(size).save(photo)
                request = {"input": str(photo), "output": str(folder / "dream.jpg"), "layer": layer, "quiet": True,
                           "no_resume": True, "seed": 1}
                begun = time.monotonic()
                plan = await planner.plan(request, size[1], size[0])
                asked, begun = time.monotonic() - begun, time.monotonic()
                subprocess.run([ROOT / "dreamify.py", "--request", "-"], check=True,
                               input=json.dumps(request | {"events": str(events)}).encode())
                took = time.monotonic() - begun
                [began] = [event for event in map(json.loads, events.read_text().splitlines())
                           if event["event"] == "began"]
                print(f"{layer} {size[0]}×{size[1]}: planned {plan['seconds']:.2f} s, took {took:.2f} s, ratio "
                      f"{plan['seconds'] / took:.2f}; memory {plan['memory'] / began['memory']:.2f}; answer after "
                      f"{asked:.2f} s; load {os.getloadavg()[0]:.1f}{'; learned' if learned else ''}", flush=True)
                if not learned:
                    planner.learn({"form": {}}, began | {"model": "bvlc_googlenet", "seconds": took - 0.7})
    planner.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(run(Path(name)))


if __name__ == "__main__":
    main()
