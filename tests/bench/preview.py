#!/usr/bin/python3
"""How much of a dream's time its preview takes.

    $ tests/bench/preview.py                        # sizes from 320×240 to 4000×3000, previews in .jpg and .png
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SIZES = [(320, 240), (640, 480), (1024, 768), (1920, 1440), (4000, 3000)]


def share(photo: Path, folder: Path, extension: str, more: Sequence[str] = ()) -> tuple[float, int, float]:
    """(seconds of the dream, number of previews, the share of those seconds that they took)."""
    listened = folder / "events"
    start = time.monotonic()
    subprocess.run([ROOT / "dreamify.py", photo, folder / "dream.png", "inception_4c/output", "10", "4",
                    "--seed", "1", "--quiet", "--no-resume",
                    "--preview", folder / f"preview{extension}", "--events", listened, *more], check=True)
    took = time.monotonic() - start
    previews = [event["took"] for event in map(json.loads, listened.read_text().splitlines())
                if event["event"] == "preview"]
    return took, len(previews), sum(previews) / took


def main() -> None:
    source = Image.open(ROOT / "tests/pictures/dandelions.jpg")
    with tempfile.TemporaryDirectory() as name:
        for size in SIZES:
            photo = Path(name, "photo.png")
            source.resize(size).save(photo)
            for extension in ".jpg", ".png":
                took, count, part = share(photo, Path(name), extension, sys.argv[1:])
                print(f"{size[0]}×{size[1]} {extension}: {count:3} previews in {took:5.1f} s, {part:.1%} of the time")


if __name__ == "__main__":
    main()
