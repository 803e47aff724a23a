"""The standard streams of the process, from its start to its end."""

import contextlib
import io
import os
import sys
from typing import NoReturn

from dreamer.machine import signals


def begin() -> None:
    """Replace closed streams, so that no other file takes their place, and let all text be printed."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:  # a pipe must not take the place of a closed stream
        pass
    sys.stdout, sys.stderr = (stream or os.fdopen(os.dup(number), "w") for stream in (sys.stdout, sys.stderr))
    for stream in sys.stdout, sys.stderr:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # the terminal's encoding may lack some characters


def end(code: int) -> NoReturn:
    """End the process with this exit code, whatever signals come now."""
    signals.ignore()  # the exit code stays true
    for stream in sys.stdout, sys.stderr:
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)  # at exit OpenBLAS waits for its threads, which never start if a ulimit leaves them no memory
