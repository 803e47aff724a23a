"""SIGINT (Ctrl-C) and SIGTERM, and whoever else may ask for the end of a dream."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator

ASKING = (signal.SIGINT, signal.SIGTERM)  # ask for the end, and can be listened to
LOOK = 0.1  # seconds between two looks at whether the end has been asked for


class Stop:
    """Whether the end has been asked for: by a signal, or by whoever sets `event`, which counts as Ctrl-C."""

    def __init__(self, event: threading.Event | None = None) -> None:
        self._event = event
        self._number: int | None = None

    def asked(self) -> int | None:
        """The signal that has asked, or None."""
        if self._number is None and self._event and self._event.is_set():
            self._number = signal.SIGINT
        return self._number

    def ask(self, number: int) -> None:
        """Ask by that signal; the first counts. (A handler must not set an Event: whoever it interrupts may hold the
        Event's lock.)"""
        self._number = self._number or number

    def wait(self, seconds: float) -> None:
        """Sleep so long, or until the end is asked for."""
        until = time.monotonic() + seconds
        while not self.asked() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK))

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """In this block a signal asks, and ends nothing by itself. Python listens in the main thread only: in another
        one nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, lambda number, _: self.ask(number)) for number in ASKING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def end_at_once(words: str) -> None:
    """While no dream is running there is nothing to save: each of them tells `words` and ends the process, exit code
    128 and its number.

    Python itself would show a traceback of wherever it is, and the first process of a container would not listen."""
    def end(number: int, _frame: object) -> None:
        with contextlib.suppress(OSError):
            os.write(2, f"{words}\n".encode())
        os._exit(128 + number)

    for number in ASKING:
        signal.signal(number, end)


def ignore() -> None:
    """When all is done, they change nothing any more: the exit code stays true."""
    for number in ASKING:
        signal.signal(number, signal.SIG_IGN)
