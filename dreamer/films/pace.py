"""Which frames of a moving picture are dreamed, and for how long each is shown."""

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from dreamer.errors import Mistake

FASTEST = 60  # maximum ticks per second where frames have no steady rate
_CLOSE = Fraction(1, 1000)  # seconds


class Pace(NamedTuple):
    """The pace of a film.

    rate   ticks per second
    which  numbers of the frames that are dreamed: those that are shown for no tick are left out
    ticks  number of ticks for which each of them is shown
    begin  seconds at which the first is shown, on the clock of the frames' times"""

    rate: Fraction
    which: list[int]
    ticks: list[int]
    begin: float


def pace(times: Sequence[Fraction | None], rates: Sequence[Fraction], start: float | None = None,
         end: float | None = None, fps: float | None = None, until: Fraction | None = None) -> Pace:
    """The Pace of frames with these times, in seconds.

    rates       frames per second to try; the first for which no frame is more than 0.6 ticks off is taken
    start, end  seconds: only frames from `start` on and before `end`
    fps         frames per second that are wanted instead: frames are left out, or shown longer
    until       when the last frame is no longer shown; None: it is shown as long as others are on average

    Raises Mistake if no frame is left."""
    rates = [rate for rate in rates if 0 < rate <= 1000] or [Fraction(25)]
    known = [time for time in times if time is not None]
    if len(known) < len(times):
        known = [number / rates[0] for number in range(len(times))]
    for number in range(1, len(known)):  # a frame is never shown before the one before it
        known[number] = max(known[number], known[number - 1])
    first = 0 if start is None else bisect_right(known, Fraction(start) - _CLOSE)
    last = len(known) if end is None else bisect_right(known, Fraction(end) - _CLOSE)
    if first == len(known):
        raise Mistake(f"start: the last frame of the video is shown at {told(known[-1])}, before {told(start or 0)}")
    if first >= last:
        raise Mistake(f"end: the video shows no frame between {told(start or 0)} and {told(end or 0)}")
    since = [time - known[first] for time in known[first:last]]
    if last < len(known) or until is not None:
        whole = (known[last] if last < len(known) else until or 0) - known[first]
    else:
        whole = since[-1] * len(since) / max(1, len(since) - 1) or 1 / rates[0]
    rate, ticks = (_ticks(since, whole, rates) if fps is None else
                   _resampled(since, whole, Fraction(fps).limit_denominator(1001)))
    return Pace(rate, [first + number for number, count in enumerate(ticks) if count],
                [count for count in ticks if count], float(known[first]))


def _ticks(since: Sequence[Fraction], whole: Fraction, rates: Sequence[Fraction]) -> tuple[Fraction, list[int]]:
    """(ticks per second, [ticks for which each frame is shown]) from the times since the first frame, and the time of
    the end."""
    for rate in rates:
        if all(abs(time * rate - number) < 0.6 for number, time in enumerate(since)):
            return rate, [1] * len(since)
    rate = min(rates[0], Fraction(FASTEST))
    places = [round(time * rate) for time in since]
    places.append(max(round(whole * rate), places[-1] + 1))
    return rate, [after - place for place, after in zip(places[:-1], places[1:], strict=True)]


def _resampled(since: Sequence[Fraction], whole: Fraction, rate: Fraction) -> tuple[Fraction, list[int]]:
    """The same for a given rate: at each tick, the latest frame is shown."""
    ticks = [0] * len(since)
    for number in range(max(1, round(whole * rate))):
        ticks[bisect_right(since, number / rate + _CLOSE) - 1] += 1
    return rate, ticks


def told(seconds: float | Fraction) -> str:
    """A time as players show it."""
    minutes, rest = divmod(round(float(seconds), 2), 60)
    rest_told = f"{rest:05.2f}".removesuffix("0").removesuffix("0").removesuffix(".")
    hours = f"{minutes // 60:.0f}:{minutes % 60:02.0f}" if minutes >= 60 else f"{minutes:.0f}"
    return f"{hours}:{rest_told}"
