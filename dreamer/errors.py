"""The ways to end badly; each carries lines that say what is wrong and what to do. And how lines are told."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator


def printable(text: object) -> str:
    """`text` on one line: what would not show (a newline in a file's name, a terminal's escapes) is spelled out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def counted(count: int, word: str) -> str:
    """1 octave, 2 octaves."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def tell(kind: str, *lines: str) -> None:
    """Tell what is no result: lines on standard error, behind the program's name and the word `kind`."""
    for line in lines:
        with contextlib.suppress(OSError):  # there is nowhere left to tell it; the exit code does
            print(f"dreamify: {kind}{printable(line)}", file=sys.stderr)


def say(text: str) -> None:
    """Print a result. Who has stopped listening (`| head`) has read enough; raises Failure where it cannot be written
    for any other reason."""
    try:
        print(text, flush=True)
    except OSError as error:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())  # what is left in its buffer goes there at the end
        if not isinstance(error, BrokenPipeError):
            raise Failure(f"standard output could not be written: {error.strerror}") from None


class _Told(Exception):
    exit_code: int

    def __init__(self, *lines: object) -> None:
        super().__init__(*map(printable, lines))

    def __str__(self) -> str:
        return "\n".join(self.args)


class Mistake(_Told):
    """Wrong use: an argument, a file or a setting that the user can mend. Exit code 2."""

    exit_code = 2


class Failure(_Told):
    """Something broke although the command was right. Exit code 1."""

    exit_code = 1


class Stopped(Exception):
    """The work came to an end because a signal asked for it; exit code 128 and the signal's number, as shells count.

    saved  whether what there was of a result has been written"""

    def __init__(self, number: int, words: str = "", saved: bool = False) -> None:
        super().__init__(number, words, saved)
        self.number, self.words, self.saved = number, words, saved
        self.exit_code = 128 + number

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.number).name}" + (f": {self.words}" if self.words else "")


class Wrong(list[str]):
    """Lines on what is wrong, collected, so that all are told at once."""

    @contextlib.contextmanager
    def noted(self, about: str = "") -> Iterator[None]:
        """A Mistake in this block is noted, each of its lines behind the words `about`, and goes no further."""
        try:
            yield
        except Mistake as error:
            self.extend(about + line for line in error.args)

    def tell(self) -> None:
        """Raise Mistake with all of them; nothing where there is none."""
        if self:
            raise Mistake(*self)
