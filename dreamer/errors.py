"""The errors: each carries lines that say what is wrong and what to do. Also, how lines are printed."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator


def printable(text: object) -> str:
    """`text` on one line: unprintable characters (a newline in a file's name, a terminal's escapes) are spelled out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def counted(count: int, word: str) -> str:
    """The number with its word: "1 octave", "2 octaves"."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def tell(kind: str, *lines: str) -> None:
    """Print `lines`, which are not results, on standard error, each after the program's name and the text `kind`."""
    for line in lines:
        with contextlib.suppress(OSError):  # only the exit code is left to report the error
            print(f"dreamify: {kind}{printable(line)}", file=sys.stderr)


def say(text: str) -> None:
    """Print a result. It is not an error if the reader closes the pipe (`| head`). Raises Failure if writing fails
    for any other reason."""
    try:
        print(text, flush=True)
    except OSError as error:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())  # the rest of the buffer goes there at exit
        if not isinstance(error, BrokenPipeError):
            raise Failure(f"standard output could not be written: {error.strerror}") from None


class _Told(Exception):
    exit_code: int

    def __init__(self, *lines: object) -> None:
        super().__init__(*map(printable, lines))

    def __str__(self) -> str:
        return "\n".join(self.args)


class Mistake(_Told):
    """Wrong use: an argument, a file or a setting that the user can correct. Exit code 2."""

    exit_code = 2


class Failure(_Told):
    """Something broke although the command was right. Exit code 1."""

    exit_code = 1


class Stopped(Exception):
    """A signal stopped the work. The exit code is 128 plus the signal's number, as in shells.

    saved  whether the unfinished result was written"""

    def __init__(self, number: int, words: str = "", saved: bool = False) -> None:
        super().__init__(number, words, saved)
        self.number, self.words, self.saved = number, words, saved
        self.exit_code = 128 + number

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.number).name}" + (f": {self.words}" if self.words else "")


class Wrong(list[str]):
    """Error messages, collected so that all are reported at once."""

    @contextlib.contextmanager
    def noted(self, about: str = "") -> Iterator[None]:
        """Catch a Mistake in this block, and add its lines, each with the prefix `about`; it replaces "input: " or
        "output: ", because the line is about another file."""
        try:
            yield
        except Mistake as error:
            self.extend(about + line.removeprefix("input: ").removeprefix("output: ") if about else line
                        for line in error.args)

    def tell(self) -> None:
        """Raise Mistake with all messages, if there are any."""
        if self:
            raise Mistake(*self)
