"""Makes a tiny but real model: Caffe loads it, and it has every kind of layer that GoogLeNet uses in a dream."""

import hashlib
from pathlib import Path

import numpy as np

PROTOTXT = """
name: "tiny"  # a stem, and a small inception
layer { name: "data" type: "Input" top: "data" input_param { shape: { dim: 1 dim: 3 dim: 32 dim: 32 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 5 pad: 2 stride: 2 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "norm1" type: "LRN" bottom: "pool1" top: "norm1"
  lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 } }
layer { name: "mix/1x1" type: "Convolution" bottom: "norm1" top: "mix/1x1"
  convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "mix/relu_1x1" type: "ReLU" bottom: "mix/1x1" top: "mix/1x1" }
layer { name: "mix/3x3" type: "Convolution" bottom: "norm1" top: "mix/3x3"
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 } }
layer { name: "mix/relu_3x3" type: "ReLU" bottom: "mix/3x3" top: "mix/3x3" }
layer { name: "mix/output" type: "Concat" bottom: "mix/1x1" bottom: "mix/3x3" top: "mix/output" }
layer { name: "after" type: "Convolution" bottom: "mix/output" top: "after"
  convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "global" type: "Pooling" bottom: "after" top: "global"
  pooling_param { pool: AVE kernel_size: 8 stride: 1 } }
layer { name: "class" type: "InnerProduct" bottom: "global" top: "class"
  inner_product_param { num_output: 2 } }
"""
KEYS = ["conv1", "pool1", "norm1", "mix/1x1", "mix/3x3", "mix/output", "after"]
MEAN = (90.0, 100.0, 110.0)


def make(folder: Path, seed: int = 0) -> Path:
    """Write the model into `folder` and return it."""
    import caffe

    folder.mkdir(parents=True)
    prototxt, weights = folder / "net.prototxt", folder / "tiny.caffemodel"
    prototxt.write_text(PROTOTXT)
    net = caffe.Net(str(prototxt), caffe.TEST)
    random = np.random.RandomState(seed)
    for blobs in net.params.values():
        fan_in = blobs[0].data[0].size
        blobs[0].data[...] = random.normal(0, 1 / np.sqrt(fan_in), blobs[0].data.shape)
        blobs[1].data[...] = random.normal(0, 1, blobs[1].data.shape)
    net.save(str(weights))
    (folder / "model.toml").write_text(f"""
licence = "ours"
prototxt = "net.prototxt"
weights = "tiny.caffemodel"
weights_size = {weights.stat().st_size}
weights_sha256 = "{hashlib.sha256(weights.read_bytes()).hexdigest()}"
channel_order = "rgb"
mean = {list(MEAN)}
default_layer = "mix/output"
aliases = {{ "mix/all" = "mix/output" }}
""")
    return folder
