"""How long a dream will still take, from how long its steps took."""

import bisect
import time
from collections.abc import Callable, Sequence

# As measured, on one and two threads, from 320×240 to 1920×1080:
FIXED = 30_000  # a step costs as much as if it had so many pixels more than it has
FRESH = 0.5  # and the first of an octave so much of its cost more: the memory for its size is new
FIRST = 2  # the very first takes so many times as long: much is loaded and allotted only then
WRITING = 0.3  # a finished picture takes as long as so much of a step of the last octave
RECENT = 0.8  # of the work done, the last part, whose speed is that of all that is to come: a machine's load changes


class Estimate:
    """Of a dream from one of its steps on.

    pixels      that a step of each octave computes, the smallest octave first
    iterations  steps in each octave
    frames      each of which is dreamed so
    step        (frame, octave, iteration) of the step that is next
    clock       function that gives seconds"""

    def __init__(self, pixels: Sequence[int], iterations: int, frames: int = 1, step: tuple[int, int, int] = (0, 0, 0),
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._costs = [count + FIXED for count in pixels]
        self._iterations, self._clock = iterations, clock
        self.total = self._before(frames, 0, 0)
        self._times, self._works = [clock()], [self._before(*step)]

    def step(self, frame: int, octave: int, iteration: int) -> None:
        """The step is done."""
        self._times.append(self._clock())
        self._works.append(self._before(frame, octave, iteration + 1))

    def finish(self) -> None:
        """All is done and written."""
        self._times.append(self._clock())
        self._works.append(self.total)

    @property
    def done(self) -> float:
        """Of `total`, the work that is done."""
        return self._works[-1]

    def left(self) -> float | None:
        """Seconds; None before the first step is done."""
        if len(self._works) == 1:
            return None
        first = self._works[min(1, len(self._works) - 2)]
        since = bisect.bisect_right(self._works, max(first, self.done - RECENT * (self.done - first)),
                                    hi=len(self._works) - 1) - 1
        speed = (self.done - self._works[since]) / (self._times[-1] - self._times[since])
        if not since:  # no other step is known
            speed *= FIRST
        return max(0, (self.total - self.done) / speed - (self._clock() - self._times[-1]))

    def _before(self, frame: int, octave: int, iteration: int) -> float:
        """The work of all steps before this one."""
        octaves = self._iterations + FRESH
        whole = sum(self._costs) * octaves + self._costs[-1] * WRITING
        begun = self._costs[octave] * (iteration + FRESH) if iteration else 0
        return frame * whole + sum(self._costs[:octave]) * octaves + begun
