"""Caffe itself, through pycaffe: loads nets, and changes the settings of the whole process."""

import contextlib
import ctypes
import functools
import os
from collections.abc import Iterator
from typing import Any

from dreamer.errors import Failure
from dreamer.machine import here
from dreamer.nets import prototxt, shapes
from dreamer.nets.prototxt import Message

# Layers that learn unless they are told not to: the message of their parameters, and whether they have a bias
_LEARNING = {"Convolution": ("convolution_param", "true"), "Scale": ("scale_param", "false"),
             "Bias": ("bias_param", "false"), "PReLU": ("prelu_param", "false")}
_WITHOUT_BLAS = {"Concat", "Dropout", "Flatten", "Input", "LRN", "Pooling", "ReLU", "Split"}


def _caffe() -> Any:
    """The module; raises Failure if it cannot be loaded."""
    os.environ.setdefault("GLOG_minloglevel", "2")  # glog, which writes Caffe's log, reads this when it is loaded
    try:
        import caffe
    except ImportError as error:
        raise Failure(f"Caffe cannot be loaded ({error}): {here.provision()}") from None
    return caffe


def load(layers: list[Message]) -> Any:
    """A caffe.Net of `layers` (as shapes.cut returns them), still without weights. Raises Failure without Caffe."""
    caffe = _caffe()
    mind_forks()
    if any(map(_takes_blas, layers)) and os.environ.get("OPENBLAS_NUM_THREADS") == "1":
        with contextlib.suppress(OSError):
            ctypes.CDLL("libopenblas.so.0").openblas_set_num_threads(caffe.threads())
    with _in_memory(_trainless(layers)) as description:
        return caffe.Net(description, caffe.TEST)


def _takes_blas(layer: Message) -> bool:
    """Whether Caffe's own code does the layer, perhaps with OpenBLAS: native/README.md lists what the kernels do."""
    kind = prototxt.value(layer, "type")
    if kind != "Convolution":
        return kind not in _WITHOUT_BLAS
    dilated = int(prototxt.value(prototxt.value(layer, "convolution_param"), "dilation", 1)) > 1
    windows = [shapes.window(layer, axis) for axis in "hw"]
    return any(pad >= reach or (stride > 1 and dilated) for reach, stride, pad in windows)


@functools.cache
def mind_forks() -> None:
    """End Caffe's threads before each fork: the child does not have them, and would wait for them for ever."""
    caffe = _caffe()
    counts: list[int] = []

    def end() -> None:
        counts.append(caffe.threads())
        caffe.set_threads(1)

    def begin() -> None:
        caffe.set_threads(counts.pop())

    os.register_at_fork(before=end, after_in_parent=begin, after_in_child=begin)


def trim_memory() -> None:
    """Return the memory that Caffe holds for later use to the system."""
    _caffe().trim_memory()


def set_threads(count: int) -> None:
    """Make Caffe use `count` threads."""
    _caffe().set_threads(count)


def instructions() -> str:
    """The instructions that Caffe's kernels use on this processor: "baseline", "avx2" or "avx512"."""
    return str(_caffe().instructions())


def _trainless(layers: list[Message]) -> str:
    """prototxt text of the layers with every learning rate at zero, so that Caffe computes no weight gradients."""
    net: Message = [("force_backward", "true")]
    for layer in layers:
        kind = prototxt.value(layer, "type")
        fields = [field for field in layer if field[0] != "param"]
        if kind in _LEARNING:
            message, default = _LEARNING[kind]
            bias = prototxt.value(prototxt.value(layer, message, []), "bias_term", default) == "true"
            fields += [("param", [("lr_mult", "0")])] * (1 + bias)
        net.append(("layer", fields))
    return prototxt.unparse(net)


@contextlib.contextmanager
def _in_memory(text: str) -> Iterator[str]:
    """A path from which Caffe can read `text`; it needs no disk, because a container's may be read-only."""
    with os.fdopen(os.memfd_create("net.prototxt"), "w") as file:
        file.write(text)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"
