"""The rules of a step, compared with the same in double precision, computed in another way."""

import functools
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

import dreamify
from dreamer import arrays, steps
from dreamer.arrays import Planes
from dreamer.nets.model import Model
from dreamer.nets.net import Net
from helpers import noise

BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
SIZES = [(61, 83), (64, 96), (41, 7), (5, 130), (1, 1), (2, 3)]


def gradient(height: int, width: int) -> Planes:
    """Detail of all sizes, of which the coarse is ten times as strong: float32 (3, h, w)."""
    fine = np.random.RandomState(3).standard_normal((3, height, width))
    return np.asarray(1e-3 * fine + 1e-1 * ndimage.gaussian_filter(fine, (0, 6, 6)), np.float32)


def weights(count: int, sigma: float) -> NDArray[np.float64]:
    """The matrix (count, count) that blurs a row of so many pixels, mirrored at its ends."""
    reach = int(4 * sigma + 0.5)
    curve = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    found = np.zeros((count, count))
    for pixel in range(count):
        for offset, part in zip(range(-reach, reach + 1), curve / curve.sum(), strict=True):
            place = (pixel + offset) % (2 * count)
            found[pixel, place if place < count else 2 * count - 1 - place] += part
    return found


def pyramid(planes: Planes) -> NDArray[np.float64]:
    """The sum of the bands, each divided by its root mean square unless it is only rounding."""
    level, found = planes.astype(np.float64), []
    for _ in range(4):
        small = np.stack([ndimage.convolve(plane, BINOMIAL, mode="nearest")[::2, ::2] for plane in level])
        found.append(level - enlarged(small, level.shape))
        level = small
    total: NDArray[np.float64] = level / rms(level)
    for band in found[::-1]:
        total = enlarged(total, band.shape) + (band / rms(band) if rms(band) > 1e-6 * rms(planes) else band)
    return total


def rms(planes: NDArray[Any]) -> float:
    """The root mean square."""
    return float(np.sqrt((planes.astype(np.float64) ** 2).mean()))


def enlarged(small: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """`small` with an empty row and column after each, blurred, so that its mean stays."""
    framed = np.pad(small, ((0, 0), (2, 2), (2, 2)), "edge")
    whole = np.zeros((3, 2 * framed.shape[1], 2 * framed.shape[2]))
    whole[:, ::2, ::2] = framed
    blurred: NDArray[np.float64] = np.stack([ndimage.convolve(plane, 4 * BINOMIAL, mode="constant") for plane in whole])
    return blurred[:, 4:4 + shape[1], 4:4 + shape[2]]


@pytest.fixture(params=[64 << 10, 3 * 83 * 4])
def narrow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bands of many rows, and of few."""
    monkeypatch.setattr(arrays, "BAND", request.param)
    monkeypatch.setattr(steps, "BAND", request.param)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5, 20.0])
@pytest.mark.parametrize("size", SIZES)
def test_smooth_is_a_gaussian_over_rows_and_columns(size: tuple[int, int], sigma: float) -> None:
    before = gradient(*size)
    after = before.copy()
    steps.smooth(sigma)(after)
    rows, columns = (weights(count, sigma) for count in size)
    expected = np.einsum("yr,cre,xe->cyx", rows, before.astype(np.float64), columns)
    assert after.dtype == np.float32
    assert np.allclose(after, expected, rtol=0, atol=2e-6 * np.abs(before).max())


def test_bands_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in one bit: what a pixel becomes does not depend on the band in which it is."""
    found = []
    for rows in (1, 7, 1000):
        monkeypatch.setattr(steps, "_rows", lambda width, sigma, rows=rows: rows)
        found.append(gradient(64, 83))
        steps.smooth(2.5)(found[-1])
    assert all(np.array_equal(one, found[0]) for one in found)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("size", SIZES)
def test_pyramid_brings_every_band_to_the_same_size(size: tuple[int, int]) -> None:
    before = gradient(*size)
    after = before.copy()
    steps.pyramid(after)
    expected = pyramid(before)
    assert np.allclose(after, expected, rtol=0, atol=2e-4 * np.abs(expected).max())


def test_of_both_the_pyramid_comes_first() -> None:
    before = gradient(70, 90)
    both, expected = before.copy(), before.copy()
    rule = steps.rule(1.5, True)
    assert rule
    rule(both)
    steps.pyramid(expected)
    steps.smooth(1.5)(expected)
    assert np.array_equal(both, expected)


@pytest.mark.parametrize(("sigma", "levels"), [(None, False), (0, False)])
def test_nothing_asked_is_no_rule(sigma: float | None, levels: bool) -> None:
    assert steps.rule(sigma, levels) is None


def test_a_rule_goes_to_another_process() -> None:
    before = gradient(40, 50)
    here, there = before.copy(), before.copy()
    rule = steps.rule(2.0, True)
    assert rule
    rule(here)
    pickle.loads(pickle.dumps(rule))(there)
    assert np.array_equal(here, there)


def test_no_gradient_stays_none() -> None:
    none = np.zeros((3, 40, 50), np.float32)
    steps.pyramid(none)
    steps.smooth(2)(none)
    assert not none.any()


def test_a_gradient_in_a_file_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what the pyramid needs is in files too."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(steps, "_MAPPED", 500)
    whole = gradient(90, 110)
    filed = arrays.in_file(90, 110, str(tmp_path))
    filed[:] = whole
    assert isinstance(arrays.beside(filed, 3, 4), np.memmap)
    assert not isinstance(arrays.beside(whole, 3, 4), np.memmap)
    rule = steps.rule(1.0, True)
    assert rule
    rule(whole)
    rule(filed)
    assert np.array_equal(whole, filed)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("height", "width"), [(700, 900), (300, 4000)])
@pytest.mark.parametrize("sigma", [1.0, 8.0, 60.0])
def test_the_memory_that_is_planned_is_enough(height: int, width: int, sigma: float) -> None:
    """numpy's own count of what it takes at most."""
    made = gradient(height, width)
    spare = 3 << 20  # bytes for the pieces of bands
    assert _most(steps.smooth(sigma), made) <= steps.memory(sigma, height, width) + spare
    assert _most(steps.pyramid, made) <= steps.PYRAMID * height * width + spare
    assert steps.memory(None, height, width) == steps.memory(0, height, width) == 0


def _most(change: steps.Change, made: Planes) -> int:
    tracemalloc.start()
    change(made)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


@pytest.mark.parametrize("change", [steps.smooth(1.5), steps.pyramid])
def test_a_step_goes_as_far_as_without_a_rule_in_the_changed_direction(tiny: Model, change: steps.Change) -> None:
    """The mean change of a pixel value stays step_size; the direction is the changed gradient's."""
    net, image = Net(tiny, "mix/output"), noise(41, 53)
    net.budget.fit(41, 53)
    moves, gradients = [], []
    for rule in (None, change):
        net.resize(41, 53)
        before = net.preprocess(image)
        picture = before.copy()
        value = dreamify.make_step(net, picture, np.random.RandomState(2), 1.5, 8, False, [dreamify.objective_l2],
                                   change=rule)
        assert value > 0
        moves.append(picture - before)
        gradients.append(net.gradient.copy())
    change(gradients[0])
    assert np.array_equal(gradients[0], gradients[1])
    for move in moves:
        assert np.abs(move).mean() == pytest.approx(1.5, rel=1e-4)
    assert np.allclose(moves[1], 1.5 * gradients[1] / np.abs(gradients[1]).mean(), rtol=0, atol=1e-4)


def test_a_rule_is_called_once_a_step_in_tiles_too(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[Any]()

    def look(gradient: Planes) -> None:
        seen.append(gradient.copy())
    step = functools.partial(dreamify.make_step, change=look)
    for most in (10 ** 6, 3000):
        net = Net(tiny, "conv1")
        monkeypatch.setattr(net.budget, "_largest", lambda *_, most=most: most)
        dreamify.deepdream(net, noise(90, 100), iterations=2, octaves=1, seed=1, step=step)
    assert len(seen) == 4
    assert np.allclose(seen[0], seen[2], rtol=0, atol=1e-5 * np.abs(seen[0]).max())
