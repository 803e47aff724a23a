"""Windows of a giant picture: whoever computes them, the dream has the same bytes."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import dreamify
from dreamer.errors import Failure
from dreamer.farm.windows import Dreaming, Question, Windows
from dreamer.machine.servant import Servant
from dreamer.nets import checksum
from dreamer.nets.budget import TooLittle
from dreamer.nets.guide import Guide
from dreamer.nets.model import Model
from dreamer.nets.net import Net, Tile

IMAGE = np.random.RandomState(0).randint(0, 256, (151, 203, 3)).astype(np.uint8)


def dreaming(net: Net, guide: Any = None) -> Dreaming:
    path = net.model.weights_path()
    name = str(net.model.folder) if net.model.name == "tiny" else net.model.name
    return Dreaming("1", name, checksum.sha256(path), net.what, guide, False, 100)


def dreamed(model: Model, layer: str, ask: Callable[[Question], Any] | None, image: Any = IMAGE,
            pixels: int = 12_000, guide: Any = None) -> tuple[Any, list[float]]:
    """(pixels, the objective after each step) of a dream in tiles, which `ask` computes, or nobody else."""
    net, values = Net(model, layer, threads=1), list[float]()
    net.budget.fit = lambda height, width: (0, 1.0)  # type: ignore[method-assign]
    net.budget.pixels = pixels

    def each(function: Callable[..., Any], tiles: list[Tile], objectives: Any, *more: Any) -> Iterator[Any]:
        assert ask
        for tile in tiles:
            answer = ask(Question(dreaming(net, guide), tile.window(), tile.row, tile.column, function.__name__, more))
            if answer.gradient is not None:
                tile.add(answer.gradient)
            yield answer.found

    step = functools.partial(dreamify.make_step, each=each) if ask else dreamify.make_step
    made = dreamify.deepdream(net, image, 3, 2, seed=3, step=step, guide=None if guide is None else Guide(guide),
                              each_step=lambda step: values.append(step.objective))
    return made, values


@pytest.fixture
def elsewhere() -> Iterator[Servant]:
    servant = Servant(Windows(dreamify.pull, dreamify.objectives_of, threads=1))
    yield servant
    servant.close()


@pytest.mark.parametrize("layer", ["mix/output", "conv1", "pool1:1,3", "conv1*0.5+mix/3x3", "mix/output:strongest3"])
def test_another_process_gives_the_same_bits(tiny: Model, elsewhere: Servant, layer: str) -> None:
    here = dreamed(tiny, layer, None)
    there = dreamed(tiny, layer, lambda question: elsewhere.ask(question, 300))
    assert there[1] == here[1]
    assert (there[0] == here[0]).all()
    assert (here[0] != dreamed(tiny, layer, None, pixels=20_000)[0]).any()  # the tiles decide the last bits


@pytest.mark.parametrize(("layer", "guided"), [
    ("inception_3b/output", False), ("conv2/3x3*0.3+inception_3a/output", True), ("class:flamingo", False)])
def test_so_does_the_real_net(googlenet: Model, elsewhere: Servant, layer: str, guided: bool) -> None:
    image = np.random.RandomState(1).randint(0, 256, (40, 60, 3)).astype(np.uint8).repeat(10, 0).repeat(10, 1)
    guide = image[:60, :90] if guided else None
    here = dreamed(googlenet, layer, None, image, 400 * 400, guide)
    there = dreamed(googlenet, layer, lambda question: elsewhere.ask(question, 300), image, 400 * 400, guide)
    assert there[1] == here[1]
    assert (there[0] == here[0]).all()


def question(model: Model, layer: str, **other: Any) -> Question:
    """A question about a window of the whole IMAGE."""
    net = Net(model, layer, threads=1)
    net.budget.fit(*IMAGE.shape[:2])
    net.resize(*IMAGE.shape[:2])
    [tile] = net.tiles(net.preprocess(IMAGE), 0, 0)
    return Question(dreaming(net)._replace(**other), tile.window(), tile.row, tile.column, "squares")


def test_other_weights_are_refused(tiny: Model) -> None:
    with pytest.raises(Failure, match="the weights of .* differ"):
        Windows(dreamify.pull, dreamify.objectives_of)(question(tiny, "conv1", weights="0"))


def test_too_little_memory_is_said(tiny: Model) -> None:
    asked = question(tiny, "conv1")
    windows = Windows(dreamify.pull, dreamify.objectives_of, memory=1 << 20)
    with pytest.raises(TooLittle, match="a window of 203×151 pixels needs .* MB of memory; 1 MB"):
        windows(asked)


def test_a_net_is_loaded_once_for_a_dream(tiny: Model) -> None:
    asked = question(tiny, "conv1")
    made = list[Any]()

    def objectives(net: Net, **more: Any) -> Any:
        made.append(net)
        return dreamify.objectives_of(net, **more)
    windows = Windows(dreamify.pull, objectives)
    found = [windows(asked).found for _ in range(2)]
    assert len(made) == 1
    other = asked._replace(dreaming=asked.dreaming._replace(number="2"))
    assert [windows(other).found, *found] == [found[0]] * 3
    assert len(made) == 2
    assert made[0].caffe is None
