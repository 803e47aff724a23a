"""The training of daydream, on a small scale: all programs of models/daydream/train run, and Caffe checks the result.

The nets are as wide as the real ones, but they see a few small crops of one photo for a few steps."""

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import dreamify
from containers import checkout
from dreamer.arrays import Planes
from dreamer.nets import compact, model
from dreamer.nets.model import Model
from dreamer.nets.net import Net
from helpers import PYTHON, ROOT, noise, photo, pixels, saved

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("train")]

END = "inception_4c/output"

# PyTorch's results for a picture: activations of teacher and pupil (as exported) at both ends, and their gradients
COMPUTE = """
import sys
import numpy as np
from likeness import committed
from nets import gradient, load_teacher
from pictures import load
x, found = load(sys.argv[1], int(sys.argv[2])), {}
for name, net in (("teacher", load_teacher(sys.argv[3], "5b")), ("pupil", committed())):
    seen = net.body(net.second(net.first(x)), "5b")
    found |= {name + " 4c": seen["4c"][0], name + " 5b": seen["5b"][0], name + " gradient": gradient(net, x)[0]}
np.savez(sys.argv[4], **{name: value.detach().numpy() for name, value in found.items()})
"""

# least squares with a known solution: the weights that made the target
FIT = """
import torch
from start import Squares
torch.manual_seed(0)
right, fitted = (torch.nn.Conv2d(5, 4, 3, padding=1) for _ in range(2))
squares, x = Squares(fitted), torch.randn(8, 5, 12, 12)
with torch.no_grad():
    squares.add(x, right(x), 2000)
    squares.solve(ridge=1e-9)
print(max((one - other).abs().max().item() for one, other in zip(right.parameters(), fitted.parameters())))
"""

# whether two files have the same weights, and how many of them differ in a third file
COMPARE = """
import sys
import torch
one, other, third = (torch.load(path)["net"] for path in sys.argv[1:])
print(all(torch.equal(one[name], other[name]) for name in one))
print(sum(not torch.equal(one[name], third[name]) for name in one))
"""

# the mixtures of start.py: the numbers of outputs and inputs of each, and its smallest and largest value
MIXTURES = """
import json, sys
import torch
mixtures = torch.load(sys.argv[1])["mixtures"]
found = {name: [*m.shape, (m == 1).sum(1).min().item(), m.abs().max().item()] for name, m in mixtures.items()}
print(json.dumps(found))
"""


class Trained(NamedTuple):
    """The results of the programs."""

    train: Path  # the folder of the programs, in a checkout
    out: Path  # the folder for their output
    said: dict[str, str]  # {program: its output}


def run(folder: Path, *words: object) -> str:
    """Run a Python program in a folder; returns its output."""
    done = subprocess.run([PYTHON, *map(str, words)], cwd=folder, capture_output=True, text=True, check=False,
                          timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(googlenet: Model, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """All steps of train/README.md, from the teacher to the files of a model, in a checkout."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("no PyTorch: apt-get install python3-torch")
    train = checkout(tmp_path_factory.mktemp("checkout")) / "models/daydream/train"
    out = tmp_path_factory.mktemp("out")
    held_out = saved(out / "strip.png", photo("flowers.jpg", (256, 171))[60:124])
    (out / "photos/icons").mkdir(parents=True)
    for number in range(4):
        saved(out / f"photos/{number}.png", photo("cat.jpg", (480, 320))[50 * number:][:160, 80 * number:][:, :240])
    for name in ("flowers.jpg", "icons/a.png"):  # one for the exam, and one that is not a photo
        saved(out / "photos" / name, photo("cat.jpg"))
    (out / "photos/broken.jpg").write_bytes(np.random.RandomState(0).bytes(9000))
    saved(out / "photos/narrow.png", noise(80, 90))
    data = ["--teacher", out / "teacher.npz", "--pictures", out / "pictures.pt"]
    few = [*data, "--crops", 30, "--side", 64]
    start = [*data, "--start", out / "start.pt", "--batch", 4, "--crop", 64, "--fall", 1]
    said = {}
    for name, words in {
        "teacher": ["teacher.py", googlenet.weights_path(), out / "teacher.npz"],
        "gather": ["gather.py", out / "photos", out / "pictures.pt"],
        "conv1": ["stem.py", *data, "--out", out / "stem.pt", "--lessons", 40, "--crop", 40, "--conv1-steps", 200,
                  "--stem-steps", 0],
        "stem": ["stem.py", *data, "--out", out / "stem.pt", "--lessons", 20, "--crop", 48, "--resume",
                 "--stem-steps", 3],
        "start": ["start.py", *few, "--stem", out / "stem.pt", "--out", out / "start.pt"],
        "train": ["train.py", *start, "--out", out / "run", "--steps", 2],
        "train on": ["train.py", *start, "--out", out / "run", "--steps", 4, "--photos", held_out],
        "train at once": ["train.py", *start, "--out", out / "again", "--steps", 4],
        "deeper": ["start.py", *few, "--trained", out / "run/pupil.pt", "--out", out / "deeper.pt"],
        "export": ["export.py", out / "deeper.pt", out / "daydream.caffemodel"],
        "likeness": ["likeness.py", "--teacher", out / "teacher.npz", "--photos", held_out],
        "measure": ["measure.py", "--pupil", out / "daydream.caffemodel", "--teacher", googlenet.weights_path(),
                    "--photos", held_out, "--figures", out / "figures.json", "--sheet", out / "sheet.jpg"],
    }.items():
        said[name] = run(train, *words)
    return Trained(train, out, said)


def numbers(text: str, name: str) -> list[float]:
    """The numbers after a name in a program's output."""
    return [float(found) for found in re.findall(rf"{name} (-?[\d.]+)", text)]


def test_the_teachers_weights_are_those_that_caffe_loads(trained: Trained, googlenet: Model) -> None:
    loaded = Net(googlenet, "inception_5b/output").caffe.params
    with np.load(trained.out / "teacher.npz") as arrays:
        for name, blobs in loaded.items():
            for suffix, blob in zip(("__w", "__b"), blobs, strict=True):
                assert np.array_equal(arrays[name.replace("/", "__") + suffix].ravel(), blob.data.ravel()), name
    assert len(loaded) == 57


def test_photos_are_gathered_and_other_files_are_not(trained: Trained) -> None:
    assert trained.said["gather"] == "6 files, 4 pictures taken\n"


def test_the_stem_learns(trained: Trained) -> None:
    missed, cosines = (numbers(trained.said["conv1"], name) for name in ("missed", "cosine"))
    assert missed[-1] < 0.5 * missed[0]
    assert cosines[-1] > cosines[0] + 0.2
    steps = numbers(trained.said["stem"], "stem step")
    assert steps == [0, 2]
    assert numbers(trained.said["stem"], "cosine")[-1] > 0.2  # it starts with the trained conv1


def test_least_squares_find_the_weights_that_made_the_target(trained: Trained) -> None:
    assert float(run(trained.train, "-c", FIT)) < 1e-3


def test_least_squares_fit_each_layer_to_a_mixture_of_its_own(trained: Trained, googlenet: Model) -> None:
    ours, theirs = (Net(found, "inception_5b/output").caffe.params for found in (model.find("daydream"), googlenet))
    blocks = {"start": ("3a", "3b", "4a", "4b", "4c"), "deeper": ("4d", "4e", "5a", "5b")}
    for name, fitted in blocks.items():
        found = json.loads(run(trained.train, "-c", MIXTURES, trained.out / f"{name}.pt"))
        assert len(found) == 6 * len(fitted)
        for layer, (outputs, inputs, ones, largest) in found.items():
            assert layer.split("/")[0].removeprefix("inception_") in fitted
            assert (outputs, inputs) == (len(ours[layer][0].data), len(theirs[layer][0].data))
            assert ones == 1  # each mixture is one channel plus parts of the others
            assert 1 <= largest < 30
        assert re.findall(r"new crops, (\w+):", trained.said[name]) == [*fitted]
    assert numbers(trained.said["start"], "3a:")[0] > 0.05


def test_training_goes_on_where_it_ended(trained: Trained) -> None:
    """The weights are the same as without the stop."""
    rows = json.loads((trained.out / "run/log.json").read_text())
    assert [row["step"] for row in rows] == [0, 2, 4]
    assert all(np.isfinite(row["loss"]).all() for row in rows[1:])
    assert [json.loads(line) for line in trained.said["train on"].splitlines()] == rows[2:]
    same = run(trained.train, "-c", COMPARE, trained.out / "run/pupil.pt", trained.out / "again/pupil.pt",
               trained.out / "start.pt").split()
    assert same == ["True", str(2 * (3 + 6 * 5))]


def test_what_is_exported_is_the_model(trained: Trained) -> None:
    folder = trained.train.parent
    assert (folder / "deploy.prototxt").read_text() == (ROOT / "models/daydream/deploy.prototxt").read_text()
    weights = (trained.out / "daydream.caffemodel").read_bytes()
    assert weights == compact.caffemodel(compact.unpack(folder / "daydream.npz"), "daydream")
    for name, data in (("daydream.npz", (folder / "daydream.npz").read_bytes()), ("daydream.caffemodel", weights)):
        assert f"{name}  {len(data)} bytes  sha256 {hashlib.sha256(data).hexdigest()}\n" in trained.said["export"]
    assert (folder / "daydream.npz").read_bytes() != (ROOT / "models/daydream/daydream.npz").read_bytes()


def activations(net: Net, picture: Planes) -> Planes:
    """The activations (channels, h', w') that Caffe computes for a picture in the net's format."""
    net.budget.fit(*picture.shape[1:])
    net.resize(*picture.shape[1:])
    return net.tiles(picture, 0, 0)[0].forward()[0]


def test_caffe_computes_what_pytorch_does(trained: Trained, googlenet: Model) -> None:
    """Activations and gradients of the teacher and of the exported pupil, for a picture with odd sides."""
    picture = saved(trained.out / "odd.png", noise(95, 131))
    run(trained.train, "-c", COMPUTE, picture, 131, trained.out / "teacher.npz", trained.out / "computed.npz")
    nets = {"teacher": (googlenet, None), "pupil": (model.find("daydream"), trained.out / "daydream.caffemodel")}
    with np.load(trained.out / "computed.npz") as computed:
        for name, (found, weights) in nets.items():
            for end in ("4c", "5b"):
                net = Net(found, f"inception_{end}/output", weights)
                agrees(activations(net, net.preprocess(pixels(picture))), computed[f"{name} {end}"], 1e-4)
            net = Net(found, END, weights)
            net.budget.fit(95, 131)
            net.resize(95, 131)
            dreamify.make_step(net, net.preprocess(pixels(picture)), np.random.RandomState(0), 1.5, 0, False,
                               [dreamify.objective_l2])
            agrees(net.gradient, computed[f"{name} gradient"], 1e-3)


def agrees(ours: NDArray[np.float32], theirs: NDArray[np.float32], most: float) -> None:
    """Check that the relative error of an array is at most this large."""
    assert ours.shape == theirs.shape
    assert np.linalg.norm(theirs) > 0
    assert np.linalg.norm(ours - theirs) <= most * np.linalg.norm(theirs)


def test_the_exam_agrees_with_the_measures_by_caffe(trained: Trained) -> None:
    """For a pupil with weights of 32 and of 8 bits, and for dreams that are similar but not equal."""
    figures = json.loads((trained.out / "figures.json").read_text())
    [(cosine, gain)] = json.loads((trained.out / "run/log.json").read_text())[-1]["photos"].values()
    assert figures["photos"].keys() == {"strip"}
    assert figures["mean"] == figures["photos"]["strip"]
    assert figures["mean"]["cosine"] == pytest.approx(cosine, abs=0.02)
    assert figures["mean"]["gain"] == pytest.approx(gain, abs=0.2)
    assert Image.open(trained.out / "sheet.jpg").size == (3 * 256, 64 + 18)


def test_likeness_compares_the_filters(trained: Trained) -> None:
    """conv1's with cosines in double precision; the other layers are listed in the net's order."""
    shutil.copy(trained.train.parent / "daydream.npz", trained.out)
    ours = compact.unpack(trained.out / "daydream.npz")
    with np.load(trained.out / "teacher.npz") as arrays:
        rows = [filters.reshape(len(filters), -1).astype(np.float64)
                for filters in (ours["conv1/7x7_s2"][0], arrays["conv1__7x7_s2__w"])]
    own, other = (filters / np.linalg.norm(filters, axis=1, keepdims=True) for filters in rows)
    nearest = np.sort(np.abs(own @ other.T).max(1))
    [median] = numbers(trained.said["likeness"], "teacher's: median")
    assert median == pytest.approx(nearest[(len(nearest) - 1) // 2], abs=1e-3)  # PyTorch's median is the lower of two
    assert re.findall(r"^(\S+)  activations", trained.said["likeness"], re.M) == [*ours]
    assert all(0 < found <= 1 for found in numbers(trained.said["likeness"], "activations"))
