"""A small picture of the dream so far, written so rarely that it hardly delays the dream."""

import os
import time
from collections.abc import Callable

from dreamer.jobs import events
from dreamer.pictures import writing
from dreamer.pictures.picture import Picture

LONGEST = 1280  # maximum pixels of its longest side
SECONDS = 0.5  # minimum time between two previews
SHARE = 0.02  # maximum share of the dream's time for all previews


class Preview:
    """The preview in the file `path`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._start: float | None = None
        self._took = self._latest = self._last = 0.0  # seconds for all; for the latest; when that was

    def is_due(self) -> bool:
        """Whether it is time for a preview. The first call starts the clock."""
        now = time.monotonic()
        if self._start is None:
            self._start = self._last = now
        return now - self._last >= SECONDS and self._took + self._latest <= SHARE * (now - self._start)

    def write(self, picture: Callable[[], Picture]) -> events.PreviewWritten:
        """Write the preview that `picture` returns. Raises Failure and OSError."""
        start = time.monotonic()
        try:
            made = picture()
            writing.write(self.path, made)
        finally:
            self._last = time.monotonic()
            self._latest = self._last - start
            self._took += self._latest
        return events.PreviewWritten(self.path, made.pixels.shape[1], made.pixels.shape[0], self._latest)
