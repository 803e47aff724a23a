"""The net that stays loaded for the next dream."""

import functools
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dreamify
import randomweights
from dreamer import perform
from dreamer.errors import Failure
from dreamer.machine import limits
from dreamer.nets import folding, model, net
from dreamer.nets.kept import Kept
from dreamer.nets.layers import parse
from dreamer.nets.model import Model
from helpers import dreams


@pytest.fixture
def own(tiny: Model, tmp_path: Path) -> Model:
    """The tiny model, in a folder in which its weights may change."""
    return model.find(str(shutil.copytree(tiny.folder, tmp_path / "own")))


@pytest.fixture
def loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a line for each net that is loaded: the number of the process."""
    told, load = tmp_path / "loads", folding.load

    def counted(*arguments: Any) -> Any:
        with told.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return load(*arguments)

    monkeypatch.setattr(folding, "load", counted)
    told.touch()
    return told


def test_a_net_is_loaded_only_after_a_dream_with_it_went_well(own: Model, loads: Path) -> None:
    kept, layer = Kept(), parse("mix/output", own)[0]
    kept.prove()  # of nothing
    assert kept.get(own, layer) is None
    assert kept.get(own, layer) is None
    kept.prove()
    found = kept.get(own, layer)
    assert found
    assert kept.get(own, layer) is found
    assert kept.get(own, parse("mix/output:1", own)[0]) is found
    assert len(loads.read_text().split()) == 1
    assert kept.get(own, parse("mix/3x3", own)[0]) is None
    assert kept.get(own, layer) is None


def test_other_weights_or_threads_are_another_net(own: Model, tmp_path: Path) -> None:
    kept, layer = Kept(), parse("mix/output", own)[0]
    for changes in (lambda: None, lambda: randomweights.make(own, own.weights_path(), seed=7)):
        changes()
        assert kept.get(own, layer) is None
        kept.prove()
        assert kept.get(own, layer)
    assert kept.get(own, layer, threads=1) is None


def test_without_plenty_of_memory_none_is_kept(own: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, layer = Kept(), parse("mix/output", own)[0]
    assert kept.get(own, layer) is None
    kept.prove()
    free = own.weights_path().stat().st_size * 20
    monkeypatch.setattr(limits, "memory", lambda: free)
    assert kept.get(own, layer) is None


@pytest.mark.parametrize("damage", ["gone", "cut short"])
def test_what_is_wrong_is_left_to_the_child(own: Model, damage: str) -> None:
    kept, layer, path = Kept(), parse("mix/output", own)[0], own.weights_path()
    assert kept.get(own, layer) is None
    kept.prove()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-7])
    assert kept.get(own, layer) is None
    kept.prove()
    assert kept.get(own, layer) is None


def test_a_net_that_begins_again_dreams_the_same(tiny: Model) -> None:
    image = np.random.RandomState(0).randint(0, 256, (40, 50, 3))
    used = net.Net(tiny, "mix/output")
    for what in ("mix/output", "mix/output:1,2", "mix/output:strongest2", "mix/output"):
        used.renew(parse(what, tiny)[0])
        wanted = dreamify.deepdream(net.Net(tiny, what), image, 2, 2)
        assert np.array_equal(dreamify.deepdream(used, image, 2, 2), wanted)


def test_the_first_small_step_is_no_larger_than_the_picture(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """And as large as the kernels' usual way needs, if the picture is large; then the plan has the weights' format."""
    shape, sides = net.Net.shape, list[int]()

    def noted(self: net.Net, height: int, width: int) -> Any:
        sides.append(height)
        return shape(self, height, width)

    monkeypatch.setattr(net.Net, "shape", noted)
    least = net.Net(tiny, "mix/output").smallest_side
    usual = sides[0]
    assert least < usual - 1
    for side, wanted in ((1, least), (usual - 1, usual - 1), (usual, usual), (5000, usual), (None, usual)):
        sides.clear()
        used = net.Net(tiny, "mix/output", side=side)
        assert sides[0] == wanted
        sides.clear()
        used.renew(used.asked, side=least + 1)
        assert sides[0] == least + 1


def dream_all(folder: Path, output: Path, chosen: Model, step: Any = dreamify.make_step, **asked: Any) -> None:
    """Dream the pictures of a folder, or one picture."""
    request = dreamify.ask({"input": str(folder), "output": str(output), "layer": "mix/output", "iterations": 1,
                            "octaves": 2, "seed": 3, "model": str(chosen.folder)} | asked)
    perform.one(request, lambda event: None, deepdream=functools.partial(dreamify.deepdream, step=step), step=step,
                sizes=dreamify.octave_sizes)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with four pictures; the second one is the brightest."""
    made = tmp_path / "in"
    made.mkdir()
    for number, light in enumerate((10, 240, 20, 30)):
        pixels = np.random.RandomState(number).randint(light, light + 10, (40, 50, 3))
        Image.fromarray(np.uint8(pixels)).save(made / f"{number}.png")
    return made


def test_a_folder_loads_its_net_twice(pictures: Path, tiny: Model, tmp_path: Path, loads: Path) -> None:
    """Once in the first child, and once here, for all the others. The dreams are as they would be one by one."""
    dream_all(pictures, tmp_path / "out", tiny)
    numbers = loads.read_text().split()
    assert len(numbers) == 2
    assert numbers[1] == str(os.getpid()) != numbers[0]
    made = dreams(tmp_path / "out")
    assert len(made) == 4
    for path in pictures.iterdir():
        dream_all(path, tmp_path / f"alone-{path.name}", tiny)
        assert (tmp_path / f"alone-{path.name}").read_bytes() == made[f"{path.stem}-dream.png"]


def test_with_a_limit_on_memory_each_child_loads_its_own(pictures: Path, tiny: Model, tmp_path: Path,
                                                         loads: Path) -> None:
    dream_all(pictures, tmp_path / "out", tiny, memory="1g")
    assert len(set(loads.read_text().split()) - {str(os.getpid())}) == 4


def dies_of_light(net: Any, picture: Any, *more: Any, **named: Any) -> float:
    """A step that kills its process if the picture is bright."""
    if picture.mean() > 60:
        os.kill(os.getpid(), signal.SIGSEGV)
    return dreamify.make_step(net, picture, *more, **named)


def test_a_child_that_dies_loses_only_its_picture(pictures: Path, tiny: Model, tmp_path: Path, loads: Path) -> None:
    with pytest.raises(Failure) as caught:
        dream_all(pictures, tmp_path / "out", tiny, dies_of_light)
    assert caught.value.args == (
        "1 of 4 pictures could not be dreamed:",
        "1.png: the dream ended unexpectedly (signal SIGSEGV): it printed nothing; nothing was saved")
    made = dreams(tmp_path / "out")
    assert sorted(made) == ["0-dream.png", "2-dream.png", "3-dream.png"]
    dream_all(pictures / "3.png", tmp_path / "alone.png", tiny)
    assert made["3-dream.png"] == (tmp_path / "alone.png").read_bytes()
    assert len(loads.read_text().split()) == 3  # two for the folder, and one for the picture alone
