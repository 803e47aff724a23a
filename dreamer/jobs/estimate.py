"""Estimates how long a dream will still take from how long its steps took."""

import bisect
import time
from collections.abc import Callable, Sequence

# Measured on one and two threads, from 320×240 to 1920×1080:
FIXED = 30_000  # fixed cost of a step, in pixels
FRESH = 0.5  # extra cost of an octave's first step, in steps: the memory for its size is new
FIRST = 2  # the very first step takes this many times as long: much is loaded and allocated only then
WRITING = 0.35  # cost of writing a picture or a frame, in steps of the last octave
ENCODING = 0.25  # extra cost of a frame that is encoded, in the same unit
RECENT = 0.8  # the latest share of the work done; its speed predicts the rest, because a machine's load changes


class Estimate:
    """Estimates the time left of a dream, starting at one of its steps.

    pixels      pixels that a step computes in each octave, the smallest octave first
    iterations  steps in each octave
    frames      number of frames, each a dream with these octaves
    step        (frame, octave, iteration) of the next step
    clock       function that returns the time in seconds
    of_steps    whether the frames of the film are steps, not dreams
    encoded     number of frames that are encoded together; 0 if none are"""

    def __init__(self, pixels: Sequence[int], iterations: int, frames: int = 1, step: tuple[int, int, int] = (0, 0, 0),
                 clock: Callable[[], float] = time.monotonic, of_steps: bool = False, encoded: int = 0) -> None:
        self._costs = [count + FIXED for count in pixels]
        self._iterations, self._clock, self._of_steps, self._encoded = iterations, clock, of_steps, encoded
        written = len(pixels) * iterations if of_steps else frames
        self.total = self._dreaming(frames, 0, 0) + self._writing(written, written)
        self._times, self._works = [clock()], [self._before(*step)]

    def step(self, frame: int, octave: int, iteration: int) -> None:
        """Note that this step is done."""
        self.part(frame, octave, iteration, 1)

    def part(self, frame: int, octave: int, iteration: int, share: float) -> None:
        """Note that this share of the step, above 0, is done."""
        before, after = self._before(frame, octave, iteration), self._before(frame, octave, iteration + 1)
        self._times.append(self._clock())
        self._works.append(before + share * (after - before) if share < 1 else after)

    @property
    def done(self) -> float:
        """The work done so far, out of `total`."""
        return self._works[-1]

    def left(self) -> float | None:
        """Seconds to go; None until the first step is done."""
        if len(self._works) == 1:
            return None
        first = self._works[min(1, len(self._works) - 2)]
        since = bisect.bisect_right(self._works, max(first, self.done - RECENT * (self.done - first)),
                                    hi=len(self._works) - 1) - 1
        speed = (self.done - self._works[since]) / (self._times[-1] - self._times[since])
        if not since:  # only the first step is known
            speed *= FIRST
        return max(0, (self.total - self.done) / speed - (self._clock() - self._times[-1]))

    def _before(self, frame: int, octave: int, iteration: int) -> float:
        """The work that is done before this step."""
        written = octave * self._iterations + iteration if self._of_steps else frame
        return (self._dreaming(frame, octave, iteration)
                + self._writing(written, written - written % self._encoded if self._encoded else 0))

    def _dreaming(self, frame: int, octave: int, iteration: int) -> float:
        octaves = self._iterations + FRESH
        begun = self._costs[octave] * (iteration + FRESH) if iteration else 0
        return (sum(self._costs) * frame + sum(self._costs[:octave])) * octaves + begun

    def _writing(self, written: int, encoded: int) -> float:
        return self._costs[-1] * (WRITING * written + (ENCODING * encoded if self._encoded else 0))
