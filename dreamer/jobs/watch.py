"""Watches a folder and dreams each picture that arrives. It looks once a second (6 ms for 1,000 files), because the
kernel does not report changes in a folder that is shared with a host or over a network, and because a new file must
settle for a second anyway."""

import contextlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from dreamer.errors import Failure, Mistake
from dreamer.jobs import events
from dreamer.jobs.contents import Contents, left_alone
from dreamer.jobs.events import Listener
from dreamer.jobs.folder import Folder, Outcome

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
        self._left = set[str]()  # what is left alone, and that has been said
        self._unread = set[str]()  # subfolders that could not be read at the last look

    def run(self) -> None:
        """Dream all pictures that have no dream yet, and all that arrive, until a stop is asked for: raises Stopped."""
        self._listen(events.Watching(str(self._folder.source)))
        with self._folder.stop.heard():
            self._folder.go(self._looks(), self._missed)

    def _looks(self) -> Iterator[bool | None]:
        """Look for ever; yields True after each look and, if other machines dream, None while there is time until the
        next. Raises Stopped."""
        there = True
        while True:
            try:
                soon, there = self._look(), True
            except Failure as error:  # a shared folder may come back
                if there:
                    self._listen(events.Warned(str(error)))
                soon, there = False, False
            yield True
            self._folder.stop_if_asked()
            until = time.monotonic() + (SETTLED / 2 if soon else LOOK)
            while self._folder.is_away and time.monotonic() < until:
                yield None
            self._folder.stop.wait(until - time.monotonic())

    def _missed(self, name: str, lines: Sequence[str]) -> None:
        self._listen(events.Warned(f"{name}: {' '.join(lines)}"))

    def _look(self) -> bool:
        """Dream the files that have settled; returns whether others have yet to settle."""
        found = self._folder.contents()
        if not self._folder.target.is_dir():
            raise Failure(f"the folder {self._folder.target} is gone")
        soon = self._tell_left_alone(found)
        dreams, current = self._folder.dreams(found.pictures), 0
        for name in found.pictures:
            like, age = self._age(name)
            if like is None or self._over.get(name) == like:
                continue
            if age < SETTLED:
                soon = True
                continue
            try:
                current += self._folder.take(name, dreams) == Outcome.CURRENT
            except (Mistake, Failure) as error:
                if age < PATIENCE and isinstance(error, Mistake):
                    soon = True
                    continue
                self._missed(name, error.args)
            self._over[name] = like
        self._folder.tell_current(current)
        return soon

    def _tell_left_alone(self, found: Contents) -> bool:
        """Say what is left alone, once it has settled; returns whether something has yet to settle."""
        for name in sorted({*found.unread} - self._unread):
            self._listen(events.Warned(f"{name} cannot be read: {found.unread[name]}"))
        self._unread = {*found.unread}
        soon, settled = False, list[list[str]]()
        for names in (found.others, found.folders, found.links):
            settled.append([])
            for name in names:
                if name not in self._left:
                    like, age = self._age(name)
                    soon = soon or age < SETTLED
                    settled[-1] += [name] if like is not None and age >= SETTLED else []
        self._left.update(*settled)
        self._left &= {*found.others, *found.folders, *found.links}
        self._folder.tell_left_alone(*left_alone(self._folder.source, *settled))
        return soon

    def _age(self, name: str) -> tuple[_Like | None, float]:
        """A file as it is now, None if it does not exist; and the seconds since when it has been so."""
        like, now = self._like(name), time.monotonic()
        if like is not None and self._seen.get(name, (None,))[0] != like:
            self._seen[name] = like, now
        return like, now - self._seen[name][1] if like is not None else 0.0

    def _like(self, name: str) -> _Like | None:
        """(size, time of change) of a file, (0, 0) of a folder; None if it does not exist."""
        path, status = self._folder.source / name, None
        for look in (os.stat, os.lstat):  # the second for a link that leads nowhere
            with contextlib.suppress(OSError):
                status = status or look(path)
        if not status:
            return None
        if stat.S_ISDIR(status.st_mode):  # it changes with what is in it
            return 0, 0
        return status.st_size, status.st_mtime_ns  # not the inode: in a shared folder a file's may change at any time
