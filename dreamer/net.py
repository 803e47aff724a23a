"""A Caffe net made for dreaming: cut off above one layer, and ready to compute the gradient of its input."""

import contextlib
import os

from dreamer import limits, planes, prototxt, shapes, tiles, weights
from dreamer.budget import Budget
from dreamer.errors import Failure, Mistake

TILE = 2 << 20  # pixels of a tile where it must be the same on all machines: 1920×1080 is one


class Net:
    """The part of a model that the layer `end` needs, loaded into Caffe.

    model    a dreamer.model.Model
    end      name of the layer to dream, one of model.keys
    weights  path of the weights; the model's own where it is None
    memory   bytes that this process may take in all; most of what is free where it is None
    threads  how many to work with (all nets together); what limits.threads() says where it is None
    reproducible  give the same bits on every x86-64 machine that has AVX2: the sums are in one order whatever the
             instructions and threads (see native/), so this only fixes the tiles, which memory decides otherwise

    Layers after `end` are not even built, and weights get no gradient: neither is part of a dream.
    Raises Mistake where the weights do not fit the model, Failure where this machine cannot be reproducible."""

    def __init__(self, model, end, weights_file=None, memory=None, threads=None, reproducible=False):
        self.model = model
        self.end = end
        self.layers = shapes.cut(model.net, [end])
        self.caffe = load(self.layers)
        self.threads = threads or limits.threads()
        set_threads(self.threads)
        path = model.weights_path(weights_file)
        weights.check(path, self.caffe)
        self.caffe.copy_from(str(path))
        self.smallest_side = shapes.smallest_side(self.layers)
        self._input = prototxt.value(self.layers[0], "top")
        self.budget = Budget(self, memory, TILE if reproducible else None)
        if reproducible and instructions() == "baseline":
            raise Failure("this processor has no AVX2: its dreams differ in the last bit, and cannot be reproducible")

    @property
    def lowest(self):
        """The black of a picture as the net has it: float32 (3, 1, 1); 255 more is its white."""
        return -planes.mean(self.model)

    def preprocess(self, image):
        """`image` (h, w, 3), RGB, 0..255, as the net has it: float32 (3, h, w), in its order, minus its mean."""
        return planes.preprocess(image, self.model, self.budget.planes(*image.shape[:2]))

    def deprocess(self, dreamed):
        """The inverse of preprocess, in the memory of `dreamed`: float32 (h, w, 3), RGB."""
        return planes.deprocess(dreamed, self.model)

    def resize(self, height, width):
        """Be ready for pictures of height × width pixels; raises Mistake where that is too small for the net."""
        if min(height, width) < self.smallest_side:
            raise Mistake(f"{width}×{height} pixels are too few for {self.end}: "
                          f"each side needs {self.smallest_side}")
        self.windows = tiles.plan(self.layers, self.end, height, width, self.budget.pixels)
        self.gradient = self.budget.planes(height, width)

    def warm_up(self):
        """Take the smallest step there is: kernels turn the weights into their own form once, and keep them."""
        source = self.shape(self.smallest_side, self.smallest_side)
        source.data[...] = 0
        self.caffe.forward(end=self.end)
        self.caffe.blobs[self.end].diff[...] = 0
        self.caffe.backward(start=self.end)

    def shape(self, height, width):
        """Make the net's input take height × width pixels, and return its blob."""
        blob = self.caffe.blobs[self._input]
        if tuple(blob.shape) != (1, 3, height, width):
            blob.reshape(1, 3, height, width)
            self.caffe.reshape()
        return blob

    def tiles(self, picture, oy, ox):
        """The Tiles of `picture` (3, h, w), rolled by oy rows and ox columns, in turn: one where memory is enough.

        When all have gone backward, self.gradient (3, h, w) is the objective's gradient with respect to `picture`."""
        rows, columns = self.windows
        whole = len(rows) == len(columns) == 1
        if not whole:
            for band in planes.bands(self.gradient):
                self.gradient[:, band] = 0
        for row in rows:
            for column in columns:
                yield Tile(self, picture, row, column, oy, ox, whole)
                planes.to_disk(self.gradient)
                if not whole:
                    trim_memory()  # holes that the next tile, of another size, might not fill


class Tile:
    """A piece of a picture on its way through a Net, forward and backward."""

    def __init__(self, net, picture, row, column, oy, ox, whole):
        self._net, self._picture, self._whole = net, picture, whole
        self._row, self._column = row, column
        height, width = picture.shape[1:]
        self._parts = [((..., to_y, to_x), (..., from_y, from_x))
                       for to_y, from_y in tiles.wrapped(row, height, oy)
                       for to_x, from_x in tiles.wrapped(column, width, ox)]

    def forward(self):
        """The activations that are this tile's share: float32 (channels, h', w'); a view."""
        net = self._net.caffe
        source = self._net.shape(self._row.size, self._column.size)
        for here, there in self._parts:
            source.data[0][here] = self._picture[there]
        net.forward(end=self._net.end)
        return self._own(net.blobs[self._net.end].data[0])

    def backward(self, gradient):
        """Take the objective's gradient at the layer, shaped like what forward() gave, back to the picture."""
        net = self._net.caffe
        diff = net.blobs[self._net.end].diff[0]
        if not self._whole:
            diff[:] = 0
        self._own(diff)[:] = gradient
        net.backward(start=self._net.end)
        diff = net.blobs[self._net._input].diff[0]
        for here, there in self._parts:
            if self._whole:
                self._net.gradient[there] = diff[here]
            else:
                self._net.gradient[there] += diff[here]

    def _own(self, blob):
        return blob[:, self._row.own, self._column.own]


def load(layers):
    """A caffe.Net of `layers` (as shapes.cut gives them), its weights yet to come. Raises Failure without Caffe."""
    os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe's log: glog reads this when it is loaded
    try:
        import caffe
    except ImportError as error:
        raise Failure(f"Caffe cannot be loaded ({error}): run ./provision.sh") from None
    with _in_memory(_trainless(layers)) as description:
        return caffe.Net(description, caffe.TEST)


def trim_memory():
    """Give the memory that Caffe keeps for later back to the system."""
    import caffe
    caffe.trim_memory()


def set_threads(count):
    """Let Caffe work with `count` threads."""
    import caffe
    caffe.set_threads(count)


def instructions():
    """What Caffe's kernels use of this processor: "baseline", "avx2" or "avx512"."""
    import caffe
    return caffe.instructions()


def _trainless(layers):
    """prototxt text of the layers with every learning rate at zero, so that Caffe computes no weight gradients."""
    net = [("force_backward", "true")]
    for layer in layers:
        kind = prototxt.value(layer, "type")
        fields = [field for field in layer if field[0] != "param"]
        if kind == "Convolution":
            bias = prototxt.value(prototxt.value(layer, "convolution_param"), "bias_term") != "false"
            fields += [("param", [("lr_mult", "0")])] * (1 + bias)
        net.append(("layer", fields))
    return prototxt.unparse(net)


@contextlib.contextmanager
def _in_memory(text):
    """A path from which Caffe can read `text`, without a disk: a container's may be read-only."""
    with os.fdopen(os.memfd_create("net.prototxt"), "w") as file:
        file.write(text)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"
