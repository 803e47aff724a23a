"""How a dream is finished."""

import numpy as np
import pytest

from dreamer import arrays
from dreamer.pictures.finish import Finish
from dreamer.pictures.lightness import with_lightness_of
from helpers import noise


def dreams() -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """(a dream with values beyond 0..255 and a corner that is left alone, its picture)."""
    image = noise(50, 70, 1)
    dream = np.asarray(image + 80 * np.random.RandomState(2).standard_normal(image.shape), np.float32)
    dream[:10, :20] = image[:10, :20]
    return dream, image


def test_nothing_to_do_leaves_every_bit() -> None:
    dream, image = dreams()
    before = dream.copy()
    assert not Finish()
    assert Finish()(dream, image) is dream
    assert np.array_equal(dream, before)


@pytest.mark.parametrize("strength", [0.5, 40, 99.9])
def test_a_mixture_is_linear_in_what_is_seen(strength: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "BAND", 3 * 70 * 7)
    dream, image = dreams()
    expected = (strength * np.clip(dream.astype(np.float64), 0, 255) + (100 - strength) * image.astype(float)) / 100
    found = Finish(strength=strength)
    assert found
    assert found(dream, image) is dream
    assert dream.dtype == np.float32
    assert np.abs(dream - expected).max() <= 0.5 + 1e-9
    assert np.array_equal(dream, np.rint(dream))
    assert np.array_equal(dream[:10, :20], image[:10, :20])


@pytest.mark.parametrize("strength", [100, 30])
def test_colours_come_first(strength: float) -> None:
    dream, image = dreams()
    expected = image + (with_lightness_of(dream, image) - image) * strength / 100
    expected[:10, :20] = image[:10, :20]
    Finish(True, strength)(dream, image)
    assert np.abs(dream - expected).max() <= 0.5 + 1e-9
    assert np.array_equal(dream[:10, :20], image[:10, :20])


def test_a_dream_in_the_layout_of_a_net_is_finished_in_place() -> None:
    dream, image = dreams()
    planes = np.ascontiguousarray(dream.transpose(2, 0, 1))[::-1]
    expected = Finish(True, 50)(dream.copy(), image)
    assert np.array_equal(Finish(True, 50)(planes.transpose(1, 2, 0)[..., ::-1], image), expected)
    assert np.array_equal(planes[::-1].transpose(1, 2, 0), expected)
