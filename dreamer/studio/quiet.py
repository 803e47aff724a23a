"""What Tornado and asyncio say: nothing about requests, whose addresses may have the token in them; one line about an
error that nobody has foreseen."""

import logging

from dreamer.errors import tell


class Line(logging.Handler):
    """Prints the error of a record in one line, without its message, which may contain an address."""

    def emit(self, record: logging.LogRecord) -> None:  # noqa: D102 - logging's
        error = record.exc_info[1] if record.exc_info else None
        if error is None or isinstance(error, OSError):  # connections end in many ways
            return
        tell("warning: ", f"studio: {type(error).__name__}: {str(error)[:300]}")


def quieten() -> None:
    """Let the loggers of Tornado and asyncio print nothing else."""
    for name in ("tornado", "tornado.access", "tornado.application", "tornado.general", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [Line(logging.ERROR)]
        logger.propagate = False
        logger.setLevel(logging.CRITICAL if name == "tornado.access" else logging.ERROR)
