"""A dream in plain pycaffe calls, as Google's notebook makes them, without our code: for peers.py, which runs it on our
Caffe.

    $ python3 notebook.py DESCRIPTION WEIGHTS INPUT OUTPUT ITERATIONS OCTAVES SCALE

The net is loaded whole, from the description that provision.sh installs, with force_backward. It is our algorithm,
without what dreamify.py has besides.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import caffe
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

END = "inception_4c/output"
MEAN = np.array([[[104]], [[116]], [[122]]], np.float32)  # of blue, green and red
STEP, JITTER = 1.5, 32


def load(description: str, weights: str) -> Any:
    """The net, with force_backward."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.prototxt")
        path.write_text(Path(description).read_text() + "\nforce_backward: true\n")
        return caffe.Net(str(path), weights, caffe.TEST)


def step(net: Any) -> None:
    """A step of gradient ascent on the picture in the net."""
    source, target = net.blobs["data"], net.blobs[END]
    down, right = np.random.randint(-JITTER, JITTER + 1, 2)
    source.data[0] = np.roll(source.data[0], (down, right), (1, 2))
    net.forward(end=END)
    target.diff[:] = target.data
    net.backward(start=END)
    gradient = source.diff[0]
    source.data[:] += STEP / np.abs(gradient).mean() * gradient
    source.data[0] = np.roll(source.data[0], (-down, -right), (1, 2))
    source.data[:] = np.clip(source.data, -MEAN, 255 - MEAN)


def dream(net: Any, photo: NDArray[np.float32], iterations: int, octaves: int, scale: float) -> NDArray[np.float32]:
    """The dream of a photo (3, h, w) in the net's format."""
    smaller = [photo]
    for _ in range(octaves - 1):
        smaller.append(ndimage.zoom(smaller[-1], (1, 1 / scale, 1 / scale), order=1))
    detail = np.zeros_like(smaller[-1])
    for base in reversed(smaller):
        detail = ndimage.zoom(detail, (1, *np.divide(base.shape[1:], detail.shape[1:])), order=1)
        net.blobs["data"].reshape(1, *base.shape)
        net.blobs["data"].data[0] = base + detail
        for _ in range(iterations):
            step(net)
        detail = net.blobs["data"].data[0] - base
    return photo + detail


def main(words: Sequence[str]) -> None:
    """Do what the command line says."""
    net = load(words[0], words[1])
    photo = np.asarray(Image.open(words[2]).convert("RGB"), np.float32).transpose(2, 0, 1)[::-1] - MEAN
    made = dream(net, photo, int(words[4]), int(words[5]), float(words[6]))
    Image.fromarray(np.uint8(np.clip((made + MEAN)[::-1].transpose(1, 2, 0), 0, 255))).save(words[3])


if __name__ == "__main__":
    main(sys.argv[1:])
