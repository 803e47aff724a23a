"""What the dreams of one user on this machine have reserved of its memory, so that the next one plans with the rest.

Each has a file, locked as long as it runs, in a folder of the user's: when it ends, however it does, the kernel opens
the lock. Where there is no such folder (a read-only container, say) each dream is alone."""

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from dreamer.errors import Stopped

LOOK = 0.5  # seconds between two looks at whether another dream has ended


class Reservation:
    """Of this process; nothing is reserved yet."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None

    @contextlib.contextmanager
    def planning(self, asked: Callable[[], int | None]) -> Iterator[int]:
        """In this block no other dream plans; gives the bytes that others have reserved in all. Raises Stopped where
        the end is asked for while another one plans.

        asked  gives the signal that asks for the end, or None"""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # a disk that is full, say: then this one plans alone
                if folder := _folder():
                    lock = stack.enter_context(open(folder / "planning", "ab"))
                    while not _locked(lock):
                        if number := asked():
                            raise Stopped(number)
                        time.sleep(LOOK / 10)
            yield reserved()

    def make(self, count: int, *processes: int) -> None:
        """Reserve `count` bytes for this process and others that belong to it, until it ends."""
        folder = _folder()
        with contextlib.suppress(OSError):
            if folder is None:
                return
            made = folder / f"new-{os.getpid()}"  # which nobody reads before it is locked
            self._file = open(made, "wb", buffering=0)  # noqa: SIM115 - held until the end
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._file.write(" ".join(map(str, (count, os.getpid(), *processes))).encode())
            made.replace(folder / str(os.getpid()))


def _locked(file: IO[bytes]) -> bool:
    """Lock the file, if nobody else has; returns whether it is ours. Raises OSError where files know no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def changed(before: int) -> bool:
    """Whether others have reserved something else than so many bytes in all; after a while."""
    time.sleep(LOOK)
    return reserved() != before


def reserved() -> int:
    """Bytes that other dreams have reserved in all."""
    return sum(count for count, _ in _others())


def others(held: Callable[[str], int]) -> int:
    """Bytes that other dreams have reserved and not taken yet.

    held  function of a process's number that gives the bytes that it holds"""
    return sum(max(0, count - sum(map(held, processes))) for count, processes in _others())


def _others() -> Iterator[tuple[int, list[str]]]:
    """(bytes, [numbers of its processes]) of each other dream that runs; the files of those that do not are removed."""
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
    """The folder of the user's reservations; None where there can be none that nobody else writes to."""
    user = os.geteuid()
    for place in (os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{user}", "/dev/shm", "/tmp"):
        if place and os.path.isabs(place):
            with contextlib.suppress(OSError):
                # numbers of processes mean something in their own namespace only
                path = Path(place, f"image-dreamer-{user}-{os.stat('/proc/self/ns/pid').st_ino}")
                if os.stat(place).st_uid not in (0, user):  # who owns it could plant a link there
                    continue
                path.mkdir(mode=0o700, exist_ok=True)
                status = path.lstat()
                if (stat.S_ISDIR(status.st_mode) and status.st_uid == user and not status.st_mode & 0o022
                        and os.access(path, os.W_OK)):
                    return path
    return None
