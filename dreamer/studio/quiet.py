"""What the studio says on the terminal about errors that nobody has foreseen: one line each. Tornado and asyncio say
nothing else, because the addresses of requests may have the token in them."""

import asyncio
import logging
from typing import Any

from dreamer.errors import printable, tell

_PARSERS = ("http1connection.py", "httputil.py")  # Tornado's; an error there is the client's, who sent no HTTP


def named(error: BaseException) -> str:
    """The error in one line."""
    return printable(f"{type(error).__name__}: {error}")[:300]


def report(error: BaseException | None, about: str = "") -> None:
    """Print the error, unless it is only the end of a connection or of a task, or something that is no HTTP.

    about  what was going on"""
    if error is None or isinstance(error, OSError | asyncio.CancelledError):
        return
    trace, where = error.__traceback__, ""
    while trace:
        where, trace = trace.tb_frame.f_code.co_filename, trace.tb_next
    if not where.endswith(_PARSERS):
        tell("warning: ", f"studio: {about}{named(error)}")


class _Line(logging.Handler):
    """Prints the error of a record, without its message, which may contain an address."""

    def emit(self, record: logging.LogRecord) -> None:
        report(record.exc_info[1] if record.exc_info else None)


def quieten(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loggers of Tornado and asyncio, and this loop, print nothing else."""
    for name in ("tornado", "tornado.access", "tornado.application", "tornado.general", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [_Line(logging.ERROR)]
        logger.propagate = False
        logger.setLevel(logging.CRITICAL if name == "tornado.access" else logging.ERROR)
    loop.set_exception_handler(_unforeseen)


def _unforeseen(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    report(context.get("exception"))
