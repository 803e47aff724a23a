"""Caffe's own settings."""

import os
import subprocess

import pytest

from helpers import ROOT

NET = """layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 4 dim: 9 dim: 9 }} }} }}
layer {{ name: "a" type: "Convolution" bottom: "data" top: "a"
  convolution_param {{ num_output: 4 kernel_size: 3 {} }} }}
layer {{ name: "b" type: "ReLU" bottom: "a" top: "a" }}
layer {{ name: "c" type: "{}" bottom: "a" {} top: "c" }}"""


@pytest.mark.parametrize(("convolution", "kind", "second", "takes"), [
    ("", "Split", "", False), ("pad: 2 group: 2", "LRN", "", False),
    ("stride: 2", "Pooling", "pooling_param { kernel_size: 3 }", False),
    ("dilation: 2 pad: 4", "Concat", 'bottom: "a"', False), ("", "Eltwise", 'bottom: "a"', True),
    ("pad: 3", "Split", "", True), ("dilation: 2 stride: 2", "Split", "", True), ("", "Scale", "", True)])
def test_openblas_has_threads_for_what_caffes_own_code_does(convolution: str, kind: str, second: str,
                                                            takes: bool) -> None:
    """dreamify.py starts it with one, because each would cost 50 ms and no kernel of ours needs it."""
    code = ("import ctypes, sys\nfrom dreamer.nets import binding, prototxt\n"
            "binding.load(prototxt.values(prototxt.parse(sys.argv[1]), 'layer'))\n"
            "print(ctypes.CDLL('libopenblas.so.0').openblas_get_num_threads())")
    done = subprocess.run(["/usr/bin/python3", "-c", code, NET.format(convolution, kind, second)], cwd=ROOT, check=True,
                          env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "2"}, capture_output=True)
    assert int(done.stdout) == (min(2, len(os.sched_getaffinity(0))) if takes else 1)
