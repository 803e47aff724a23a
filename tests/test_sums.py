"""Sums over a picture: the same bits however it is divided, and the same numbers as exact arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from dreamer import arrays, sums
from dreamer.arrays import Planes

SIZES = [(1, 1), (2, 3), (1, 257), (255, 2), (192, 192), (193, 191), (256, 257), (385, 400)]


def gradient(height: int, width: int) -> Planes:
    """Values of very different sizes, of both signs: float32 (3, h, w)."""
    random = np.random.RandomState(height + width)
    sizes = np.exp(random.uniform(-20, 5, (3, height, width)))
    return np.asarray(sizes * random.standard_normal(sizes.shape), np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_the_means_are_those_of_exact_arithmetic(size: tuple[int, int]) -> None:
    planes = gradient(*size)
    values = planes.ravel().tolist()
    exact = float(sum(map(Fraction, map(abs, values))) / len(values))
    squares = float(sum(Fraction(value) ** 2 for value in values) / len(values))
    assert math.isclose(sums.mean_size(planes), exact, rel_tol=2e-7)
    for side in (12, 192):
        assert math.isclose(sums.mean_square(planes, side), squares, rel_tol=1e-14)


def by_hand(numbers: list[np.float32]) -> np.float32:
    """The second half added to the first, again and again, one by one."""
    while len(numbers) > 1:
        half = (len(numbers) + 1) // 2
        rest = numbers[half:]
        numbers = [one + rest[at] if at < len(rest) else one for at, one in enumerate(numbers[:half])]
    return numbers[0]


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (13, 24), (25, 9)])
def test_the_order_of_a_blocks_additions_is_as_written(size: tuple[int, int]) -> None:
    """In every bit: numpy's own sum, whose order may change with its version, takes no part."""
    planes = gradient(*size)
    blocks = [by_hand([abs(value) for value in planes[:, top:top + 12, left:left + 12].ravel()])
              for top in range(0, size[0], 12) for left in range(0, size[1], 12)]
    assert list(sums.block_sums(planes, np.abs, 12)) == [float(block) for block in blocks]


def random_cut(length: int, random: np.random.RandomState) -> list[slice]:
    """Slices that divide so many pixels anywhere between blocks."""
    places = [at for at in range(sums.BLOCK, length, sums.BLOCK) if random.randint(2)]
    return [slice(*ends) for ends in zip([0, *places], [*places, length], strict=True)]


@pytest.mark.parametrize(("height", "width"), [(1, 600), (385, 1000), (576, 577), (700, 255)])
def test_any_cut_into_blocks_in_any_order_gives_the_very_same(height: int, width: int) -> None:
    random, planes = np.random.RandomState(4), gradient(height, width)
    whole = sums.mean_size(planes)
    for _ in range(10):
        parts = [np.ascontiguousarray(planes[:, rows, columns]) for rows in random_cut(height, random)
                 for columns in random_cut(width, random)]
        found: list[float] = []
        for number in random.permutation(len(parts)):
            found += sums.block_sums(parts[number], np.abs)
        assert math.fsum(found) / planes.size == whole


def laid_out(planes: Planes, way: str) -> NDArray[np.float32]:
    """The same values, otherwise in memory."""
    if way == "in columns":
        return planes.transpose(0, 2, 1).copy().transpose(0, 2, 1)
    if way == "as pixels":
        return planes.transpose(1, 2, 0).copy().transpose(2, 0, 1)
    if way == "in a larger one":
        return np.pad(planes, ((0, 0), (3, 1), (5, 2)))[:, 3:-1, 5:-2]
    return planes[::-1].copy()[::-1]


@pytest.mark.parametrize("way", ["in columns", "as pixels", "in a larger one", "backwards"])
def test_where_the_values_are_in_memory_does_not_matter(way: str) -> None:
    planes = gradient(250, 410)
    assert sums.mean_size(laid_out(planes, way)) == sums.mean_size(planes)
    assert sums.mean_square(laid_out(planes, way)) == sums.mean_square(planes)


@pytest.mark.parametrize("band", [1, 3 * 400 * 5, 1 << 30])
def test_bands_do_not_show_in_a_mean(band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    planes = gradient(385, 400)
    before = sums.mean_size(planes), sums.mean_square(planes)
    monkeypatch.setattr(arrays, "BAND", band)
    assert (sums.mean_size(planes), sums.mean_square(planes)) == before


def test_the_picture_stays_as_it_is() -> None:
    planes = gradient(30, 40)
    kept = planes.copy()
    sums.mean_size(planes)
    sums.mean_square(planes, 12)
    assert np.array_equal(planes, kept)
    assert sums.mean_size(np.zeros((3, 5, 5), np.float32)) == 0
