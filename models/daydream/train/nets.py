"""The teacher (bvlc_googlenet) and the pupil (daydream) in PyTorch, up to inception_5b/output.

Pictures are (n, 3, h, w) float32, BGR, 0..255 minus MEAN, like Caffe's data blob.
"""

import os
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

# the number of channels of each convolution: of the stem's three, and of an inception's six in the order of PARTS
Widths: TypeAlias = Mapping[str, tuple[int, ...]]

MEAN = torch.tensor([104.0, 116.0, 122.0]).view(1, 3, 1, 1)
PARTS = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
HALVED = ("3b", "4e")  # pooled before the next inception
OUTPUTS = (0, 2, 4, 5)  # the parts that an inception's output joins, in this order

TEACHER: Widths = {
    "stem": (64, 64, 192),
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
PUPIL: Widths = {  # the stem has more than its share, because its errors spread through every layer above
    "stem": (60, 60, 168),
    "3a": (48, 80, 104, 14, 28, 28),
    "3b": (96, 104, 152, 28, 80, 56),
    "4a": (152, 80, 168, 14, 40, 56),
    "4b": (128, 96, 184, 20, 56, 56),
    "4c": (112, 112, 232, 20, 60, 60),
    "4d": (96, 112, 240, 26, 56, 56),
    "4e": (208, 120, 264, 26, 104, 104),
    "5a": (208, 120, 264, 26, 104, 104),
    "5b": (312, 144, 312, 38, 104, 104),
}


class LRN(nn.Module):
    """Caffe's LRN across channels (k 1, beta .75), as a product with a banded matrix, to be twice differentiable.

    channels  how many its input has
    size      how many neighbours, itself included, a channel is divided by
    alpha     the weight of their squares, all together"""

    def __init__(self, channels: int, size: int = 5, alpha: float = 1e-4) -> None:
        super().__init__()
        i = torch.arange(channels)
        band = ((i[:, None] - i[None]).abs() <= size // 2).float() * (alpha / size)
        self.register_buffer("band", band, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`x` (n, channels, h, w) normalised, of the same shape and dtype."""
        with torch.autocast("cpu", enabled=False):
            x = x.permute(0, 2, 3, 1)
            r = ((x * x) @ self.band.to(x.dtype) + 1).rsqrt()
            return (x * (r * r.sqrt())).permute(0, 3, 1, 2)


def pooled(x: Tensor) -> Tensor:
    """Caffe's 3x3 max pooling of stride 2, which rounds sizes up."""
    return F.max_pool2d(x, 3, 2, 0, ceil_mode=True)


class Inception(nn.Module):
    """An inception: six convolutions in four branches, whose outputs are joined.

    inputs  channels of its input
    c       channels of its convolutions, in the order of PARTS"""

    def __init__(self, inputs: int, c: tuple[int, ...]) -> None:
        super().__init__()
        self.convs = nn.ModuleList([
            nn.Conv2d(inputs, c[0], 1),
            nn.Conv2d(inputs, c[1], 1), nn.Conv2d(c[1], c[2], 3, padding=1),
            nn.Conv2d(inputs, c[3], 1), nn.Conv2d(c[3], c[4], 5, padding=2),
            nn.Conv2d(inputs, c[5], 1)])

    def before_relu(self, x: Tensor) -> tuple[Tensor, ...]:
        """The activations of the six convolutions, (n, channels, h, w), before their ReLU, in the order of PARTS."""
        one, reduce3, three, reduce5, five, pool = self.convs
        r3, r5 = reduce3(x), reduce5(x)
        return one(x), r3, three(F.relu(r3)), r5, five(F.relu(r5)), pool(F.max_pool2d(x, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The inception's output (n, channels, h, w) for its input `x` (n, inputs, h, w)."""
        a = self.before_relu(x)
        return F.relu(torch.cat([a[i] for i in OUTPUTS], 1))


class Net(nn.Module):
    """GoogLeNet with the given Widths, up to the output of the inception `last`."""

    def __init__(self, widths: Widths, last: str = "4c") -> None:
        super().__init__()
        names = list(widths)
        self.widths = widths = {name: widths[name] for name in names[: names.index(last) + 1]}
        a, b, c = widths["stem"]
        self.conv1 = nn.Conv2d(3, a, 7, 2, 3)
        self.norm1 = LRN(a)
        self.reduce2 = nn.Conv2d(a, b, 1)
        self.conv2 = nn.Conv2d(b, c, 3, padding=1)
        self.norm2 = LRN(c)
        self.blocks = nn.ModuleDict()
        for name, w in widths.items():
            if name != "stem":
                self.blocks[name] = Inception(c, w)
                c = sum(w[i] for i in OUTPUTS)
        self.to(memory_format=torch.channels_last)

    def first(self, x: Tensor) -> Tensor:
        """pool1/norm1 (n, channels, h/4, w/4) of the pictures `x`."""
        return self.norm1(pooled(F.relu(self.conv1(x))))

    def second(self, x: Tensor) -> Tensor:
        """pool2/3x3_s2 (n, channels, h/8, w/8), from pool1/norm1."""
        return pooled(self.norm2(F.relu(self.conv2(F.relu(self.reduce2(x))))))

    def body(self, x: Tensor, end: str = "4c") -> dict[str, Tensor]:
        """{"3a": output, ...} of each inception up to `end`, from pool2/3x3_s2; else raises ValueError."""
        out = {}
        for name, block in self.blocks.items():
            out[name] = x = block(x)
            if name == end:
                return out
            if name in HALVED:
                x = pooled(x)
        raise ValueError(f"this net has no inception {end}")

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """{"pool2": output, "3a": output, ... "4c": output} for the pictures `x`."""
        pool2 = self.second(self.first(x))
        return {"pool2": pool2, **self.body(pool2)}

    def forward(self, x: Tensor) -> Tensor:
        """inception_4c/output, the default layer of a dream, for the pictures `x`."""
        return self.features(x)["4c"]

    def named_convs(self) -> dict[str, nn.Conv2d]:
        """{Caffe's layer name: its convolution}, from the picture upwards."""
        d = {"conv1/7x7_s2": self.conv1, "conv2/3x3_reduce": self.reduce2, "conv2/3x3": self.conv2}
        for name, block in self.blocks.items():
            for part, conv in zip(PARTS, block.convs, strict=True):
                d[f"inception_{name}/{part}"] = conv
        return d


def load_teacher(path: str | os.PathLike[str], last: str = "4c") -> Net:
    """bvlc_googlenet from teacher.py's .npz, which has arrays layer__w and layer__b, with / in a name written as __."""
    net, z = Net(TEACHER, last), np.load(path)
    for name, conv in net.named_convs().items():
        k = name.replace("/", "__")
        conv.weight.data.copy_(torch.tensor(z[k + "__w"]).reshape(conv.weight.shape))
        conv.bias.data.copy_(torch.tensor(z[k + "__b"]).reshape(-1))
    net.requires_grad_(False).eval()
    return net


def gradient(net: Net, x: Tensor, end: str = "4c") -> Tensor:
    """The gradient at the pictures `x`, of the same shape, of half the squared norm of the inception `end`'s output."""
    x = x.detach().requires_grad_(True)
    a = net.body(net.second(net.first(x)), end)[end].float()
    return torch.autograd.grad(0.5 * (a * a).sum(), x)[0]


def objective(net: Net, x: Tensor) -> float:
    """Half the mean square of inception_4c/output for the pictures `x`."""
    with torch.no_grad():
        return float(0.5 * net(x).float().pow(2).mean().item())


def dream(net: Net, picture: Tensor, iterations: int = 10, octaves: int = 4, scale: float = 1.4, step: float = 1.5,
          jitter: int = 32, seed: int = 0) -> Tensor:
    """The dream of `picture` (1, 3, h, w), of the same shape, by Google's deepdream; its arguments are those of
    dreamify.py. It is close to dreamify.py's result, but not equal, because zoom and rounding differ."""
    rng = np.random.default_rng(seed)

    def scaled(t: Tensor, size: tuple[int, ...]) -> Tensor:
        return F.interpolate(t, size=size, mode="bilinear", align_corners=True)

    bases = [picture]
    for _ in range(octaves - 1):
        h, w = bases[-1].shape[2:]
        bases.append(scaled(bases[-1], (round(h / scale), round(w / scale))))
    detail = torch.zeros_like(bases[-1])
    for base in bases[::-1]:
        x = base + scaled(detail, base.shape[2:])
        for _ in range(iterations):
            o = rng.integers(-jitter, jitter + 1, 2).tolist()
            x = torch.roll(x, o, (2, 3))
            g = gradient(net, x)
            x = torch.roll(x + step / g.abs().mean().clamp_min(1e-20) * g, [-v for v in o], (2, 3))
            x = torch.max(torch.min(x, 255 - MEAN), -MEAN)
        detail = x - base
    return x


def blur(x: Tensor, sigma: float) -> Tensor:
    """`x` (n, c, h, w) after a Gaussian blur of `sigma` pixels; outside it is 0."""
    r = int(3 * sigma + 0.5)
    k = torch.exp(-(torch.arange(-r, r + 1.0) ** 2) / (2 * sigma**2))
    k, c = k / k.sum(), x.shape[1]
    x = F.conv2d(F.pad(x, (r, r, 0, 0)), k.view(1, 1, 1, -1).repeat(c, 1, 1, 1), groups=c)
    return F.conv2d(F.pad(x, (0, 0, r, r)), k.view(1, 1, -1, 1).repeat(c, 1, 1, 1), groups=c)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """The cosine (n,) between each of the n parts of `a` and that of `b`."""
    return F.cosine_similarity(a.flatten(1), b.flatten(1), dim=1)
