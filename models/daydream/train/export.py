"""Writes a trained pupil as deploy.prototxt and daydream.npz (8 bits), and prints the sha256 for model.toml.

$ python export.py run/pupil.pt
"""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from nets import PARTS, Net, Widths

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE.parents[1]))
from dreamer.nets import compact  # noqa: E402


def prototxt(widths: Widths) -> str:
    """Caffe's description of a net with these Widths, with bvlc_googlenet's layer names."""
    out = ["# Made by train/export.py: the layers of bvlc_googlenet, with fewer channels in every one.",
           'name: "daydream"']

    def block(name: str, fields: Mapping[str, object]) -> str:
        return f"  {name} {{\n" + "".join(f"    {k}: {v}\n" for k, v in fields.items() if v) + "  }\n"

    def layer(name: str, kind: str, bottoms: Sequence[str], body: str = "", top: str | None = None) -> str:
        lines = "".join(f'  bottom: "{b}"\n' for b in bottoms)
        out.append(f'layer {{\n  name: "{name}"\n  type: "{kind}"\n{lines}  top: "{top or name}"\n{body}}}')
        return top or name

    def conv(name: str, relu: str, bottom: str, outputs: int, kernel: int, pad: int = 0, stride: int = 1) -> str:
        fields = {"num_output": outputs, "pad": pad, "kernel_size": kernel, "stride": stride if stride > 1 else 0}
        layer(name, "Convolution", [bottom], block("convolution_param", fields))
        return layer(relu, "ReLU", [name], top=name)

    def pool(name: str, bottom: str, stride: int, pad: int = 0) -> str:
        fields = {"pool": "MAX", "kernel_size": 3, "stride": stride, "pad": pad}
        return layer(name, "Pooling", [bottom], block("pooling_param", fields))

    def lrn(name: str, bottom: str) -> str:
        return layer(name, "LRN", [bottom], block("lrn_param", {"local_size": 5, "alpha": 0.0001, "beta": 0.75}))

    def inception(name: str, bottom: str, w: Sequence[int]) -> str:
        def part(i: int, bottom: str, kernel: int = 1) -> str:
            return conv(f"{name}/{PARTS[i]}", f"{name}/relu_{PARTS[i]}", bottom, w[i], kernel, kernel // 2)

        pooled = pool(f"{name}/pool", bottom, 1, 1)
        parts = part(0, bottom), part(2, part(1, bottom), 3), part(4, part(3, bottom), 5), part(5, pooled)
        return layer(f"{name}/output", "Concat", parts)

    a, b, c = widths["stem"]
    x = layer("data", "Input", [], "  input_param { shape: { dim: 1 dim: 3 dim: 224 dim: 224 } }\n")
    x = conv("conv1/7x7_s2", "conv1/relu_7x7", x, a, 7, 3, 2)
    x = lrn("pool1/norm1", pool("pool1/3x3_s2", x, 2))
    x = conv("conv2/3x3_reduce", "conv2/relu_3x3_reduce", x, b, 1)
    x = conv("conv2/3x3", "conv2/relu_3x3", x, c, 3, 1)
    x = pool("pool2/3x3_s2", lrn("conv2/norm2", x), 2)
    for name, w in widths.items():
        if name == "stem":
            continue
        if name in ("4a", "5a"):
            x = pool("pool3/3x3_s2" if name == "4a" else "pool4/3x3_s2", x, 2)
        x = inception(f"inception_{name}", x, w)
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    saved = torch.load(sys.argv[1], weights_only=False)
    net = Net(saved["widths"], list(saved["widths"])[-1])
    net.load_state_dict(saved["net"])
    (HERE / "deploy.prototxt").write_text(prototxt(saved["widths"]))
    compact.pack(HERE / "daydream.npz", {
        n: (c.weight.detach().contiguous().numpy(), c.bias.detach().numpy()) for n, c in net.named_convs().items()})
    weights = compact.caffemodel(compact.unpack(HERE / "daydream.npz"), "daydream")
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_bytes(weights)
    files = {name: (HERE / name).read_bytes() for name in ("deploy.prototxt", "daydream.npz")}
    for name, data in (files | {"daydream.caffemodel": weights}).items():
        print(f"{name}  {len(data)} bytes  sha256 {hashlib.sha256(data).hexdigest()}")
    print(sum(p.numel() for p in net.parameters()), "parameters")
