"""A small picture of the dream so far, written so rarely that it hardly delays the dream."""

import os
import time
from collections.abc import Callable

from dreamer.jobs import events
from dreamer.pictures import writing
from dreamer.pictures.picture import Picture

LONGEST = 1280  # maximum pixels of its longest side
SECONDS = 0.3  # minimum time between two previews: who watches wants two a second, and steps do not end on time
SHARE = 0.08  # maximum share of the dream's time for all previews but the first, which prepares the others


class Preview:
    """The preview in the file `path`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._start: float | None = None
        self._prepared = False
        self._took = self._latest = self._last = 0.0  # seconds for all that count; for the latest; when that was

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
            took = self._last - start
            if self._prepared:
                self._latest, self._took = took, self._took + took
            self._prepared = True
        return events.PreviewWritten(self.path, made.pixels.shape[1], made.pixels.shape[0], took)
