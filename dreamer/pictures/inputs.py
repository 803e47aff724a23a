"""Opens and decodes files that others made, so that nothing in them can do harm."""

import contextlib
import io
import logging
import os
import stat
import struct
import sys
import threading
from collections.abc import Iterator
from typing import IO

from PIL import Image, UnidentifiedImageError

from dreamer.errors import Mistake
from dreamer.machine import files, here

STANDARD = "-"  # standard input or output
MAX_PIXELS = Image.MAX_IMAGE_PIXELS  # Pillow's own limit
_NO_PICTURE = "not a picture in a supported format, such as JPEG, PNG, WebP, TIFF, BMP or GIF"
_LONGEST_PIPE = 1 << 30  # bytes

logging.getLogger("PIL").addHandler(logging.NullHandler())  # or its notes on damaged files appear on standard error

# Formats that Pillow reads with its own code or with trusted libraries. Others run programs (EPS runs Ghostscript) or
# are only stubs.
_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "PSD", "QOI", "SGI",
            "TGA", "TIFF", "WEBP")


def formats() -> list[str]:
    """Names of the formats that can be read: those above that this Pillow supports."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[IO[bytes], str]]:
    """(seekable binary file, its name in messages) of the regular file at `path`; if that is "-", of standard input.
    Raises Mistake if it cannot be opened; never waits for a device or a pipe at `path`."""
    if path == STANDARD:
        yield _standard_input(), "standard input"
        return
    name = os.fspath(path)
    try:
        # without O_NONBLOCK, opening a pipe that nobody writes to would wait
        file = open(  # noqa: SIM115 - closed below
            path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY))
    except FileNotFoundError:
        raise Mistake(f"input: no such file: {name}{files.hint(name) or here.not_mounted(name)}") from None
    except IsADirectoryError:
        raise Mistake(f"input: {name} is a folder, not a file") from None
    except (OSError, ValueError) as error:
        raise Mistake(f"input: {name} cannot be opened: {getattr(error, 'strerror', None) or error}") from None
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise Mistake(f"input: {name} is a device or a pipe, not a file (- reads standard input)")
        if status.st_size == 0:
            raise Mistake(f"input: {name} is empty")
        yield file, name


def _standard_input() -> IO[bytes]:
    """All of standard input, in memory, because decoders do not read a picture from front to back."""
    if sys.stdin is None:
        raise Mistake("input: standard input is closed")
    if sys.stdin.isatty():
        raise Mistake("input: standard input is a terminal; send a picture to it with < or |")
    try:
        start = sys.stdin.buffer.read(16)
        if not start:
            raise Mistake("input: standard input is empty")
        # recognises endless input (a device, say) by its first bytes
        if not any(accept and accept(start.ljust(16, b"\0")) for _, accept in map(Image.OPEN.get, formats())):
            raise Mistake(f"input: standard input is {_NO_PICTURE}")
        rest = sys.stdin.buffer.read(_LONGEST_PIPE)
    except OSError as error:
        raise Mistake(f"input: standard input cannot be read: {error.strerror or error}") from None
    if len(rest) == _LONGEST_PIPE:
        raise Mistake("input: standard input is longer than 1 GiB, the limit")
    return io.BytesIO(start + rest)


@contextlib.contextmanager
def picture(path: str | os.PathLike[str],
            max_pixels: int = MAX_PIXELS) -> Iterator[tuple[Image.Image, IO[bytes], str]]:
    """(Pillow's image, not decoded yet; its file; its name in messages) for the picture at `path`. Raises Mistake if it
    cannot be opened or has more than `max_pixels`, and for any error with it in the block."""
    with opened(path) as (file, name), decoding(name, max_pixels), identified(file) as image:
        if image.size[0] * image.size[1] > max_pixels:
            raise Image.DecompressionBombError
        yield image, file, name


def identified(file: IO[bytes]) -> Image.Image:
    """Like Image.open, but only for the formats above, and without its process-wide limit on pixels. Same errors."""
    start = file.read(16)
    for name in formats():
        factory, accept = Image.OPEN[name]
        try:
            accepted = accept is None or accept(start)
            if not accepted or isinstance(accepted, str):  # a text says why it was not accepted
                continue
            file.seek(0)
            image: Image.Image = factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # it has a different format
            continue
        return image
    raise UnidentifiedImageError


@contextlib.contextmanager
def decoding(name: str, max_pixels: int = MAX_PIXELS) -> Iterator[None]:
    """Turns any error with the picture `name` in this block into a Mistake. `max_pixels` is the limit that the message
    names if the picture is too large."""
    try:
        yield
    except Mistake:
        raise
    except Image.DecompressionBombError:
        raise Mistake(f"input: {name} has more than {max_pixels} pixels; "
                      "raise --max-pixels if you trust the file and have the memory") from None
    except UnidentifiedImageError:
        raise Mistake(f"input: {name} is {_NO_PICTURE}") from None
    except MemoryError:
        raise Mistake(f"input: {name} is too large for this machine's memory") from None
    except Exception as error:  # with damaged files, Pillow's decoders raise all kinds of exceptions
        if isinstance(error, OSError) and (error.errno or 0) > 0:  # an error of the disk or the system
            raise Mistake(f"input: {name} cannot be read: {error.strerror}") from None
        known = isinstance(error, (OSError, SyntaxError, ValueError))
        why = str(error) if known else ""
        why = f" ({why})" if any(map(str.isalpha, why)) else ""  # some messages are only a number
        raise Mistake(f"input: {name} is damaged or cut short{why}") from None


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Drops what C libraries write to standard error in this block, such as libtiff's notes on damaged files. Does
    nothing if the process has other threads, because they may write there too."""
    try:
        before = os.dup(2) if threading.active_count() == 1 else None
    except OSError:  # closed
        before = None
    if before is None:
        yield
        return
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
