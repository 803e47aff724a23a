"""Converts bvlc_googlenet.caffemodel to an .npz for PyTorch; needs Caffe's own caffe_pb2 in PYTHONPATH.

$ python3 teacher.py bvlc_googlenet.caffemodel teacher.npz
"""

import sys
from typing import Any

import numpy as np
from caffe.proto import caffe_pb2

if __name__ == "__main__":
    net = caffe_pb2.NetParameter()
    with open(sys.argv[1], "rb") as f:
        net.ParseFromString(f.read())
    arrays: dict[str, Any] = {}  # of numpy arrays; savez's own options have other types
    for layer in net.layer or net.layers:
        if layer.blobs:
            key = layer.name.replace("/", "__")
            for suffix, blob in zip(("__w", "__b"), layer.blobs, strict=True):
                shape = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
                arrays[key + suffix] = np.array(blob.data, np.float32).reshape(shape)
    np.savez(sys.argv[2], **arrays)
