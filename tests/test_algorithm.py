"""The dream itself, compared with the references and with the oracle."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import dreamify
import oracle
import tinymodel
from dreamer import arrays, steps
from dreamer.arrays import Planes
from dreamer.errors import Mistake
from dreamer.nets import model
from dreamer.nets.model import Model
from dreamer.nets.net import Net
from helpers import dream, photo, psnr


@pytest.fixture
def speck() -> NDArray[np.uint8]:
    """A small picture with detail at every frequency: uint8 (41, 53, 3)."""
    return np.random.RandomState(1).randint(0, 256, (41, 53, 3)).astype(np.uint8)


@pytest.mark.parametrize(("name", "layer", "seed", "iterations", "octaves", "agreement"), [
    ("flowers-4c-1x1", "inception_4c/output", 0, 1, 1, 90),
    ("flowers-3b5x5reduce-1x1", "inception_3b/5x5_reduce", 0, 1, 1, 90),
    ("cat-4c-2x3", "inception_4c/output", 7, 2, 3, 38),
    ("flowers-4c-10x4", "inception_4c/output", 1, 10, 4, 25),
])
def test_agrees_with_the_reference(googlenet: Model, reference: Path, name: str, layer: str, seed: int, iterations: int,
                                   octaves: int, agreement: float) -> None:
    known = np.load(reference / f"{name}.npz")
    net = Net(googlenet, layer)
    picture, objectives = dream(net, photo(name.split("-")[0] + ".jpg"), seed=seed, iterations=iterations,
                                octaves=octaves)
    assert psnr(picture, known["picture"]) >= agreement
    assert len(objectives) == len(known["objective"]) == iterations * octaves
    assert objectives[-1] == pytest.approx(known["objective"][-1], rel=0.05)
    if agreement == 90:
        assert objectives[0] == pytest.approx(known["objective"][0], rel=1e-6)
        error = np.linalg.norm(net.gradient - known["first_gradient"]) / np.linalg.norm(known["first_gradient"])
        assert error < 5e-3


@pytest.mark.parametrize("options", [
    {"iterations": 3, "octaves": 3, "seed": 5},
    {"iterations": 2, "octaves": 2, "scale": 1.7, "step_size": 4.0, "jitter": 5, "clip": False},
    {"iterations": 1, "octaves": 1, "jitter": 0},
])
@pytest.mark.parametrize("layer", ["mix/output", "mix/3x3", "conv1"])
def test_agrees_with_the_oracle(tiny: Model, speck: NDArray[np.uint8], layer: str, options: dict[str, Any]) -> None:
    picture, objectives = dream(Net(tiny, layer), speck, **options)
    expected, values, _ = oracle.dream(tiny.prototxt_path(), str(tiny.weights_path()), tinymodel.MEAN, False, speck,
                                       layer, **options)
    assert psnr(picture, expected) > 70
    assert objectives == pytest.approx(values, rel=1e-4)


def test_agrees_with_the_oracle_on_the_real_net(googlenet: Model, sky: Path) -> None:
    image = np.asarray(Image.open(sky).resize((180, 120)))
    picture, objectives = dream(Net(googlenet, "inception_4a/output"), image, iterations=2, octaves=2, seed=3)
    expected, values, _ = oracle.dream(googlenet.prototxt_path(), str(googlenet.weights_path()), googlenet.mean,
                                       True, image, "inception_4a/output", 2, 2, seed=3)
    assert psnr(picture, expected) > 38
    assert objectives == pytest.approx(values, rel=0.01)


@pytest.mark.parametrize("layer", ["inception_4c/output", "inception_3b/5x5_reduce", "pool2/3x3_s2"])
def test_agrees_with_the_oracle_on_the_small_net(sky: Path, layer: str) -> None:
    found = model.find("daydream")
    image = np.asarray(Image.open(sky).resize((180, 120)))
    picture, objectives = dream(Net(found, layer), image, iterations=2, octaves=2, seed=3)
    expected, values, _ = oracle.dream(found.prototxt_path(), str(found.weights_path()), found.mean, True, image, layer,
                                       2, 2, seed=3)
    assert psnr(picture, expected) > 38
    assert objectives == pytest.approx(values, rel=0.01)


def test_a_step_climbs(tiny: Model, speck: NDArray[np.uint8]) -> None:
    _, objectives = dream(Net(tiny, "mix/output"), speck, iterations=5, octaves=1, step_size=0.5, jitter=0)
    assert objectives == sorted(objectives)
    assert objectives[-1] > objectives[0]


def test_the_defaults_are_those_of_2015() -> None:
    assert {k: dreamify.DEFAULTS[k] for k in ("iterations", "octaves", "scale", "step_size", "jitter", "clip")} == {
        "iterations": 10, "octaves": 4, "scale": 1.4, "step_size": 1.5, "jitter": 32, "clip": True}


def test_a_zero_gradient_leaves_the_picture_as_it_is(tiny: Model, speck: NDArray[np.uint8]) -> None:
    net = Net(tiny, "mix/output")
    picture = dreamify.deepdream(net, speck, iterations=2, octaves=1, objective=lambda a: (0.0, np.zeros_like(a)))
    assert np.array_equal(picture, np.float32(speck))


def test_clipping_keeps_to_the_range_and_can_be_left_off(tiny: Model, speck: NDArray[np.uint8]) -> None:
    net = Net(tiny, "mix/output")
    clipped = dreamify.deepdream(net, speck, iterations=3, octaves=1, step_size=40.0)
    assert clipped.min() >= -1e-4
    assert clipped.max() <= 255 + 1e-4
    free = dreamify.deepdream(net, speck, iterations=3, octaves=1, step_size=40.0, clip=False)
    assert free.min() < 0
    assert free.max() > 255


def test_a_seed_repeats_a_dream(tiny: Model, speck: NDArray[np.uint8]) -> None:
    net = Net(tiny, "mix/output")
    first, again, other = (dreamify.deepdream(net, speck, iterations=2, octaves=2, seed=seed) for seed in (4, 4, 5))
    assert first.dtype == np.float32
    assert first.shape == speck.shape
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("band", [1, 3 * 53 * 5, 1 << 30])
def test_bands_do_not_show_in_a_dream(tiny: Model, speck: NDArray[np.uint8], band: int,
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in one bit, whatever is asked for."""
    mask = np.random.RandomState(2).randint(0, 256, speck.shape[:2]).astype(np.uint8)
    step = functools.partial(dreamify.make_step, change=steps.rule(1.5, True))
    dreaming = functools.partial(dreamify.deepdream, Net(tiny, "mix/output+conv1"), speck, iterations=2, octaves=3,
                                 mask=mask, step=step)
    expected = dreaming()
    for module in (arrays, steps):
        monkeypatch.setattr(module, "BAND", band)
    assert np.array_equal(dreaming(), expected)


def test_dreaming_leaves_numpys_own_generator_alone(tiny: Model, speck: NDArray[np.uint8]) -> None:
    np.random.seed(1)
    expected = np.random.rand()
    np.random.seed(1)
    dreamify.deepdream(Net(tiny, "conv1"), speck, iterations=1, octaves=1)
    assert np.random.rand() == expected


@pytest.mark.parametrize(("height", "width", "octaves", "scale"), [(97, 131, 4, 1.4), (45, 45, 3, 1.9), (64, 33, 1, 2)])
def test_octave_sizes_are_those_of_the_dream(tiny: Model, height: int, width: int, octaves: int, scale: float) -> None:
    seen = []
    dreamify.deepdream(Net(tiny, "conv1"), np.zeros((height, width, 3)), iterations=1, octaves=octaves, scale=scale,
                       each_step=lambda step: seen.append(step.picture.shape[1:]))
    assert dreamify.octave_sizes(height, width, octaves, scale) == seen


def test_no_weight_gets_a_gradient_and_no_later_layer_is_built(tiny: Model, speck: NDArray[np.uint8]) -> None:
    net = Net(tiny, "mix/3x3")
    dreamify.deepdream(net, speck, iterations=1, octaves=1)
    assert np.abs(net.gradient).max() > 0
    for blobs in net.caffe.params.values():
        for blob in blobs:
            assert not blob.diff.any()
    assert [name for name in net.caffe._layer_names if "split" not in name] == [
        "data", "conv1", "relu1", "pool1", "norm1", "mix/3x3"]


def test_too_small_a_picture_is_told(tiny: Model) -> None:
    with pytest.raises(Mistake, match="pixels on each side"):
        dreamify.deepdream(Net(tiny, "mix/output"), np.zeros((2, 90, 3)), octaves=1)


def test_another_step_takes_the_place_of_make_step(tiny: Model, speck: NDArray[np.uint8]) -> None:
    """It is called for each step like make_step, and the value that it returns is reported as the objective."""
    net, calls = Net(tiny, "mix/output"), []

    def step(*arguments: Any) -> float:
        calls.append(arguments)
        return dreamify.make_step(*arguments) + 1

    plain, expected = dream(net, speck, iterations=2, octaves=2, seed=3, step_size=2.0, jitter=4, clip=False)
    other, objectives = dream(net, speck, iterations=2, octaves=2, seed=3, step_size=2.0, jitter=4, clip=False,
                              step=step)
    assert np.array_equal(plain, other)
    assert objectives == pytest.approx([value + 1 for value in expected])
    assert len(calls) == 4
    for called_net, picture, rng, *rest in calls:
        assert called_net is net
        assert picture.dtype == np.float32
        assert isinstance(rng, np.random.RandomState)
        assert rest == [2.0, 4, False, [dreamify.objective_l2], None]

    def nothing(net: Net, picture: Planes, *how: object) -> float:
        return 0.0
    assert np.array_equal(dreamify.deepdream(net, speck, octaves=3, step=nothing), np.float32(speck))


def test_other_sizes_take_the_place_of_octave_sizes(tiny: Model, speck: NDArray[np.uint8]) -> None:
    net, asked, seen = Net(tiny, "mix/output"), [], []

    def down_and_up(height: int, width: int, octaves: int, scale: float) -> list[tuple[int, int]]:
        asked.append((height, width, octaves, scale))
        return [(height // part, width // part) for part in (3, 2, 3, 2, 1)]

    picture = dreamify.deepdream(net, speck, iterations=1, octaves=4, scale=1.4, sizes=down_and_up,
                                 each_step=lambda step: seen.append((step.octave, step.picture.shape[1:])))
    assert asked == [(41, 53, 4, 1.4)]
    assert seen == list(enumerate([(13, 17), (20, 26), (13, 17), (20, 26), (41, 53)]))
    assert picture.shape == speck.shape
    same = dreamify.deepdream(net, speck, iterations=1, octaves=2, sizes=dreamify.octave_sizes)
    assert np.array_equal(same, dreamify.deepdream(net, speck, iterations=1, octaves=2))
