"""Watches a folder and dreams each picture that arrives. It looks once a second (6 ms for 1,000 files), because the
kernel does not report changes in a folder that is shared with a host or over a network, and because a new file must
settle for a second anyway."""

import os
import time
from typing import TypeAlias

from dreamer.errors import Failure, Mistake
from dreamer.jobs import events
from dreamer.jobs.events import Listener
from dreamer.jobs.folder import Folder, names
from dreamer.pictures.writing import dream_name

LOOK = 1.0  # seconds between two looks
SETTLED = 1.0  # seconds for which a file must stay unchanged before it is dreamed: copying may not be finished
PATIENCE = 20  # seconds after which an unchanged file that cannot be read counts as failed: copying may have paused

_Like: TypeAlias = tuple[int, int]  # (size, time of change) of a file


class Watch:
    """Watches a Folder."""

    def __init__(self, folder: Folder, listen: Listener) -> None:
        self._folder, self._listen = folder, listen
        # each file as it was at the last look, and the time since when it has been so
        self._seen: dict[str, tuple[_Like, float]] = {}
        self._over: dict[str, _Like] = {}  # files that are finished, as they were then

    def run(self) -> None:
        """Dream all pictures that have no dream yet, and all that arrive, until a stop is asked for: raises Stopped."""
        self._listen(events.Watching(str(self._folder.source)))
        there = True
        with self._folder.stop.heard():
            while True:
                try:
                    soon, there = self._look(), True
                except Failure as error:  # a shared folder may come back
                    if there:
                        self._listen(events.Warned(str(error)))
                    soon, there = False, False
                self._folder.stop_if_asked()
                self._folder.stop.wait(SETTLED / 2 if soon else LOOK)

    def _look(self) -> bool:
        """Dream the files that have settled; returns whether others have yet to settle."""
        soon, found = False, names(self._folder.source)
        dreams = set(map(dream_name, found))
        if not self._folder.target.is_dir():
            raise Failure(f"the folder {self._folder.target} is gone")
        for name in found:
            like = self._like(name)
            if like is None or self._over.get(name) == like:
                continue
            if self._seen.get(name, (None,))[0] != like:
                self._seen[name] = like, time.monotonic()
            age = time.monotonic() - self._seen[name][1]
            if age < SETTLED:
                soon = True
                continue
            try:
                self._folder.take(name, dreams)
            except (Mistake, Failure) as error:
                if age < PATIENCE and isinstance(error, Mistake):
                    soon = True
                    continue
                self._listen(events.Warned(f"{name}: {' '.join(error.args)}"))
            self._over[name] = like
        return soon

    def _like(self, name: str) -> _Like | None:
        """(size, time of change) of a file; None if it does not exist."""
        try:
            status = os.stat(self._folder.source / name)
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns  # not the inode: in a shared folder a file's may change at any time
