"""bvlc_googlenet in PyTorch, as far as inception_4c/output: the peer to beat.

An expert could write the same: a plain version, and faster ones.
"""
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

# channels of an inception: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj
INCEPTIONS = {"3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
              "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64),
              "4c": (128, 128, 256, 24, 64, 64)}
NAMES = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
ALPHA, SIZE = 1e-4, 5


class LRN(torch.autograd.Function):
    """Local response normalisation, beta 3/4, k 1, with its gradient written by hand: autograd through
    functional.local_response_norm takes three times as long."""

    @staticmethod
    def window(x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        for d in range(1, SIZE // 2 + 1):
            y[:, d:] += x[:, :-d]
            y[:, :-d] += x[:, d:]
        return y

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        scale = LRN.window(x * x).mul_(ALPHA / SIZE).add_(1)
        root = scale.rsqrt()
        power = root.sqrt().mul_(root)
        ctx.save_for_backward(x, scale, power)
        return x * power

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        x, scale, power = ctx.saved_tensors
        gp = g * power
        near = LRN.window((gp * x).div_(scale))
        return gp.addcmul_(x, near, value=-2 * ALPHA * .75 / SIZE)


def plain_lrn(x: torch.Tensor) -> torch.Tensor:
    return functional.local_response_norm(x, SIZE, ALPHA, .75, 1.)


def closed_lrn(x: torch.Tensor) -> torch.Tensor:
    """The same, in a form that torch.compile fuses, forward and backward."""
    squares = functional.pad(x * x, (0, 0, 0, 0, SIZE // 2, SIZE // 2))
    c = x.shape[1]
    scale = sum(squares[:, d:d + c] for d in range(SIZE)) * (ALPHA / SIZE) + 1
    root = scale.rsqrt()
    return x * (root * root.sqrt())


class Inception(nn.Module):
    """An inception: six convolutions and a pooling. `c` has the channels of each, in the order of NAMES."""

    def __init__(self, channels: int, c: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList([
            nn.Conv2d(channels, c[0], 1),
            nn.Conv2d(channels, c[1], 1), nn.Conv2d(c[1], c[2], 3, padding=1),
            nn.Conv2d(channels, c[3], 1), nn.Conv2d(c[3], c[4], 5, padding=2),
            nn.Conv2d(channels, c[5], 1)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, reduce3, three, reduce5, five, project = self.convs
        return torch.cat((
            functional.relu(one(x)), functional.relu(three(functional.relu(reduce3(x)))),
            functional.relu(five(functional.relu(reduce5(x)))),
            functional.relu(project(functional.max_pool2d(x, 3, 1, 1)))), 1)


class Net(nn.Module):
    """The net, as far as inception_4c/output.

    weights  {Caffe layer name: (weight, bias)} of numpy arrays
    lrn      a function for the response normalisation"""

    def __init__(self, weights: Mapping[str, Sequence[NDArray[np.float32]]],
                 lrn: Callable[[torch.Tensor], torch.Tensor] = plain_lrn) -> None:
        super().__init__()
        self.lrn = lrn
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        self.reduce = nn.Conv2d(64, 64, 1)
        self.conv2 = nn.Conv2d(64, 192, 3, padding=1)
        named = {"conv1/7x7_s2": self.conv1, "conv2/3x3_reduce": self.reduce,
                 "conv2/3x3": self.conv2}
        channels = 192
        self.inceptions = nn.ModuleList()
        for key, c in INCEPTIONS.items():
            inception = Inception(channels, c)
            self.inceptions.append(inception)
            channels = c[0] + c[2] + c[4] + c[5]
            for name, conv in zip(NAMES, inception.convs, strict=True):
                named[f"inception_{key}/{name}"] = conv
        for name, conv in named.items():
            w, b = weights[name]
            conv.weight.data.copy_(torch.tensor(w).reshape(conv.weight.shape))
            conv.bias.data.copy_(torch.tensor(b).reshape(-1))
        self.requires_grad_(False).eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def pool(x: torch.Tensor) -> torch.Tensor:
            return functional.max_pool2d(x, 3, 2, 0, ceil_mode=True)
        x = self.lrn(pool(functional.relu(self.conv1(x))))
        x = pool(self.lrn(functional.relu(self.conv2(functional.relu(self.reduce(x))))))
        for i, inception in enumerate(self.inceptions):
            x = inception(x)
            if i == 1:
                x = pool(x)
        return x
