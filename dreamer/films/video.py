"""A video file as input, decoded by ffmpeg. Only one frame is in memory at a time."""

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Pixels
from dreamer.errors import Failure, Mistake
from dreamer.films import hdr, pace, times, tracks
from dreamer.films.tracks import NOTHING, Tracks
from dreamer.machine import ffmpeg
from dreamer.machine.files import sha256
from dreamer.pictures import inputs, reading

_UNKNOWN = "Invalid data found when processing input"  # ffmpeg's words for anything that it does not know
EXTENSIONS = (".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv")


class Filters(NamedTuple):
    """ffmpeg's filters that make the frames of a video what a viewer sees.

    fields   make one picture of the two fields of an interlaced frame
    matrix   the colour matrix, as ffmpeg names it
    table    converts HDR to SDR: see hdr.py; "" for SDR"""

    fields: str = ""
    matrix: str = "auto"
    table: str = ""

    def chain(self, first: int, shape: tuple[int, ...] | None) -> str:
        """All filters, for RGB frames from number `first` on, scaled to `shape` (h, w, 3) if given. Those for fields
        give all frames, because each depends on the ones before it."""
        size = f"{shape[1]}:{shape[0]}:flags=lanczos" if shape else "max(1\\,round(iw*sar)):ih"
        table = f"format=gbrp12,lut3d={hdr.NAME}," if self.table else ""
        begin = self.fields or f"select=gte(n\\,{first}),"
        return (f"{begin}scale={size}:in_color_matrix={self.matrix},{table}"
                "format=rgb24,setsar=1")


@dataclass
class Video:
    """A video file.

    path    of the file
    shape   (h, w, 3) of its frames, upright, with square pixels, within --max-size
    rate    ticks per second
    ticks   number of ticks for which each frame is shown
    which   each frame's number in the file: frames that are shown for no tick are left out
    begin   time at which the first frame is shown, in seconds on ffmpeg's clock, see dreamer.films.tracks
    end     time at which the part to dream ends; None: with the file
    filters  what makes its frames what a viewer sees
    tracks  what is in it beside the pictures"""

    path: str
    shape: tuple[int, ...]
    rate: Fraction
    ticks: list[int]
    which: list[int]
    begin: float = 0.0
    end: float | None = None
    filters: Filters = Filters()
    tracks: Tracks = NOTHING

    def frames(self, first: int = 0) -> Iterator[Pixels]:
        """The frames from number `first` on, uint8 (h, w, 3), up to the first that cannot be decoded."""
        if first >= len(self.which):
            return
        number, rest = self.which[first], iter(self.which[first:])
        wanted: int | None = next(rest)
        for frame in _decoded(self.path, self.filters, number, self.shape):
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
    return Path(path).suffix.lower() in EXTENSIONS


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether ffmpeg finds a video in the file at `path`."""
    try:
        return any(stream.get("codec_type") == "video" for stream in _probe(path).get("streams", []))
    except Mistake:
        return False


def opened(path: str, max_size: int | None, max_pixels: int, warn: Callable[[str], None] = lambda line: None,
           start: float | None = None, end: float | None = None, fps: float | None = None, deinterlace: bool = True,
           look: Callable[[float, float], None] = lambda done, whole: None) -> Video:
    """The Video at `path`. Raises Mistake if it cannot be read.

    max_size     shrink larger frames so that their longest side has this many pixels
    max_pixels   raise Mistake if a frame has more pixels than this
    warn         called with a line about each property of the video that is lost
    start, end, fps  as for dreamer.films.pace.pace
    deinterlace  make one picture of the two fields of interlaced frames
    look         called about once a second with the time up to which the frames are counted, and that of the end"""
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
    beside, format_ = tracks.found(told), told.get("format", {})
    try:
        shown = times.found(path, format_.get("format_name", ""), beside.clock(),
                            lambda now: look(now, float(format_.get("duration", 0))))
        filters = _filters(video, bool(shown.interlaced) and deinterlace)
        first = next(_decoded(path, filters), None)
    except Failure as error:
        raise Mistake(f"input: {path} is damaged or cut short ({error})") from None
    if first is None:
        raise Mistake(f"input: {path} contains no frames")
    if shown.interlaced and deinterlace:
        warn("input: the video is interlaced, so the two fields of each frame become one picture; --no-deinterlace "
             "keeps them")
    if shown.jumps:
        warn(f"input: the times in the video jump at {', '.join(map(pace.told, shown.jumps[:3]))}"
             f"{' and later' if len(shown.jumps) > 3 else ''}; the film goes on there, as players do")
    height, width = first.shape[:2]
    width, height = reading.shrunk((width, height), max_size)
    rates = [Fraction(video.get(name, "0/1").replace("/0", "/1")) for name in ("r_frame_rate", "avg_frame_rate")]
    if shown.interlaced:
        rates += [rate / 2 for rate in rates]  # they may be those of the fields
    paced = pace.pace(shown.shown, rates, start, end, fps)
    return Video(path, (height, width, 3), paced.rate, paced.ticks, paced.which, paced.begin, end, filters,
                 beside)


def first(path: str | os.PathLike[str], max_pixels: int) -> NDArray[np.uint8]:
    """The first frame of a video, uint8 (h, w, 3), at its own size. Unlike `opened`, this reads only the beginning of
    the file. Raises Mistake if it cannot be read, or if a frame has more than `max_pixels` pixels."""
    streams = [stream for stream in _probe(path).get("streams", []) if stream.get("codec_type") == "video"]
    if not streams:
        raise Mistake(f"input: {path} contains no video")
    if streams[0].get("width", 0) * streams[0].get("height", 0) > max_pixels:
        raise Mistake(f"input: {path} has more than {max_pixels} pixels")
    try:
        frame = next(_decoded(os.fspath(path), _filters(streams[0], False)), None)
    except Failure as error:
        raise Mistake(f"input: {path} is damaged or cut short ({error})") from None
    if frame is None:
        raise Mistake(f"input: {path} contains no frames")
    return frame


def length(path: str | os.PathLike[str]) -> tuple[float, float]:
    """(seconds, frames per second) of a video, as the file says, which takes no time and may be wrong; 0 for what it
    does not say. Raises Mistake."""
    told = _probe(path)
    stream: dict[str, Any] = next((each for each in told["streams"] if each.get("codec_type") == "video"), {})
    seconds = stream.get("duration") or told.get("format", {}).get("duration") or "0"
    rate = stream.get("avg_frame_rate") or "0/0"
    try:
        return max(0.0, float(seconds)), 0.0 if rate.endswith("/0") else float(Fraction(rate))
    except ValueError:
        return 0.0, 0.0


def _filters(stream: dict[str, Any], deinterlace: bool) -> Filters:
    """The Filters for a stream that ffprobe describes."""
    found = Filters("bwdif=mode=send_frame:deint=interlaced," if deinterlace else "")
    if stream.get("color_transfer") in hdr.TRANSFERS:
        known = stream.get("color_space", "unknown") != "unknown"
        return found._replace(matrix="auto" if known else "bt2020", table=hdr.table(stream))
    if stream.get("color_space", "unknown") == "unknown" and stream.get("height", 0) >= 720:
        return found._replace(matrix="bt709")  # ffmpeg takes an unmarked video for BT.601, old television
    return found


def _probe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """ffprobe's description of the streams. Raises Mistake."""
    done = subprocess.run([ffmpeg.find("ffprobe"), "-v", "error", *ffmpeg.SAFE, "-show_streams", "-show_chapters",
                           "-show_format", "-of", "json", ffmpeg.local(path)], capture_output=True, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        why = lines[-1].rpartition(": ")[2] if lines else f"exit code {done.returncode}"
        why = "" if why == _UNKNOWN else f" ({why})"
        raise Mistake(f"input: {path} is neither a picture nor a video that can be read{why}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _decoded(path: str, filters: Filters, first: int = 0,
             shape: tuple[int, ...] | None = None) -> Iterator[NDArray[np.uint8]]:
    """The frames of a video from number `first` on, uint8 (h, w, 3), upright and with square pixels, scaled to `shape`
    if given. Raises Failure if no frame can be decoded; damage after the first frame ends the iteration."""
    count = 0
    # without this, ffmpeg would count frames anew where their size changes; bwdif needs that
    same = [] if filters.fields else ["-reinit_filter", "0"]
    with contextlib.ExitStack() as stack:
        folder = None
        if filters.table:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            Path(folder, hdr.NAME).write_text(filters.table)
        process = stack.enter_context(ffmpeg.running(
            "-threads", "2", *same, *ffmpeg.SAFE, "-i", ffmpeg.local(path), "-map", "0:v:0", "-vf",
            filters.chain(first, shape), "-vsync", "0", "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-",
            stdout=subprocess.PIPE, bad=lambda: not count, folder=folder))
        assert process.stdout  # a pipe, as requested
        while True:
            header = [process.stdout.readline() for _ in range(3)]
            if not header[2]:
                break
            width, height = map(int, header[1].split())
            data = process.stdout.read(width * height * 3)
            if len(data) < width * height * 3:
                break
            count += 1
            if filters.fields and count <= first:
                continue
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
