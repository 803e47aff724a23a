"""An animated GIF, WebP or PNG as input, decoded by Pillow: ffmpeg 7 cannot decode an animated WebP, and does not tell
how long the last frame of a GIF is shown. Only one frame is in memory at a time."""

import math
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from PIL import Image

from dreamer.arrays import Pixels
from dreamer.errors import Failure, Mistake
from dreamer.films import pace
from dreamer.machine.files import sha256
from dreamer.pictures import colour, inputs, reading

_EXACT = {"GIF": Fraction(6, 1000), "PNG": Fraction(1, 1000), "WEBP": Fraction(1, 1000)}  # seconds
KINDS = tuple(_EXACT)
_AT_ONCE, _INSTEAD = 10, 100  # milliseconds: browsers show a frame that is to be shown at most so long for longer
_USUAL = [Fraction(rate) for rate in (25, 24, 30, 50, 60, 20, 15, 12, 10, 5, 100, 120)]  # frames per second
_TRANSPARENT = (255, 255, 255)  # white, as on most pages


@dataclass
class Animated:
    """An animated picture. The attributes are those of Video."""

    path: str
    shape: tuple[int, ...]
    rate: Fraction
    ticks: list[int]
    which: list[int]
    max_pixels: int

    def frames(self, first: int = 0) -> Iterator[Pixels]:
        """The frames from number `first` on, uint8 (h, w, 3). Raises Failure if one cannot be decoded."""
        wanted = set(self.which[first:])
        try:
            with inputs.picture(self.path, self.max_pixels) as (image, _, _):
                for number in range(max(wanted, default=-1) + 1):
                    _seek(image, number)
                    if number in wanted:
                        yield _pixels(image, (self.shape[1], self.shape[0]))
        except Mistake as error:
            raise Failure(*error.args) from None

    def checksum(self) -> str:
        """The checksum of the file, in hexadecimal."""
        return sha256(self.path)


def is_animated(path: str | os.PathLike[str]) -> bool:
    """Whether the file at `path` is an animated picture of one of the KINDS. Raises Mistake."""
    with inputs.picture(path) as (image, _, _):
        return image.format in KINDS and _count(image) > 1


def opened(path: str, max_size: int | None, max_pixels: int, warn: Callable[[str], None] = lambda line: None,
           start: float | None = None, end: float | None = None, fps: float | None = None) -> Animated:
    """The Animated at `path`; the arguments are those of video.opened. Raises Mistake if it cannot be read. Damage
    after the first frame ends it."""
    times, shown = list[Fraction](), 0
    with inputs.picture(path, max_pixels) as (image, _, _):
        for number in range(_count(image)):
            try:
                _seek(image, number)
                image.load()  # only then is the duration known
            except (OSError, EOFError, SyntaxError, ValueError, IndexError, struct.error):
                if not number:
                    raise
                warn(f"input: the film ends with frame {number}, because the rest of {path} is damaged or missing")
                break
            times.append(Fraction(shown, 1000))
            long = round(image.info.get("duration", 0))
            shown += long if long > _AT_ONCE else _INSTEAD
        kind = str(image.format)
        size = reading.shrunk(image.size, max_size)
    paced = pace.pace(times, _rates([*times, Fraction(shown, 1000)], _EXACT[kind]), start, end, fps,
                      Fraction(shown, 1000))
    return Animated(path, (size[1], size[0], 3), paced.rate, paced.ticks, paced.which, max_pixels)


def _rates(times: Sequence[Fraction], exact: Fraction) -> list[Fraction]:
    """Frames per second to try, if `times`, in seconds, were rounded to `exact`; the last is that of the end."""
    usual = [rate for rate in _USUAL if all(abs(time - number / rate) <= exact for number, time in enumerate(times))]
    return usual or [Fraction(1000, math.gcd(*(int(1000 * time) for time in times)))]


def _count(image: Image.Image) -> int:
    """The number of frames. A picture for programs that know no animations is not one of them."""
    return int(getattr(image, "n_frames", 1)) - bool(getattr(image, "default_image", False))


def _seek(image: Image.Image, number: int) -> None:
    image.seek(number + bool(getattr(image, "default_image", False)))


def _pixels(image: Image.Image, size: tuple[int, int]) -> Pixels:
    """The present frame, uint8 (h, w, 3), of the given (width, height)."""
    frame = colour.to_srgb(image, lambda line: None)
    if frame.mode == "RGBA":
        whole = Image.new("RGB", frame.size, _TRANSPARENT)
        whole.paste(frame, mask=frame.getchannel("A"))
        frame = whole
    return np.asarray(frame.resize(size, Image.LANCZOS) if frame.size != size else frame)


