"""Distils the teacher: matches its features and its dream gradient, on photos and on crops that were dreamed already.

$ python train.py --teacher teacher.npz --pictures pictures.pt --start start.pt --out run --photos a.jpg b.jpg

If stopped, it resumes from run/last.pt, which it writes at each exam. The result is the running average of the
weights; the learning rate falls over the last `--fall` steps.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from exam import Exam
from nets import HALVED, MEAN, OUTPUTS, PARTS, Net, blur, cosine, load_teacher, pooled

FEATURES = {"3a": 0.5, "3b": 1.0, "4a": 0.7, "4b": 0.7, "4c": 2.0}  # loss weights


def teach(teacher: Net, mixtures: Mapping[str, Tensor], x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The teacher's gradient at the pictures `x`, of the same shape, and the targets that it gives: {inception: mixed
    activations}.

    mixtures  {layer: start.py's mixture, as a convolution of 1x1}"""
    x = x.clone().requires_grad_(True)
    target, a = {}, teacher.second(teacher.first(x))
    for name, block in teacher.blocks.items():
        parts = block.before_relu(a)
        with torch.no_grad():
            target[name] = torch.cat([
                F.relu(F.conv2d(parts[i], mixtures[f"inception_{name}/{PARTS[i]}"])) for i in OUTPUTS], 1)
        a = F.relu(torch.cat([parts[i] for i in OUTPUTS], 1))
        if name in HALVED:
            a = pooled(a)
    (g,) = torch.autograd.grad(0.5 * a.float().pow(2).sum(), x)
    return g, target


def feature_loss(seen: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
    """The error of the pupil's activations, as a part of the target's size, weighted by FEATURES: half of it over all
    channels together, half with each channel counted alike. Both are {inception: (n, channels, h, w)}."""
    total = torch.zeros(())
    for k, weight in FEATURES.items():
        t, p = target[k], seen[k].float()
        e = (p - t).pow(2)
        per_channel = t.pow(2).mean((0, 2, 3), keepdim=True)
        alike = (e / (per_channel + 0.1 * per_channel.mean())).mean()
        total = total + weight * (0.5 * e.mean() / per_channel.mean() + 0.5 * alike)
    return total


def gradient_loss(g: Tensor, t: Tensor) -> Tensor:
    """1 - cosine at the pictures, raw and blurred (a dream's large shapes count as much as its grain): a mean."""
    raw = 1 - cosine(g, t)
    fine, coarse = (1 - cosine(blur(g, sigma), blur(t, sigma)) for sigma in (1.0, 2.5))
    return (0.5 * raw + 0.25 * fine + 0.25 * coarse).mean()


class Dreaming:
    """Crops that were dreamed for some steps already, with the teacher's gradient or the pupil's.

    capacity  how many are kept at most

    crops     [(float16 (1, 3, n, n), BGR minus MEAN, steps so far)]"""

    def __init__(self, capacity: int = 512) -> None:
        self.capacity = capacity
        self.crops: list[tuple[Tensor, int]] = []

    def take(self, rng: np.random.Generator, count: int) -> list[tuple[Tensor, int]]:
        """Take out `count` random crops; none before there are four times as many."""
        if len(self.crops) < 4 * count:
            return []
        chosen = sorted(rng.choice(len(self.crops), count, replace=False), reverse=True)
        return [self.crops.pop(i) for i in chosen]

    def climb(self, rng: np.random.Generator, x: Tensor, ages: Sequence[int], g: Tensor) -> None:
        """Take the crops `x` (count, 3, n, n) one step along `g`, of the same shape, and keep them; `ages` counts their
        steps so far. A crop that is old, and a random part of all, is not kept."""
        y = x + 1.5 * rng.choice([1, 1, 2]) * g / g.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-20)
        y = torch.max(torch.min(y, 255 - MEAN), -MEAN)
        if rng.random() < 0.3:
            y = torch.roll(y, rng.integers(-32, 33, 2).tolist(), (2, 3))
        n = y.shape[-1]
        for v, age in zip(y.split(1), ages, strict=True):
            if age > 24 or rng.random() < 0.03:
                continue
            if rng.random() < 0.1:  # the next octave
                s = int(n / 1.4)
                i, j = rng.integers(n - s + 1, size=2)
                v = F.interpolate(v[:, :, i : i + s, j : j + s], size=(n, n), mode="bilinear", align_corners=True)
            self.crops.append((v.half(), age + 1))
        while len(self.crops) > self.capacity:
            self.crops.pop(int(rng.integers(len(self.crops))))


class Run:
    """A training run: the pupil, the running average of its weights, and the state from which it resumes.

    words  the command line's"""

    def __init__(self, words: argparse.Namespace) -> None:
        self.words = words
        self.rng = np.random.default_rng(words.seed + 1)
        self.teacher, self.pictures = load_teacher(words.teacher), torch.load(words.pictures, weights_only=False)
        start = torch.load(words.start, weights_only=False)
        self.widths = start["widths"]
        self.pupil, self.kept = Net(self.widths), Net(self.widths)
        self.pupil.load_state_dict(start["net"])
        self.kept.load_state_dict(start["net"])
        self.kept.requires_grad_(False)
        self.mixtures = {k: m.view(*m.shape, 1, 1) for k, m in start["mixtures"].items()}
        # each weight moves in proportion to the size of its layer's weights, which differ a hundredfold
        self.groups: list[dict[str, Any]] = [{"params": [p], "size": _size(p)} for p in self.pupil.parameters()]
        self.opt = torch.optim.Adam(self.groups, lr=words.rate, betas=(0.9, 0.98), eps=1e-12)
        self.pool = Dreaming()
        self.step = 0
        self.log: list[dict[str, Any]] = []
        self.norm: float | None = None  # the usual one of the gradient
        self.losses: list[float] | None = None  # running means: of the features, of the gradient
        self.last = words.out + "/last.pt"
        if os.path.exists(self.last):
            self.resume()
        self.exam = Exam(self.teacher, words.photos) if words.photos else None

    def resume(self) -> None:
        """Go on from last.pt."""
        c = torch.load(self.last, weights_only=False)
        self.pupil.load_state_dict(c["net"])
        self.kept.load_state_dict(c["kept"])
        self.opt.load_state_dict(c["opt"])
        self.pool, self.step, self.log, self.norm, self.rng = c["pool"], c["step"], c["log"], c["norm"], c["rng"]

    def save(self, seconds: float) -> None:
        """Hold the exam, print and log its result, and write pupil.pt and last.pt."""
        row = {"step": self.step, "crops": self.step * self.words.batch, "loss": self.losses, "cpu_s": round(seconds)}
        if self.exam:
            row["photos"] = photos = self.exam(self.kept)
            for i, k in enumerate(("cosine", "gain")):
                row[k] = round(float(np.mean([v[i] for v in photos.values()])), 3)
        self.log.append(row)
        print(json.dumps(row), flush=True)
        with open(self.words.out + "/log.json", "w") as f:
            json.dump(self.log, f)
        torch.save({"net": self.kept.state_dict(), "widths": self.widths}, self.words.out + "/pupil.pt")
        torch.save({"net": self.pupil.state_dict(), "kept": self.kept.state_dict(), "opt": self.opt.state_dict(),
                    "pool": self.pool, "step": self.step, "log": self.log, "norm": self.norm, "rng": self.rng},
                   self.last + ".part")
        os.replace(self.last + ".part", self.last)

    def train(self) -> None:
        """One step on one batch."""
        a, rng = self.words, self.rng
        rate = a.rate * min(1, (self.step + 1) / 50) * max(0.02, min(1, (a.steps - self.step) / a.fall))
        for group in self.opt.param_groups:
            group["lr"] = rate * group["size"] * 10
        old = self.pool.take(rng, a.batch // 2)
        new = self.pictures.batch(rng, a.batch - len(old), a.crop)
        ages = [0] * len(new) + [age for _, age in old]
        x = torch.cat([new] + [v.float() for v, _ in old]).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            tg, target = teach(self.teacher, self.mixtures, x)
            xp = x.clone().requires_grad_(True)
            seen = self.pupil.features(xp)
            (pg,) = torch.autograd.grad(0.5 * seen["4c"].float().pow(2).sum(), xp, create_graph=True)
        tg, pg = tg.float(), pg.float()
        f, g = feature_loss(seen, target), gradient_loss(pg, tg)
        self.opt.zero_grad(set_to_none=True)
        (a.features * f + g).backward(inputs=list(self.pupil.parameters()))
        self.clip()
        self.opt.step()
        self.step += 1
        with torch.no_grad():
            k = min(a.average, (1 + self.step) / (10 + self.step))
            for q, w in zip(self.kept.parameters(), self.pupil.parameters(), strict=True):
                q.lerp_(w, 1 - k)
            self.pool.climb(rng, x, ages, tg if rng.random() < 0.5 else pg.detach())
        now = [f.item(), g.item()]
        self.losses = now if self.losses is None else [
            round(0.97 * r + 0.03 * v, 4) for r, v in zip(self.losses, now, strict=True)]

    def clip(self) -> None:
        """If the gradient's norm is more than three times the usual one, scale it down to that."""
        n = math.sqrt(sum((q.grad * s["size"]).pow(2).sum().item() for s in self.groups for q in s["params"]))
        self.norm = n if self.norm is None else 0.95 * self.norm + 0.05 * min(n, 5 * self.norm)
        if n > 3 * self.norm:
            for q in self.pupil.parameters():
                q.grad *= 3 * self.norm / n


def _size(p: Tensor) -> float:
    """The root mean square of a layer's weights; of its biases a fiftieth, and that of 1 at least."""
    rms = p.detach().pow(2).mean().sqrt().item()
    return float(max(rms, 1e-4) if p.dim() > 1 else 0.02 * max(rms, 1.0))


def main(words: argparse.Namespace) -> None:
    """Train from where the run is to `words.steps`."""
    run = Run(words)
    first, t0, c0 = run.step, time.time(), time.process_time()
    while True:
        if run.step % words.every == 0 or run.step == words.steps:
            run.save(time.process_time() - c0)
        if run.step == words.steps:
            break
        run.train()
        if run.losses and run.step % 20 == 0:
            speed = (run.step - first) * words.batch / (time.time() - t0)
            print(f"step {run.step}  features {run.losses[0]:.3f}  gradient {run.losses[1]:.3f}  {speed:.1f} crops/s",
                  flush=True)


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--teacher", required=True)
    ap.add_argument("--pictures", required=True)
    ap.add_argument("--start", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--photos", nargs="*", default=[], help="held out, for the figures")
    ap.add_argument("--steps", type=int, default=4000)
    ap.add_argument("--fall", type=int, default=400)
    ap.add_argument("--batch", type=int, default=12)
    ap.add_argument("--crop", type=int, default=128)
    ap.add_argument("--rate", type=float, default=3e-4)
    ap.add_argument("--features", type=float, default=0.5, help="weight of the feature loss beside the gradient loss")
    ap.add_argument("--average", type=float, default=0.99)
    ap.add_argument("--every", type=int, default=200, help="steps between two exams")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--seed", type=int, default=0)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    os.makedirs(a.out, exist_ok=True)
    main(a)
