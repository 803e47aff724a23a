"""Compares native/economy.hpp with Caffe's own way of running a net.

Needs pycaffe, built from the patched tree, in PYTHONPATH. Each way runs in its
own process, because a net reads CAFFE_KEEP_BLOBS when it is made. Run this with
pytest, or as a script.
"""
import os
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32]]

CONV = ('layer { name: "%s" type: "Convolution" bottom: "%s" top: "%s" '
        'param { lr_mult: 0 } param { lr_mult: 0 } convolution_param { '
        'num_output: %d kernel_size: %d pad: %d stride: %d group: %d '
        'weight_filler { type: "msra" } '
        'bias_filler { type: "uniform" min: -1 max: 1 } } }')
RELU = 'layer { name: "relu_%s" type: "ReLU" bottom: "%s" top: "%s" }'
HEAD = ('force_backward: true layer { name: "data" type: "Input" top: "data" '
        'input_param { shape { dim: %d dim: 3 dim: 33 dim: 46 } } }')


def conv(name: str, bottom: str, maps: int, kernel: int = 3, pad: int = 1,
         stride: int = 1, group: int = 1, relu: bool = True) -> str:
    lines = [CONV % (name, bottom, name, maps, kernel, pad, stride, group)]
    if relu:
        lines.append(RELU % (name, name, name))
    return "\n".join(lines)


def layer(name: str, kind: str, bottoms: list[str], more: str = "") -> str:
    return 'layer { name: "%s" type: "%s" %s top: "%s" %s }' % (
        name, kind, " ".join('bottom: "%s"' % b for b in bottoms), name, more)


POOL = 'pooling_param { pool: MAX kernel_size: 3 stride: %d pad: %d }'
LRN = 'lrn_param { local_size: 5 alpha: 0.1 beta: %g }'

# an inception with all the layers before it, and branches that nothing reads
INCEPTION = "\n".join([
    conv("conv1", "data", 16, 7, 3, 2),
    layer("pool1", "Pooling", ["conv1"], POOL % (2, 0)),
    layer("norm1", "LRN", ["pool1"], LRN % .75),
    conv("a", "norm1", 24, 1, 0), conv("b0", "norm1", 16, 1, 0),
    conv("b1", "b0", 24), conv("c0", "norm1", 8, 1, 0),
    conv("c1", "c0", 16, 5, 2),
    layer("pool", "Pooling", ["norm1"], POOL % (1, 1)),
    conv("d", "pool", 8, 1, 0),
    layer("output", "Concat", ["a", "b1", "c1", "d"]),
    conv("e", "output", 8, 3, 1, relu=False), conv("f", "output", 8, 1, 0),
    layer("last", "Concat", ["e", "f"])])
# layers without kernels of ours, next to layers with them
MIXED = "\n".join([
    conv("conv1", "data", 12, 5, 0, 3, relu=False),
    layer("slope", "ReLU", ["conv1"], "relu_param { negative_slope: 0.1 }"),
    layer("mean", "Pooling", ["slope"],
          "pooling_param { pool: AVE kernel_size: 3 stride: 2 }"),
    layer("norm", "LRN", ["mean"], LRN % .6),
    conv("g", "norm", 12, 3, 1, 1, 2), conv("h", "norm", 12, 3, 2),
    layer("s", "Sigmoid", ["norm"]),
    layer("cut", "Crop", ["h", "g"], "crop_param { axis: 2 offset: 1 }"),
    layer("sum", "Eltwise", ["g", "s", "cut"]),
    layer("norm2", "LRN", ["sum"], LRN % .75),
    layer("both", "Concat", ["norm2", "g"]),
    layer("drop", "Dropout", ["both"]),
    layer("product", "InnerProduct", ["drop"],
          'param { lr_mult: 0 } param { lr_mult: 0 } inner_product_param { '
          'num_output: 7 weight_filler { type: "xavier" } }')])
NETS = {"inception": HEAD % 1 + INCEPTION, "inception of two pictures":
        HEAD % 2 + INCEPTION, "mixed": HEAD % 1 + MIXED}


def run(path: str) -> Arrays:
    """Data and input gradient for every layer of the net at path, as a dict."""
    os.environ["GLOG_minloglevel"] = "2"
    import caffe
    caffe.set_random_seed(3)
    net = caffe.Net(path, caffe.TEST)
    keep = "CAFFE_KEEP_BLOBS" in os.environ
    rng = np.random.RandomState(0)
    for params in net.params.values():  # the seed does not cover the fillers
        for p in params:
            p.data[...] = rng.randn(*p.data.shape) / np.sqrt(
                np.prod(p.data.shape[1:]) + 1)
    ends = [n for n in net._layer_names if n in net.blobs and n != "data"]
    results: Arrays = {}
    for size in ((33, 46), (61, 47), (33, 46)):
        shape = net.blobs["data"].shape
        net.blobs["data"].reshape(shape[0], 3, *size)
        if "product" in net.blobs:
            if size[0] != 33:
                continue
        net.blobs["data"].data[...] = rng.randn(shape[0], 3, *size)
        for end in ends:
            if keep:  # else Caffe adds gradients left by an earlier layer
                for blob in net.blobs.values():
                    blob.diff[...] = 0
            net.forward(end=end)
            data = net.blobs[end].data.copy()
            for _ in range(2):  # a second backward without a forward
                net.blobs[end].diff[...] = data
                net.backward(start=end)
                if keep:
                    break
            assert (net.blobs[end].data == data).all() or keep
            key = "%s %dx%d %d" % (end, size[0], size[1], len(results))
            results[key] = net.blobs["data"].diff.copy()
            results[key + " data"] = data
            if not keep:
                assert net.memory_needed(end) > 0
    return results


def both(text: str) -> list[Arrays]:
    out = []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "net.prototxt")
        with open(path, "w") as f:
            f.write(text)
        for keep in (True, False):
            env = {k: v for k, v in os.environ.items()
                   if k != "CAFFE_KEEP_BLOBS"}
            if keep:
                env["CAFFE_KEEP_BLOBS"] = "1"
            save = os.path.join(folder, "out.npz")
            subprocess.run([sys.executable, os.path.abspath(__file__), path,
                            save], check=True, env=env)
            with np.load(save) as arrays:
                out.append({k: arrays[k] for k in arrays.files})
    return out


def compare(text: str) -> None:
    plain, economical = both(text)
    assert set(plain) == set(economical) and plain
    for key, want in plain.items():
        off = np.linalg.norm(economical[key] - want)
        size = np.linalg.norm(want)
        assert size > 0, key
        assert off <= 1e-5 * size, (key, off / size)


def test_inception() -> None:
    compare(NETS["inception"])


def test_two_pictures() -> None:
    compare(NETS["inception of two pictures"])


def test_mixed() -> None:
    compare(NETS["mixed"])


if __name__ == "__main__":
    if len(sys.argv) == 3:
        results: dict[str, Any] = {**run(sys.argv[1])}
        np.savez(sys.argv[2], **results)
    else:
        for name, net in NETS.items():
            compare(net)
            print(name, "ok")
