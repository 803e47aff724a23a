"""When the frames of a video are shown, as its decoded frames say. Packets do not say it: one may hold half a frame, or
a frame that cannot be decoded, and the times of a joined recording jump."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from dreamer.errors import Failure
from dreamer.machine import cache, ffmpeg

LOOK = 1.0  # seconds between two reports
LONG = 5.0  # seconds; what took longer is kept for the next run
KEPT = 32  # files
_JUMP, _BACK = 10.0, 0.1  # seconds forwards and backwards, from which on ffmpeg takes it for a jump
_JUMPING = {"mpegts", "mpeg"}  # the containers in which it looks for jumps
_FRAME = re.compile(rb"showinfo.* n: *\d+ pts: *(-?\d+|NOPTS) .* i:([PTB?]) ")
_BASE = re.compile(rb"showinfo.* config in time_base: (\d+)/(\d+),")
_PIPE = 1 << 18  # bytes

Report = Callable[[float], None]


class Times(NamedTuple):
    """The times of all frames, in the order in which they are shown.

    shown       seconds from the start of the file, as players count them; None for each that the file does not give
    interlaced  number of frames that say that they have two fields
    jumps       times before which the file's own clock jumps"""

    shown: list[Fraction | None]
    interlaced: int
    jumps: list[float]


def found(path: str, container: str, clock: Sequence[str], look: Report) -> Times:
    """The Times of the video at `path`, decoded by ffmpeg or kept from an earlier run. Raises Failure if no frame can
    be decoded.

    container  names of the container, as ffprobe says them
    clock      the output without effect that runs for times of this file have: see tracks.Tracks.clock
    look       called about once a second with the time that has been reached"""
    kept = _kept(path)
    with contextlib.suppress(ValueError, TypeError, KeyError):
        known = json.loads(cache.read(kept) or b"")
        base = Fraction(known["base"])
        return Times([None if number is None else number * base for number in known["shown"]], int(known["interlaced"]),
                     list(map(float, known["jumps"])))
    began = time.monotonic()
    jumping = not _JUMPING.isdisjoint(container.split(","))
    base, numbers, interlaced = _decoded(path, clock if jumping else (), look)
    jumps = _jumps(path) if jumping else []
    if time.monotonic() - began > LONG:
        told = {"base": str(base), "shown": numbers, "interlaced": interlaced, "jumps": jumps}
        cache.keep(kept, json.dumps(told).encode())
        cache.bound("*.times", KEPT)
    return Times([None if number is None else number * base for number in numbers], interlaced, jumps)


def _decoded(path: str, clock: Sequence[str], look: Report) -> tuple[Fraction, list[int | None], int]:
    """(seconds in a unit, time of each frame in units, number of interlaced frames)."""
    numbers, interlaced, base, said, latest = list[int | None](), 0, Fraction(1), "", time.monotonic()
    with ffmpeg.running("-threads", "2", *ffmpeg.SAFE, "-i", ffmpeg.local(path), "-map", "0:v:0", "-vf",
                        "showinfo=checksum=0", "-vsync", "0", "-f", "null", "-", *clock,
                        bad=lambda: not numbers, told=True) as process:
        assert process.stderr, "it is a pipe"
        for text in _lines(process.stderr.fileno()):
            if unit := _BASE.search(text):
                base = Fraction(int(unit[1]), int(unit[2]))
            for frame in _FRAME.finditer(text):
                numbers.append(None if frame[1] == b"NOPTS" else int(frame[1]))
                interlaced += frame[2] in b"TB"
            if not numbers:
                said = next((line for line in text.decode(errors="replace").splitlines()[::-1]
                             if "showinfo" not in line), said)
            elif time.monotonic() - latest > LOOK and numbers[-1] is not None:
                latest = time.monotonic()
                look(float(numbers[-1] * base))
    if not numbers:
        raise Failure(f"ffmpeg: {said}")
    return base, numbers, interlaced


def _lines(pipe: int) -> Iterator[bytes]:
    """What comes out of the pipe, some whole lines at a time: to wake up for each line takes a tenth of decoding's
    time."""
    with contextlib.suppress(OSError):  # the user's pipes may have reached their limit
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
    rest = b""
    while more := os.read(pipe, _PIPE):
        whole, end, rest = (rest + more).rpartition(b"\n")
        yield whole + end
        time.sleep(0.02)
    yield rest


def _jumps(path: str) -> list[float]:
    """The times, from the start of the file, before which the packets' times jump, by ffmpeg's own rule."""
    words = [ffmpeg.find("ffprobe"), "-v", "quiet", *ffmpeg.SAFE, "-select_streams", "v:0", "-show_entries",
             "packet=dts_time", "-of", "csv=p=0", ffmpeg.local(path)]
    jumps, shown, step, before = list[float](), 0.0, 0.0, None
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stdout, "it is a pipe"
        for line in process.stdout:
            try:
                now = float(line.strip().strip(","))
            except ValueError:  # not given
                continue
            if before is not None:
                if -_BACK <= now - before <= _JUMP:
                    step = now - before
                else:
                    jumps.append(shown + step)
                shown += step
            before = now
    return jumps


def _kept(path: str) -> str:
    """The name under which the times of this video are kept. It depends on the video's path, size and time of change,
    and on the program that decoded it."""
    status, program = os.stat(path), os.stat(ffmpeg.find())
    about = (os.path.realpath(path), status.st_size, status.st_mtime_ns, program.st_size, program.st_mtime_ns)
    return f"{hashlib.sha256(repr(about).encode()).hexdigest()[:32]}.times"
