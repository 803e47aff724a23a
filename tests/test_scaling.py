"""zoom, and any part of it: the same bits, and the same numbers as loops in double precision."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from dreamer import arrays, scaling
from dreamer.arrays import Planes
from helpers import noise

SIDES = (1, 2, 3, 53, 255, 256, 257)


def planes(height: int, width: int) -> Planes:
    """Noise in a net's range: float32 (3, h, w)."""
    return np.asarray(noise(height, width).transpose(2, 0, 1), np.float32) - np.float32(117)


def between(old: int, new: int) -> NDArray[np.float64]:
    """The matrix (new, old) that scales a row of `old` pixels linearly to `new`, the first and last staying there."""
    found = np.zeros((new, old))
    for place in range(new):
        low, rest = divmod(place * (old - 1), new - 1) if new > 1 else (0, 0)
        found[place, low] += 1 - (rest / (new - 1) if rest else 0)
        if rest:
            found[place, low + 1] += rest / (new - 1)
    return found


def expected(source: Planes, height: int, width: int) -> NDArray[np.float64]:
    """The same in double precision, with matrices."""
    tall, wide = between(source.shape[1], height), between(source.shape[2], width)
    found: NDArray[np.float64] = np.einsum("yr,crx,zx->cyz", tall, source.astype(np.float64), wide, optimize=True)
    return found


@pytest.mark.parametrize("new", SIDES)
@pytest.mark.parametrize("old", SIDES)
def test_zoom_is_linear_between_the_corners(old: int, new: int) -> None:
    for source, size in ((planes(old, 31), (new, 40)), (planes(31, old), (22, new)), (planes(old, old), (new, new))):
        found = scaling.zoom(source, *size)
        assert found.dtype == np.float32
        assert np.allclose(found, expected(source, *size), rtol=0, atol=5e-5)


@pytest.mark.parametrize(("old", "new"), [((97, 131), (69, 94)), ((69, 94), (97, 131)), ((41, 53), (41, 53)),
                                          ((90, 7), (31, 200))])
def test_it_agrees_with_scipy(old: tuple[int, int], new: tuple[int, int]) -> None:
    source = planes(*old)
    theirs = ndimage.zoom(source, (1, new[0] / old[0], new[1] / old[1]), order=1)
    assert np.allclose(scaling.zoom(source, *new), theirs, rtol=0, atol=5e-5)


@pytest.mark.parametrize(("old", "new"), [((551, 979), (394, 699)), ((490, 653), (350, 466)), ((4, 188), (188, 4))])
def test_no_edge_is_empty(old: tuple[int, int], new: tuple[int, int]) -> None:
    """In scipy 1.10 rounding puts the last row or column of these outside the picture, where it finds zeros."""
    assert np.array_equal(scaling.zoom(np.ones((3, *old), np.float32), *new), np.ones((3, *new)))


def test_what_is_even_stays_exactly_so() -> None:
    even = np.full((3, 70, 90), 0.1, np.float32)
    assert np.array_equal(scaling.zoom(even, 99, 127), np.full((3, 99, 127), 0.1, np.float32))


@pytest.mark.parametrize("band", [1, 3 * 257 * 5, arrays.BAND, 1 << 30])
def test_bands_do_not_show_in_a_zoom(band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source = planes(255, 257)
    whole = scaling.zoom(source, 356, 360)
    monkeypatch.setattr(arrays, "BAND", band)
    assert np.array_equal(scaling.zoom(source, 356, 360), whole)


@pytest.mark.parametrize(("old", "new"), [((97, 131), (69, 94)), ((69, 94), (97, 131)), ((256, 1), (255, 1)),
                                          ((2, 257), (257, 2)), ((5, 5), (1, 1)), ((1, 1), (6, 7))])
def test_any_part_is_the_whole_in_every_bit(old: tuple[int, int], new: tuple[int, int]) -> None:
    random = np.random.RandomState(1)
    source = planes(*old)
    whole = scaling.zoom(source, *new)
    for _ in range(40):
        rows, columns = (slice(*sorted(random.choice(size + 1, 2, replace=False))) for size in new)
        tall, wide = (scaling.needed(some, *sides) for some, sides in zip((rows, columns), zip(old, new, strict=True),
                                                                          strict=True))
        more = random.randint(2)  # a row above, if there is one
        top = max(0, tall.start - more)
        part = np.ascontiguousarray(source[:, top:tall.stop, wide])
        found = scaling.zoom_part(part, (top, wide.start), old, new, rows, columns)
        assert np.array_equal(found, whole[:, rows, columns])


def test_a_picture_put_together_from_blocks_in_any_order_is_the_whole() -> None:
    old, new = (101, 67), (142, 94)
    source, made = planes(*old), np.zeros((3, *new), np.float32)
    blocks = [(slice(top, min(top + 24, 142)), slice(left, min(left + 24, 94)))
              for top in range(0, 142, 24) for left in range(0, 94, 24)]
    for number in np.random.RandomState(2).permutation(len(blocks)):
        rows, columns = blocks[number]
        tall, wide = scaling.needed(rows, old[0], new[0]), scaling.needed(columns, old[1], new[1])
        scaling.zoom_part(source[:, tall, wide], (tall.start, wide.start), old, new, rows, columns,
                          made[:, rows, columns])
    assert np.array_equal(made, scaling.zoom(source, *new))


@pytest.mark.parametrize(("top", "bottom"), [(1, 10), (0, 5)])
def test_a_part_that_lacks_something_is_refused(top: int, bottom: int) -> None:
    source = planes(10, 10)
    with pytest.raises(ValueError, match="are needed"):
        scaling.zoom_part(source[:, top:bottom], (top, 0), (10, 10), (14, 14), slice(0, 12), slice(0, 14))


def test_needed_is_no_more_than_a_value_depends_on() -> None:
    """Whatever is beyond changes nothing, and each row at its ends changes something."""
    source = planes(50, 3)
    for old, new, rows in ((50, 70, slice(20, 31)), (50, 36, slice(0, 9)), (50, 36, slice(30, 36))):
        tall = scaling.needed(rows, old, new)
        before = scaling.zoom(source, new, 3)[:, rows]
        for row in range(old):
            other = source.copy()
            other[:, row] += 50
            same = np.array_equal(scaling.zoom(other, new, 3)[:, rows], before)
            assert same or tall.start <= row < tall.stop
        assert tall.stop - tall.start <= (rows.stop - rows.start) * old / new + 2
