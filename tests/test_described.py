"""The nets that models/describe.py describes: their structure, and a dream of each with random weights."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import randomweights
from dreamer.nets import binding, model, prototxt, shapes
from dreamer.nets.model import Model
from dreamer.nets.net import Net
from helpers import ROOT, one_step, psnr

sys.path.insert(0, str(ROOT / "models"))
import describe

NAMES = list(describe.descriptions())
# a layer that small tiles can dream, because it sees few pixels
SHALLOW = {"caffenet": "pool2", "googlenet_places205": "inception_3b/output", "googlenet_places365": "inception_3a/5x5",
           "resnet50": "res3b", "squeezenet": "fire5/concat", "vgg16": "pool3", "vgg19": "conv3_2"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Function of a model and a layer: the path of random weights for the layers up to there."""
    folder, made = tmp_path_factory.mktemp("weights"), dict[tuple[str, str], Path]()

    def path(chosen: Model, layer: str) -> Path:
        key = chosen.name, layer
        if key not in made:
            made[key] = randomweights.make(chosen, folder / f"{len(made)}.caffemodel", ends=(layer,))
        return made[key]
    return path


def test_the_files_are_what_the_script_makes() -> None:
    assert {name: (model.MODELS / name / "deploy.prototxt").read_text() for name in NAMES} == describe.descriptions()


def plain(net: prototxt.Message) -> list[Any]:
    """A net's layers without what only training needs, and without the picture's size."""
    found = []
    for layer in prototxt.values(net, "layer"):
        fields = [(name, sorted((key, each) for key, each in value if isinstance(each, str))
                   if isinstance(value, list) else prototxt.bare(value))
                  for name, value in layer if name not in ("param", "input_param")]
        found.append(sorted(fields, key=str))
    return found


@pytest.mark.parametrize("name", ["googlenet_places205", "googlenet_places365"])
def test_the_googlenets_are_caffes_but_for_the_number_of_classes(described: Model, name: str) -> None:
    theirs = prototxt.unparse(described.net).replace("num_output: 1000", f"num_output: {name[-3:]}")
    assert plain(model.find(name).net) == plain(prototxt.parse(theirs))


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_weights_is_caffes(name: str) -> None:
    layers = prototxt.values(model.find(name).net, "layer")
    net = binding.load(layers)
    assert shapes.numbers(layers) == sum(blob.count for blobs in net.params.values() for blob in blobs)


# the bytes of the published files, from logs and lists of other programs; MB are rounded
@pytest.mark.parametrize(("name", "size", "off"), [
    ("vgg16", 553_432_081, 1), ("vgg19", 574_671_192, 1), ("resnet50", 97.7 * 2 ** 20, 0.1 * 2 ** 20),
    ("caffenet", 232 * 2 ** 20, 2 ** 20), ("squeezenet", 4.72 * 2 ** 20, 0.01 * 2 ** 20)])
def test_the_published_files_have_as_many_numbers(name: str, size: float, off: float) -> None:
    numbers = 4 * shapes.numbers(prototxt.values(model.find(name).net, "layer"))
    assert -off <= size - numbers <= off + 30_000  # and the layers' names


@pytest.mark.parametrize("name", NAMES)
def test_its_default_layer_can_be_dreamed_and_its_classifier_cannot(name: str) -> None:
    chosen = model.find(name)
    assert chosen.default_layer in chosen.keys
    assert not {"prob", "fc6", "fc8", "fc1000", "loss3/classifier", "pool10", "pool5/7x7_s1"} & set(chosen.keys)
    assert ("pool5" in chosen.keys) == (name in ("caffenet", "vgg16", "vgg19", "squeezenet"))
    assert chosen.channel_order == "bgr"
    assert all(100 < value < 125 for value in chosen.mean)


def caffe_alone(layers: list[prototxt.Message], weights: Path, picture: NDArray[np.float32],
                end: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(activations, gradient of half their squared norm), from pycaffe without our code, and without its economy, which
    is off if weights may learn."""
    import caffe
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write("force_backward: true\n" + prototxt.unparse([("layer", layer) for layer in layers]))
        file.flush()
        net = caffe.Net(file.name, str(weights), caffe.TEST)
    net.blobs["data"].reshape(1, *picture.shape)
    net.blobs["data"].data[0] = picture
    net.forward(end=end)
    net.blobs[end].diff[...] = net.blobs[end].data
    activations = net.blobs[end].data[0].copy()
    net.backward(start=end)
    return activations, net.blobs["data"].diff[0].copy()


def noise(height: int, width: int) -> NDArray[np.float32]:
    """A picture in a net's format."""
    return np.random.RandomState(0).normal(0, 60, (3, height, width)).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_activations_and_gradient_are_plain_caffes(weights: Any, name: str) -> None:
    chosen = model.find(name)
    end, picture = chosen.default_layer, noise(131, 166)
    path = weights(chosen, end)
    wanted, gradient = caffe_alone(shapes.cut(chosen.net, [end]), path, picture, end)
    net = Net(chosen, end, path)
    net.budget.fit(*picture.shape[1:])
    net.resize(*picture.shape[1:])
    [tile] = net.tiles(picture, 0, 0)
    [found] = tile.forward()
    assert np.linalg.norm(wanted) > 100  # the weights lose nothing on the way
    assert np.linalg.norm(found - wanted) < 1e-5 * np.linalg.norm(wanted)
    tile.backward([(1.0, found)])
    # a ReLU or a pooling decides a near tie differently now and then
    assert np.linalg.norm(net.gradient - gradient) < 1e-2 * np.linalg.norm(gradient)


@pytest.mark.parametrize("name", NAMES)
def test_tiles_give_the_dream_of_the_whole(weights: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, layer = model.find(name), SHALLOW[name]
    monkeypatch.setenv(f"DREAMER_WEIGHTS_{name.upper()}", str(weights(chosen, layer)))
    image = np.random.RandomState(0).randint(0, 256, (300, 380, 3)).astype(np.uint8)
    whole, value, one = one_step(chosen, layer, image)
    tiled, tiled_value, many = one_step(chosen, layer, image, 200 * 200)
    assert one == 1
    assert many > 1
    assert psnr(whole, tiled) >= 60
    assert tiled_value == pytest.approx(value, rel=1e-5)
