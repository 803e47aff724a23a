"""Distil: match the teacher's features and its dream gradient, on photos and on crops that already dream.

$ python train.py --teacher teacher.npz --pictures pictures.pt --start start.pt --out run --photos a.jpg b.jpg

It may be stopped: it resumes from run/last.pt, which is written at each exam. What is kept is the running average of
the weights; the learning rate falls over the last `--fall` steps.
"""

import argparse
import json
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from exam import Exam
from nets import HALVED, MEAN, OUTPUTS, Net, blur, cosine, half, load_teacher

FEATURES = {"3a": 0.5, "3b": 1.0, "4a": 0.7, "4b": 0.7, "4c": 2.0}  # loss weights


def teach(teacher, mixtures, x):
    """the teacher's gradient at x, and what it sets as targets: {feature: mixed activations}"""

    def mixed(a, name):
        return F.relu(F.conv2d(a, mixtures[name]))

    x = x.clone().requires_grad_(True)
    target, a = {}, teacher.second(teacher.first(x))
    for name, block in teacher.blocks.items():
        parts = block.before_relu(a)
        with torch.no_grad():
            target[name] = torch.cat(
                [
                    mixed(parts[i], f"inception_{name}/{p}")
                    for i, p in zip(OUTPUTS, ("1x1", "3x3", "5x5", "pool_proj"), strict=True)
                ],
                1,
            )
        a = F.relu(torch.cat([parts[i] for i in OUTPUTS], 1))
        if name in HALVED:
            a = half(a)
    (g,) = torch.autograd.grad(0.5 * a.float().pow(2).sum(), x)
    return g, target


def feature_loss(seen, target):
    total = 0.0
    for k, weight in FEATURES.items():
        t, p = target[k], seen[k].float()
        e = (p - t).pow(2)
        per_channel = t.pow(2).mean((0, 2, 3), keepdim=True)
        total = total + weight * (
            0.5 * e.mean() / per_channel.mean() + 0.5 * (e / (per_channel + 0.1 * per_channel.mean())).mean()
        )
    return total


def gradient_loss(g, t):
    """1 - cosine at the picture, raw and blurred: a dream's large shapes count as much as its grain"""
    raw = 1 - cosine(g, t)
    return (
        0.5 * raw + 0.25 * (1 - cosine(blur(g, 1.0), blur(t, 1.0))) + 0.25 * (1 - cosine(blur(g, 2.5), blur(t, 2.5)))
    ).mean()


class Dreaming:
    """crops that have climbed some steps already, by the teacher's gradient or the pupil's"""

    def __init__(self, capacity=512):
        self.crops, self.capacity = [], capacity

    def take(self, rng, count):
        if len(self.crops) < 4 * count:
            return []
        chosen = sorted(rng.choice(len(self.crops), count, replace=False), reverse=True)
        return [self.crops.pop(i) for i in chosen]

    def climb(self, rng, x, ages, g):
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
    rng = np.random.default_rng(a.seed + 1)
    teacher, pictures = load_teacher(a.teacher), torch.load(a.pictures, weights_only=False)
    start = torch.load(a.start, weights_only=False)
    pupil, kept = Net(start["widths"]), Net(start["widths"])
    pupil.load_state_dict(start["net"])
    kept.load_state_dict(start["net"])
    kept.requires_grad_(False)
    mixtures = {k: m.view(*m.shape, 1, 1) for k, m in start["mixtures"].items()}
    # each weight moves in proportion to its layer's own size: they differ a hundredfold
    groups = [
        {
            "params": [p],
            "size": max(p.detach().pow(2).mean().sqrt().item(), 1e-4)
            if p.dim() > 1
            else 0.02 * max(p.detach().pow(2).mean().sqrt().item(), 1.0),
        }
        for p in pupil.parameters()
    ]
    opt = torch.optim.Adam(groups, lr=a.rate, betas=(0.9, 0.98), eps=1e-12)
    pool, step, log, norm = Dreaming(), 0, [], None
    last = a.out + "/last.pt"
    if os.path.exists(last):
        c = torch.load(last, weights_only=False)
        pupil.load_state_dict(c["net"]), kept.load_state_dict(c["kept"]), opt.load_state_dict(c["opt"])
        pool, step, log, norm, rng = c["pool"], c["step"], c["log"], c["norm"], c["rng"]
    exam = Exam(teacher, a.photos) if a.photos else None
    first, running, t0, c0 = step, None, time.time(), time.process_time()
    while True:
        if step % a.every == 0 or step == a.steps:
            row = {"step": step, "crops": step * a.batch, "loss": running, "cpu_s": round(time.process_time() - c0)}
            if exam:
                row["photos"] = exam(kept)
                for i, k in enumerate(("cosine", "gain")):
                    row[k] = round(float(np.mean([v[i] for v in row["photos"].values()])), 3)
            log.append(row)
            print(json.dumps(row), flush=True)
            with open(a.out + "/log.json", "w") as f:
                json.dump(log, f)
            torch.save({"net": kept.state_dict(), "widths": start["widths"]}, a.out + "/pupil.pt")
            torch.save(
                {
                    "net": pupil.state_dict(),
                    "kept": kept.state_dict(),
                    "opt": opt.state_dict(),
                    "pool": pool,
                    "step": step,
                    "log": log,
                    "norm": norm,
                    "rng": rng,
                },
                last + ".part",
            )
            os.replace(last + ".part", last)
        if step == a.steps:
            break
        rate = a.rate * min(1, (step + 1) / 50) * max(0.02, min(1, (a.steps - step) / a.fall))
        for g in opt.param_groups:
            g["lr"] = rate * g["size"] * 10
        old = pool.take(rng, a.batch // 2)
        new = pictures.batch(rng, a.batch - len(old), a.crop)
        ages = [0] * len(new) + [age for _, age in old]
        x = torch.cat([new] + [v.float() for v, _ in old]).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            tg, target = teach(teacher, mixtures, x)
            xp = x.clone().requires_grad_(True)
            seen = pupil.features(xp)
            (pg,) = torch.autograd.grad(0.5 * seen["4c"].float().pow(2).sum(), xp, create_graph=True)
        tg, pg = tg.float(), pg.float()
        f, g = feature_loss(seen, target), gradient_loss(pg, tg)
        opt.zero_grad(set_to_none=True)
        (a.features * f + g).backward(inputs=list(pupil.parameters()))
        # clipped tensor by tensor in the same proportion, when the whole is five times what is usual
        n = torch.sqrt(sum((q.grad * s["size"]).pow(2).sum() for s in groups for q in s["params"])).item()
        norm = n if norm is None else 0.95 * norm + 0.05 * min(n, 5 * norm)
        if n > 3 * norm:
            for q in pupil.parameters():
                q.grad *= 3 * norm / n
        opt.step()
        step += 1
        with torch.no_grad():
            k = min(a.average, (1 + step) / (10 + step))
            for q, w in zip(kept.parameters(), pupil.parameters(), strict=True):
                q.lerp_(w, 1 - k)
            pool.climb(rng, x, ages, tg if rng.random() < 0.5 else pg.detach())
        now = [f.item(), g.item()]
        running = now if running is None else [round(0.97 * r + 0.03 * v, 4) for r, v in zip(running, now, strict=True)]
        if step % 20 == 0:
            speed = (step - first) * a.batch / (time.time() - t0)
            print(f"step {step}  features {running[0]:.3f}  gradient {running[1]:.3f}  {speed:.1f} crops/s", flush=True)
