"""bvlc_googlenet as far as inception_4c/output, as graphs of OpenVINO.

OpenVINO runs nets forward only, and has no gradients of poolings and normalisations. So there are two graphs: forward
alone; and a lower bound of a step, which is forward and all convolutions of the way back, without the gradients of
ReLU, pooling and normalisation. The bound computes no gradient: no step with these convolutions can be faster.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as op

Blob: TypeAlias = Any  # an output of a node
Weights: TypeAlias = Mapping[str, Sequence[NDArray[np.float32]]]  # {Caffe's layer name: (weights, biases)}
BLOCKS = ("3a", "3b", "4a", "4b", "4c")


class Graph:
    """The net in the making, for a picture of height × width. `done` has the blobs that the way back reads."""

    def __init__(self, weights: Weights, height: int, width: int) -> None:
        self.weights = weights
        self.data = op.parameter([1, 3, height, width], np.float32, name="data")
        self.done: dict[str, Blob] = {}

    def conv(self, name: str, x: Blob, stride: int = 1) -> Blob:
        """A convolution with its bias and ReLU."""
        kernels, bias = self.weights[name]
        pad = [kernels.shape[-1] // 2] * 2
        made = op.convolution(x, op.constant(kernels), [stride] * 2, pad, pad, [1, 1])
        self.done[name] = op.relu(op.add(made, op.constant(bias.reshape(1, -1, 1, 1)))).output(0)
        return self.done[name]

    def pool(self, name: str, x: Blob, stride: int) -> Blob:
        """A maximum of 3×3, at Caffe's sizes."""
        pad = [2 - stride] * 2
        made = op.max_pool(x, [stride] * 2, [1, 1], pad, pad, [3, 3], rounding_type="ceil")
        self.done[name] = made.output(0)
        return self.done[name]

    def norm(self, x: Blob) -> Blob:
        """A local response normalisation over channels."""
        return op.lrn(x, op.constant(np.array([1], np.int64)), 1e-4, 0.75, 1.0, 5).output(0)

    def inception(self, at: str, x: Blob) -> Blob:
        """A block of six convolutions and a pooling."""
        parts = [self.conv(f"{at}/1x1", x), self.conv(f"{at}/3x3", self.conv(f"{at}/3x3_reduce", x)),
                 self.conv(f"{at}/5x5", self.conv(f"{at}/5x5_reduce", x)),
                 self.conv(f"{at}/pool_proj", self.pool(f"{at}/pool", x, 1))]
        return op.concat(parts, 1).output(0)

    def forward(self) -> Blob:
        """Everything up to inception_4c/output."""
        x = self.norm(self.pool("pool1", self.conv("conv1/7x7_s2", self.data, 2), 2))
        x = self.norm(self.conv("conv2/3x3", self.conv("conv2/3x3_reduce", x)))
        x = self.pool("pool2", x, 2)
        for block in BLOCKS:
            self.done[f"before {block}"] = x
            x = self.inception(f"inception_{block}", self.pool("pool3", x, 2) if block == "4a" else x)
        return x

    def back(self, name: str, gradient: Blob) -> Blob:
        """The convolution of a gradient that gives the one of the layer's input; for stride 1."""
        kernels = np.ascontiguousarray(self.weights[name][0].transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])
        pad = [kernels.shape[-1] // 2] * 2
        return op.convolution(gradient, op.constant(kernels), [1, 1], pad, pad, [1, 1]).output(0)

    def way_back(self, gradient: Blob) -> list[Blob]:
        """All convolutions of the way back. Where a pooling lies between them, a blob of the way forward that has the
        right size takes the place of the gradient. The list has what nothing reads, so that all is computed."""
        ends = []
        for block in reversed(BLOCKS):
            at = f"inception_{block}"
            widths = [self.weights[f"{at}/{kind}"][0].shape[0] for kind in ("1x1", "3x3", "5x5", "pool_proj")]
            one, three, five, pooled = op.variadic_split(gradient, 1, widths).outputs()
            parts = [self.back(f"{at}/1x1", one),
                     self.back(f"{at}/3x3_reduce", self.back(f"{at}/3x3", three)),
                     self.back(f"{at}/5x5_reduce", self.back(f"{at}/5x5", five)),
                     self.back(f"{at}/pool_proj", pooled)]
            gradient = op.add(op.add(parts[0], parts[1]), op.add(parts[2], parts[3])).output(0)
            if block == "4a":
                ends.append(gradient)
                gradient = self.done["before 4a"]
        ends.append(gradient)
        ends.append(self.back("conv2/3x3_reduce", self.back("conv2/3x3", self.done["conv2/3x3"])))
        first, below = self.done["conv1/7x7_s2"], self.data.output(0)
        shape = op.constant(np.array(list(below.get_shape())[2:], np.int64))
        ends.append(op.convolution_backprop_data(first, op.constant(self.weights["conv1/7x7_s2"][0]), [2, 2], shape,
                                                 [3, 3], [3, 3], [1, 1]).output(0))
        return ends


def build(weights: Weights, height: int, width: int, bound: bool) -> openvino.Model:
    """The graph: forward alone, or the lower bound of a step. Its first result is inception_4c/output."""
    graph = Graph({name: (kernels.reshape(kernels.shape[-4:]), bias) for name, (kernels, bias) in weights.items()
                   if kernels.ndim >= 4}, height, width)
    end = graph.forward()
    return openvino.Model([op.result(blob) for blob in (end, *(graph.way_back(end) if bound else ()))], [graph.data])


class Runner:
    """A graph on so many threads, in float32."""

    def __init__(self, weights: Weights, threads: int, bound: bool) -> None:
        self.weights, self.bound = weights, bound
        self.settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
                         "INFERENCE_PRECISION_HINT": "f32"}

    def use(self, picture: NDArray[np.float32]) -> None:
        """Compile the graph for this picture, (1, 3, h, w)."""
        model = build(self.weights, picture.shape[2], picture.shape[3], self.bound)
        self.request = openvino.Core().compile_model(model, "CPU", self.settings).create_infer_request()
        self.request.set_input_tensor(openvino.Tensor(picture))

    def run(self) -> None:
        """Run it once."""
        self.request.infer()

    def end(self) -> NDArray[np.float32]:
        """inception_4c/output of the last run, (channels, h', w')."""
        return np.array(self.request.get_output_tensor(0).data[0])
