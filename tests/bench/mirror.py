#!/usr/bin/python3
"""How many frames a second the mirror dreams, and how far it is behind.

    $ tests/bench/mirror.py                         # 320×240, inception_4c/output, with and without flow
    $ tests/bench/mirror.py 640 480 5
"""

import asyncio
import io
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PIL import Image

import dreamify
from dreamer.studio.mirror import Mirror

ROOT = Path(__file__).resolve().parents[2]
CAMERA = 30  # frames a second
MOST = 0.4  # seconds after which the page sends a frame though the last has not come back


def camera(width: int, height: int) -> list[bytes]:
    """JPEGs of a photo that a camera moves over."""
    photo = Image.open(ROOT / "tests/pictures/dandelions.jpg").convert("RGB").resize((width * 3 // 2, height * 3 // 2))
    found = []
    for number in range(60):
        x, y = number * width // 240, number * height // 300
        file = io.BytesIO()
        photo.crop((x, y, x + width, y + height)).save(file, "JPEG", quality=70)
        found.append(file.getvalue())
    return found + found[::-1]


async def run(frames: list[bytes], seconds: float, flow: bool, waits: bool) -> None:
    """Print how a mirror does for so many seconds.

    waits  whether the page sends a frame when the last has come back, as ours does; otherwise whenever it has one"""
    sent: dict[int, float] = {}
    delays: list[float] = []
    told: list[dict[str, Any]] = []

    def take(message: bytes | str) -> None:
        if isinstance(message, str):
            told.append(json.loads(message))
        else:
            delays.append(time.monotonic() - sent[int.from_bytes(message[:8], "little")])

    with tempfile.TemporaryDirectory() as folder:
        mirror = Mirror(Path(folder), dreamify.make_step, dreamify.objective_l2, take)
        begun = time.monotonic()
        mirror.set(json.dumps({"model": "bvlc_googlenet", "layer": "inception_4c/output", "flow": flow}))
        while not told:
            await asyncio.sleep(0.01)
        if "error" in told[0]:
            sys.exit(told[0]["error"])
        loaded = time.monotonic() - begun
        begun, number = time.monotonic(), 0
        while time.monotonic() < begun + seconds:
            if not waits or len(delays) >= number or time.monotonic() > sent[number] + MOST:
                number += 1
                sent[number] = time.monotonic()
                mirror.put(number.to_bytes(8, "little") + frames[number % len(frames)])
            await asyncio.sleep(0.005 if waits else 1 / CAMERA)
        rate = len(delays) / (time.monotonic() - begun)
        paces = [text["pace"] for text in told if "pace" in text]
        mirror.close()
    way = "one frame at a time" if waits else f"{CAMERA} frames a second sent"
    print(f"{'with' if flow else 'without'} flow, {way}: {rate:.1f} frames a second; behind: median "
          f"{statistics.median(delays):.2f} s, most {max(delays):.2f} s; ready after {loaded:.1f} s; paces: "
          f"{[(pace['steps'], *pace['size']) for pace in paces]}")


def main() -> None:
    width, height, seconds = map(int, (sys.argv[1:] + ["320", "240", "10"][len(sys.argv) - 1:]))
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for flow in (False, True):
        for waits in (True, False):
            asyncio.run(run(camera(width, height), seconds, flow, waits))


if __name__ == "__main__":
    main()
