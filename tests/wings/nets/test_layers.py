"""The layers to dream: the language, and sums of layers in one pass."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dreamify
import oracle
from dreamer.arrays import Pixels, Planes
from dreamer.errors import Mistake
from dreamer.nets import binding, layers, model, shapes
from dreamer.nets.net import Net
from dreamer.pictures.recipe import read_recipe
from helpers import one_step, psnr, run

SPARE = model.find(model.SPARE)  # it has GoogLeNet's names, and is always installed


# the language --------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("text", "terms"), [
    ("conv1", [("conv1", None, 1)]),
    ("mix/output:5", [("mix/output", [5], 1)]),
    ("mix/output:3,7-9,0", [("mix/output", [0, 3, 7, 8, 9], 1)]),
    ("mix/3x3*0.3+conv1", [("mix/3x3", None, 0.3), ("conv1", None, 1)]),
    ("mix/3x3:1-2*-.5+conv1*2.", [("mix/3x3", [1, 2], -0.5), ("conv1", None, 2)]),
    ("mix/?x?", [("mix/1x1", None, 1), ("mix/3x3", None, 1)]),
    ("mix/[13]x*:0*2", [("mix/1x1", [0], 2), ("mix/3x3", [0], 2)]),
    ("mix/output:1+mix/output:2*3", [("mix/output", [1], 1), ("mix/output", [2], 3)]),
    (" mix/output : 3 - 4 , 5 * 2 + conv1 ", [("mix/output", [3, 4, 5], 2), ("conv1", None, 1)]),
])
def test_what_a_text_means(tiny: model.Model, text: str, terms: list[tuple[str, list[int] | None, float]]) -> None:
    found, warnings = layers.parse(text, tiny)
    assert [tuple(term) for term in found.terms] == terms
    assert not warnings
    assert layers.parse(found.text, tiny) == (found, [])  # the text that is kept means the same
    assert " " not in found.text


def test_a_pattern_finds_all_layers_of_such_names() -> None:
    found, _ = layers.parse("inception_4?/output", SPARE)
    assert found.names == [name for name in SPARE.keys if name[:11] == "inception_4" and name[12:] == "/output"]
    assert found.text == "inception_4?/output"


@pytest.mark.parametrize(("text", "character", "words"), [
    ("mix/output:x", 12, "'x'"),
    ("mix/output:", 12, "not a channel"),
    ("mix/output:1,,2", 14, "not a channel"),
    ("mix/output:2,10", 14, "0 to 9"),
    ("mix/output:2-10", 12, "0 to 9"),
    ("mix/output:9-7", 12, "write 7-9"),
    ("mix/output:-1", 12, "not a channel"),
    ("mix/output:1:2", 12, "not a channel"),
    ("mix/output:99999999999999999999", 12, "not a channel"),
    ("conv1+mix/outptu", 7, "did you mean mix/output"),
    ("conv1 +  nosuch*2", 10, "dreamify.py keys"),
    ("conv1++pool1", 7, "not the name of a layer"),
    ("conv1+", 7, "not the name of a layer"),
    ("conv1*0", 7, "not a weight"),
    ("conv1+pool1*-0.0", 13, "not a weight"),
    ("conv1*" + "9" * 400, 7, "not a weight"),
    ("conv1+fix/*", 7, "matches no layer of tiny"),
    ("conv1*x", 1, "matches no layer of tiny"),
    ("mix/*:4", 7, "mix/1x1 has the channels 0 to 3"),
    (":3", 1, "not the name of a layer"),
    ("*3", 1, "not the name of a layer"),
])
def test_an_error_says_where(tiny: model.Model, text: str, character: int, words: str) -> None:
    with pytest.raises(Mistake, match=rf"\(character {character} of ") as caught:
        layers.parse(text, tiny)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_name_alone_is_told_as_ever() -> None:
    with pytest.raises(Mistake) as caught:
        layers.parse("inception_4c/outptu", SPARE)
    assert str(caught.value).startswith(
        "daydream has no layer 'inception_4c/outptu' that can be dreamed; did you mean incep")


def test_an_alias_is_taken_in_a_sum_too(tiny: model.Model) -> None:
    found, warnings = layers.parse("mix/all:2*2+conv1", tiny)
    assert found.text == "mix/output:2*2+conv1"
    assert warnings == ["tiny has no mix/all: using mix/output instead"]


def test_channels_are_caffes(tiny: model.Model, googlenet: model.Model) -> None:
    for found in (tiny, SPARE, googlenet):
        kept = shapes.cut(found.net, found.keys)
        loaded = binding.load(kept)
        counts = shapes.channels(kept)
        assert all(loaded.blobs[name].shape[1] == counts[name] for name in found.keys)


def test_what_is_wrong_is_told_before_caffe_is_loaded(tiny: model.Model, sky: Path, tmp_path: Path) -> None:
    (tmp_path / "caffe").mkdir()
    (tmp_path / "caffe/__init__.py").write_text("raise SystemExit('caffe was loaded')")
    done = run(sky, tmp_path / "dream.png", "conv1+mix/output:10", "--model", tiny.folder,
               env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2
    assert done.stderr == ("dreamify: layer: '10' (character 18 of 'conv1+mix/output:10') is too large: "
                           "mix/output has the channels 0 to 9\n")


# sums ----------------------------------------------------------------------------------------------------

def first_step(found: model.Model, text: str, image: Pixels) -> tuple[float, Planes, Planes, layers.Layers, int]:
    """(objective, gradient, the picture in the net's format, the Layers, backward passes) of one step."""
    what = layers.parse(text, found)[0]
    ours = Net(found, what)
    ours.budget.fit(*image.shape[:2])
    ours.resize(*image.shape[:2])
    picture = ours.preprocess(image)
    before, passes, backward = picture.copy(), [], ours.caffe.backward

    def counted(**words: Any) -> Any:
        passes.append(words)
        return backward(**words)

    ours.caffe.backward = counted
    value = dreamify.make_step(ours, picture, np.random.RandomState(0), 1.5, 0, False,
                               [dreamify.objective_l2 for _ in what.terms])
    return value, ours.gradient, before, what, len(passes)


@pytest.mark.parametrize("text", [
    "inception_3b/output*0.3+inception_4d/3x3",
    "conv1/7x7_s2+conv2/3x3_reduce*-.5+conv2/3x3:3,5-9+pool1/norm1",  # before their ReLU, which works in place
    "inception_4?/output",
    "inception_4c/output:5+inception_4c/output:56,100-120*2",
    "inception_3a/*+inception_4a/1x1",  # a whole inception: inner layers and output
])
def test_a_sum_is_the_sum_of_its_layers_in_one_pass(googlenet: model.Model, sky: Path, text: str) -> None:
    image = np.asarray(Image.open(sky).resize((120, 80)))
    value, gradient, picture, what, passes = first_step(googlenet, text, image)
    expected, sums = oracle.gradient_of_sum(googlenet.prototxt_path(), str(googlenet.weights_path()), picture,
                                            what.terms)
    assert passes == 1
    assert value == pytest.approx(expected, rel=1e-6)
    assert np.linalg.norm(gradient - sums) < 1e-4 * np.linalg.norm(sums)


@pytest.mark.parametrize("text", ["conv1+mix/output:0-5*-3+norm1", "mix/*", "*"])
def test_a_sum_of_a_small_net(tiny: model.Model, text: str) -> None:
    image = np.random.RandomState(1).randint(0, 256, (41, 53, 3)).astype(np.uint8)
    value, gradient, picture, what, passes = first_step(tiny, text, image)
    expected, sums = oracle.gradient_of_sum(tiny.prototxt_path(), str(tiny.weights_path()), picture, what.terms)
    assert passes == 1
    assert value == pytest.approx(expected, rel=1e-5)
    assert np.linalg.norm(gradient - sums) < 1e-4 * np.linalg.norm(sums)


def test_a_weight_alone_changes_nothing_but_its_sign_does(tiny: model.Model) -> None:
    image = np.random.RandomState(1).randint(0, 256, (41, 53, 3)).astype(np.uint8)
    _, plain, _, _, _ = first_step(tiny, "mix/output", image)
    _, twice, _, _, _ = first_step(tiny, "mix/output*2", image)
    _, away, _, _, _ = first_step(tiny, "mix/output*-1", image)
    assert np.array_equal(twice, 2 * plain)
    assert np.array_equal(away, -plain)


def test_a_channel_grows_and_a_negative_one_shrinks(tiny: model.Model) -> None:
    image = np.random.RandomState(1).randint(0, 256, (41, 53, 3)).astype(np.uint8)

    def size(picture: Pixels, channel: int) -> float:
        ours = Net(tiny, f"mix/output:{channel}")
        ours.budget.fit(41, 53)
        ours.resize(41, 53)
        return float(np.linalg.norm(ours.tiles(ours.preprocess(picture), 0, 0)[0].forward()[0]))

    there, back = (dreamify.deepdream(Net(tiny, text), image, iterations=5, octaves=1, jitter=0)
                   for text in ("mix/output:1+mix/output:6*-1", "mix/output:1*-1+mix/output:6"))
    assert size(there, 1) > size(image, 1) > size(back, 1)
    assert size(there, 6) < size(image, 6) < size(back, 6)


@pytest.mark.parametrize(("text", "size", "pixels"), [
    ("inception_3b/output*0.3+inception_4c/output:0-99", (720, 300), 480 * 300),
    ("conv1/7x7_s2+inception_3b/5x5_reduce*-2", (300, 260), 200 * 200),
])
def test_tiles_give_the_dream_of_the_whole(googlenet: model.Model, sky: Path, text: str, size: tuple[int, int],
                                           pixels: int) -> None:
    image = np.asarray(Image.open(sky).resize(size))
    whole, value, one = one_step(googlenet, text, image)
    tiled, tiled_value, many = one_step(googlenet, text, image, pixels)
    assert one == 1
    assert many > 1
    assert psnr(whole, tiled) >= 80
    assert tiled_value == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("text", ["conv1+after*-1", "pool1:0,2+mix/*", "*"])
def test_tiles_give_the_dream_of_the_whole_with_any_layers(tiny: model.Model, text: str) -> None:
    image = np.random.RandomState(0).randint(0, 256, (151, 203, 3)).astype(np.uint8)
    whole, value, _ = one_step(tiny, text, image)
    for pixels in (1, 12_000, 20_000):
        tiled, tiled_value, many = one_step(tiny, text, image, pixels)
        assert many > 1
        assert psnr(whole, tiled) >= 80
        assert tiled_value == pytest.approx(value, rel=1e-5)


def test_the_memory_that_is_told_is_enough_for_a_sum(tiny: model.Model) -> None:
    """The net's budget includes the blob into which the layers are copied."""
    alone, both = (Net(tiny, text) for text in ("mix/output", "conv1+mix/output"))
    assert both.budget.net_bytes(400, 400, 1) - alone.budget.net_bytes(400, 400, 1) >= 2 * 8 * 200 * 200 * 4


# the command ---------------------------------------------------------------------------------------------

def test_a_sum_is_dreamed_told_kept_and_repeated(tiny: model.Model, sky: Path, tmp_path: Path) -> None:
    words = ["--model", tiny.folder, "--seed", 3]
    done = run(sky, tmp_path / "a.png", "mix/all:1-3 + conv1*-0.5", 1, 2, *words)
    assert done.returncode == 0, done.stderr
    assert "using mix/output" in done.stderr
    assert "iteration 1/1  mix/output:1-3+conv1*-0.5  514×343" in done.stdout
    assert read_recipe(tmp_path / "a.png")["layer"] == "mix/output:1-3+conv1*-0.5"
    again = run(sky, tmp_path / "b.png", "--like", tmp_path / "a.png", *words[:2])
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    run(sky, tmp_path / "c.png", "mix/output:1-3+conv1*0.5", 1, 2, *words)
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "c.png").read_bytes()
