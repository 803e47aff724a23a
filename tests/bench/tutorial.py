"""A dream in TensorFlow, as its tutorial on DeepDream has one, for peers.py to compare with: the strongest of the
peers.

    $ python tutorial.py WEIGHTS INPUT OUTPUT ITERATIONS OCTAVES SCALE THREADS    # WEIGHTS: from engines.py
    $ python tutorial.py WEIGHTS WIDTHxHEIGHT THREADS    # prints the objective of engines.py's picture

Like the tutorial's: a function that TensorFlow compiles, for pictures of any size, takes all steps of an octave; each
octave is the last one's result, enlarged; the gradient is divided by its standard deviation. Unlike the tutorial's: the
net is bvlc_googlenet with our weights, and the objective half the squared norm of inception_4c/output, so that a step
is the same work as ours. Unlike ours: no jitter, and no detail of the photo that is put back in each octave.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from PIL import Image

import engines

Tensor: TypeAlias = Any
BLOCKS = ("3a", "3b", "4a", "4b", "4c")
MEAN = np.array([122, 116, 104], np.float32)  # of red, green and blue
STEP = 1.5


class Net:
    """bvlc_googlenet as far as inception_4c/output; `weights` is {layer: [weights, biases]}, with Caffe's axes."""

    def __init__(self, weights: Mapping[str, Sequence[Any]]) -> None:
        self.weights = {name: (tf.constant(kernels.reshape(kernels.shape[-4:]).transpose(2, 3, 1, 0)),
                               tf.constant(bias.reshape(-1)))
                        for name, (kernels, bias) in weights.items() if kernels.ndim >= 4}

    def conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        """A convolution with its bias and ReLU."""
        kernels, bias = self.weights[name]
        pad = [kernels.shape[0] // 2] * 2
        made = tf.nn.conv2d(x, kernels, stride, [[0, 0], pad, pad, [0, 0]])
        return tf.nn.relu(tf.nn.bias_add(made, bias))

    @staticmethod
    def halve(x: Tensor) -> Tensor:
        """A maximum of 3×3 with stride 2. Caffe's last window may reach a row or column beyond the edge."""
        size = tf.shape(x)
        x = tf.pad(x, [[0, 0], [0, 1 - size[1] % 2], [0, 1 - size[2] % 2], [0, 0]])
        return tf.nn.max_pool2d(x, 3, 2, "VALID")

    @staticmethod
    def norm(x: Tensor) -> Tensor:
        """A local response normalisation."""
        return tf.nn.local_response_normalization(x, depth_radius=2, bias=1, alpha=1e-4 / 5, beta=0.75)

    def inception(self, at: str, x: Tensor) -> Tensor:
        """A block of six convolutions and a pooling."""
        return tf.concat([self.conv(f"{at}/1x1", x), self.conv(f"{at}/3x3", self.conv(f"{at}/3x3_reduce", x)),
                          self.conv(f"{at}/5x5", self.conv(f"{at}/5x5_reduce", x)),
                          self.conv(f"{at}/pool_proj", tf.nn.max_pool2d(x, 3, 1, "SAME"))], -1)

    def objective(self, picture: Tensor) -> Tensor:
        """Half the squared norm of inception_4c/output, for a picture (h, w, 3) in the net's format."""
        x = self.norm(self.halve(self.conv("conv1/7x7_s2", picture[None], 2)))
        x = self.halve(self.norm(self.conv("conv2/3x3", self.conv("conv2/3x3_reduce", x))))
        for block in BLOCKS:
            x = self.inception(f"inception_{block}", self.halve(x) if block == "4a" else x)
        return tf.reduce_sum(x * x) / 2


class Dream(tf.Module):
    """The steps of an octave."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.float32), tf.TensorSpec([], tf.int32)])
    def __call__(self, picture: Tensor, steps: Tensor) -> Tensor:
        """The picture (h, w, 3), in the net's format, after so many steps."""
        low = tf.constant(-MEAN[::-1])
        for _ in tf.range(steps):
            with tf.GradientTape() as tape:
                tape.watch(picture)
                objective = self.net.objective(picture)
            gradient = tape.gradient(objective, picture)
            picture += STEP * gradient / (tf.math.reduce_std(gradient) + 1e-8)
            picture = tf.clip_by_value(picture, low, low + 255)
        return picture


def dream(net: Net, source: str, to: str, iterations: int, octaves: int, scale: float) -> None:
    """Dream the picture `source`, and write it to `to`."""
    photo = np.asarray(Image.open(source).convert("RGB"), np.float32)
    whole = np.array(photo.shape[:2])
    picture, steps = tf.constant((photo - MEAN)[:, :, ::-1]), Dream(net)
    for octave in reversed(range(octaves)):
        picture = tf.image.resize(picture, np.maximum(whole / scale ** octave, 1).astype(int))
        picture = steps(picture, tf.constant(iterations))
    done = picture.numpy()[:, :, ::-1] + MEAN
    Image.fromarray(np.uint8(np.clip(done, 0, 255))).save(to)


def main(words: Sequence[str]) -> None:
    """Do what the command line says."""
    tf.config.threading.set_intra_op_parallelism_threads(int(words[-1]))
    net = Net(engines.loaded(words[0]))
    if len(words) == 3:
        width, height = map(int, words[1].split("x"))
        print(float(net.objective(tf.constant(engines.picture(height, width)[0].transpose(1, 2, 0)))))
    else:
        dream(net, words[1], words[2], int(words[3]), int(words[4]), float(words[5]))


if __name__ == "__main__":
    main(sys.argv[1:])
