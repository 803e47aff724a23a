"""How long a dream will still take, from how long its steps took."""

import bisect
import time
from collections.abc import Callable, Sequence

# As measured, on one and two threads, from 320×240 to 1920×1080:
FIXED = 30_000  # a step costs as much as if it had so many pixels more than it has
FRESH = 0.5  # and the first of an octave so much of its cost more: the memory for its size is new
FIRST = 2  # the very first takes so many times as long: much is loaded and allotted only then
WRITING = 0.35  # a picture that is written, as a frame too, takes as long as so much of a step of the last octave
ENCODING = 0.25  # and its part in a film that is encoded so much more
RECENT = 0.8  # of the work done, the last part, whose speed is that of all that is to come: a machine's load changes


class Estimate:
    """Of a dream from one of its steps on.

    pixels      that a step of each octave computes, the smallest octave first
    iterations  steps in each octave
    frames      each of which is dreamed so
    step        (frame, octave, iteration) of the step that is next
    clock       function that gives seconds
    of_steps    whether each step is a frame of a film, rather than each dream
    encoded     how many frames are encoded together; 0 where none is"""

    def __init__(self, pixels: Sequence[int], iterations: int, frames: int = 1, step: tuple[int, int, int] = (0, 0, 0),
                 clock: Callable[[], float] = time.monotonic, of_steps: bool = False, encoded: int = 0) -> None:
        self._costs = [count + FIXED for count in pixels]
        self._iterations, self._clock, self._of_steps, self._encoded = iterations, clock, of_steps, encoded
        written = len(pixels) * iterations if of_steps else frames
        self.total = self._dreaming(frames, 0, 0) + self._writing(written, written)
        self._times, self._works = [clock()], [self._before(*step)]

    def step(self, frame: int, octave: int, iteration: int) -> None:
        """The step is done."""
        self._times.append(self._clock())
        self._works.append(self._before(frame, octave, iteration + 1))

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
        """The work of all that is done before this step."""
        written = octave * self._iterations + iteration if self._of_steps else frame
        return (self._dreaming(frame, octave, iteration)
                + self._writing(written, written - written % self._encoded if self._encoded else 0))

    def _dreaming(self, frame: int, octave: int, iteration: int) -> float:
        octaves = self._iterations + FRESH
        begun = self._costs[octave] * (iteration + FRESH) if iteration else 0
        return (sum(self._costs) * frame + sum(self._costs[:octave])) * octaves + begun

    def _writing(self, written: int, encoded: int) -> float:
        return self._costs[-1] * (WRITING * written + (ENCODING * encoded if self._encoded else 0))
