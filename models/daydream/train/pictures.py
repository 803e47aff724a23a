"""Training pictures: photos at several sizes, and random crops of them. gather.py makes a file of them."""

import glob
import math
import os

import numpy as np
import torch
from nets import MEAN
from PIL import Image

# kept out of training: what the pupil is examined on
HELD_OUT = ("chelsea", "coffee", "rocket", "astronaut", "camera", "moon", "cat.jpg", "flowers.jpg", "sky1024")
# no photographs: diagrams, symbols, screenshots
NOT_A_PICTURE = ("/doc/", "/symbols/", "flags", "signs", "icons", "alphabets", "/cursor", "screenshot")


def find(folders, clipart=400, seed=0):
    """picture files under the folders, in a fixed order; of the clip art a random part"""
    files, drawn = [], []
    for f in sorted(f for d in folders for f in glob.glob(d + "/**/*", recursive=True)):
        low = f.lower()
        if not low.endswith((".jpg", ".jpeg", ".png", ".webp")) or os.path.islink(f) or os.path.getsize(f) < 8000:
            continue
        if any(k in os.path.basename(low) for k in HELD_OUT) or any(k in low for k in NOT_A_PICTURE):
            continue
        (drawn if "openclipart" in low else files).append(f)
    np.random.default_rng(seed).shuffle(drawn)
    return files + drawn[:clipart]


def load(path, side):
    """picture as (1, 3, h, w), BGR minus MEAN, longer side `side`"""
    im = Image.open(path).convert("RGB")
    k = side / max(im.size)
    im = im.resize((round(im.width * k), round(im.height * k)), Image.BICUBIC)
    x = torch.tensor(np.asarray(im)[:, :, ::-1].copy()).permute(2, 0, 1)[None].float()
    return x.contiguous(memory_format=torch.channels_last) - MEAN


class Pictures:
    def __init__(self, files, longest=900, smallest=144, seed=0):
        rng, self.pyramids, areas = np.random.default_rng(seed), [], []
        Image.MAX_IMAGE_PIXELS = None
        for f in files:
            try:
                im = Image.open(f)
                im.draft("RGB", (longest, longest))
                if max(im.size) > 2 * longest:
                    im = im.reduce(max(im.size) // longest) if im.mode in ("RGB", "RGBA", "L") else im
                im = im.convert("RGBA")
            except Exception:  # a broken or exotic file is no loss
                continue
            ground = Image.new("RGBA", im.size, tuple(int(v) for v in rng.integers(0, 256, 3)) + (255,))
            im = Image.alpha_composite(ground, im).convert("RGB")
            if min(im.size) < 90:
                continue
            s = min(1, longest / max(im.size))
            s = max(s, smallest / min(im.size))
            levels = []
            while min(im.size) * s >= smallest - 1:
                size = max(smallest, round(im.width * s)), max(smallest, round(im.height * s))
                levels.append(np.asarray(im.resize(size, Image.BILINEAR))[:, :, ::-1].copy())
                s /= 1.5
            self.pyramids.append(levels)
            areas.append(math.sqrt(sum(a.shape[0] * a.shape[1] for a in levels)))
        self.weights = np.array(areas) / sum(areas)

    def crop(self, rng, n):
        levels = []
        while not levels:
            levels = [a for a in self.pyramids[rng.choice(len(self.pyramids), p=self.weights)] if min(a.shape[:2]) >= n]
        a = levels[rng.integers(len(levels))]
        y, x = rng.integers(a.shape[0] - n + 1), rng.integers(a.shape[1] - n + 1)
        a = a[y : y + n, x : x + n]
        return (a[:, ::-1] if rng.random() < 0.5 else a).astype(np.float32)

    def varied(self, rng, n):
        """a crop, now and then mixed with another, of other contrast or tint, noisy, or plain coloured blobs"""
        u = rng.random()
        if u < 0.04:
            k = int(2 ** rng.integers(2, 7))
            a = Image.fromarray(np.clip(rng.normal(128, 60, (k, k, 3)), 0, 255).astype(np.uint8))
            return np.asarray(a.resize((n, n), Image.BILINEAR)).astype(np.float32)
        a = self.crop(rng, n)
        if u < 0.20:
            t = rng.uniform(0.2, 0.8)
            a = a * t + self.crop(rng, n) * (1 - t)
        if rng.random() < 0.3:
            a = (a - 128) * rng.uniform(0.5, 1.3) + 128 + rng.normal(0, 20, 3)
        if rng.random() < 0.2:
            a = a + rng.normal(0, rng.uniform(2, 20), a.shape)
        return np.clip(a, 0, 255)

    def batch(self, rng, count, n=128):
        a = np.stack([self.varied(rng, n) for _ in range(count)]).transpose(0, 3, 1, 2).astype(np.float32)
        return torch.tensor(a).contiguous(memory_format=torch.channels_last) - MEAN
