"""Fits the pupil above its stem (stem.py) by least squares, layer by layer.

Each convolution is fitted from the pupil's own activations to random mixtures (`mixtures`) of the teacher's
activations in the same layer, before the ReLU. These are only targets: none of the teacher's weights is copied.

$ python start.py --teacher teacher.npz --pictures pictures.pt --stem stem.pt --out start.pt         # 3a to 4c
$ python start.py --teacher teacher.npz --pictures pictures.pt --trained pupil.pt --out deeper.pt    # then 4d to 5b
"""

import argparse
import functools
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from nets import HALVED, MEAN, OUTPUTS, PARTS, PUPIL, Net, cosine, gradient, load_teacher, pooled


def mixtures(importance: NDArray[np.float32], rms: NDArray[np.float32], count: int, rng: np.random.Generator,
             extra: float = 0.15) -> Tensor:
    """A random mixing matrix, float32 (count, n), for a layer's n channels, whose importance and root mean square are
    given, each (n,).

    Each row is one channel (more important ones are more likely), plus all the others together at `extra` of its
    strength. Much stronger mixing loses what the teacher's ReLU, which follows, would have separated.
    """
    n = len(rms)
    rms = np.maximum(rms, 0.05 * rms.mean())
    order = np.argsort(-np.log(importance + 1e-12) + rng.normal(0, 0.2, n))
    main = np.sort(order[:count])  # in order, because LRN looks at neighbours
    m = rng.normal(0, extra / np.sqrt(n), (count, n)) * rms[main][:, None] / rms
    m[np.arange(count), main] = 1
    return torch.tensor(m, dtype=torch.float32)


class Squares:
    """Ridge least squares for a convolution's weights and bias, followed by a ReLU: any negative value is right for a
    negative target, so each round replaces such targets by the last round's result (at most 0)."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self.conv = conv
        self.u: list[Tensor] = []  # (places, what the filter sees there)
        self.v: list[Tensor] = []  # (places, outputs)

    def add(self, x: Tensor, y: Tensor, share: int) -> None:
        """Take at most `share` random places of the input `x` and the target `y`, each (n, channels, h, w)."""
        k = self.conv.kernel_size[0]
        u = (F.unfold(x.contiguous(), k, padding=self.conv.padding[0]) if k > 1 else x.flatten(2)).transpose(1, 2)
        u, v = u.reshape(-1, u.shape[2]), y.permute(0, 2, 3, 1).reshape(-1, y.shape[1])
        i = torch.randperm(len(u))[:share]
        self.u.append(u[i])
        self.v.append(v[i])

    def solve(self, rounds: int = 6, ridge: float = 1e-4) -> None:
        """Put the solution into the convolution. `ridge` is a part of the mean square of what the filters see."""
        u, v = torch.cat(self.u), torch.cat(self.v)
        unit = max(u.std().item(), 1e-6)  # for the bias's column, about as large as the others
        u = torch.cat((u, torch.full((len(u), 1), unit)), 1)
        g = (u.T @ u).double()
        g.diagonal().add_(ridge * g.diagonal().mean())
        g = torch.linalg.cholesky(g)
        aim = v
        for _ in range(rounds):
            w = torch.cholesky_solve((u.T @ aim).double(), g)
            aim = torch.where(v > 0, v, (u @ w.float()).clamp_max(0))
        self.conv.weight.data.copy_(w[:-1].T.reshape(self.conv.weight.shape))
        self.conv.bias.data.copy_(w[-1] * unit)


@torch.no_grad()
def least_squares(pupil: Net, teacher: Net, x: Tensor, rng: np.random.Generator,
                  importance: Mapping[str, NDArray[np.float32]], chunk: int = 25, rows: int = 60000,
                  extra: float = 0.15, rounds: int = 6, *, fitted: Collection[str]) -> dict[str, Tensor]:
    """Fit the blocks `fitted` of the pupil layer by layer (of the stem, only conv2); returns {layer: its mixture}.

    x           pictures (n, 3, h, w), of which `chunk` at a time go through the nets
    importance  {layer: that of each of the teacher's channels, (channels,)}
    rows        places, of all pictures together, at which a layer is fitted
    extra       as in `mixtures`
    rounds      as in `Squares.solve`"""
    mix = {}
    t = torch.cat([teacher.first(v) for v in x.split(chunk)])
    p = torch.cat([pupil.first(v) for v in x.split(chunk)])

    def fit(name: str, conv: nn.Conv2d, xs: Sequence[Tensor], ys: Sequence[Tensor]) -> list[Tensor]:
        rms = torch.cat(ys[:4]).pow(2).mean((0, 2, 3)).sqrt().numpy()
        m = mixtures(importance[name], rms, conv.out_channels, rng, extra)
        s, c = Squares(conv), m.view(*m.shape, 1, 1)
        for a, b in zip(xs, ys, strict=True):
            s.add(a, F.conv2d(b, c), rows // len(xs))
        s.solve(rounds)
        mix[name] = m
        return [conv(v) for v in xs]

    if "stem" in fitted:
        tr = [teacher.reduce2(v) for v in t.split(chunk)]
        pr = fit("conv2/3x3_reduce", pupil.reduce2, p.split(chunk), tr)
        fit("conv2/3x3", pupil.conv2, [F.relu(v) for v in pr], [teacher.conv2(F.relu(v)) for v in tr])
    t = torch.cat([teacher.second(v) for v in t.split(chunk)])
    p = torch.cat([pupil.second(v) for v in p.split(chunk)])
    for name, block in pupil.blocks.items():
        if name not in fitted:
            t, p = (torch.cat([net.blocks[name](v) for v in u.split(chunk)]) for net, u in ((teacher, t), (pupil, p)))
            if name in HALVED:
                t, p = pooled(t), pooled(p)
            continue
        ta = [teacher.blocks[name].before_relu(v) for v in t.split(chunk)]
        xs = p.split(chunk)
        spread = [F.max_pool2d(v, 3, 1, 1) for v in xs]
        out: dict[int, list[Tensor]] = {}
        reduced: list[Tensor] = []
        for i, part in enumerate(PARTS):
            source = spread if i == 5 else reduced if i in (2, 4) else xs
            y = fit(f"inception_{name}/{part}", block.convs[i], source, [a[i] for a in ta])
            reduced = [F.relu(v) for v in y]
            out[i] = reduced
        t = torch.cat([F.relu(torch.cat([a[i] for i in OUTPUTS], 1)) for a in ta])
        p = torch.cat([torch.cat([out[i][j] for i in OUTPUTS], 1) for j in range(len(xs))])
        if name in HALVED:
            t, p = pooled(t), pooled(p)
        print("least squares", name, flush=True)
    return mix


def importance(teacher: Net, x: Tensor, end: str) -> dict[str, NDArray[np.float32]]:
    """{layer: (channels,) each channel's share of the objective at the inception `end`, for the pictures `x`}."""
    kept: dict[str, Tensor] = {}

    def keep(name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if output.requires_grad:
            output.retain_grad()
        kept[name] = output

    hooks = [conv.register_forward_hook(functools.partial(keep, name)) for name, conv in teacher.named_convs().items()]
    total: dict[str, Tensor] = {}
    for v in x.split(24):
        gradient(teacher, v, end)
        new = {n: (o.detach().clamp_min(0) * o.grad).sum((2, 3)).pow(2).mean(0) for n, o in kept.items()}
        total = {n: total[n] + new[n] for n in new} if total else new
    for h in hooks:
        h.remove()
    return {n: v.sqrt().numpy() for n, v in total.items()}


def dreamed(teacher: Net, x: Tensor, rng: np.random.Generator) -> Tensor:
    """The pictures `x` (n, 3, h, w), of which the second half were moved 1 to 11 steps along the teacher's gradient, as
    in a dream."""
    x = x.clone()
    parts = list(x[len(x) // 2 :].split(25))
    for j, v in enumerate(parts):
        for _ in range(int(rng.integers(1, 12))):
            with torch.autocast("cpu", torch.bfloat16):
                g = gradient(teacher, v)
            v = v + rng.choice([1.5, 3]) * g / g.abs().mean((1, 2, 3), keepdim=True)
            v = torch.max(torch.min(v, 255 - MEAN), -MEAN)
            if rng.random() < 0.4:
                v = torch.roll(v, rng.integers(-32, 33, 2).tolist(), (2, 3))
        parts[j] = v
    return torch.cat([x[: len(x) // 2]] + parts).contiguous(memory_format=torch.channels_last)


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--teacher", required=True)
    ap.add_argument("--pictures", required=True)
    ap.add_argument("--out", required=True)
    from_ = ap.add_mutually_exclusive_group(required=True)
    from_.add_argument("--stem")
    from_.add_argument("--trained")
    ap.add_argument("--crops", type=int, default=500)
    ap.add_argument("--side", type=int, help="of a crop; 128, or 192 for the deeper blocks")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--seed", type=int, default=0)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    rng, t0 = np.random.default_rng(a.seed), time.time()
    last, side, fitted = (("4c", 128, ("3a", "3b", "4a", "4b", "4c")) if a.stem else
                          ("5b", 192, ("4d", "4e", "5a", "5b")))
    side = a.side or side
    teacher, pictures = load_teacher(a.teacher, last), torch.load(a.pictures, weights_only=False)
    pupil = Net(PUPIL, last)
    fewer = torch.load(a.stem or a.trained, weights_only=False)["net"]
    pupil.load_state_dict(fewer, strict=False)
    x = dreamed(teacher, pictures.batch(rng, a.crops, side), rng)
    x = x[torch.randperm(len(x))]
    print(f"crops {time.time() - t0:.0f} s", flush=True)
    mix = least_squares(pupil, teacher, x, rng, importance(teacher, x[:96], last), fitted=fitted)
    y = pictures.batch(rng, 24, side)
    for end in fitted:
        c = cosine(gradient(pupil, y, end), gradient(teacher, y, end)).mean().item()
        print(f"cosine on new crops, {end}: {c:.3f}", flush=True)
    torch.save({"net": pupil.state_dict(), "widths": pupil.widths, "mixtures": mix}, a.out)
    print(f"{time.time() - t0:.0f} s", flush=True)
