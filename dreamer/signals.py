"""SIGINT (Ctrl-C) and SIGTERM before and after a dream; during one see dreamer/worker.py."""

import contextlib
import os
import signal

ASKING = (signal.SIGINT, signal.SIGTERM)  # ask for the end, and can be listened to


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
