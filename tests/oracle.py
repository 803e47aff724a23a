"""An independent DeepDream: the notes' words turned into plain pycaffe, slow and literal, sharing no code with ours.

The whole net from its own prototxt, numpy's global generator, one loop in another."""

import tempfile
from pathlib import Path

import numpy as np
import scipy.ndimage as nd


def dream(prototxt, weights, mean, bgr, image, end, iterations, octaves, scale=1.4, step_size=1.5, jitter=32,
          clip=True, seed=0, guide=None):
    """(picture (h, w, 3) float32 RGB, [objective before each step], [gradient of each step, rolled back]).

    guide  a picture (h, w, 3) RGB to dream towards; the objective is still that of an unguided dream"""
    import caffe

    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write("force_backward: true\n" + Path(prototxt).read_text())
        file.flush()
        net = caffe.Net(file.name, weights, caffe.TEST)
    mean = np.float32(mean)[:, None, None]
    np.random.seed(seed)

    planes = np.float32(np.rollaxis(image, 2))
    x = (planes[::-1] if bgr else planes) - mean
    sizes = [x]
    for _ in range(octaves - 1):
        sizes.append(nd.zoom(sizes[-1], (1, 1.0 / scale, 1.0 / scale), order=1))
    if guide is not None:
        towards = _seen(net, np.float32(np.rollaxis(guide, 2))[::-1 if bgr else 1] - mean, end)
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
                source.data[0] = np.clip(source.data[0], -mean, 255 - mean)
        detail = source.data[0] - base
    out = source.data[0] + mean
    return np.dstack(out[::-1] if bgr else out), objectives, gradients


def _seen(net, picture, end):
    """The activations (channels, h, w) of a picture as the net has it."""
    net.blobs["data"].reshape(1, *picture.shape)
    net.blobs["data"].data[0] = picture
    net.forward(end=end)
    return net.blobs[end].data[0].copy()


def _matched(x, y):
    """The notebook's: for each position of x (channels, h, w) the column of y with the largest dot product."""
    columns, others = np.float64(x.reshape(len(x), -1)), np.float64(y.reshape(len(y), -1))
    return y.reshape(len(y), -1)[:, columns.T.dot(others).argmax(1)].reshape(x.shape)


def gradient_of_sum(prototxt, weights, picture, terms, guide=None):
    """(value, gradient (3, h, w) float64) of terms [(layer, channels or None, weight)] at `picture` as the net has it:
    a pass of its own through the whole net for each term, which are added up outside of it. The value is that of a
    dream without a guide (a picture as the net has it)."""
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
        if guide is not None:
            mine[0, some] = _matched(net.blobs[layer].data[0, some], towards[some])
        norm = np.sqrt((mine ** 2).sum())
        for blob in net.blobs.values():  # or what the term before has left is added
            blob.diff[...] = 0
        net.blobs[layer].diff[...] = weight / norm * mine
        net.backward(start=layer)
        value += weight * 0.5 * norm
        gradient += net.blobs["data"].diff[0]
    return value, gradient
