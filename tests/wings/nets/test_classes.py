"""Classes: their names, their directions, and dreams that the net itself takes for what they should be."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dreamify
from dreamer.errors import Failure, Mistake
from dreamer.nets import classes, layers, listing, model
from dreamer.nets.model import Model
from dreamer.nets.net import Net
from helpers import noise, psnr, run, saved

GOOGLENET = model.find(model.DEFAULT)
NONE = "has no classifier (a fully connected layer at its end)"
COLOURS = "red, scarlet, Rubeus\ngreen, tea green\n"


@pytest.fixture(scope="module")
def known(tiny: Model, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The tiny model, whose two classes have names."""
    folder = Path(shutil.copytree(tiny.folder, tmp_path_factory.mktemp("known") / "known"))
    text = (folder / "model.toml").read_text()
    (folder / "model.toml").write_text(f'classes = "classes.txt"\n{text}')
    (folder / "classes.txt").write_text(COLOURS)
    return model.find(str(folder))


def changed(tiny: Model, folder: Path, old: str, new: str) -> Model:
    """The tiny model with a part of its description replaced, without weights."""
    folder.mkdir()
    for name in ("model.toml", "net.prototxt"):
        text = (tiny.folder / name).read_text()
        assert name != "net.prototxt" or old in text
        (folder / name).write_text(text.replace(old, new))
    return model.find(str(folder))


# names ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("text", "number", "name"), [
    ("flamingo", 130, "flamingo"),
    ("FLAMINGO", 130, "flamingo"),
    ("130", 130, "flamingo"),
    ("polar bear", 296, "ice bear"),
    ("ice_bear", 296, "ice bear"),
    ("ice-bear", 296, "ice bear"),
    ("jack o lantern", 607, "jack-o'-lantern"),
    ("jack-o'-lantern", 607, "jack-o'-lantern"),
    ("crayfish", 124, "crayfish"),  # also a second name of another class
    ("Fringilla", 10, "brambling"),  # a word of a name
    ("pineap", 953, "pineapple"),  # a part of a word
    ("Welsh corgi Cardigan", 264, "Cardigan Welsh corgi"),
    ("264", 264, "Cardigan Welsh corgi"),  # the first of its names, Cardigan, is another's too
    ("134", 134, "134"),  # both are a crane, and nothing else
])
def test_a_class_is_found_by_what_people_call_it(text: str, number: int, name: str) -> None:
    assert classes.found(text, GOOGLENET) == [(number, name)]
    assert classes.found(name, GOOGLENET) == [(number, name)]


def test_every_class_is_found_by_the_name_that_a_recipe_has() -> None:
    every = classes.labels(GOOGLENET)
    assert [label.number for label in every] == list(range(1000))
    for label in every[::7]:
        assert classes.found(label.name, GOOGLENET) == classes.found(str(label.number), GOOGLENET) == [label]
    for label in every[::100]:
        assert layers.parse(str(label), GOOGLENET)[0].terms == [("inception_5b/output", label, 1)]
    assert [label.number for label in every if label.name.isdigit()] == [134, 474, 517, 638]


@pytest.mark.parametrize(("text", "words"), [
    ("shark", "fits 3 classes; write one of class:great white shark, class:tiger shark, class:hammerhead"),
    ("crane", "fits 2 classes; write one of class:134 (crane), class:517 (crane)"),
    ("terrier", "and 16 more"),
    ("flamngo", "did you mean class:flamingo?"),
    ("zzzz", "keys --classes"),
    ("*zzzz", "matches no class"),
    ("1000", "0 to 999"),
    ("", "class:flamingo"),
    ("-1", "keys --classes"),
])
def test_what_names_no_class_is_told(text: str, words: str) -> None:
    with pytest.raises(Mistake) as caught:
        layers.parse(f"inception_4c/output+class:{text}", GOOGLENET)
    (line,) = caught.value.args
    assert words in line
    assert f"character {len('inception_4c/output+class:') + 1}" in line


def test_a_pattern_is_the_sum_of_all_such_classes() -> None:
    found, _ = layers.parse("class:*shark*-0.5+conv2/3x3", GOOGLENET)
    assert found.text == "class:*shark*-0.5+conv2/3x3"
    assert [(str(term.channels), term.weight) for term in found.terms] == [
        ("class:great white shark", -0.5), ("class:tiger shark", -0.5), ("class:hammerhead", -0.5), ("None", 1)]


def test_a_layer_of_that_name_is_still_a_layer(tiny: Model, tmp_path: Path) -> None:
    other = changed(tiny, tmp_path / "other", '"class"', '"fc"')
    found = changed(other, tmp_path / "found", '"after"', '"class"')
    assert layers.parse("class:1", found)[0].terms == [("class", [1], 1)]


def test_keys_lists_classes() -> None:
    lines = run("keys", "--classes", "--model", model.DEFAULT).stdout.splitlines()
    assert len(lines) == 1000
    assert lines[130] == " 130  flamingo"
    assert run("keys", "--classes", "ShArK", "--model", model.DEFAULT).stdout.splitlines() == lines[2:5]
    done = run("keys", "quetzal", "--classes", "--model", model.DEFAULT)
    assert done.returncode == 2
    assert done.stderr == "dreamify: keys: no class of bvlc_googlenet has 'quetzal' in its name\n"


@pytest.mark.parametrize("described", [False, True])
def test_keys_lists_what_has_a_word_in_it(described: bool) -> None:
    spare = model.find(model.SPARE)
    found = listing.listed(spare, "4C/3", describe=described, looks=False, classes=False)
    assert [line.split()[0] for line in found] == ["inception_4c/3x3_reduce", "inception_4c/3x3"]


# what has no classes -------------------------------------------------------------------------------------

def test_each_net_knows_its_classes_or_says_why_not() -> None:
    """Those with one fully connected layer behind an average do."""
    found = {}
    for name in model.names():
        try:
            layer, _, count = classes.classifier(model.find(name))
            found[name] = f"{layer} {count}"
        except Mistake as error:
            found[name] = error.args[0].removeprefix(f"{name} ").partition(",")[0]
        except Failure:
            found[name] = "not installed"
    assert found == {
        "bvlc_googlenet": "inception_5b/output 1000", "googlenet_places205": "inception_5b/output 205",
        "googlenet_places365": "inception_5b/output 365", "resnet50": "res5c 1000",
        "caffenet": "has 3 fully connected layers", "vgg16": "has 3 fully connected layers",
        "vgg19": "has 3 fully connected layers", "daydream": NONE, "squeezenet": NONE}
    assert classes.found("flamingo", model.find("resnet50")) == [(130, "flamingo")]
    assert classes.found("7", model.find("googlenet_places365")) == [(7, "7")]


def test_a_net_without_a_classifier_says_so(tmp_path: Path) -> None:
    photo = saved(tmp_path / "in.png", noise(64, 64))
    done = run(photo, tmp_path / "dream.png", "class:flamingo", "--model", model.SPARE)
    assert (done.returncode, done.stderr) == (
        2, "dreamify: layer: daydream has no classifier (a fully connected layer at its end), so it knows no classes; "
           "dream a layer of it\n")


@pytest.mark.parametrize(("old", "new", "words"), [
    ("pool: AVE", "pool: MAX", "does not average"),
    ('type: "InnerProduct" bottom: "global"', 'type: "InnerProduct" bottom: "after"', "does not average"),
    ('layer { name: "class"', 'layer { name: "more" type: "InnerProduct" bottom: "global" top: "more"\n'
     'inner_product_param { num_output: 9 } }\nlayer { name: "class"', "does not average|2 fully connected"),
])
def test_a_classifier_that_works_otherwise_is_told(tiny: Model, tmp_path: Path, old: str, new: str, words: str) -> None:
    found = changed(tiny, tmp_path / "found", old, new)
    if words.endswith("connected"):
        found = changed(found, tmp_path / "two", 'name: "class" type: "InnerProduct" bottom: "global"',
                        'name: "class" type: "InnerProduct" bottom: "more"')
    with pytest.raises(Mistake, match=words):
        layers.parse("class:0", found)


def test_dropout_and_flatten_before_the_classifier_change_nothing(tiny: Model, tmp_path: Path) -> None:
    found = changed(tiny, tmp_path / "found", 'layer { name: "class" type: "InnerProduct" bottom: "global"',
                    'layer { name: "drop" type: "Dropout" bottom: "global" top: "global" }\n'
                    'layer { name: "flat" type: "Flatten" bottom: "global" top: "flat" }\n'
                    'layer { name: "class" type: "InnerProduct" bottom: "flat"')
    assert classes.classifier(found) == ("after", "class", 2)


@pytest.mark.parametrize("content", ["red\n", "red\ngreen\nblue\n", "red\n\n", b"\xff\n\xff\n"])
def test_a_wrong_list_of_names_is_told(known: Model, tmp_path: Path, content: str | bytes) -> None:
    folder = Path(shutil.copytree(known.folder, tmp_path / "wrong"))
    (folder / "classes.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(Failure, match=r"classes\.txt"):
        layers.parse("class:red", model.find(str(folder)))


def test_weights_without_a_classifier_are_told(known: Model, tmp_path: Path) -> None:
    from caffe.proto import caffe_pb2
    net = caffe_pb2.NetParameter.FromString(known.weights_path().read_bytes())
    del net.layer[[layer.name for layer in net.layer].index("class")]
    (tmp_path / "less.caffemodel").write_bytes(net.SerializeToString())
    photo = saved(tmp_path / "in.png", noise(40, 40))
    done = run(photo, tmp_path / "dream.png", "class:red", "--model", known.folder, "--weights",
               tmp_path / "less.caffemodel")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no weights for class, the classifier" in done.stderr


# directions and dreams -----------------------------------------------------------------------------------

def test_the_gradient_of_a_class_is_the_slope_of_its_value() -> None:
    random = np.random.RandomState(0)
    direction: Any = random.normal(size=(5, 1, 1))  # float64, for the slope's sake
    activations: Any = random.normal(size=(5, 3, 4)) * [[[0.001], [1], [3]]]  # faint, and clear
    _, gradient = dreamify.objective_class(activations, direction)
    for index in np.ndindex(activations.shape):
        step = np.zeros_like(activations)
        step[index] = 1e-6
        slope = (dreamify.objective_class(activations + step, direction)[0]
                 - dreamify.objective_class(activations - step, direction)[0]) / 2e-6
        assert gradient[index] == pytest.approx(slope, abs=1e-7)


def test_a_dream_of_a_class_grows_its_direction(known: Model) -> None:
    """Against the same dream of the layer, with an objective written in another way."""
    from caffe.proto import caffe_pb2
    net = caffe_pb2.NetParameter.FromString(known.weights_path().read_bytes())
    rows = np.array(next(layer for layer in net.layer if layer.name == "class").blobs[0].data).reshape(2, 4)
    away = rows[1] - rows.mean(0)
    away /= np.sqrt((away ** 2).sum())

    def objective(activations: Any) -> tuple[float, Any]:
        seen = np.einsum("c,chw->hw", away, activations.astype(float))
        return 0.0, np.einsum("c,hw->chw", away, np.where(seen < 0.01, 0.01, seen)).astype(np.float32)

    photo = noise(61, 80)
    ours = dreamify.deepdream(Net(known, "class:green"), photo, 4, 2)
    other = dreamify.deepdream(Net(known, "after"), photo, 4, 2, objective=objective)
    assert psnr(ours, other) > 60
    assert psnr(ours, dreamify.deepdream(Net(known, "class:red"), photo, 4, 2)) < 40


def test_a_class_in_tiles_is_the_same(known: Model) -> None:
    photo = noise(150, 170)
    whole, tiled = Net(known, "class:green+mix/3x3*0.5"), Net(known, "class:green+mix/3x3*0.5")
    expected = dreamify.deepdream(whole, photo, 3, 1)
    tiled.budget.fit = lambda height, width: (0, 1.0)  # type: ignore[method-assign]
    tiled.budget.pixels = 100 * 100
    assert psnr(dreamify.deepdream(tiled, photo, 3, 1), expected) > 60


def test_a_class_with_a_guide_is_refused(known: Model, tmp_path: Path) -> None:
    photo = saved(tmp_path / "in.png", noise(64, 64))
    guide = saved(tmp_path / "guide.png", noise(60, 60))
    done = run(photo, tmp_path / "dream.png", "class:red", "--model", known.folder, "--guide", guide)
    assert (done.returncode, done.stderr) == (
        2, "dreamify: guide: class:red says already what to dream; leave out --guide, or name a layer\n")


@pytest.mark.slow
def test_the_net_itself_sees_the_class(googlenet: Model, tmp_path: Path) -> None:
    """A classifier of its own, plain pycaffe with the net as it was trained, names what was dreamed out of noise."""
    import caffe
    net = caffe.Net(str(googlenet.prototxt_path()), str(googlenet.weights_path()), caffe.TEST)
    net.blobs["data"].reshape(1, 3, 224, 224)
    for name, number in (("goldfish", 1), ("banana", 954)):
        output = tmp_path / f"{number}.png"
        done = run("noise:224x224", output, f"class:{name}", 20, 2, "--seed", 1)
        assert done.returncode == 0, done.stderr
        pixels = np.asarray(Image.open(output)).astype(np.float32)[:, :, ::-1] - (104, 117, 123)
        net.blobs["data"].data[0] = pixels.transpose(2, 0, 1)
        assert net.forward()["prob"][0].argmax() == number
