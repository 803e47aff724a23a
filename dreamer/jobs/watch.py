"""Watching a folder: what comes into it is dreamed. It is looked at again and again, which costs 6 ms a look at 1,000
files: the kernel tells of no changes in a folder that is shared with a host or over a network, and a file that has
just come must settle for a second in any case."""

import os
import time
from typing import TypeAlias

from dreamer.errors import Failure, Mistake
from dreamer.jobs import events
from dreamer.jobs.events import Listener
from dreamer.jobs.folder import Folder, dream_name, names

LOOK = 1.0  # seconds between two looks
SETTLED = 1.0  # seconds for which a file must stay as it is before it is taken: it may still be being copied
PATIENCE = 20  # seconds that one which stays as it is, and cannot be read, is given: copying may have come to a halt

_Like: TypeAlias = tuple[int, int]  # what changes when a file does


class Watch:
    """Of a Folder."""

    def __init__(self, folder: Folder, listen: Listener) -> None:
        self._folder, self._listen = folder, listen
        # what a file was like when it was looked at, and when that was first so
        self._seen: dict[str, tuple[_Like, float]] = {}
        self._over: dict[str, _Like] = {}  # what a file was like that need not be looked at again

    def run(self) -> None:
        """Dream all that are not yet and all that come, until the end is asked for: raises Stopped."""
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
        """Take what has settled; returns whether something has yet to settle."""
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
        """None where there is no such file."""
        try:
            status = os.stat(self._folder.source / name)
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns  # not the inode: on a shared folder a file may get another any time
