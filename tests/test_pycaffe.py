"""Other people's dreaming scripts on our Caffe: plain pycaffe calls, as Google's notebook makes them."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import randomweights
from dreamer.nets import prototxt
from dreamer.nets.model import Model
from dreamer.nets.net import Net
from helpers import ROOT

END, SIZE = "inception_3b/output", (96, 131)


@pytest.fixture(scope="module")
def weights(described: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights for the layers up to END."""
    return randomweights.make(described, tmp_path_factory.mktemp("weights") / "random.caffemodel", ends=(END,))


def picture() -> NDArray[np.float32]:
    """A picture in the net's format, (3, h, w)."""
    return np.random.RandomState(5).normal(0, 60, (3, *SIZE)).astype(np.float32)


def learning(text: str) -> str:
    """The description `text` with Caffe's own learning rates, as scripts bring it that were written for Caffe."""
    rates = iter(["1", "2"] * text.count("lr_mult: 0"))
    return "lr_mult: ".join(part if number == 0 else part.replace("0", next(rates), 1)
                            for number, part in enumerate(text.split("lr_mult: ")))


def script_net(folder: Path, text: str, weights: Path, phase: int | None = None) -> Any:
    """The net that a script loads: the description with force_backward, from a temporary file."""
    import caffe
    file = folder / "tmp.prototxt"
    file.write_text(text + "\nforce_backward: true\n")
    return caffe.Net(str(file), str(weights), caffe.TEST if phase is None else phase)


def script_step(net: Any) -> NDArray[np.float32]:
    """A step's gradient (3, h, w), in the notebook's calls; its objective is half the squared norm of END."""
    source, target = net.blobs["data"], net.blobs[END]
    source.reshape(1, 3, *SIZE)
    source.data[0] = picture()
    net.forward(end=END)
    target.diff[:] = target.data
    net.backward(start=END)
    gradient: NDArray[np.float32] = source.diff[0]
    return gradient


def our_step(described: Model, weights: Path) -> Callable[[], NDArray[np.float32]]:
    """A function that takes the same step as a dream takes it."""
    net = Net(described, END, weights)
    net.budget.fit(*SIZE)
    net.resize(*SIZE)

    def step() -> NDArray[np.float32]:
        [tile] = net.tiles(picture(), 0, 0)
        [activations] = tile.forward()
        tile.backward([(1.0, activations)])
        return net.gradient
    return step


def touched(net: Any) -> int:
    """How many weights have a gradient."""
    return sum(bool(np.any(blob.diff)) for blobs in net.params.values() for blob in blobs)


def off(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def test_the_installed_description_is_caffes_without_learning_rates(described: Model) -> None:
    layers = prototxt.values(described.net, "layer")
    found = [prototxt.values(layer, "param") for layer in layers
             if prototxt.value(layer, "type") in ("Convolution", "InnerProduct")]
    assert found == [[[("lr_mult", "0")]] * 2] * 58


@pytest.mark.parametrize("own", [False, True], ids=["the installed description", "with lr_mult 1 and 2"])
def test_a_script_gets_a_dreams_gradient_without_those_of_the_weights(
        described: Model, weights: Path, tmp_path: Path, own: bool,
        record_property: Callable[[str, object], None]) -> None:
    text = described.prototxt_path().read_text()
    net = script_net(tmp_path, learning(text) if own else text, weights)
    ours = our_step(described, weights)
    gradient, wanted = script_step(net).copy(), ours()
    assert np.linalg.norm(wanted) > 0
    assert off(gradient, wanted) < (1e-5 if own else 1e-12)
    assert touched(net) == 0
    took: dict[Callable[[], Any], list[float]] = {(lambda: script_step(net)): [], ours: []}
    for _ in range(5):
        for step, seconds in took.items():
            began = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - began)
    script, dream = map(statistics.median, took.values())
    record_property("told", f"a script's step{', with its own description,' if own else ''} takes "
                            f"{script / dream:.2f} times as long as a dream's")


def test_a_script_with_its_own_description_can_read_every_blob(described: Model, weights: Path, tmp_path: Path) -> None:
    """What a blob holds after a step is what a run that ends there gives: the economical net is off."""
    net = script_net(tmp_path, learning(described.prototxt_path().read_text()), weights)
    script_step(net)
    ends = {"conv2/3x3": "conv2/relu_3x3", "inception_3a/5x5": "inception_3a/relu_5x5", "pool2/3x3_s2": "pool2/3x3_s2"}
    seen = {name: net.blobs[name].data.copy() for name in ends}
    for name, end in ends.items():
        net.forward(end=end)
        assert np.array_equal(net.blobs[name].data, seen[name])
        assert np.any(seen[name])


# takes a step in its own process, because Caffe reads the environment when it makes the net
CHILD = """
import json, sys
sys.path[:0] = sys.argv[1:3]
import caffe, pathlib, test_pycaffe
net = test_pycaffe.script_net(pathlib.Path(sys.argv[3]), test_pycaffe.learning(open(sys.argv[4]).read()),
                              sys.argv[5], getattr(caffe, sys.argv[6]))
gradient = test_pycaffe.script_step(net)
print(json.dumps([test_pycaffe.touched(net), float((gradient.astype(float) ** 2).sum())]))
"""


@pytest.mark.parametrize(("phase", "variable", "asked"),
                         [("TEST", "", False), ("TEST", "1", True), ("TRAIN", "", True)])
def test_gradients_of_the_weights_are_there_if_asked_for(described: Model, weights: Path, tmp_path: Path, phase: str,
                                                         variable: str, asked: bool) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "CAFFE_WEIGHT_GRADIENTS"}
    if variable:
        environment["CAFFE_WEIGHT_GRADIENTS"] = variable
    done = subprocess.run([sys.executable, "-c", CHILD, str(ROOT), str(ROOT / "tests"), str(tmp_path),
                           str(described.prototxt_path()), str(weights), phase], capture_output=True, text=True,
                          check=False, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    gradients, norm = json.loads(done.stdout)
    assert gradients == (30 if asked else 0)  # weights and biases of the 15 convolutions up to END
    assert norm > 0
