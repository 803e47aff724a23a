"""An independent DeepDream, written from the notebook's text in plain pycaffe: slow, literal, without any of our code.

It loads the whole net from its own prototxt, uses numpy's global generator, and loops within loops."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import scipy.ndimage as nd
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float32]


def dream(prototxt: str | os.PathLike[str], weights: str, mean: ArrayLike, bgr: bool, image: NDArray[Any], end: str,
          iterations: int, octaves: int, scale: float = 1.4, step_size: float = 1.5, jitter: int = 32,
          clip: bool = True, seed: int = 0,
          guide: NDArray[Any] | None = None) -> tuple[Floats, list[float], list[Floats]]:
    """(picture (h, w, 3) float32 RGB, [objective before each step], [gradient of each step, rolled back]).

    guide  a picture (h, w, 3), RGB, to dream towards; the objective is still that of a dream without a guide"""
    import caffe

    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write("force_backward: true\n" + Path(prototxt).read_text())
        file.flush()
        net = caffe.Net(file.name, weights, caffe.TEST)
    average = np.asarray(mean, np.float32)[:, None, None]
    np.random.seed(seed)

    planes = np.asarray(np.rollaxis(image, 2), np.float32)
    x = (planes[::-1] if bgr else planes) - average
    sizes = [x]
    for _ in range(octaves - 1):
        sizes.append(nd.zoom(sizes[-1], (1, 1.0 / scale, 1.0 / scale), order=1))
    if guide is not None:
        towards = _seen(net, np.asarray(np.rollaxis(guide, 2), np.float32)[::-1 if bgr else 1] - average, end)
    detail = np.zeros_like(sizes[-1])
    objectives, gradients = [], []
    for number, base in enumerate(sizes[::-1]):
        h, w = base.shape[-2:]
        if number > 0:
            h1, w1 = detail.shape[-2:]
            detail = nd.zoom(detail, (1, 1.0 * h / h1, 1.0 * w / w1), order=1)
        source = net.blobs["data"]
        source.reshape(1, 3, h, w)
        source.data[0] = base + detail
        for _ in range(iterations):
            ox, oy = np.random.randint(-jitter, jitter + 1, 2)
            source.data[0] = np.roll(np.roll(source.data[0], ox, -1), oy, -2)
            net.forward(end=end)
            objectives.append(0.5 * float((np.float64(net.blobs[end].data) ** 2).sum()))
            net.blobs[end].diff[:] = net.blobs[end].data
            if guide is not None:
                net.blobs[end].diff[0] = _matched(net.blobs[end].data[0], towards)
            net.backward(start=end)
            g = source.diff[0].copy()
            source.data[0] += step_size / np.abs(g).mean() * g
            source.data[0] = np.roll(np.roll(source.data[0], -ox, -1), -oy, -2)
            gradients.append(np.roll(np.roll(g, -ox, -1), -oy, -2))
            if clip:
                source.data[0] = np.clip(source.data[0], -average, 255 - average)
        detail = source.data[0] - base
    out = source.data[0] + average
    return np.dstack(out[::-1] if bgr else out), objectives, gradients


def _seen(net: Any, picture: Floats, end: str) -> Floats:
    """The activations (channels, h, w) for a picture in the net's format."""
    net.blobs["data"].reshape(1, *picture.shape)
    net.blobs["data"].data[0] = picture
    net.forward(end=end)
    seen: Floats = net.blobs[end].data[0].copy()
    return seen


def _matched(x: Floats, y: Floats) -> Floats:
    """The notebook's matching: for each position of x (channels, h, w), the column of y with the largest product."""
    columns, others = x.reshape(len(x), -1).astype(np.float64), y.reshape(len(y), -1).astype(np.float64)
    return y.reshape(len(y), -1)[:, columns.T.dot(others).argmax(1)].reshape(x.shape)


def gradient_of_sum(prototxt: str | os.PathLike[str], weights: str, picture: Floats,
                    terms: Iterable[tuple[str, Any, float]],
                    guide: Floats | None = None) -> tuple[float, NDArray[np.float64]]:
    """(value, gradient (3, h, w) float64) of the terms [(layer, channels or None, weight)] for a `picture` in the net's
    format. Each term gets its own pass through the whole net, and the gradients are added outside it. The value is that
    of a dream without a guide."""
    import caffe

    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write("force_backward: true\n" + Path(prototxt).read_text())
        file.flush()
        net = caffe.Net(file.name, weights, caffe.TEST)
    value, gradient = 0.0, np.zeros(picture.shape)
    for layer, channels, weight in terms:
        towards = _seen(net, guide, layer) if guide is not None else None
        _seen(net, picture, layer)
        mine = np.zeros(net.blobs[layer].data.shape)
        some = slice(None) if channels is None else channels
        mine[:, some] = net.blobs[layer].data[:, some]
        if towards is not None:
            mine[0, some] = _matched(net.blobs[layer].data[0, some], towards[some])
        norm = np.sqrt((mine ** 2).sum())
        for blob in net.blobs.values():  # or the gradient of the previous term would be added
            blob.diff[...] = 0
        net.blobs[layer].diff[...] = weight / norm * mine
        net.backward(start=layer)
        value += weight * 0.5 * norm
        gradient += net.blobs["data"].diff[0]
    return value, gradient
