"""Waiting for a folder to change. The kernel tells (inotify(7)) where all that changes it goes through this kernel;
a folder that is shared with a host or over a network is looked at again and again."""

import ctypes
import io
import os
import select
import time

from dreamer.sharing import shared

POLL = 1  # seconds between two looks at a shared folder
GATHER = 0.1  # seconds: a file that is being written is many changes
SAFETY = 60  # and at others: their queue of events is finite
_EVENTS = 0x002 | 0x008 | 0x040 | 0x080 | 0x100  # modify, close after writing, moved from, moved to, create


class Changes:
    """Of a folder, from now on. What it names is a hint: whoever waits looks at the folder itself."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._events = None if shared(folder) else _inotify(folder)

    @property
    def told(self) -> bool:
        """Whether the kernel tells of them."""
        return self._events is not None

    def wait(self, seconds: float | None = None) -> None:
        """Return when there may be one, or after `seconds`."""
        if self._events is None:
            time.sleep(min(POLL, seconds or POLL))
        elif select.select([self._events], [], [], seconds or SAFETY)[0]:
            time.sleep(GATHER)
            self._events.read(1 << 20)


def _inotify(folder: str | os.PathLike[str]) -> io.FileIO | None:
    """A file from which events in the folder are read; None where the kernel has none to give."""
    libc = ctypes.CDLL(None)
    try:
        number = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if number < 0:
            return None
        events = open(number, "rb", buffering=0)  # noqa: SIM115 - it is closed with the object
        return events if libc.inotify_add_watch(number, os.fsencode(folder), _EVENTS) >= 0 else None
    except AttributeError:
        return None
