"""Programs of the distribution that decode one file each, in a process with limits on its memory and time."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

from dreamer.machine import limits

IN, OUT = "in", "out"  # in a command: the file to decode, and the file for the result
_BEGIN, _PER_PIXEL = 512 << 20, 48  # bytes of address space, for the program and for each pixel that its file declares
_SECONDS, _PIXELS_PER_SECOND = 10, 1_000_000

# The names in the private folder are links, so a program sees safe names with the extensions that it wants, and the
# folder holds no data. The result goes to a file without a name. Whatever ends the program or this process, the folder
# goes and the program ends.
_SCRIPT = """
d=$(mktemp -d) || exit 1
trap 'kill "$p" 2>/dev/null; rm -rf "$d"' EXIT
trap 'exit 1' HUP INT TERM
ln -s "/proc/self/fd/$1" "$d/$2" && ln -s "/proc/self/fd/$3" "$d/$4" && cd "$d" || exit 1
shift 4
"$@" &
p=$!
wait "$p"
"""


class UnsupportedError(Exception):
    """The program says that it does not know this kind of file."""


class DamagedError(Exception):
    """The program failed for any other reason."""


class TooMuchError(Exception):
    """The program needed more time than the limit."""


def find(*names: str) -> str | None:
    """The path of the first of these programs that is installed; None if none is."""
    return next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def decoded(command: Sequence[str], data: IO[bytes], pixels: int, extensions: tuple[str, str]) -> Iterator[IO[bytes]]:
    """The result of a program, as an open file without a name.

    command     its words; IN and OUT stand for the two files; without OUT, the result is its standard output
    data        the file to decode; it may be in memory
    pixels      how many pixels its header declares, which the limits on memory and time depend on
    extensions  those of IN and OUT, as the program wants them

    Raises UnsupportedError, DamagedError, TooMuchError, MemoryError or OSError."""
    seconds = _SECONDS + pixels // _PIXELS_PER_SECOND
    space = min(_BEGIN + _PER_PIXEL * pixels, max(_BEGIN, int(limits.memory())))
    names = IN + extensions[0], OUT + extensions[1]
    words = [names[0] if word == IN else names[1] if word == OUT else word for word in command]
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as result, tempfile.TemporaryFile() as said:
        data.seek(0)
        shutil.copyfileobj(data, source)
        source.flush()
        script = ["setpriv", "--pdeathsig", "TERM", "sh", "-c", _SCRIPT, "sh", str(source.fileno()), names[0],
                  str(result.fileno()), names[1], "prlimit", f"--as={space}", f"--cpu={seconds}", "--core=0", *words]
        process = subprocess.Popen(script, stdin=subprocess.DEVNULL, stderr=said,
                                   stdout=subprocess.DEVNULL if OUT in command else result,
                                   pass_fds=(source.fileno(), result.fileno()), start_new_session=True,
                                   env=os.environ | {"LC_ALL": "C", "OMP_NUM_THREADS": "2"})
        try:
            code = process.wait(10 * seconds)
        except subprocess.TimeoutExpired:
            raise TooMuchError from None
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        said.seek(0)
        _check(code, said.read(1 << 16).decode(errors="replace").lower())
        result.seek(0)
        yield result


def _check(code: int, said: str) -> None:
    """Raise the error for a program's exit code and its standard error in lower case."""
    if code in (128 + 24, 128 + 9):  # SIGXCPU, SIGKILL
        raise TooMuchError
    if code and any(word in said for word in ("bad_alloc", "memory", "cannot allocate")):
        raise MemoryError
    if code and any(word in said for word in ("unsupported", "not supported", "no decoder", "unknown file")):
        raise UnsupportedError
    if code:
        raise DamagedError
