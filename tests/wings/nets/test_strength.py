"""Channels by their strength in a picture."""

from pathlib import Path

import numpy as np
import pytest

import dreamify
from dreamer.errors import Mistake
from dreamer.jobs import atlas
from dreamer.nets import layers, model
from dreamer.nets.guide import Guide
from dreamer.nets.layers import Layers
from dreamer.nets.model import Model
from dreamer.nets.net import Net
from dreamer.nets.strength import choose
from dreamer.pictures.recipe import read_recipe
from helpers import noise, run, saved

SPARE = model.find(model.SPARE)
PHOTO = noise(70, 90)


def means(found: Model, layer: str) -> list[float]:
    """The mean of each channel of a layer of the tiny model, computed with the net by itself."""
    import caffe
    net = caffe.Net(str(found.prototxt_path()), str(found.weights_path()), caffe.TEST)
    net.blobs["data"].reshape(1, 3, *PHOTO.shape[:2])
    net.blobs["data"].data[0] = (PHOTO.astype(np.float32) - found.mean).transpose(2, 0, 1)
    net.forward(end=layer)
    whole = net.blobs[layer].data[0].astype(float)
    return [float(channel.mean()) for channel in whole]


def of(found: Model, text: str) -> list[int]:
    """The channels that are chosen for PHOTO."""
    net = Net(found, text)
    assert choose(net, PHOTO)
    (term,) = net.what.terms
    assert isinstance(term.channels, list)
    assert net.what.text == text
    return term.channels


def test_strongest_and_weakest_are_those_with_the_largest_and_smallest_mean(tiny: Model) -> None:
    strength = dict(enumerate(means(tiny, "mix/output")))
    order = sorted((c for c in strength if strength[c]), key=lambda c: -strength[c])
    assert len(order) > 5
    assert of(tiny, "mix/output:strongest3") == sorted(order[:3])
    assert of(tiny, "mix/output:weakest3") == sorted(order[-3:])
    assert of(tiny, "mix/output:strongest2-4") == sorted(order[1:4])
    assert of(tiny, "mix/output:strongest10") == sorted(order)  # those that see nothing are left out


def test_tiles_choose_the_same_channels(tiny: Model) -> None:
    net = Net(tiny, "mix/output:strongest3")
    net.budget.fit = lambda height, width: (0, 1.0)  # type: ignore[method-assign]
    net.budget.pixels = 60 * 60
    choose(net, PHOTO)
    assert net.what.terms[0].channels == of(tiny, "mix/output:strongest3")


def test_the_dream_is_that_of_these_channels(tiny: Model) -> None:
    text = "mix/output:weakest2*2+conv1"
    numbers = ",".join(map(str, of(tiny, "mix/output:weakest2")))
    dream, same = [dreamify.deepdream(Net(tiny, each), PHOTO, 3, 2)
                   for each in (text, f"mix/output:{numbers}*2+conv1")]
    assert np.array_equal(dream, same)


def test_a_net_chooses_anew_for_each_picture(tiny: Model) -> None:
    net, dark = Net(tiny, "mix/output:strongest2"), np.zeros_like(PHOTO)
    first = dreamify.deepdream(net, PHOTO, 2, 1)
    dreamify.deepdream(net, dark, 2, 1)
    assert np.array_equal(dreamify.deepdream(net, PHOTO, 2, 1), first)


def test_a_guide_is_seen_anew_for_other_channels(tiny: Model) -> None:
    net, guide = Net(tiny, "mix/output:strongest2"), Guide(noise(40, 40))
    first = dreamify.deepdream(net, PHOTO, 2, 1, guide=guide)
    dreamify.deepdream(net, np.zeros_like(PHOTO), 2, 1, guide=guide)
    assert np.array_equal(dreamify.deepdream(net, PHOTO, 2, 1, guide=guide), first)


@pytest.mark.parametrize(("text", "kept", "each"), [
    ("inception_4c/output:strongest3", "inception_4c/output:strongest3",
     ["inception_4c/output:strongest1", "inception_4c/output:strongest2-2", "inception_4c/output:strongest3-3"]),
    ("4c : Weakest 2 - 3", "inception_4c/output:weakest2-3",
     ["inception_4c/output:weakest2-2", "inception_4c/output:weakest3-3"]),
])
def test_the_language(text: str, kept: str, each: list[str]) -> None:
    found: Layers = layers.parse(text, SPARE)[0]
    assert found.text == kept
    assert atlas.names(found) == each
    assert layers.parse(found.text, SPARE)[0] == found


@pytest.mark.parametrize("numbers", ["strongest", "weakest0", "strongest5-3", "strongest513", "weakest1-513",
                                     "strongest-2", "strongest5,7", "strongestest5"])
def test_what_is_no_rank_is_told(numbers: str) -> None:
    with pytest.raises(Mistake, match=r"write (strong|weak)est5 for the first five") as caught:
        layers.parse(f"inception_4c/output:{numbers}", SPARE)
    assert "character 21" in caught.value.args[0]


def test_it_is_in_the_recipe(tiny: Model, tmp_path: Path) -> None:
    photo = saved(tmp_path / "in.png", PHOTO)
    for output, more in (("a.png", ("mix/output:strongest2", 2, 1)), ("b.png", ("--like", tmp_path / "a.png"))):
        done = run(photo, tmp_path / output, *more, "--model", tiny.folder, "--seed", 1)
        assert done.returncode == 0, done.stderr
    assert read_recipe(tmp_path / "b.png")["layer"] == "mix/output:strongest2"
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
