"""A picture that shows a dream on its way. It is small, and made so seldom that the dream hardly waits for it."""

import os
import time
from collections.abc import Callable

from dreamer.jobs import events
from dreamer.pictures import writing
from dreamer.pictures.picture import Picture

LONGEST = 1280  # pixels of its longest side
SECONDS = 0.5  # between two of them, at least
SHARE = 0.02  # of the dream's time that all of them take, at most


class Preview:
    """At `path`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._start: float | None = None
        self._took = self._latest = self._last = 0.0  # in all; the latest, as will the next; when that was

    def is_due(self) -> bool:
        """Whether it is time for one; the first time begins when this is asked for the first time."""
        now = time.monotonic()
        if self._start is None:
            self._start = self._last = now
        return now - self._last >= SECONDS and self._took + self._latest <= SHARE * (now - self._start)

    def write(self, picture: Callable[[], Picture]) -> events.PreviewWritten:
        """Write the picture, which is made for it. Raises Failure and OSError."""
        start = time.monotonic()
        try:
            made = picture()
            writing.write(self.path, made)
        finally:
            self._last = time.monotonic()
            self._latest = self._last - start
            self._took += self._latest
        return events.PreviewWritten(self.path, made.pixels.shape[1], made.pixels.shape[0], self._latest)
