"""A video file as input, decoded by ffmpeg. Only one frame is in memory at a time."""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Pixels
from dreamer.errors import Failure, Mistake
from dreamer.films import tracks
from dreamer.films.tracks import NOTHING, Tracks
from dreamer.machine import ffmpeg
from dreamer.machine.files import sha256
from dreamer.pictures import inputs, reading

FASTEST = 60  # maximum ticks per second for a video without a steady rate
_SAFE = ffmpeg.SAFE
_EXTENSIONS = (".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv")


@dataclass
class Video:
    """A video file.

    path    of the file
    shape   (h, w, 3) of its frames, upright, with square pixels, within --max-size
    rate    ticks per second
    ticks   number of ticks for which each frame is shown
    which   each frame's number in the file: frames that are shown for no tick are left out
    colour  its colour matrix, as ffmpeg names it
    begin   time at which the first frame is shown, in seconds on ffmpeg's clock, see dreamer.films.tracks
    end     time at which the part to dream ends; None: with the file
    tracks  what is in it beside the pictures"""

    path: str
    shape: tuple[int, ...]
    rate: Fraction
    ticks: list[int]
    which: list[int]
    colour: str = "auto"
    begin: float = 0.0
    end: float | None = None
    tracks: Tracks = NOTHING

    def frames(self, first: int = 0) -> Iterator[Pixels]:
        """The frames from number `first` on, uint8 (h, w, 3), up to the first that cannot be decoded."""
        if first >= len(self.which):
            return
        number, rest = self.which[first], iter(self.which[first:])
        wanted: int | None = next(rest)
        for frame in _decoded(self.path, self.colour, number, self.shape):
            if number == wanted:
                yield frame
                wanted = next(rest, None)
                if wanted is None:
                    return
            number += 1

    def checksum(self) -> str:
        """The checksum of the file, in hexadecimal."""
        return sha256(self.path)


def named_so(path: str | os.PathLike[str]) -> bool:
    """Whether `path` has the extension of a video."""
    return Path(path).suffix.lower() in _EXTENSIONS


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether ffmpeg finds a video in the file at `path`."""
    try:
        return any(stream.get("codec_type") == "video" for stream in _probe(path).get("streams", []))
    except Mistake:
        return False


def opened(path: str, max_size: int | None, max_pixels: int,
           warn: Callable[[str], None] = lambda line: None) -> Video:
    """The Video at `path`. Raises Mistake if it cannot be read.

    max_size    shrink larger frames so that their longest side has this many pixels
    max_pixels  raise Mistake if a frame has more pixels than this
    warn        called with a line about each property of the video that is lost"""
    with inputs.opened(path):
        pass
    told = _probe(path)
    streams = {stream["codec_type"]: stream for stream in told.get("streams", [])[::-1] if "codec_type" in stream}
    if "video" not in streams:
        raise Mistake(f"input: {path} contains no video")
    video = streams["video"]
    if video.get("width", 0) * video.get("height", 0) > max_pixels:
        raise Mistake(f"input: {path} has more than {max_pixels} pixels; "
                      "raise --max-pixels if you trust the file and have the memory")
    if video.get("color_transfer") in ("arib-std-b67", "smpte2084"):
        warn("input: the video is HDR, so its colours will look dull; an SDR copy would look better")
    times = _times(path)
    try:
        first = next(_decoded(path, _colour(video)), None)
    except Failure as error:
        raise Mistake(f"input: {path} is damaged or cut short ({error})") from None
    if first is None or not times:
        raise Mistake(f"input: {path} contains no frames")
    height, width = first.shape[:2]
    width, height = reading.shrunk((width, height), max_size)
    rate, ticks = _ticks(times, [Fraction(video.get(name, "0/1").replace("/0", "/1"))
                                 for name in ("r_frame_rate", "avg_frame_rate")])
    begin = float(times[0] or 0) - float(told["format"].get("start_time", 0))
    return Video(path, (height, width, 3), rate, [count for count in ticks if count],
                 [number for number, count in enumerate(ticks) if count], _colour(video), begin, None,
                 tracks.found(told))


def _colour(stream: dict[str, Any]) -> str:
    """The colour matrix, as ffmpeg names it, of a stream that ffprobe describes. For an unmarked video, ffmpeg assumes
    BT.601, the matrix of old television, which is wrong for HD."""
    if stream.get("color_space", "unknown") == "unknown" and stream.get("height", 0) >= 720:
        return "bt709"
    return "auto"


def _probe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """ffprobe's description of the streams. Raises Mistake."""
    done = subprocess.run([ffmpeg.find("ffprobe"), "-v", "error", *_SAFE, "-show_streams", "-show_chapters",
                           "-show_format", "-of", "json", ffmpeg.local(path)], capture_output=True, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        why = lines[-1].rpartition(": ")[2] if lines else f"exit code {done.returncode}"
        raise Mistake(f"input: {path} is neither a picture nor a video that can be read ({why})")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _times(path: str) -> Sequence[Fraction | None]:
    """The times of the frames in seconds, sorted if all are known; None for each that the file does not give."""
    process = subprocess.Popen([ffmpeg.find("ffprobe"), "-v", "quiet", *_SAFE, "-select_streams", "v:0",
                                "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0", ffmpeg.local(path)],
                               stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    times = []
    assert process.stdout  # a pipe, as requested
    with process:
        for line in process.stdout:
            time, _, flags = line.strip().strip(",").partition(",")
            if time and "D" not in flags:  # D: an edit list discards it
                times.append(None if time == "N/A" else Fraction(time))
    known = [time for time in times if time is not None]
    return sorted(known) if len(known) == len(times) else times


def _ticks(times: Sequence[Fraction | None], rates: list[Fraction]) -> tuple[Fraction, list[int]]:
    """(ticks per second, [ticks for which each frame is shown]) from the frames' times and the rates to try."""
    rates = [rate for rate in rates if 0 < rate <= 1000] or [Fraction(25)]
    since = [time - times[0] for time in times if time is not None and times[0] is not None]
    if len(since) < len(times):
        return rates[0], [1] * len(times)
    for rate in rates:
        if all(abs(time * rate - number) < 0.6 for number, time in enumerate(since)):
            return rate, [1] * len(times)
    rate = min(rates[0], Fraction(FASTEST))
    places = [round(time * rate) for time in since]
    places.append(places[-1] + max(1, round((places[-1] or 1) / max(1, len(places) - 1))))
    return rate, [after - place for place, after in zip(places[:-1], places[1:], strict=True)]


def _decoded(path: str, colour: str, first: int = 0,
             shape: tuple[int, ...] | None = None) -> Iterator[NDArray[np.uint8]]:
    """The frames of a video from number `first` on, uint8 (h, w, 3), upright and with square pixels, scaled to `shape`
    if given. `colour` is the video's colour matrix. Raises Failure if no frame can be decoded; damage after the first
    frame ends the iteration."""
    size = f"{shape[1]}:{shape[0]}:flags=lanczos" if shape else "max(1\\,round(iw*sar)):ih"
    filters = f"select=gte(n\\,{first}),scale={size}:in_color_matrix={colour},format=rgb24,setsar=1"
    some = False
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(ffmpeg.running(
            "-threads", "2", *_SAFE, "-i", ffmpeg.local(path), "-map", "0:v:0", "-vf", filters, "-vsync", "0",
            "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-", stdout=subprocess.PIPE,
            bad=lambda: not some))
        assert process.stdout  # a pipe, as requested
        while True:
            header = [process.stdout.readline() for _ in range(3)]
            if not header[2]:
                break
            width, height = map(int, header[1].split())
            data = process.stdout.read(width * height * 3)
            if len(data) < width * height * 3:
                break
            some = True
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
