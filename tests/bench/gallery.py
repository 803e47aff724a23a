#!/usr/bin/python3
"""How long the studio's gallery takes to show its first page, and what its child takes, with 20,000 files.

    $ tests/bench/gallery.py                        # or with another number of files
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from dreamer.pictures import writing  # noqa: E402
from dreamer.pictures.picture import Picture  # noqa: E402
from dreamer.studio.gallery import Gallery  # noqa: E402
from dreamer.studio.viewer import Viewer  # noqa: E402

RECIPE = {"version": "1", "model": "daydream", "layer": "inception_4d/output", "iterations": 10, "octaves": 4,
          "scale": 1.4, "step_size": 1.5, "jitter": 32, "clip": True, "width": 64, "height": 48, "seed": 1,
          "weights_sha256": 64 * "0", "source_sha256": 64 * "0"}


def fill(folder: Path, count: int) -> None:
    """That many files: hard links of a small photo and of a small dream."""
    pixels = np.random.RandomState(0).randint(0, 255, (48, 64, 3), np.uint8)
    writing.write(folder / "photo-0.jpg", Picture(pixels))
    writing.write(folder / "photo-0-dream.jpg", Picture(pixels, recipe=RECIPE))
    for number in range(1, count // 2):
        os.link(folder / "photo-0.jpg", folder / f"photo-{number}.jpg")
        os.link(folder / "photo-0-dream.jpg", folder / f"photo-{number}-dream.jpg")


def memory(child: int) -> float:
    """The most megabytes that a process has held."""
    status = Path(f"/proc/{child}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def children() -> list[int]:
    """The processes that this one has started."""
    return [int(number) for task in Path("/proc/self/task").iterdir()
            for number in (task / "children").read_text().split()]


async def pages(folder: Path, words: str) -> None:
    """Print what the first pages take after a start of the studio, and then."""
    viewer = Viewer(folder / ".studio")
    gallery = Gallery(folder, viewer, lambda: None)
    running = None
    for name, start, kind, search in (("first page", 0, "all", ""), ("again", 0, "all", ""),
                                      ("in the middle", 9000, "all", ""), ("with thumbnails", 0, "all", "")):
        began = time.monotonic()
        page = await gallery.page(start, 60, kind, search)
        if name == "with thumbnails":
            await asyncio.gather(*(viewer.thumb(folder / item["name"]) for item in page["items"]))
        known = sum(item["kind"] != "unknown" for item in page["items"])
        print(f"{words}, {name}: {time.monotonic() - began:.3f} s, {known} of {len(page['items'])} known", flush=True)
    running, began, longest = asyncio.ensure_future(gallery.run()), time.monotonic(), 0.0
    while page["unknown"] and time.monotonic() < began + 900:
        before = time.monotonic()
        await asyncio.sleep(0.05)
        page = await gallery.page(0, 60, "dreams", "")
        longest = max(longest, time.monotonic() - before - 0.05)
    print(f"{words}, all known after {time.monotonic() - began:.1f} s; the slowest page meanwhile: {longest:.3f} s")
    for kind, search in (("dreams", ""), ("photos", ""), ("all", "dogs"), ("all", "777")):
        before = time.monotonic()
        page = await gallery.page(0, 60, kind, search)
        print(f"{words}, {kind} {search!r}: {time.monotonic() - before:.3f} s, {page['total']} files")
    before, used = time.monotonic(), time.process_time()
    await asyncio.sleep(10)
    print(f"{words}, idle: {(time.process_time() - used) / (time.monotonic() - before):.1%} of a core", flush=True)
    running.cancel()
    viewer.close()


async def thumbs(folder: Path) -> None:
    """Print what thumbnails and views of large photos take, and the memory of the child."""
    viewer = Viewer(folder / ".studio")
    with Image.open(ROOT / "tests/pictures/dandelions.jpg") as source:
        for width, height in (64, 48), (4000, 3000), (8000, 6000):
            for extension in (".jpg", ".png")[:1 + (width > 64)]:
                path = folder / f"{width}{extension}"
                source.resize((width, height)).save(path, quality=92)
                asked: list[tuple[str, Callable[[], object]]] = [
                    ("details", lambda path=path: viewer.look(path)),  # type: ignore[misc]
                    ("thumbnail", lambda path=path: viewer.thumb(path)),  # type: ignore[misc]
                    ("view", lambda path=path: viewer.view(path)),  # type: ignore[misc]
                    ("full view", lambda path=path: viewer.view(path, True))]  # type: ignore[misc]
                told = []
                for name, ask in asked:
                    began = time.monotonic()
                    await ask()  # type: ignore[misc]
                    told.append(f"{name} {time.monotonic() - began:.2f} s")
                held = ", ".join(f"{memory(child):.0f} MB" for child in children())
                print(f"{path.name} of {width * height / 1e6:.0f} megapixels: {', '.join(told)}; child: {held}",
                      flush=True)
    viewer.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(thumbs(Path(name)))
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name), int(sys.argv[1]) if sys.argv[1:] else 20_000)
        asyncio.run(pages(Path(name), "cold"))
        asyncio.run(pages(Path(name), "warm"))


if __name__ == "__main__":
    main()
