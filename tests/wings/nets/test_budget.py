"""The same dream in any amount of memory, and the error if there is too little."""

import re
from pathlib import Path

import numpy as np
import pytest

import dreamify
from dreamer.errors import Failure
from dreamer.machine import limits
from dreamer.nets.budget import Budget
from dreamer.nets.model import Model
from dreamer.nets.net import TILE, Net


def test_big_arrays_in_files_give_the_same_dream(tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.RandomState(0).randint(0, 256, (61, 83, 3)).astype(np.uint8)
    whole = dreamify.deepdream(Net(tiny, "conv1"), image, iterations=2, octaves=2)
    monkeypatch.setattr("dreamer.nets.budget.WINDOW", 0)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    net = Net(tiny, "conv1")
    net.budget.memory = net.budget.base + 200_000_000
    net.budget.arrays = 1_000_000
    filed = dreamify.deepdream(net, image, iterations=2, octaves=2)
    assert isinstance(net.gradient, np.memmap)
    assert np.array_equal(whole, filed)
    assert not list(tmp_path.iterdir())


def test_too_little_memory_is_told_with_the_least_that_will_do(googlenet: Model) -> None:
    net = Net(googlenet, "inception_4c/output")
    net.budget.memory = net.budget.base + (1 << 20)
    with pytest.raises(Failure, match="needs at least") as error:
        net.budget.fit(2000, 3000)
    least = re.search(r"at least (.*?) of memory", str(error.value))
    assert least
    net.budget.memory = limits.size(least[1])
    net.budget.fit(2000, 3000)


def test_a_picture_whose_blobs_caffe_cannot_hold_is_dreamed_in_tiles(googlenet: Model) -> None:
    """192 megapixels: even with enough memory, Caffe would abort on a blob of more than 2^31 numbers."""
    net = Net(googlenet, "inception_4c/output", memory=1 << 45)
    _, overhead = net.budget.fit(12_000, 16_000)
    assert overhead > 1


@pytest.mark.parametrize("layer", ["inception_4c/output", "inception_3b/output+inception_4c/output"])
def test_what_is_enough_memory_is_enough_where_there_is_more(googlenet: Model, layer: str) -> None:
    """If large arrays would leave too little memory for the net, they go to the disk."""
    net, enough = Net(googlenet, layer), []
    for more in range(60, 700, 4):
        net.budget.memory = net.budget.base + (more << 20)
        try:
            net.budget.fit(1080, 1920)
            enough.append(True)
        except Failure:
            enough.append(False)
    assert enough == sorted(enough)
    assert len(set(enough)) == 2


def test_windows_that_other_machines_compute_take_what_memory_is_left(googlenet: Model) -> None:
    """They are part of the plan, and change neither the tiles nor what is enough."""
    net, counts = Net(googlenet, "inception_4c/output"), []
    net.budget = budget = Budget(net, 2 << 30, TILE)
    budget.arrays = 1  # so that they are in memory, whatever the limit
    alone, whole = budget.planned(6000, 8000), budget.planned(1000, 1000)
    budget.ahead = 32
    for memory in (alone[0], alone[0] + (100 << 20), 2 << 30):
        budget.memory = memory
        need, overhead = budget.planned(6000, 8000)
        assert alone[0] <= need <= memory
        assert overhead == alone[1]
        counts.append(budget.most_ahead(1448, 1448))
    assert 9 < counts[0] < counts[1] < counts[2] <= 32
    assert budget.planned(1000, 1000) == whole
