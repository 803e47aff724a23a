"""The number of octaves of a dream, and their sizes."""

import dataclasses
import inspect
import math
import re
from pathlib import Path
from typing import Any

import pytest

import dreamify
from dreamer.errors import Mistake
from dreamer.nets import layers
from dreamer.nets.model import Model
from dreamer.options import sizes
from dreamer.options.understand import understand
from dreamer.options.understood import Understood
from dreamer.pictures.recipe import read_recipe
from helpers import noise, run, saved

LARGE = (1200, 1300)  # height and width of a picture that gets five octaves


@pytest.fixture
def asked(tiny: Model, tmp_path: Path) -> Understood:
    """The Understood of a dream of some picture, with all defaults."""
    saved(tmp_path / "in.png", noise(60, 80))
    return understand(dreamify.ask({"input": str(tmp_path / "in.png"), "output": str(tmp_path / "out.png"),
                                    "layer": "conv1", "model": str(tiny.folder)}))


def test_the_usual_number_is_the_algorithms() -> None:
    assert inspect.signature(dreamify.deepdream).parameters["octaves"].default == sizes.USUAL
    for function in (dreamify.dreamify, dreamify.atlas):
        assert inspect.signature(function).parameters["octaves"].default is None


@pytest.mark.parametrize(("height", "width", "scale", "count"), [
    (612, 816, 1.4, 4),      # 0.5 megapixels
    (1000, 1500, 1.4, 4),    # exactly 1.5
    (1001, 1500, 1.4, 5),
    (1225, 1633, 1.4, 5),    # 2
    (3000, 4000, 1.4, 8),    # 12
    (4000, 3000, 1.4, 8),
    (6000, 8000, 1.4, 10),   # 48
    (1000, 10000, 1.4, 11),  # a panorama
    (100, 10000, 1.4, 4),    # a panorama of 1 megapixel
    (9000, 12000, 1.4, 11),  # 108
    (3000, 4000, 1.2, 12),   # the limit; it would be 14
    (1225, 1633, 1.2, 9),
    (3000, 4000, 2, 4),
    (6000, 8000, 2, 5),
    (3000, 4000, 100, 2),
    (1, 1, 1.4, 4)])
def test_the_number_follows_from_the_size(asked: Understood, height: int, width: int, scale: float, count: int) -> None:
    assert sizes.octave_count(dataclasses.replace(asked, scale=scale), height, width) == count


@pytest.mark.parametrize("scale", [1.1, 1.2, 1.4, 1.6, 2, 3])
@pytest.mark.parametrize("longest", [1300, 1600, 2500, 4000, 8000, 20000])
def test_the_smallest_octave_is_as_near_to_375_as_can_be(asked: Understood, longest: int, scale: float) -> None:
    """As a ratio, found by trying all numbers."""
    height = max(1, round(1_500_001 / longest) + 200)
    near = min(range(1, 13), key=lambda count: abs(math.log(longest / scale ** (count - 1) / 375)))
    assert sizes.octave_count(dataclasses.replace(asked, scale=scale), height, longest) == near


@pytest.mark.parametrize("count", [1, 3, 4, 20, 100])
def test_a_number_that_is_asked_for_holds(asked: Understood, count: int) -> None:
    for height, width in ((60, 80), (3000, 4000), (6000, 8000)):
        assert sizes.octave_count(dataclasses.replace(asked, octaves=count), height, width) == count


def test_a_look_of_five_octaves_has_one_more_at_every_size(asked: Understood) -> None:
    five = dataclasses.replace(asked, usual_octaves=sizes.USUAL + 1)
    for height, width in ((60, 80), (1225, 1633), (3000, 4000), (6000, 8000)):
        assert sizes.octave_count(five, height, width) == sizes.octave_count(asked, height, width) + 1
    assert sizes.octave_count(dataclasses.replace(five, scale=1.2), 3000, 4000) == sizes.MOST


def test_octaves_that_are_too_small_for_the_layer_are_left_out(asked: Understood, tiny: Model) -> None:
    deep = dataclasses.replace(asked, layer=layers.parse("mix/output", tiny)[0])
    least = sizes.least_side(tiny, deep.layer)
    assert least > sizes.least_side(tiny, asked.layer)
    found = sizes.fitting_sizes(dataclasses.replace(deep, octaves=40), dreamify.octave_sizes, 60, 80)
    whole = dreamify.octave_sizes(60, 80, 40, 1.4)
    assert found == [size for size in whole if min(size) >= least]
    assert 1 < len(found) < 40
    with pytest.raises(Mistake, match=f"mix/output needs at least {least} pixels on each side"):
        sizes.fitting_sizes(deep, dreamify.octave_sizes, least - 1, 500)


# in whole dreams -----------------------------------------------------------------------------------------

def test_a_recipe_keeps_the_number(tiny: Model, tmp_path: Path) -> None:
    """For a large picture, and for a small one that is dreamed like it."""
    saved(tmp_path / "large.png", noise(*LARGE))
    saved(tmp_path / "small.png", noise(200, 300))
    words: list[Any] = ["--seed", 1, "--jitter", 3, "--model", tiny.folder]
    done = run(tmp_path / "large.png", tmp_path / "a.png", "conv1", 1, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1300×1200 pixels, 5 octaves" in done.stdout
    assert read_recipe(tmp_path / "a.png")["octaves"] == 5
    assert run(tmp_path / "small.png", tmp_path / "b.png", "conv1", 1, *words).returncode == 0
    assert read_recipe(tmp_path / "b.png")["octaves"] == 4
    for name, like, count in (("large", "b", 4), ("small", "a", 5)):
        done = run(tmp_path / f"{name}.png", tmp_path / "c.png", "--like", tmp_path / f"{like}.png", "--model",
                   tiny.folder)
        assert (done.returncode, done.stderr) == (0, "")
        assert read_recipe(tmp_path / "c.png")["octaves"] == count
    done = run(tmp_path / "large.png", tmp_path / "d.png", "conv1", 1, 5, *words)  # the same dream, with 5
    assert (tmp_path / "d.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_the_frames_of_a_film_have_it_too(tiny: Model, tmp_path: Path) -> None:
    """So do the pictures of a folder, each according to its size."""
    (tmp_path / "frames").mkdir()
    for number in range(2):
        saved(tmp_path / f"frames/{number}.png", noise(*LARGE, number))
    words: list[Any] = ["conv1", 1, "--seed", 1, "--model", tiny.folder]
    done = run(tmp_path / "frames", tmp_path / "out-%d.jpg", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 frames" in done.stdout
    assert "5 octaves" in done.stdout
    assert [read_recipe(tmp_path / f"out-{number}.jpg")["octaves"] for number in (1, 2)] == [5, 5]
    saved(tmp_path / "frames/1.png", noise(60, 80))
    done = run(tmp_path / "frames", tmp_path / "dreams", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"(\d+) octaves", done.stdout) == ["5", "4"]
    again = run(tmp_path / "frames", tmp_path / "dreams", *words)
    assert "octaves" not in again.stdout  # their dreams exist


def test_a_size_that_is_wanted_counts(tiny: Model, tmp_path: Path) -> None:
    """Not the file's size."""
    saved(tmp_path / "large.png", noise(*LARGE))
    done = run(tmp_path / "large.png", tmp_path / "a.png", "conv1", 1, "--max-size", 600, "--model", tiny.folder)
    assert "600×554 pixels, 4 octaves" in done.stdout
