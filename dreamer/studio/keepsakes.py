"""What is kept of the mirror: the newest picture, or the last seconds as a film. Each is a file in the folder, with a
recipe."""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dreamer.errors import Failure
from dreamer.films import webp
from dreamer.films.containers import CONTAINERS
from dreamer.films.muxed import Muxed
from dreamer.machine import files
from dreamer.machine.servant import Servant
from dreamer.pictures import recipe, xmp
from dreamer.pictures.picture import Picture
from dreamer.studio import naming

NAME = "mirror"
ENCODING = 120.0  # seconds that a film may take
_PROGRAMS = ("ffmpeg", "ffprobe", "setpriv")  # that a film with H.264 needs


class Film(NamedTuple):
    """A film to be written into a file in `folder`: JPEGs, the last of which has the film's size."""

    jpegs: Sequence[bytes]
    rate: Fraction  # frames per second
    made: dict[str, Any]  # its recipe
    folder: str


def still(jpeg: bytes, made: dict[str, Any], folder: Path, parts: Path) -> str:
    """Keep a JPEG with its recipe `made`; returns the name of the file. Raises Failure.

    parts  a folder for the unfinished file, on the same disk"""
    payload = xmp.IN_JPEG + recipe.packet(made)
    after = 4 + int.from_bytes(jpeg[4:6], "big")  # the first segment, JFIF's, stays the first
    segment = b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload
    with _kept(parts) as place:
        (place / "mirror.jpg").write_bytes(jpeg[:after] + segment + jpeg[after:])
        return naming.keep(place / "mirror.jpg", folder, f"{NAME}.jpg")


def film(jpegs: Sequence[bytes], seconds: float, made: dict[str, Any], folder: Path, parts: Path) -> str:
    """Keep JPEGs, which came in so many seconds, as a film; returns the name of the file. Raises Failure."""
    rate = Fraction(max(1.0, min(60.0, len(jpegs) / max(seconds, 0.001)))).limit_denominator(100)
    with _kept(parts) as place:
        servant = Servant(written, called="the film")
        try:
            name = servant.ask(Film(jpegs, rate, made | {"fps": float(rate)}, str(place)), ENCODING)
        finally:
            servant.close()
        return naming.keep(place / name, folder, f"{NAME}{Path(name).suffix}")


@contextlib.contextmanager
def _kept(parts: Path) -> Iterator[Path]:
    """A folder for unfinished files, in this block."""
    try:
        for folder in (parts.parent, parts):  # not that of the photos, if it is gone
            folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parts) as name:
            yield Path(name)
    except OSError as error:
        raise Failure(f"mirror: nothing can be kept: {error.strerror}") from None


def written(asked: Film) -> str:
    """In a child process: write the film; returns its name in the folder. Raises Failure."""
    os.nice(10)  # the mirror goes on meanwhile
    try:
        if all(map(shutil.which, _PROGRAMS)):
            with contextlib.suppress(Failure):  # this ffmpeg may lack the encoder
                return _muxed(asked)
        return _webp(asked)
    except OSError as error:
        raise Failure(f"mirror: the film cannot be written: {error.strerror}") from None


def _size(asked: Film) -> tuple[int, int]:
    """(width, height) of the film."""
    size: tuple[int, int] = Image.open(io.BytesIO(asked.jpegs[-1]), formats=["JPEG"]).size
    return size


def _frames(asked: Film) -> Iterator[NDArray[np.uint8]]:
    size = _size(asked)
    for jpeg in asked.jpegs:
        image = Image.open(io.BytesIO(jpeg), formats=["JPEG"]).convert("RGB")
        yield np.array(image if image.size == size else image.resize(size))


def _muxed(asked: Film) -> str:
    folder = Path(asked.folder)
    output = folder / f"{NAME}.mp4"
    (folder / "frames").mkdir()
    form = Muxed(str(output), CONTAINERS[".mp4"], folder / "frames", asked.rate, None, _size(asked)[::-1])
    for number, pixels in enumerate(_frames(asked)):
        form.keep(number, Picture(pixels))
    form.finish(len(asked.jpegs), asked.made)
    return output.name


def _webp(asked: Film) -> str:
    pieces = [webp.piece(pixels) for pixels in _frames(asked)]
    with files.replacing(Path(asked.folder, f"{NAME}.webp")) as file:
        webp.join(file, pieces, [1] * len(pieces), asked.rate, _size(asked)[::-1], recipe.packet(asked.made))
    return f"{NAME}.webp"
