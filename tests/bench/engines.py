"""The engines that speed.py and peers.py compare, each in its own process. A process answers tasks, lines of JSON.

    {"size": [h, w]}  use a picture of this size, and take two steps to warm up; answers the step's "flop", if known
    {"steps": n}      take one step, then answer the "ms" of n more (forward to END, and the gradient of the picture)
    {"sgemm": 1}      answers the GFLOP/s of a large matrix product with the engine's own library
    {"save": path}    write the last step's gradient there, float32 (3, h, w), if the engine computes one; answers the
                      "objective" and the peak "mb"
"""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

END = "inception_4c/output"


def picture(height: int, width: int) -> NDArray[np.float32]:
    """A smooth colourful picture in the net's format, float32 (1, 3, height, width)."""
    rng = np.random.RandomState(0)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    planes: list[NDArray[np.float32]] = []
    for _ in range(3):
        plane = rng.rand(height, width).astype(np.float32) * 40
        for _ in range(12):
            a, b, c = rng.rand(3)
            plane += 25 * np.sin(a * x / 9 + b * y / 9 + 6 * c)
        planes.append(plane)
    return np.stack(planes)[None]


class Caffe:
    """A Caffe that provision.sh or stock.sh installed in the folder `prefix`."""

    def __init__(self, prefix: str, weights: str, weight_gradients: bool, forward: bool = False) -> None:
        self.forward = forward
        os.environ.setdefault("GLOG_minloglevel", "2")
        sys.path.insert(0, os.path.join(prefix, "python"))
        import caffe
        from google.protobuf import text_format
        description = caffe.proto.caffe_pb2.NetParameter()
        with open(os.path.join(prefix, "models/bvlc_googlenet/deploy.prototxt")) as file:
            text_format.Merge(file.read(), description)
        description.force_backward = True
        for layer in description.layer:
            if layer.type in ("Convolution", "InnerProduct"):
                del layer.param[:]
                for _ in range(2):
                    layer.param.add().lr_mult = int(weight_gradients)
        with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
            file.write(str(description))
            file.flush()
            self.net = caffe.Net(file.name, weights, caffe.TEST)

    def size(self, height: int, width: int) -> int:
        """Use a picture of this size; returns the FLOP of a step, counted for direct convolutions."""
        self.net.blobs["data"].reshape(1, 3, height, width)
        self.net.blobs["data"].data[...] = picture(height, width)
        self.step()
        flop = 0
        for name, layer in zip(self.net._layer_names, self.net.layers, strict=True):
            if layer.type == "Convolution":  # a product and a sum, forward and backward, for every weight and position
                out = self.net.blobs[name].shape
                flop += 4 * layer.blobs[0].count * out[2] * out[3]
            if name == END:
                break
        return flop

    def step(self) -> None:
        """Run forward, then take the gradient of half the squared norm of END back to the picture; or only forward."""
        self.net.forward(end=END)
        if self.forward:
            return
        end = self.net.blobs[END]
        end.diff[...] = end.data
        self.net.backward(start=END)

    def result(self) -> tuple[NDArray[np.float32] | None, float]:
        """(gradient, objective) of the last step."""
        objective = float((self.net.blobs[END].data ** 2).sum(dtype=float)) / 2
        return None if self.forward else self.net.blobs["data"].diff[0], objective

    @staticmethod
    def product(n: int) -> Callable[[], object]:
        """A function that multiplies two matrices of n × n."""
        a = np.ones((n, n), np.float32)
        return lambda: a.dot(a)


class Torch:
    """The same net in PyTorch: "eager" is the obvious code; "tuned" and "compiled" are as fast as we can make it."""

    def __init__(self, kind: str, arrays: str, threads: int) -> None:
        import peer
        import torch
        torch.set_num_threads(threads)
        self.layout = torch.contiguous_format if kind == "eager" else torch.channels_last
        lrn = {"eager": peer.plain_lrn, "tuned": peer.LRN.apply, "compiled": peer.closed_lrn}[kind]
        net = peer.Net(loaded(arrays), lrn).to(memory_format=self.layout)
        self.net = torch.compile(net) if kind == "compiled" else net

    def size(self, height: int, width: int) -> None:
        """Like Caffe.size, but returns None, because the FLOP are not known here."""
        import torch
        self.picture = torch.from_numpy(picture(height, width)).to(memory_format=self.layout)
        self.step()

    def step(self) -> None:
        """Like Caffe.step."""
        source = self.picture.detach().requires_grad_(True)
        end = self.net(source)
        end.backward(end.detach())
        self.end, self.gradient = end.detach(), source.grad

    def result(self) -> tuple[NDArray[np.float32], float]:
        """Like Caffe.result."""
        return self.gradient[0].contiguous().numpy(), float((self.end.double() ** 2).sum()) / 2

    @staticmethod
    def product(n: int) -> Callable[[], object]:
        """Like Caffe.product."""
        import torch
        a = torch.ones(n, n)
        return lambda: a @ a


class OpenVino:
    """The same net in OpenVINO, which has no gradient: "openvino" runs forward, "bound" is graphs.py's lower bound."""

    def __init__(self, kind: str, arrays: str, threads: int) -> None:
        import graphs
        self.net = graphs.Runner(loaded(arrays), threads, kind == "bound")

    def size(self, height: int, width: int) -> None:
        """Like Torch.size."""
        self.net.use(picture(height, width))
        self.step()

    def step(self) -> None:
        """Run the graph."""
        self.net.run()

    def result(self) -> tuple[None, float]:
        """Like Caffe.result, without a gradient."""
        return None, float((self.net.end() ** 2).sum(dtype=float)) / 2

    product = staticmethod(Caffe.product)


def seconds(action: Callable[[], object]) -> float:
    """The seconds that the function `action` takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def serve(engine: Caffe | Torch | OpenVino, tasks: Iterable[str], answers: IO[str]) -> None:
    """Answer each line of `tasks` in the file `answers`, with an engine."""
    for line in tasks:
        task = json.loads(line)
        answer: dict[str, Any] = {}
        if "size" in task:
            answer["flop"] = engine.size(*task["size"])
            engine.step()
        if "steps" in task:
            engine.step()  # the other engines have filled the caches, and OpenBLAS's threads still spin after a product
            answer["ms"] = [seconds(engine.step) * 1e3 for _ in range(task["steps"])]
        if "sgemm" in task:
            n = 2048
            product = engine.product(n)
            answer["sgemm"] = 2 * n ** 3 / min(seconds(product) for _ in range(4)) / 1e9
        if "save" in task:
            gradient, answer["objective"] = engine.result()
            if gradient is not None:
                np.save(task["save"], gradient)
            answer["mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def made(wanted: dict[str, Any]) -> Caffe | Torch | OpenVino:
    """The engine that the first argument asks for."""
    kind = wanted["kind"]
    if kind in ("openvino", "bound"):
        return OpenVino(kind, wanted["arrays"], wanted["threads"])
    if "prefix" in wanted:
        return Caffe(wanted["prefix"], wanted["weights"], kind == "stock", kind == "forward")
    return Torch(kind, wanted["arrays"], wanted["threads"])


def loaded(path: str) -> dict[str, list[Any]]:
    """{layer: [weights, biases]} of what save_weights wrote."""
    weights: dict[str, list[Any]] = {}
    with np.load(path) as file:
        for key in file.files:
            name, which = key.rsplit(":", 1)
            weights.setdefault(name, [None, None])[int(which)] = file[key]
    return weights


def save_weights(prefix: str, weights: str, path: str) -> None:
    """Write the weights as numpy arrays for the other engines: "layer:0", and "layer:1" (its bias)."""
    net = Caffe(prefix, weights, False).net
    np.savez(path, **{f"{name}:{number}": blob.data
                      for name, blobs in net.params.items() for number, blob in enumerate(blobs)})


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    if "arrays_to" in wanted:
        save_weights(wanted["prefix"], wanted["weights"], wanted["arrays_to"])
    else:
        to = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # so that what a library prints is not read as an answer
        serve(made(wanted), sys.stdin, to)
