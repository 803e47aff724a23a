"""Measures how similar daydream is to its teacher. Prints two medians over the channels of each layer.

    activations  a channel's correlation, before its ReLU, with the most similar of the teacher's channels (same layer)
    weights      cosine between its filter and that channel's filter; above conv1, each weight is compared with the
                 teacher's weight for the most similar input channel

$ python likeness.py --teacher teacher.npz --photos a.jpg b.jpg
"""

import argparse
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nets import OUTPUTS, PARTS, PUPIL, Net, load_teacher
from pictures import load

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE.parents[1]))
from dreamer.nets import compact  # noqa: E402

LAST = "5b"


def committed() -> Net:
    """The pupil from the repository, in 8 bits."""
    net, layers = Net(PUPIL, LAST), compact.unpack(HERE / "daydream.npz")
    for name, conv in net.named_convs().items():
        weight, bias = layers[name]
        conv.weight.data.copy_(torch.tensor(weight))
        conv.bias.data.copy_(torch.tensor(bias))
    net.requires_grad_(False).eval()
    return net


def activations(net: Net, photos: Sequence[Tensor]) -> dict[str, Tensor]:
    """{layer: (channels, places) output of each convolution, in rows of mean 0 and length 1}, of `photos`, each
    (1, 3, h, w)."""
    seen: dict[str, list[Tensor]] = {name: [] for name in net.named_convs()}

    def keep(name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        seen[name].append(output[0].flatten(1))

    hooks = [conv.register_forward_hook(functools.partial(keep, name)) for name, conv in net.named_convs().items()]
    for x in photos:
        net.body(net.second(net.first(x)), LAST)
    for h in hooks:
        h.remove()
    joined = {name: torch.cat(rows, 1) for name, rows in seen.items()}
    return {name: F.normalize(rows - rows.mean(1, keepdim=True), dim=1) for name, rows in joined.items()}


def below(net: Net) -> dict[str, list[str]]:
    """{layer: the layers whose channels, joined, are its inputs}, without conv1, whose input is the picture."""
    out, joined = {"conv2/3x3_reduce": ["conv1/7x7_s2"], "conv2/3x3": ["conv2/3x3_reduce"]}, ["conv2/3x3"]
    for block in net.blocks:
        names = [f"inception_{block}/{part}" for part in PARTS]
        for i, name in enumerate(names):
            out[name] = [names[i - 1]] if i in (2, 4) else joined
        joined = [names[i] for i in OUTPUTS]
    return out


def places(sources: Sequence[str], nearest: Mapping[str, Tensor], convs: Mapping[str, nn.Conv2d]) -> Tensor:
    """For each of the pupil's inputs, the index of the most similar of the teacher's inputs: int64 (inputs,).

    sources  the layers whose channels, joined, are the inputs
    nearest  {layer: for each of the pupil's channels, the index of the most similar of the teacher's}
    convs    the teacher's"""
    found, offset = [], 0
    for source in sources:
        found.append(nearest[source] + offset)
        offset += convs[source].out_channels
    return torch.cat(found)


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--teacher", required=True)
    ap.add_argument("--photos", nargs="+", required=True)
    a = ap.parse_args()
    pupil, teacher = committed(), load_teacher(a.teacher, LAST)
    photos = [load(path, 256) for path in a.photos]
    mine, theirs, sources, nearest = activations(pupil, photos), activations(teacher, photos), below(pupil), {}
    convs = teacher.named_convs()
    own, other = (F.normalize(n.conv1.weight.flatten(1), dim=1) for n in (pupil, teacher))
    near = (own @ other.T).abs().max(1)[0]
    print(f"conv1's filters, each against the nearest of the teacher's: median {near.median():.3f},", end=" ")
    print(f"{(near > 0.95).sum()} of {len(near)} above .95")
    for name, conv in pupil.named_convs().items():
        correlation, nearest[name] = (mine[name] @ theirs[name].T).max(1)
        w, v = conv.weight, convs[name].weight[nearest[name]]
        if name in sources:
            v = v[:, places(sources[name], nearest, convs)]
        cosine = F.cosine_similarity(w.flatten(1), v.flatten(1), dim=1)
        print(f"{name}  activations {correlation.median():.3f}  weights {cosine.median():.3f}", flush=True)
