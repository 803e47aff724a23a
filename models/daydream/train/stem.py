"""Trains the pupil's stem first, and carefully, because its errors spread through every layer above.

conv1 starts from random filters (drawn in the whitened space of 7x7 patches), conv2 from least squares (start.py).
Both are then trained by gradient descent. A linear map, learnt with them and discarded afterwards, predicts the
teacher's activations from the pupil's. The loss compares the activations, and the gradients at the picture: the
teacher's own one, and the one that the teacher's gradient at that layer gives when sent down through map and pupil.

The map of conv1 starts as a band, because LRN looks at neighbours and so the order of the channels matters.

$ python stem.py --teacher teacher.npz --pictures pictures.pt --out stem.pt
"""

import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import start
from nets import MEAN, PUPIL, Net, blur, cosine, load_teacher, pooled
from pictures import Pictures


def lessons(teacher: Net, pictures: Pictures, rng: np.random.Generator, count: int, size: int,
            batch: int = 20) -> list[list[Tensor]]:
    """[[x, gradient at x, pool1/norm1, its gradient, pool2, its gradient]] of batches of crops, bfloat16 (batch, c,
    h, w), for `count` crops of `size` pixels; each crop occurs at one to eight steps of the teacher's dream."""
    out = []
    while count > 0:
        x = pictures.batch(rng, batch, size)
        for _ in range(int(rng.integers(1, 9))):
            v = x.clone().requires_grad_(True)
            with torch.autocast("cpu", torch.bfloat16):
                f1 = teacher.first(v)
                f2 = teacher.second(f1)
                a = teacher.body(f2)["4c"].float()
            gx, g1, g2 = torch.autograd.grad(0.5 * a.pow(2).sum(), (v, f1, f2))
            scale = 1 / gx.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-20)
            out.append([t.detach().bfloat16() for t in (x, gx * scale, f1, g1 * scale, f2, g2 * scale)])
            count -= batch
            x = x + rng.choice([1.5, 3.0]) * gx * scale
            x = torch.max(torch.min(x, 255 - MEAN), -MEAN)
            if rng.random() < 0.5:
                x = torch.roll(x, rng.integers(-32, 33, 2).tolist(), (2, 3))
    return out


def gradient_loss(g: Tensor, t: Tensor) -> Tensor:
    """1 - cosine between gradients at the pictures, (n, 3, h, w), raw and blurred: a mean."""
    return (0.6 * (1 - cosine(g, t)) + 0.4 * (1 - cosine(blur(g, 1.5), blur(t, 1.5)))).mean()


def importance(batches: list[list[Tensor]], f: int, g: int) -> Tensor:
    """(channels,) share of the objective that flows through each channel, relative to its mean.

    f, g  where in a batch the activations and their gradient are"""
    w = torch.stack([(b[f].float() * b[g].float()).pow(2).mean((0, 2, 3)) for b in batches[:30]]).mean(0).sqrt()
    return w / w.mean()


def train_conv1(pupil: Net, batches: list[list[Tensor]], held: list[list[Tensor]], rng: np.random.Generator, steps: int,
                rate: float = 1e-2, batch: int = 10) -> None:
    """Train the pupil's conv1 from random filters, and print how far it is.

    batches  of `lessons`, to learn from; of each a half, `batch` crops, at a time
    held     more of them, for the figures only
    rate     learning rate of the filters"""
    patches = torch.cat([F.unfold(b[0].float(), 7, stride=5).transpose(1, 2).reshape(-1, 147) for b in batches[:12]])
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    whiten = vectors * (values + 1e-3 * values.mean()).rsqrt()  # columns
    n, m = pupil.conv1.out_channels, batches[0][2].shape[1]
    filters = torch.randn(n, 147) / 147**0.5
    gain = torch.full((1, n, 1, 1), 100.0)  # about the teacher's scale, at which LRN is not linear
    near = torch.arange(m)[:, None] * (n - 1) / (m - 1) - torch.arange(n)[None]
    read = (torch.exp(-(near**2) / 0.5) + torch.randn(m, n) * 0.02).view(m, n, 1, 1)
    bias, offset = torch.zeros(n), torch.zeros(m)
    for t in (filters, bias, read, offset):
        t.requires_grad_()
    groups = [{"params": [filters, bias], "k": 1}, {"params": [read, offset], "k": 0.3}]
    opt = torch.optim.Adam(groups, betas=(0.9, 0.98))
    scale = torch.stack([b[2].float().pow(2).mean((0, 2, 3)).sqrt() for b in batches[:20]]).mean(0).view(1, -1, 1, 1)
    weight = (importance(batches, 2, 3).view(1, -1, 1, 1) + 0.2) / (scale + 0.1 * scale.mean()) ** 2

    def lesson(b: list[Tensor]) -> tuple[Tensor, Tensor, float]:
        x, gx, f1, g1 = (t.float() for t in b[:4])
        w = (filters @ whiten.T).view(n, 3, 7, 7)
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_(True)
        seen = F.conv2d(pupil.norm1(pooled(F.relu(F.conv2d(x, w, bias, 2, 3) * gain))), read, offset * 100)
        (g,) = torch.autograd.grad((seen * g1).sum(), x, create_graph=True)
        return ((seen - f1).pow(2) * weight).mean(), gradient_loss(g, gx), cosine(g, gx).mean().item()

    for i in range(steps):
        for group in opt.param_groups:
            group["lr"] = rate * group["k"] * min(1, (i + 1) / 30) * (0.02 + 0.98 * (1 - i / steps))
        b = batches[rng.integers(len(batches))]
        s = slice(0, batch) if rng.random() < 0.5 else slice(batch, 2 * batch)
        e, j, _ = lesson([t[s] for t in b])
        opt.zero_grad()
        (e + j * min(1, i / 200)).backward()
        opt.step()
        if i % 100 == 0 or i == steps - 1:
            r = [[v if isinstance(v, float) else v.item() for v in lesson(b)] for b in held]
            missed, g, c = np.mean(r, 0)
            print(f"conv1 step {i}  missed {missed:.4f}  gradient {g:.4f}  cosine {c:.3f}", flush=True)
    with torch.no_grad():
        pupil.conv1.weight.copy_((filters @ whiten.T).view(n, 3, 7, 7) * gain.view(-1, 1, 1, 1))
        pupil.conv1.bias.copy_(bias * gain.flatten())


def train_stem(pupil: Net, batches: list[list[Tensor]], held: list[list[Tensor]], rng: np.random.Generator, steps: int,
               rate: float = 3e-4, batch: int = 10) -> None:
    """Train the pupil's conv1 and conv2 together, as they are, and print how far they are; arguments as above."""
    n, m = pupil.conv2.out_channels, batches[0][4].shape[1]
    read = torch.nn.Conv2d(n, m, 1)
    q = start.Squares(read)
    with torch.no_grad():
        for b in batches[:30]:
            q.add(pupil.second(pupil.first(b[0].float())), b[4].float(), 2000)
        q.solve(1)
    convs = [pupil.conv1, pupil.reduce2, pupil.conv2, read]
    groups = []
    for p in (p for c in convs for p in c.parameters()):  # each moves in proportion to its own size
        size = (p.detach().pow(2).mean().sqrt().item() if p.dim() > 1 else
                0.02 * max(p.detach().abs().mean().item(), 1.0))
        groups.append({"params": [p], "size": size})
    opt = torch.optim.Adam(groups, betas=(0.9, 0.98), eps=1e-12)
    scale = torch.stack([b[4].float().pow(2).mean((0, 2, 3)).sqrt() for b in batches[:20]]).mean(0).view(1, -1, 1, 1)
    weight = (importance(batches, 4, 5).view(1, -1, 1, 1) + 0.2) / (scale + 0.1 * scale.mean()) ** 2

    def lesson(b: list[Tensor]) -> tuple[Tensor, Tensor, float]:
        x, gx, f2, g2 = (b[i].float() for i in (0, 1, 4, 5))
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_(True)
        with torch.autocast("cpu", torch.bfloat16):
            seen = read(pupil.second(pupil.first(x))).float()
            (g,) = torch.autograd.grad((seen * g2).sum(), x, create_graph=True)
        return ((seen - f2).pow(2) * weight).mean(), gradient_loss(g, gx), cosine(g, gx).mean().item()

    for i in range(steps):
        for group in opt.param_groups:
            group["lr"] = 10 * rate * group["size"] * min(1, (i + 1) / 30) * (0.02 + 0.98 * (1 - i / steps))
        b = batches[rng.integers(len(batches))]
        s = slice(0, batch) if rng.random() < 0.5 else slice(batch, 2 * batch)
        e, j, _ = lesson([t[s] for t in b])
        opt.zero_grad()
        (0.5 * e + j).backward()
        opt.step()
        if i % 50 == 0 or i == steps - 1:
            r = [[v if isinstance(v, float) else v.item() for v in lesson(b)] for b in held]
            missed, g, c = np.mean(r, 0)
            print(f"stem step {i}  missed {missed:.4f}  gradient {g:.4f}  cosine {c:.3f}", flush=True)


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--teacher", required=True)
    ap.add_argument("--pictures", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--lessons", type=int, default=1600)
    ap.add_argument("--conv1-steps", type=int, default=1500)
    ap.add_argument("--stem-steps", type=int, default=600)
    ap.add_argument("--crop", type=int, default=112)
    ap.add_argument("--resume", action="store_true", help="conv1 as it lies in --out")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--seed", type=int, default=0)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    teacher, pictures = load_teacher(a.teacher), torch.load(a.pictures, weights_only=False)
    pupil, t0 = Net(PUPIL), time.time()
    held = lessons(teacher, pictures, rng, 40, a.crop)[:2]
    batches = lessons(teacher, pictures, rng, a.lessons, a.crop)
    print(f"{20 * len(batches)} lessons, {time.time() - t0:.0f} s", flush=True)
    if a.resume:
        pupil.load_state_dict(torch.load(a.out)["net"])
    else:
        train_conv1(pupil, batches, held, rng, a.conv1_steps)
        torch.save({"net": pupil.state_dict()}, a.out)
    x = torch.cat([b[0][:8] for b in batches[:60]]).float().contiguous(memory_format=torch.channels_last)
    start.least_squares(pupil, teacher, x, rng, start.importance(teacher, x[:96], "4c"), fitted=("stem",))
    train_stem(pupil, batches, held, rng, a.stem_steps)
    torch.save({"net": pupil.state_dict()}, a.out)
    print(f"{time.time() - t0:.0f} s", flush=True)
