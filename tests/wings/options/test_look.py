"""Looks: names for a layer with the steps and octaves that suit it."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import dreamify
from dreamer.errors import Failure, Mistake
from dreamer.nets import model
from dreamer.nets.model import Look, Model
from dreamer.options import look
from dreamer.options.request import Request
from dreamer.options.understand import understand
from dreamer.options.understood import Understood
from dreamer.pictures.recipe import read_recipe
from helpers import noise, run, saved


@pytest.fixture
def looking(tiny: Model, tmp_path: Path) -> Model:
    """The tiny model with two looks, one of which has the name of a layer."""
    folder = Path(shutil.copytree(tiny.folder, tmp_path / "looking"))
    text = (folder / "model.toml").read_text()
    (folder / "model.toml").write_text(f'described = ["likes.toml"]\n{text}')
    (folder / "likes.toml").write_text('"mix/3x3" = "stripes"\n[looks]\n'
                                       'stripes = { layer = "mix/3x3", iterations = 2, octaves = 3 }\n'
                                       'conv1 = { layer = "pool1", iterations = 7, octaves = 7 }\n')
    return model.find(str(folder))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return saved(tmp_path / "in.png", noise(100, 120))


def asked(chosen: Model, **fields: Any) -> Request:
    return dreamify.ask({"model": str(chosen.folder)} | fields)


def test_a_look_is_found_by_its_name(looking: Model) -> None:
    assert look.find("stripes", looking) == Look("mix/3x3", 2, 3)
    for name in (None, "", "stripe", "mix/3x3", "stripes:3", "stripes+conv1"):
        assert look.find(name, looking) is None
    assert look.find("conv1", looking) is None  # a layer's name means the layer


@pytest.mark.parametrize(("fields", "iterations"), [
    ({"layer": "stripes"}, 2), ({"layer": "stripes", "iterations": None}, 2),
    ({"layer": "stripes", "iterations": 5}, 5),
    ({"layer": "stripes", "iterations": "10"}, "10"),  # as text: it was typed
    ({"layer": "stripes", "iterations": 10}, 2),  # as a number: the default, sent by a program
    ({"layer": "mix/3x3"}, 10), ({}, 10), ({"layer": "conv1"}, 10), ({"layer": "no such"}, 10)])
def test_its_steps_take_the_place_of_the_default(looking: Model, fields: dict[str, Any], iterations: object) -> None:
    assert asked(looking, **fields).iterations == iterations


def test_what_is_wrong_is_left_to_what_comes_later(looking: Model, tmp_path: Path) -> None:
    assert dreamify.ask({"layer": "eyes", "model": "no such"}).iterations == 10
    (looking.folder / "likes.toml").write_text("no toml")
    assert asked(looking, layer="stripes").iterations == 10


def test_it_is_understood_as_its_layer(looking: Model, photo: Path, tmp_path: Path) -> None:
    def understood(**fields: Any) -> Understood:
        return understand(asked(looking, input=str(photo), output=str(tmp_path / "out.png"), **fields))
    found = understood(layer="stripes")
    assert (found.layer.text, found.iterations, found.octaves, found.usual_octaves) == ("mix/3x3", 2, None, 3)
    found = understood(layer="stripes", octaves="1", iterations="4")
    assert (found.layer.text, found.iterations, found.octaves) == ("mix/3x3", 4, 1)
    found = understood(layer="conv1")
    assert (found.layer.text, found.iterations, found.usual_octaves) == ("conv1", 10, 4)
    with pytest.raises(Mistake, match=r"the look stripes stands alone.*mix/3x3"):
        understood(layer="stripes+conv1")
    with pytest.raises(Mistake, match="did you mean stripes"):
        understood(layer="strips")


def test_the_command_dreams_it_and_its_recipe_names_the_layer(looking: Model, photo: Path, tmp_path: Path) -> None:
    for name, words in (("look", ["stripes"]), ("layer", ["mix/3x3", 2, 3])):
        done = run(photo, tmp_path / f"{name}.png", *words, "--seed", 1, "--model", looking.folder)
        assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "look.png").read_bytes() == (tmp_path / "layer.png").read_bytes()
    made = read_recipe(tmp_path / "look.png")
    assert (made["layer"], made["iterations"], made["octaves"]) == ("mix/3x3", 2, 3)
    done = run("keys", "--looks", "--model", looking.folder)
    assert done.stdout.splitlines() == ["stripes  mix/3x3  2 steps, 3 octaves  stripes",
                                        "conv1    pool1    7 steps, 7 octaves"]


def test_a_recipe_has_its_own_steps(looking: Model, photo: Path, tmp_path: Path) -> None:
    assert run(photo, tmp_path / "a.png", "conv1", 3, 1, "--model", looking.folder).returncode == 0
    found = asked(looking, like=str(tmp_path / "a.png"), layer="stripes")
    assert (found.layer, found.iterations, found.octaves) == ("stripes", 3, 1)


@pytest.mark.parametrize("line", ['bad = { layer = "nowhere", iterations = 1, octaves = 1 }', "bad = 7",
                                  'bad = { layer = "conv1", iterations = 0, octaves = 1 }',
                                  'bad = { layer = "conv1", iterations = 1.5, octaves = 1 }',
                                  'bad = { layer = "conv1", octaves = 1 }',
                                  'bad = { layer = "conv1", iterations = 1, octaves = 1, more = 1 }'])
def test_a_damaged_look_is_told(looking: Model, line: str) -> None:
    with open(looking.folder / "likes.toml", "a") as file:
        file.write(line)
    with pytest.raises(Failure, match="the look bad needs a layer of looking") as error:
        look.find("stripes", model.find(str(looking.folder)))
    assert str(looking.folder / "likes.toml") in str(error.value)
    done = run("keys", "--looks", "--model", looking.folder)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


@pytest.mark.parametrize("name", [name for name in model.names() if model.find(name).described])
def test_those_of_a_model_can_be_dreamed(name: str) -> None:
    try:
        chosen = model.find(name)
        looks = chosen.looks()
    except Failure:
        pytest.skip("deploy.prototxt is not installed: ./provision.sh")
    assert len(looks) >= 10
    assert {each.layer for each in looks.values()} <= set(chosen.keys)
    assert all(key.isidentifier() and key == key.lower() for key in looks)  # so that no file name looks like one
    assert not set(looks) & {*chosen.keys, *dreamify.COMMANDS}
    assert all(1 <= each.iterations <= 50 and 1 <= each.octaves <= 6 for each in looks.values())


def test_daydream_overrides_some(described: Model) -> None:
    theirs, ours = described.looks(), model.find("daydream").looks()
    assert list(theirs) == list(ours)
    assert {name for name in ours if ours[name] != theirs[name]} == {"birds", "lizards"}
