"""MP4 films. ffmpeg encodes a few frames at a time, so that a stopped or killed run has only those to repeat."""

import os
import subprocess
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from dreamer.films.video import Video
from dreamer.machine import ffmpeg, files
from dreamer.pictures import recipe, writing
from dreamer.pictures.picture import Picture

PIECE = 24  # frames that are encoded together
LONGEST = 16384  # pixels per side

# 4:2:0, which every player knows, needs even sides; sRGB is converted with the matrix that the file names, bt709
_ENCODE = ("-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2,scale=out_color_matrix=bt709:out_range=tv,format=yuv420p",
           "-c:v", "libx264", "-bf", "0", "-crf", "16", "-colorspace", "bt709", "-color_primaries", "bt709",
           "-color_trc", "bt709", "-x264-params", "rc-lookahead=8",  # 40 takes twice the memory to save 3 % of the size
           "-threads", "1", "-filter_threads", "1",  # with more threads, each machine would give a different film
           "-flags:v", "+bitexact", "-fflags", "+bitexact")


class Mp4:
    """The unfinished film `output`: `folder` has a piece of film for each PIECE frames, and the latest frames as .png.

    rate   ticks per second
    ticks  number of ticks for which each frame is shown; None: one each
    video  the Video whose sound the film gets, or None"""

    arrays = ffmpeg.ENCODING
    encoded = PIECE

    def __init__(self, output: str, folder: Path, rate: Fraction, ticks: Sequence[int] | None,
                 video: Video | None) -> None:
        self._output, self._folder, self._rate, self._ticks = output, folder, rate, ticks
        self._sounding = video if video and video.sound else None

    def begin(self) -> None:
        """Prepare for frames. Raises OSError, and Failure if the sound cannot be saved."""
        if self._sounding and not self._sound():
            with files.replacing(self._folder / "sound") as file:
                self._sounding.extract_sound(file.name)

    def keep(self, number: int, picture: Picture) -> None:
        """Store frame `number`. Raises OSError and Failure."""
        first = number - number % PIECE
        if (self._folder / f"{first:06d}.mp4").exists():  # after a kill, some steps are repeated
            return
        with files.replacing(self._folder / f"{number:06d}.png") as file:
            file.write(writing.encode(Picture(picture.pixels), "PNG"))
        if number == first + PIECE - 1:
            self._encode(f"{first:06d}.mp4", first, number + 1)
            for old in range(first, number + 1):
                (self._folder / f"{old:06d}.png").unlink(missing_ok=True)

    def finish(self, count: int, made: dict[str, Any]) -> None:
        """Write the film of the first `count` frames; `made` is its recipe. Raises OSError and Failure."""
        whole = "unfinished" not in made
        end = count - count % PIECE
        pieces = [(f"{first:06d}.mp4", first, first + PIECE) for first in range(0, end, PIECE)]
        if (self._folder / f"{end:06d}.mp4").exists():  # steps are repeated after a kill: more frames exist already
            pieces.append((f"{end:06d}.mp4", end, end + PIECE))
        elif count > end:
            self._encode("rest.mp4", end, count, hurry=not whole)
            pieces.append(("rest.mp4", end, count))
        with files.replacing(self._output, self._folder) as file:
            _join(file.name, [(self._folder / piece, sum(map(self._shown, range(first, stop))))
                              for piece, first, stop in pieces], self._rate, recipe.text(made),
                  self._sound(), self._sounding.delay if self._sounding else 0.0, whole)

    def _encode(self, piece: str, first: int, end: int, hurry: bool = False) -> None:
        shown = ((self._folder / f"{number:06d}.png", self._shown(number)) for number in range(first, end))
        with files.replacing(self._folder / piece) as file:
            _encode(file.name, (data for path, count in shown for data in [path.read_bytes()] * count),
                    self._rate, hurry)

    def _sound(self) -> Path | None:
        """The path of the sound; None if there is none."""
        path = self._folder / "sound"
        return path if path.exists() else None

    def _shown(self, number: int) -> int:
        return self._ticks[number] if self._ticks else 1


def _encode(path: str | os.PathLike[str], pictures: Iterable[bytes], rate: Fraction, hurry: bool = False) -> None:
    """Make `path`, an .mp4 for _join(), from `pictures`, the bytes of PNG files. Raises Failure.

    rate   pictures per second
    hurry  encode faster, into a larger file"""
    with ffmpeg.running("-threads", "1", "-f", "image2pipe", "-c:v", "png", "-framerate", _told(rate), "-i", "-",
                        *_ENCODE,
                 "-preset", "ultrafast" if hurry else "medium", "-video_track_timescale", _scale(rate),
                 "-f", "mp4", "-y", ffmpeg.local(path), stdin=subprocess.PIPE) as process:
        assert process.stdin, "it is a pipe"
        for data in pictures:
            process.stdin.write(data)


def _join(path: str | os.PathLike[str], pieces: Iterable[tuple[Path, int]], rate: Fraction, comment: str,
         sound: str | os.PathLike[str] | None = None, delay: float = 0.0, whole: bool = True) -> None:
    """Join `pieces`, each (path, number of pictures), encoded at `rate` in one folder, into `path`. Raises Failure.

    comment  text to store in the film
    sound    path of an .mp4 with its sound, or None
    delay    seconds from the first picture to the sound
    whole    whether the pictures last as long as the sound; otherwise the sound is cut"""
    lines, shown = ["ffconcat version 1.0"], 0
    for piece, count in pieces:
        begin, shown = _microseconds(shown, rate), shown + count
        took = _microseconds(shown, rate) - begin
        lines += [f"file {piece.name}", f"duration {took // 10 ** 6}.{took % 10 ** 6:06d}"]
    listed = piece.with_name("list")
    listed.write_text("\n".join(lines) + "\n")
    with ffmpeg.running("-itsoffset", f"{max(0, -delay):.6f}", "-f", "concat", "-i", ffmpeg.local(listed),
                 *(["-itsoffset", f"{max(0, delay):.6f}", "-i", ffmpeg.local(sound)] if sound else []),
                 *([] if whole else ["-t", f"{float(shown / rate) + max(0, -delay):.6f}"]),
                 "-map", "0:v", *(["-map", "1:a"] if sound else []), "-c", "copy", "-map_metadata", "-1",
                 "-metadata", f"comment={comment}", "-fflags", "+bitexact", "-movflags", "+faststart",
                 "-video_track_timescale", _scale(rate), "-f", "mp4", "-y", ffmpeg.local(path)):
        pass


def _told(rate: Fraction) -> str:
    return f"{rate.numerator}/{rate.denominator}"


def _scale(rate: Fraction) -> str:
    """A time scale, in ticks per second, that represents the rate exactly."""
    return str(rate.numerator * -(-1000 // rate.numerator))


def _microseconds(count: int, rate: Fraction) -> int:
    return round(Fraction(count * 10 ** 6) / rate)
