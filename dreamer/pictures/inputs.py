"""Opens and decodes files that others made, so that nothing in them can do harm."""

import contextlib
import errno
import importlib
import io
import logging
import os
import stat
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO

from PIL import Image, UnidentifiedImageError

from dreamer.errors import Failure, Mistake
from dreamer.machine import decoders, files, here
from dreamer.pictures import bands, bmp, jpeg, kinds, modern, nothing, planes, png, rare, raw

STANDARD = "-"  # standard input or output
MAX_PIXELS = Image.MAX_IMAGE_PIXELS  # Pillow's own limit
_NO_PICTURE = "not a picture in a supported format, such as JPEG, PNG, WebP, TIFF, BMP or GIF"
_LONGEST_PIPE = 1 << 30  # bytes

logging.getLogger("PIL").addHandler(logging.NullHandler())  # or its notes on damaged files appear on standard error

# Formats that Pillow reads with its own code or with trusted libraries. Others run programs (EPS runs Ghostscript) or
# are only stubs.
# The plugin of each is loaded when it is needed: Image.init() takes 15 ms for all that there are.
_FORMATS = {"BMP": "Bmp", "DIB": "Bmp", "GIF": "Gif", "ICO": "Ico", "JPEG": "Jpeg", "JPEG2000": "Jpeg2K", "MPO": "Mpo",
            "PCX": "Pcx", "PNG": "Png", "PPM": "Ppm", "PSD": "Psd", "QOI": "Qoi", "SGI": "Sgi", "TGA": "Tga",
            "TIFF": "Tiff", "WEBP": "WebP"}
_NEW_PNM = (b"PF", b"Pf", b"P7")  # which this Pillow may not read
# What opens them instead, because Pillow reads some files wrong or not at all
_OWN: dict[str, Callable[[IO[bytes]], Image.Image]] = {
    "BMP": bmp.opened, "ICO": rare.opened_ico, "JPEG": jpeg.opened, "JPEG2000": rare.opened_jpeg2000,
    "PCX": rare.opened_pcx, "PNG": png.opened, "PSD": rare.opened_psd, "TGA": rare.opened_tga, "TIFF": planes.opened}


def formats() -> Iterator[str]:
    """Names of the formats that Pillow reads: those above that this Pillow supports."""
    for name, plugin in _FORMATS.items():
        if name not in Image.OPEN:
            with contextlib.suppress(ImportError):  # this Pillow is too old
                importlib.import_module(f"PIL.{plugin}ImagePlugin")
        if name in Image.OPEN:
            yield name


def extensions() -> set[str]:
    """Extensions, in lower case, of the files that can be read with the programs that are installed."""
    kinds_ = set(formats())
    return {extension for extension, kind in Image.registered_extensions().items() if kind in kinds_} | {
        *modern.extensions(), *raw.extensions()}


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
        advice = files.hint(name) or nothing.near(name) or here.not_mounted(name)
        raise Mistake(f"input: no such file: {name}{advice}") from None
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
        start = sys.stdin.buffer.read(kinds.LONG)
        if not start:
            raise Mistake("input: standard input is empty")
        # recognises endless input (a device, say) by its first bytes
        if not kinds.picture(start) and not any(accept and accept(start.ljust(16, b"\0"))
                                                for _, accept in map(Image.OPEN.get, formats())):
            raise Mistake(f"input: standard input is {_what(start)}{_NO_PICTURE}")
        rest = sys.stdin.buffer.read(_LONGEST_PIPE)
    except OSError as error:
        raise Mistake(f"input: standard input cannot be read: {error.strerror or error}") from None
    if len(rest) == _LONGEST_PIPE:
        raise Mistake("input: standard input is longer than 1 GiB, the limit")
    return io.BytesIO(start + rest)


def kind(path: str | os.PathLike[str]) -> str | None:
    """The kind of picture that the file at `path` begins like, which may be damaged or of a kind that cannot be read;
    None for other files."""
    try:
        with opened(path) as (file, _):
            return kinds.picture(file.read(kinds.LONG))
    except Mistake:
        return None


@contextlib.contextmanager
def picture(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS,
            max_size: int | None = None) -> Iterator[tuple[Image.Image, IO[bytes], str]]:
    """(Pillow's image, not decoded yet; its file; its name in messages) for the picture at `path`. Raises Mistake if it
    cannot be opened or has more than `max_pixels`, and for any error with it in the block. A picture that can be shrunk
    to `max_size` while it is decoded may have more."""
    with opened(path) as (file, name), decoding(name, max_pixels, file), identified(file) as image:
        pixels = getattr(image, "pixels", image.size[0] * image.size[1])
        if pixels > max_pixels and not (max_size and any(
                each.reducible(image, file, max_size, max_pixels) for each in (jpeg, bands, modern))):
            raise Image.DecompressionBombError
        yield image, file, name


def identified(file: IO[bytes]) -> Image.Image:
    """Like Image.open, but only for the formats above, and without its process-wide limit on pixels. Same errors, and
    kinds.UnreadableError."""
    file.seek(0)
    start = file.read(kinds.LONG)
    kind = kinds.picture(start)
    if kind in set(modern.EXTENSIONS.values()):
        return modern.opened(file, str(kind))
    if kind == "RAW" or (kind == "TIFF" and raw.is_raw(file)):
        return raw.opened(file)
    for name in formats():
        factory, accept = Image.OPEN[name]
        try:
            accepted = accept is None or accept(start)
            if not accepted or isinstance(accepted, str):  # a text says why it was not accepted
                continue
            file.seek(0)
            image: Image.Image = _OWN[name](file) if name in _OWN else factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error) as error:  # it has a different format
            if kind == name and _unknown(error):
                raise kinds.cannot(kinds.PICTURE[name]) from None
            continue
        return image
    if kind == "PPM" and start[:2] in _NEW_PNM:
        raise kinds.cannot("a PAM or PFM picture")
    if kind:
        raise SyntaxError("damaged")
    raise UnidentifiedImageError


def _unknown(error: BaseException) -> bool:
    """Whether Pillow's words mean that it does not know this kind, not that the file is damaged."""
    return isinstance(error, NotImplementedError) or any(
        word in str(error).lower() for word in ("unknown", "unsupported", "not supported", "decoder"))


def _what(start: bytes) -> str:
    """What a file that starts so is, as the beginning of a message: "a PDF document, "; "" if that is not known."""
    words = kinds.words(start)
    return f"{words}, " if words else ""


@contextlib.contextmanager
def decoding(name: str, max_pixels: int = MAX_PIXELS, file: IO[bytes] | None = None) -> Iterator[None]:
    """Turns any error with the picture `name` in this block into a Mistake, which says what `file` is. `max_pixels` is
    the limit that the message names if the picture is too large."""
    def what() -> bytes:
        if file is None:
            return b""
        file.seek(0)
        return file.read(kinds.LONG)
    try:
        yield
    except (Mistake, Failure):
        raise
    except Image.DecompressionBombError:
        raise Mistake(f"input: {name} has more than {max_pixels} pixels; "
                      "raise --max-pixels if you trust the file and have the memory") from None
    except kinds.UnreadableError as error:
        raise Mistake(f"input: {name} is {error}") from None
    except UnidentifiedImageError:
        raise Mistake(f"input: {name} is {_what(what())}{_NO_PICTURE}") from None
    except (MemoryError, decoders.TooMuchError):
        raise Mistake(f"input: {name} is too large for this machine's memory, or takes too long to decode") from None
    except Exception as error:  # with damaged files, Pillow's decoders raise all kinds of exceptions
        if isinstance(error, OSError) and (error.errno or 0) > 0 and error.errno != errno.EINVAL:  # of the system
            raise Mistake(f"input: {name} cannot be read: {error.strerror}") from None
        words = kinds.words(what())
        if isinstance(error, decoders.UnsupportedError) or _unknown(error):
            raise Mistake(f"input: {name} is {kinds.cannot(words or 'a picture')}") from None
        raise Mistake(f"input: {name} is {f'{words}, but ' if words else ''}damaged or cut short") from None


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
        with open(os.devnull, "wb") as null:
            os.dup2(null.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
