"""Films in .mp4, .mov, .mkv and .webm. ffmpeg encodes a few frames at a time, so that a stopped or killed run has only
those to repeat.

ffmpeg works in the film's folder, and all names that it gets there are short and plain: it would read others, as they
may be above that folder, as patterns or URLs."""

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from dreamer.errors import Failure
from dreamer.films import tracks
from dreamer.films.containers import Container
from dreamer.films.tracks import NOTHING, Tracks
from dreamer.films.video import Video
from dreamer.machine import ffmpeg, files
from dreamer.pictures import recipe, writing
from dreamer.pictures.picture import Picture

PIECE = 24  # frames that are encoded together
LONGEST = 16384  # pixels per side

# 4:2:0, which every player knows, needs even sides; sRGB is converted with the matrix that the file names, bt709
_PICTURES = ("-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2,scale=out_color_matrix=bt709:out_range=tv,format=yuv420p",
             "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv",
             "-filter_threads", "1", "-fflags", "+bitexact")


class Muxed:
    """The unfinished film `output`: `folder` has a piece of film for each PIECE frames, and the latest frames as .png.

    container  what the film's name asks for
    rate       ticks per second
    ticks      number of ticks for which each frame is shown; None: one each
    size       (height, width) of the frames
    video      the Video whose `beside` the film gets, or None
    beside     its Tracks, or some of them"""

    encoded = PIECE
    kept = joined = 0.2

    def __init__(self, output: str, container: Container, folder: Path, rate: Fraction, ticks: Sequence[int] | None,
                 size: tuple[int, int], video: Video | None = None, beside: Tracks = NOTHING) -> None:
        self._output, self._container, self._folder = output, container, folder
        self._rate, self._ticks, self._size = rate, ticks, size
        self._video, self._beside = video, beside
        self.arrays = container.memory

    def begin(self) -> list[str]:
        """Extract the tracks, and try everything that finish() will do, with one black frame. Raises OSError and
        Failure."""
        lost = self._extract()
        try:
            with files.replacing(self._folder / "trial.png") as file:
                file.write(writing.encode(Picture(np.zeros((*self._size, 3), np.uint8)), "PNG"))
            self._encode("trial.mp4", [(self._folder / "trial.png", 1)])
            self._join(self._folder / "trial", [("trial.mp4", 1)], "{}", whole=False)
        finally:
            for name in ("trial.png", "trial.mp4", "trial"):
                (self._folder / name).unlink(missing_ok=True)
        return lost

    def keep(self, number: int, picture: Picture) -> None:
        """Store frame `number`. Raises OSError and Failure."""
        first = number - number % PIECE
        if (self._folder / f"{first:06d}.mp4").exists():  # after a kill, some steps are repeated
            return
        with files.replacing(self._folder / f"{number:06d}.png") as file:
            file.write(writing.encode(Picture(picture.pixels), "PNG"))
        if number == first + PIECE - 1:
            self._encode(f"{first:06d}.mp4", self._frames(first, number + 1))
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
            self._encode("rest.mp4", self._frames(end, count), hurry=not whole)
            pieces.append(("rest.mp4", end, count))
        lengths = [(piece, sum(map(self._shown, range(first, stop)))) for piece, first, stop in pieces]
        self._join(Path(self._output), lengths, recipe.text(made), whole)

    def _extract(self) -> list[str]:
        """Write the tracks into the folder, unless they are there; returns what the film cannot keep, for people."""
        if self._video is None:
            return []
        about, video = self._folder / "about", self._video
        asked = json.dumps([asdict(self._beside), video.begin, video.end])
        try:
            told = json.loads(about.read_text())
            if told["asked"] == asked and told["tracks"] == (self._folder / "tracks").exists():
                return list(told["lost"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        (self._folder / "tracks").unlink(missing_ok=True)
        without = tracks.extract(video.path, self._beside, self._container, self._folder, video.begin, video.end)
        lost = [*map(str, without), *self._beside.others]
        with files.replacing(about) as file:
            file.write(json.dumps({"asked": asked, "lost": lost,
                                   "tracks": (self._folder / "tracks").exists()}).encode())
        return lost

    def _frames(self, first: int, end: int) -> list[tuple[Path, int]]:
        """[(file, number of ticks)] of these frames."""
        return [(self._folder / f"{number:06d}.png", self._shown(number)) for number in range(first, end)]

    def _shown(self, number: int) -> int:
        return self._ticks[number] if self._ticks else 1

    def _encode(self, piece: str, frames: Iterable[tuple[Path, int]], hurry: bool = False) -> None:
        """Write the frames, each (PNG file, number of ticks), into the piece of film `piece`. Raises OSError and
        Failure.

        hurry  encode faster, into a larger file"""
        container = self._container
        with files.replacing(self._folder / piece) as file, ffmpeg.running(
                "-threads", "1", "-f", "image2pipe", "-c:v", "png", "-framerate", _told(self._rate), "-i", "-",
                *_PICTURES, *container.pictures, *(container.hurry if hurry else container.slow),
                "-video_track_timescale", _scale(self._rate), "-f", "mp4", "-y", ffmpeg.inside(file.name),
                stdin=subprocess.PIPE, folder=self._folder) as process:
            assert process.stdin, "it is a pipe"
            for path, count in frames:
                data = path.read_bytes()
                for _ in range(count):
                    process.stdin.write(data)

    def _join(self, output: Path, pieces: Sequence[tuple[str, int]], comment: str, whole: bool) -> None:
        """Join `pieces`, each (name, number of pictures), and the tracks into `output`. Raises OSError and Failure.

        comment  text to store in the film
        whole    whether the pictures last as long as the sound; otherwise the sound is cut"""
        folder, container = self._folder, self._container
        lines, shown = ["ffconcat version 1.0"], 0
        for piece, count in pieces:
            begin, shown = _microseconds(shown, self._rate), shown + count
            took = _microseconds(shown, self._rate) - begin
            lines += [f"file {piece}", f"duration {took // 10 ** 6}.{took % 10 ** 6:06d}"]
        (folder / "list").write_text("\n".join(lines) + "\n")
        lasts, start = float(shown / self._rate), self._video.begin if self._video else 0.0
        (folder / "chapters").write_text(tracks.ffmetadata(self._beside.chapters, start, start + lasts))
        beside = ["-i", "file:tracks"] if (folder / "tracks").exists() else []
        about = str(1 + bool(beside))
        texts = [*self._beside.texts, *[("creation_time", self._beside.date)] * bool(self._beside.date)]
        with files.replacing(output, folder) as file:
            with ffmpeg.running(
                    # -copyts: a file of tracks may begin later than the pictures
                    "-copyts", "-f", "concat", "-i", "file:list", *beside, "-f", "ffmetadata", "-i", "file:chapters",
                    "-map", "0:v", *(["-map", "1"] if beside else []), "-map_metadata", about, "-map_chapters", about,
                    "-metadata", f"comment={comment}",
                    *(word for name, text in texts for word in ("-metadata", f"{name}={text}")),
                    *([] if whole else ["-t", f"{lasts:.6f}"]), "-c", "copy", "-disposition:v:0", "default",
                    "-metadata:s:v:0", "handler_name=", "-metadata:s:v:0", "vendor_id=",
                    "-fflags", "+bitexact", *container.more,
                    *(["-video_track_timescale", _scale(self._rate)] if container.isom else []),
                    "-f", container.muxer, "-y", ffmpeg.inside(file.name), folder=folder):
                pass
            if (there := _pictures(folder, file.name)) != shown:  # ffmpeg may go on after an error
                raise Failure(f"ffmpeg: the film would have {there} pictures, not {shown}")


def _pictures(folder: Path, path: str) -> int:
    """The number of pictures in a film."""
    done = subprocess.run([ffmpeg.find("ffprobe"), "-v", "error", "-select_streams", "v:0", "-count_packets",
                           "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", ffmpeg.inside(path)],
                          capture_output=True, text=True, check=False, cwd=folder)
    return int(done.stdout.strip().strip(",") or 0) if done.returncode == 0 else 0


def _told(rate: Fraction) -> str:
    return f"{rate.numerator}/{rate.denominator}"


def _scale(rate: Fraction) -> str:
    """A time scale, in ticks per second, that represents the rate exactly."""
    return str(rate.numerator * -(-1000 // rate.numerator))


def _microseconds(count: int, rate: Fraction) -> int:
    return round(Fraction(count * 10 ** 6) / rate)
