"""SIGINT (Ctrl-C), SIGTERM, and other requests to end a dream."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator

ASKING = (signal.SIGINT, signal.SIGTERM)  # the signals that ask for the end, and can be handled
LOOK = 0.1  # seconds between two checks whether the end has been asked for


class Stop:
    """Whether the end has been asked for: by a signal, or by setting `event`, which counts as Ctrl-C."""

    def __init__(self, event: threading.Event | None = None) -> None:
        self._event = event
        self._number: int | None = None

    def asked(self) -> int | None:
        """The signal that has asked for the end, or None."""
        if self._number is None and self._event and self._event.is_set():
            self._number = signal.SIGINT
        return self._number

    def ask(self, number: int) -> None:
        """Ask with that signal; the first one counts. (A handler must not set an Event: the code that it interrupts may
        hold the Event's lock.)"""
        self._number = self._number or number

    def wait(self, seconds: float) -> None:
        """Sleep for this many seconds, or until a stop is requested."""
        until = time.monotonic() + seconds
        while not self.asked() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK))

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """In this block, signals only ask for the end. (Python handles signals only in the main thread; in any other
        this changes nothing.)"""
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
    """While no dream is running, there is nothing to save: let each signal print `words` and end the process, with exit
    code 128 plus its number.

    Otherwise Python would show a traceback, and the first process of a container would ignore SIGTERM."""
    def end(number: int, _frame: object) -> None:
        with contextlib.suppress(OSError):
            os.write(2, f"{words}\n".encode())
        os._exit(128 + number)

    for number in ASKING:
        signal.signal(number, end)


def ignore() -> None:
    """Ignore the signals when all is done, so that the exit code stays true."""
    for number in ASKING:
        signal.signal(number, signal.SIG_IGN)
