"""What the recipe says of the rules of a step and of the finish, and what is taken from it."""

from pathlib import Path
from typing import Any

import pytest

import dreamify
from dreamer.errors import Mistake
from dreamer.nets.model import Model
from dreamer.options import record
from dreamer.options.understand import understand
from dreamer.pictures.recipe import read_recipe
from helpers import noise, saved

USED = {"smooth": 1.5, "pyramid": True, "keep_colours": True, "strength": 40.0}
NAMES = list(USED)


@pytest.fixture
def asked(tmp_path: Path, tiny: Model) -> dict[str, Any]:
    """A dream of little."""
    saved(tmp_path / "in.png", noise(60, 80))
    return {"input": str(tmp_path / "in.png"), "output": str(tmp_path / "out.png"), "layer": "conv1", "iterations": 1,
            "octaves": 1, "model": str(tiny.folder), "seed": 1, "quiet": True}


def recipe(asked: dict[str, Any]) -> dict[str, Any]:
    """The recipe of the dream that is asked for."""
    return record.recipe(understand(dreamify.ask(asked)), [(60, 80)])


def test_what_is_at_its_default_is_left_out(asked: dict[str, Any]) -> None:
    """So that recipes say the same as before there were these options."""
    usual = recipe(asked)
    assert not set(NAMES) & set(usual)
    assert recipe(asked | {"pyramid": False, "keep_colours": False, "strength": "100"}) == usual
    assert recipe(asked | USED) == usual | USED
    assert recipe(asked | {"smooth": 0}) == usual | {"smooth": 0.0}  # a look's own value does not hold
    assert recipe(asked | {"smooth": 100}) == usual | {"smooth": 100.0}


@pytest.mark.parametrize("name", NAMES)
def test_a_dream_with_another_value_is_another_dream(asked: dict[str, Any], name: str) -> None:
    for settings, other in ((asked, asked | {name: USED[name]}), (asked | {name: USED[name]}, asked)):
        found = recipe(settings) | {"seed": 1}
        assert record.is_of(found, understand(dreamify.ask(settings)), dreamify.octave_sizes)
        assert not record.is_of(found, understand(dreamify.ask(other)), dreamify.octave_sizes)


def test_like_takes_them(asked: dict[str, Any], tmp_path: Path) -> None:
    dreamify.dreamify(**asked | USED)
    assert {name: read_recipe(tmp_path / "out.png")[name] for name in NAMES} == USED
    like = {"input": asked["input"], "output": str(tmp_path / "again.png"), "like": asked["output"]}
    found = vars(dreamify.ask(like))
    assert {name: found[name] for name in NAMES} == USED
    found = vars(dreamify.ask(like | {"strength": "100", "smooth": 0}))
    assert {name: found[name] for name in NAMES} == USED | {"strength": "100", "smooth": 0}
    dreamify.dreamify(**like | {"model": asked["model"], "quiet": True})
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "out.png").read_bytes()


def test_a_recipe_without_them_is_that_of_a_plain_dream(asked: dict[str, Any], tmp_path: Path) -> None:
    dreamify.dreamify(**asked)
    found = vars(dreamify.ask({"input": asked["input"], "output": "x.png", "like": asked["output"]}))
    assert {name: found[name] for name in NAMES} == {"smooth": None, "pyramid": False, "keep_colours": False,
                                                     "strength": 100}


@pytest.mark.parametrize(("name", "value", "told"), [
    ("smooth", "-1", "smooth: '-1' is not a number at least 0 and at most 100"),
    ("smooth", "soft", "smooth: 'soft' is not a number at least 0 and at most 100"),
    ("strength", "0", "strength: '0' is not a number above 0 and at most 100"),
    ("strength", "101", "strength: '101' is not a number above 0 and at most 100"),
    ("strength", "50%", "strength: '50%' is not a number above 0 and at most 100")])
def test_wrong_values_are_told(asked: dict[str, Any], name: str, value: str, told: str) -> None:
    with pytest.raises(Mistake) as caught:
        understand(dreamify.ask(asked | {name: value}))
    assert list(caught.value.args) == [told]
