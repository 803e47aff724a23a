"""Training pictures: photos at several sizes, and random crops of them. gather.py puts them into a file."""

import glob
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nets import MEAN

# not used in training: the pictures of the exam
HELD_OUT = ("chelsea", "coffee", "rocket", "astronaut", "camera", "moon", "cat.jpg", "flowers.jpg", "sky1024")
# not photographs: diagrams, symbols, screenshots
NOT_A_PICTURE = ("/doc/", "/symbols/", "flags", "signs", "icons", "alphabets", "/cursor", "screenshot")


def find(folders: Sequence[str], clipart: int = 400, seed: int = 0) -> list[str]:
    """Paths of the picture files under the folders, in a fixed order; of the clip art only `clipart` random ones."""
    files: list[str] = []
    drawn: list[str] = []
    for f in sorted(f for d in folders for f in glob.glob(d + "/**/*", recursive=True)):
        low = f.lower()
        if not low.endswith((".jpg", ".jpeg", ".png", ".webp")) or os.path.islink(f) or os.path.getsize(f) < 8000:
            continue
        if any(k in os.path.basename(low) for k in HELD_OUT) or any(k in low for k in NOT_A_PICTURE):
            continue
        (drawn if "openclipart" in low else files).append(f)
    np.random.default_rng(seed).shuffle(drawn)
    return files + drawn[:clipart]


def load(path: str | os.PathLike[str], side: int) -> Tensor:
    """The picture in a file, float32 (1, 3, h, w), BGR minus MEAN, scaled so that its longer side has `side` pixels."""
    im = Image.open(path).convert("RGB")
    k = side / max(im.size)
    im = im.resize((round(im.width * k), round(im.height * k)), Image.BICUBIC)
    x = torch.tensor(np.asarray(im)[:, :, ::-1].copy()).permute(2, 0, 1)[None].float()
    return x.contiguous(memory_format=torch.channels_last) - MEAN


class Pictures:
    """The pictures in `files`, and crops of them, without files that cannot be read and pictures under 90 pixels.

    longest   pixels of a picture's longer side, at most
    smallest  pixels of its shorter side, at least
    seed      of the colours behind what is transparent

    pyramids  [[a picture at several sizes, uint8 (h, w, 3), BGR, the largest first]]
    weights   how likely each picture is drawn"""

    def __init__(self, files: Sequence[str], longest: int = 900, smallest: int = 144, seed: int = 0) -> None:
        rng, areas = np.random.default_rng(seed), []
        self.pyramids: list[list[NDArray[np.uint8]]] = []
        Image.MAX_IMAGE_PIXELS = None
        for f in files:
            try:
                im = Image.open(f)
                im.draft("RGB", (longest, longest))
                if max(im.size) > 2 * longest:
                    im = im.reduce(max(im.size) // longest) if im.mode in ("RGB", "RGBA", "L") else im
                im = im.convert("RGBA")
            except Exception:  # broken and exotic files are skipped
                continue
            ground = Image.new("RGBA", im.size, tuple(int(v) for v in rng.integers(0, 256, 3)) + (255,))
            im = Image.alpha_composite(ground, im).convert("RGB")
            if min(im.size) < 90:
                continue
            s = max(min(1, longest / max(im.size)), smallest / min(im.size))
            levels = []
            while min(im.size) * s >= smallest - 1:
                size = max(smallest, round(im.width * s)), max(smallest, round(im.height * s))
                levels.append(np.asarray(im.resize(size, Image.BILINEAR))[:, :, ::-1].copy())
                s /= 1.5
            self.pyramids.append(levels)
            areas.append(math.sqrt(sum(a.shape[0] * a.shape[1] for a in levels)))
        self.weights = np.array(areas) / sum(areas)

    def crop(self, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        """A random square of a random picture, mirrored or not: (n, n, 3), BGR, 0..255."""
        levels: list[NDArray[np.uint8]] = []
        while not levels:
            levels = [a for a in self.pyramids[rng.choice(len(self.pyramids), p=self.weights)] if min(a.shape[:2]) >= n]
        a = levels[rng.integers(len(levels))]
        y, x = rng.integers(a.shape[0] - n + 1), rng.integers(a.shape[1] - n + 1)
        a = a[y : y + n, x : x + n]
        return (a[:, ::-1] if rng.random() < 0.5 else a).astype(np.float32)

    def varied(self, rng: np.random.Generator, n: int) -> NDArray[Any]:
        """A crop, sometimes mixed with another one, with changed contrast and tint, or noisy; or only coloured blobs.
        (n, n, 3), BGR, 0..255, float32 or float64."""
        u = rng.random()
        if u < 0.04:
            k = int(2 ** rng.integers(2, 7))
            blobs = Image.fromarray(np.clip(rng.normal(128, 60, (k, k, 3)), 0, 255).astype(np.uint8))
            return np.asarray(blobs.resize((n, n), Image.BILINEAR), np.float32)
        a: NDArray[Any] = self.crop(rng, n)
        if u < 0.20:
            t = rng.uniform(0.2, 0.8)
            a = a * t + self.crop(rng, n) * (1 - t)
        if rng.random() < 0.3:
            a = (a - 128) * rng.uniform(0.5, 1.3) + 128 + rng.normal(0, 20, 3)
        if rng.random() < 0.2:
            a = a + rng.normal(0, rng.uniform(2, 20), a.shape)
        return np.asarray(np.clip(a, 0, 255))

    def batch(self, rng: np.random.Generator, count: int, n: int = 128) -> Tensor:
        """`count` varied crops, float32 (count, 3, n, n), BGR minus MEAN."""
        a = np.stack([self.varied(rng, n) for _ in range(count)]).transpose(0, 3, 1, 2).astype(np.float32)
        return torch.tensor(a).contiguous(memory_format=torch.channels_last) - MEAN
