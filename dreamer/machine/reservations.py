"""The memory that a user's dreams have reserved on this machine, so that the next dream plans with the rest.

Each dream has a file in a folder of the user's, and locks it. When the dream ends, in whatever way, the kernel releases
the lock. If there is no such folder (for example in a read-only container), each dream plans alone."""

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from dreamer.errors import Stopped

LOOK = 0.5  # seconds between two checks whether another dream has ended


class Reservation:
    """The reservation of this process; at first, nothing is reserved."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None

    @contextlib.contextmanager
    def planning(self, asked: Callable[[], int | None]) -> Iterator[int]:
        """In this block no other dream plans. Yields the bytes that the others have reserved in all. Raises Stopped if
        a stop is requested while another dream plans.

        asked  function that returns the signal that requested a stop, or None"""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # for example a full disk: then this dream plans alone
                if folder := _folder():
                    lock = stack.enter_context(open(folder / "planning", "ab"))
                    while not _locked(lock):
                        if number := asked():
                            raise Stopped(number)
                        time.sleep(LOOK / 10)
            yield reserved()

    def make(self, count: int, *processes: int) -> None:
        """Reserve `count` bytes for this process and the `processes` that belong to it, until it ends."""
        folder = _folder()
        with contextlib.suppress(OSError):
            if folder is None:
                return
            made = folder / f"new-{os.getpid()}"  # nobody reads this name before it is locked
            self._file = open(made, "wb", buffering=0)  # noqa: SIM115 - held until the end
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._file.write(" ".join(map(str, (count, os.getpid(), *processes))).encode())
            made.replace(folder / str(os.getpid()))


def _locked(file: IO[bytes]) -> bool:
    """Lock the file unless another process has; returns whether it is ours. Raises OSError if it cannot be locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def changed(before: int) -> bool:
    """Wait a little; returns whether others now reserve more or less than `before` bytes in all."""
    time.sleep(LOOK)
    return reserved() != before


def reserved() -> int:
    """Bytes that other dreams have reserved in all."""
    return sum(count for count, _ in _others())


def others(held: Callable[[str], int]) -> int:
    """Bytes that other dreams have reserved but not taken yet.

    held  function that returns the bytes that a process holds, given its number"""
    return sum(max(0, count - sum(map(held, processes))) for count, processes in _others())


def _others() -> Iterator[tuple[int, list[str]]]:
    """(bytes, [numbers of its processes]) of each other running dream; removes the files of those that have ended."""
    try:
        folder = _folder()
        paths = list(folder.iterdir()) if folder else []
    except OSError:
        paths = []
    for path in paths:
        if not path.name.isdecimal() or path.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                count, *processes = file.read().decode().split()
                yield int(count), processes
            else:
                path.unlink()


def _folder() -> Path | None:
    """The folder of the user's reservations; None if there is no folder that only this user can write to."""
    user = os.geteuid()
    for place in (os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{user}", "/dev/shm", "/tmp"):
        if place and os.path.isabs(place):
            with contextlib.suppress(OSError):
                # process numbers are only valid in their own namespace
                path = Path(place, f"image-dreamer-{user}-{os.stat('/proc/self/ns/pid').st_ino}")
                if os.stat(place).st_uid not in (0, user):  # its owner could plant a link there
                    continue
                path.mkdir(mode=0o700, exist_ok=True)
                status = path.lstat()
                if (stat.S_ISDIR(status.st_mode) and status.st_uid == user and not status.st_mode & 0o022
                        and os.access(path, os.W_OK)):
                    return path
    return None
