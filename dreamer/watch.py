"""Waiting for a folder to change. The kernel tells (inotify(7)) where all that changes it goes through this kernel;
a folder that is shared with a host or over a network is looked at again and again."""

import contextlib
import ctypes
import io
import os
import re
import select
import time

POLL = 1  # seconds between two looks at a shared folder
GATHER = 0.1  # seconds: a file that is being written is many changes
SAFETY = 60  # and at others: their queue of events is finite
# File systems that nobody but this kernel writes to; any other (virtiofs, 9p, vboxsf, nfs, cifs, fuse…) is shared.
LOCAL = {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "reiserfs", "tmpfs", "xfs",
         "zfs"}
_EVENTS = 0x002 | 0x008 | 0x040 | 0x080 | 0x100  # modify, close after writing, moved from, moved to, create


def filesystem(folder: str | os.PathLike[str]) -> str:
    """The type of the file system that `folder` is on, as the kernel calls it; "" where it does not say."""
    path, best, kind = os.path.realpath(folder), "", ""
    with contextlib.suppress(OSError), open("/proc/self/mountinfo") as file:
        for line in file:
            mount, _, rest = line.partition(" - ")
            # blanks in a path are written in octal
            point = re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), mount.split()[4])
            if os.path.commonpath([path, point]) == point and len(point) >= len(best):
                best, kind = point, rest.split()[0]
    return kind


class Changes:
    """Of a folder, from now on. What it names is a hint: whoever waits looks at the folder itself."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._events = _inotify(folder) if filesystem(folder) in LOCAL else None

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
