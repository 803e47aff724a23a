"""How near is daydream to its teacher? For each layer, two medians over its channels.

    activations  a channel's correlation, before its ReLU, with the teacher's channel that is most like it (same layer)
    weights      cosine of its filter with that channel's; above conv1, what it takes from a channel below is set
                 against what the teacher takes from the channel most like that one

$ python likeness.py --teacher teacher.npz --photos a.jpg b.jpg
"""

import argparse
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from nets import OUTPUTS, PARTS, PUPIL, Net, load_teacher
from pictures import load

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE.parents[1]))
from dreamer.nets import compact  # noqa: E402

LAST = "5b"


def committed():
    """the pupil as it lies in the repository, in 8 bits"""
    net, layers = Net(PUPIL, LAST), compact.read(HERE / "daydream.npz")
    for name, conv in net.named_convs().items():
        weight, bias = layers[name]
        conv.weight.data.copy_(torch.tensor(weight))
        conv.bias.data.copy_(torch.tensor(bias))
    return net.requires_grad_(False).eval()


def activations(net, photos):
    """{layer: (channels, places) what each convolution gives, in rows of mean 0 and length 1}"""
    seen, hooks = {name: [] for name in net.named_convs()}, []
    for name, conv in net.named_convs().items():
        hooks.append(conv.register_forward_hook(lambda m, i, o, name=name: seen[name].append(o[0].flatten(1))))
    for x in photos:
        net.body(net.second(net.first(x)), LAST)
    for h in hooks:
        h.remove()
    joined = {name: torch.cat(rows, 1) for name, rows in seen.items()}
    return {name: F.normalize(rows - rows.mean(1, keepdim=True), dim=1) for name, rows in joined.items()}


def below(net):
    """{layer: the layers whose channels, joined, are its inputs}; conv1, which sees the picture, is not in it"""
    out, joined = {"conv2/3x3_reduce": ["conv1/7x7_s2"], "conv2/3x3": ["conv2/3x3_reduce"]}, ["conv2/3x3"]
    for block in net.blocks:
        names = [f"inception_{block}/{part}" for part in PARTS]
        for i, name in enumerate(names):
            out[name] = [names[i - 1]] if i in (2, 4) else joined
        joined = [names[i] for i in OUTPUTS]
    return out


def places(sources, nearest, convs):
    """of each of the pupil's inputs, the place of its like among the teacher's inputs"""
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
