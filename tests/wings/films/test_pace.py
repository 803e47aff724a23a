"""Which frames are dreamed, and how long each is shown."""

from fractions import Fraction

import pytest

from dreamer.errors import Mistake
from dreamer.films.pace import pace, told


def steady(count: int, rate: object) -> list[Fraction | None]:
    """The times of frames with a steady rate, in milliseconds, as some containers store them."""
    return [Fraction(round(1000 * number / Fraction(str(rate))), 1000) for number in range(count)]


@pytest.mark.parametrize("rate", ["24", "25", "24000/1001", "30000/1001", "50", "60", "240"])
def test_a_steady_rate_is_found(rate: str) -> None:
    found = pace(steady(500, rate), [Fraction(rate)])
    assert found == (Fraction(rate), list(range(500)), [1] * 500, 0)
    assert pace(steady(500, rate), [3 * Fraction(rate), Fraction(rate)]) == found


def test_times_that_are_not_steady_are_kept() -> None:
    times = [Fraction(number, 25) for number in (0, 1, 4, 5, 12)]
    found = pace([Fraction(3) + time for time in times], [Fraction(25)])
    assert found == (Fraction(25), [0, 1, 2, 3, 4], [1, 3, 1, 7, 3], 3)
    many = pace([Fraction(number, 1000) for number in (0, 1, 2, 100)], [Fraction(1000)])
    assert many.rate == 60
    assert many.which == [2, 3]  # the others would be shown for less than half a tick
    assert many.ticks[0] == 6


def test_without_times_the_rate_counts() -> None:
    assert pace([Fraction(0), None, Fraction(9)], [Fraction(0), Fraction(10)]) == (Fraction(10), [0, 1, 2], [1] * 3, 0)
    assert pace([None, None], []).rate == 25


def test_times_never_go_back() -> None:
    found = pace([Fraction(number, 25) for number in (0, 2, 1, 3)], [Fraction(25)])
    assert sum(found.ticks) == 4
    assert all(found.ticks)


@pytest.mark.parametrize(("fps", "which", "ticks"), [
    (50, list(range(10)), [2] * 10), (25, list(range(10)), [1] * 10), (12.5, [0, 2, 4, 6, 8], [1] * 5),
    (10, [0, 2, 5, 7], [1] * 4), (2.5, [0], [1]), (0.1, [0], [1]), (37.5, list(range(10)), [2, 1] * 5)])
def test_another_rate_leaves_out_or_repeats_whole_frames(fps: float, which: list[int], ticks: list[int]) -> None:
    assert pace(steady(10, 25), [Fraction(25)], fps=fps) == (Fraction(fps).limit_denominator(1001), which, ticks, 0)


def test_a_part_begins_at_its_first_frame() -> None:
    found = pace(steady(100, 25), [Fraction(25)], start=1.03, end=1.2)
    assert found == (Fraction(25), [26, 27, 28, 29], [1] * 4, 1.04)
    assert pace(steady(100, 25), [Fraction(25)], start=1.04, end=1.2).which == found.which
    assert pace(steady(100, 25), [Fraction(25)], end=99).which == list(range(100))


def test_the_last_frame_is_shown_until_the_end() -> None:
    times = [Fraction(0), Fraction(2), Fraction(6)]
    assert pace(times, [Fraction(1)], until=Fraction(7)).ticks == [2, 4, 1]
    assert pace(times, [Fraction(1)]).ticks == [2, 4, 3]
    assert pace(times, [Fraction(1)], end=3).ticks == [2, 4]
    assert pace(times, [Fraction(1)], fps=2, until=Fraction(7)).ticks == [4, 8, 2]


@pytest.mark.parametrize(("start", "end", "why"), [
    (4, None, "last frame of the video is shown at 0:03.96, before 0:04"), (2, 2, "no frame between 0:02 and 0:02"),
    (None, 0, "end: ")])
def test_a_part_without_frames_is_told(start: float | None, end: float | None, why: str) -> None:
    with pytest.raises(Mistake, match=why):
        pace(steady(100, 25), [Fraction(25)], start, end)


def test_times_are_told_as_players_do() -> None:
    assert [told(time) for time in (0, 0.12, 2, 59.999, 61.5, 3723.25, 36000)] == [
        "0:00", "0:00.12", "0:02", "1:00", "1:01.5", "1:02:03.25", "10:00:00"]
