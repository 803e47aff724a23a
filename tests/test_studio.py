"""The studio as a person uses it: Debian's Chromium on a running studio, with real dreams."""

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from browser import Page, Served
from client import Client
from dreamer.nets.model import Model
from helpers import PYTHON, ROOT, children, ends, is_running, made, pixels, visible

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

SAMPLE = ROOT / "tests/pictures/dandelions.jpg"
QUICK = {"model": "daydream", "max_size": 160, "iterations": 3}  # a second
LONG = {"model": "daydream", "max_size": 512, "iterations": 100, "seed": 7}  # many seconds

# Notes each live picture: when it came, and a few of its pixels.
WATCH = """
    const box = document.querySelector("#stage .after"), canvas = document.createElement("canvas")
    const pen = canvas.getContext("2d", { willReadFrequently: true })
    window.seen = []
    new MutationObserver(() => {
      const image = box.lastElementChild
      if (!image || image.src === window.seen.at(-1)?.src) return
      pen.drawImage(image, 0, 0, 32, 32)
      window.seen.push({ src: image.src, at: performance.now(), pixels: [...pen.getImageData(0, 0, 32, 32).data].join() })
    }).observe(box, { childList: true })
"""


def plainly(job: dict[str, Any], folder: Path) -> bytes:
    """The dream of a job as the command line makes it, with the command that the page shows."""
    words = shlex.split(job["command"])
    output = folder.parent / f"plain{Path(job['output']).suffix}"
    words[words.index(str(folder / job["output"]))] = str(output)
    made([PYTHON, ROOT / "dreamify.py", *words[1:]])
    return output.read_bytes()


# the first dream -------------------------------------------------------------------------------------------

def test_a_strangers_first_dream_takes_two_clicks(chromium: Any, page: Page, tell: Callable[[str], None],
                                                  googlenet: Model) -> None:
    """From the empty folder: a sample photo, and the large button. The picture is seen to grow."""
    folder = page.studio.folder
    page.studio.stop()
    began = time.monotonic()
    page.studio.start()
    page.open()
    page.sample()
    page.do(WATCH)
    page.dream()
    page.shows("done", 200)
    page.until("document.querySelector('#stage').dataset.state === 'compare' && "
               "document.querySelector('#stage .after img')?.complete")
    tell(f"studio: from the command to the first dream, 1024×576: {time.monotonic() - began:.1f} s")
    page.shot("done-wide")
    assert visible(folder) == ["dandelions-dream.jpg", "dandelions.jpg"]
    assert Image.open(folder / "dandelions-dream.jpg").size == (1024, 576)
    seen = [one for one in page.do("return window.seen") if "/preview/" in one["src"]]
    assert len({one["pixels"] for one in seen}) >= 3
    tell(f"studio: live pictures at 1024×576: {(len(seen) - 1) / (seen[-1]['at'] - seen[0]['at']) * 1000:.1f} a second, "
         f"{len(seen)} of them, all different")
