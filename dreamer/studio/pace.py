"""How much of a mirror's dream this machine has time for: it must show enough frames a second, also while another dream
runs."""

import statistics
from collections import deque

from dreamer.jobs.estimate import FIXED

# seconds that a frame may take, so that there are 8 a second with what the page does before and after
SLOW = 0.105
QUICK = 0.085  # if a frame would take no more than this, it gets more; the gap keeps the picture from changing often
USUAL = 320 * 240  # pixels; with more than these, pixels are saved first, and then steps
LARGEST = 640 * 480  # pixels
_LEAST = 160 * 120  # pixels
_SAVES = 0.8  # share of the pixels that is left each time
_RECENT = 5  # frames whose speed counts
_NEW = 2  # frames after a change that do not count: memory is allocated


class Pace:
    """Chooses the steps and pixels of each frame from how long the last ones took."""

    def __init__(self) -> None:
        self._speeds: deque[float] = deque(maxlen=_RECENT)  # seconds for a step with a pixel
        self._saved = 0  # number of times that something was saved
        self._ignored = _NEW
        self._last: tuple[int, int] | None = None

    def restart(self) -> None:
        """Forget the speed, for another net."""
        self._speeds.clear()
        self._ignored = _NEW

    def choose(self, steps: int, pixels: int) -> tuple[int, int]:
        """(steps, pixels) for the next frame, if so many are asked for: as many as there is time for."""
        choices = list(_choices(steps, pixels))
        self._saved = min(self._saved, len(choices) - 1)
        if self._speeds:
            speed = statistics.median(self._speeds)
            took = [count * (area + FIXED) * speed for count, area in choices]
            self._saved = next((number for number, seconds in enumerate(took)
                                if seconds <= (QUICK if number < self._saved else SLOW)), len(choices) - 1)
        if choices[self._saved] != self._last:
            self._last, self._ignored = choices[self._saved], _NEW
        return choices[self._saved]

    def note(self, seconds: float, steps: int, pixels: int) -> None:
        """Note how long a frame took."""
        if self._ignored:
            self._ignored -= 1
        else:
            self._speeds.append(seconds / (steps * (pixels + FIXED)))


def _choices(steps: int, pixels: int) -> list[tuple[int, int]]:
    """[(steps, pixels)], each cheaper than the one before."""
    found = [(steps, min(pixels, LARGEST))]
    while found[-1][1] > USUAL:
        found.append((steps, max(USUAL, int(found[-1][1] * _SAVES))))
    found += [(count, found[-1][1]) for count in range(steps - 1, 0, -1)]
    while found[-1][1] > _LEAST:
        found.append((1, max(_LEAST, int(found[-1][1] * _SAVES))))
    return found
