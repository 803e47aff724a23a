"""Nets as they were written before 2015."""

import hashlib
import re
import shutil
from pathlib import Path

import numpy as np

import tinymodel
from dreamer.nets import prototxt, vintage
from dreamer.nets.model import Model
from helpers import pixels, run

OLD = """
name: "old"
input: "data"
input_dim: 1 input_dim: 3 input_dim: 32 input_dim: 32
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1" blobs_lr: 1 blobs_lr: 2 weight_decay: 1
  convolution_param { num_output: 8 kernel_size: 5 pad: 2 stride: 2 } }
layers { name: "relu1" type: RELU bottom: "conv1" top: "conv1" }
layers { name: "pool1" type: POOLING bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layers { name: "norm1" type: LRN bottom: "pool1" top: "norm1" lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 } }
layers { name: "mix/1x1" type: CONVOLUTION bottom: "norm1" top: "mix/1x1"
  convolution_param { num_output: 4 kernel_size: 1 } }
"""


def test_a_net_as_it_was_written_before_2015_dreams_the_same(tiny: Model, small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny.folder, tmp_path / "old")
    (folder / "net.prototxt").write_text(OLD)
    shutil.move(folder / "tiny.caffemodel", tmp_path / "all.caffemodel")
    from caffe.proto import caffe_pb2
    whole = caffe_pb2.NetParameter.FromString((tmp_path / "all.caffemodel").read_bytes())
    part = caffe_pb2.NetParameter(layer=[layer for layer in whole.layer if layer.name in ("conv1", "mix/1x1")])
    (folder / "tiny.caffemodel").write_bytes(part.SerializeToString())
    text = (folder / "model.toml").read_text()
    digest = hashlib.sha256((folder / "tiny.caffemodel").read_bytes()).hexdigest()
    (folder / "model.toml").write_text(re.sub('weights_sha256 = "[^"]*"', f'weights_sha256 = "{digest}"', text))
    assert run("keys", "--model", folder).stdout.split() == ["conv1", "pool1", "norm1", "mix/1x1"]
    for name, words in (("old", ["--model", folder]), ("new", ["--model", tiny.folder])):
        done = run(small, tmp_path / f"{name}.png", "mix/1x1", 2, 2, "--seed", 4, *words)
        assert done.returncode == 0, done.stderr
    assert np.array_equal(pixels(tmp_path / "old.png"), pixels(tmp_path / "new.png"))


def test_what_is_modern_stays_as_it_is(tiny: Model) -> None:
    net = prototxt.parse(tinymodel.PROTOTXT)
    assert vintage.modern(net) == net
