"""ffmpeg, the distribution's own: it encodes and decodes films, in processes of its own."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO

from dreamer.errors import Failure, Mistake

ENCODING, DECODING = 100, 60  # bytes a pixel that it takes, by measurement at 1920×1080

# 4:2:0, which every player knows, takes even sides; sRGB goes over by the matrix that it is marked with
_ENCODE = ("-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2,scale=out_color_matrix=bt709:out_range=tv,format=yuv420p",
           "-c:v", "libx264", "-bf", "0", "-crf", "16", "-colorspace", "bt709", "-color_primaries", "bt709",
           "-color_trc", "bt709", "-x264-params", "rc-lookahead=8",  # 40 take twice the memory, for 3 % of the size
           "-threads", "1", "-filter_threads", "1",  # more make another film of it on each machine
           "-flags:v", "+bitexact", "-fflags", "+bitexact")


def find(program: str = "ffmpeg") -> str:
    """The program's path; raises Mistake where it is not installed."""
    path = shutil.which(program)
    if not path:
        raise Mistake(f"{program} is not installed: ./provision.sh film gets it (.gif and .webp films need none)")
    return path


def encode(path: str | os.PathLike[str], pictures: Iterable[bytes], rate: Fraction, hurry: bool = False) -> None:
    """Make `path`, an .mp4 that join() can take, of `pictures`, the bytes of PNG files. Raises Failure.

    rate   pictures a second
    hurry  encode faster, to a larger file"""
    with running("-threads", "1", "-f", "image2pipe", "-c:v", "png", "-framerate", _told(rate), "-i", "-", *_ENCODE,
                 "-preset", "ultrafast" if hurry else "medium", "-video_track_timescale", _scale(rate),
                 "-f", "mp4", "-y", local(path), stdin=subprocess.PIPE) as process:
        assert process.stdin, "a pipe was asked for"
        for data in pictures:
            process.stdin.write(data)


def join(path: str | os.PathLike[str], pieces: Iterable[tuple[Path, int]], rate: Fraction, comment: str,
         sound: str | os.PathLike[str] | None = None, delay: float = 0.0, whole: bool = True) -> None:
    """Make `path` the film of all `pieces`: (path, pictures in it), encoded at `rate` in one folder. Raises Failure.

    comment  text that is kept in the film
    sound    path of an .mp4 with its sound, or None
    delay    seconds from the first picture to the sound
    whole    whether there is a picture for all of the sound, and not only for its beginning"""
    lines, shown = ["ffconcat version 1.0"], 0
    for piece, count in pieces:
        begin, shown = _microseconds(shown, rate), shown + count
        took = _microseconds(shown, rate) - begin
        lines += [f"file {piece.name}", f"duration {took // 10 ** 6}.{took % 10 ** 6:06d}"]
    listed = piece.with_name("list")
    listed.write_text("\n".join(lines) + "\n")
    with running("-itsoffset", f"{max(0, -delay):.6f}", "-f", "concat", "-i", local(listed),
                 *(["-itsoffset", f"{max(0, delay):.6f}", "-i", local(sound)] if sound else []),
                 *([] if whole else ["-t", f"{float(shown / rate) + max(0, -delay):.6f}"]),
                 "-map", "0:v", *(["-map", "1:a"] if sound else []), "-c", "copy", "-map_metadata", "-1",
                 "-metadata", f"comment={comment}", "-fflags", "+bitexact", "-movflags", "+faststart",
                 "-video_track_timescale", _scale(rate), "-f", "mp4", "-y", local(path)):
        pass


def is_mp4(file: IO[bytes]) -> bool:
    """Whether the open file is a film as join() makes them; it stays where it is."""
    start = file.read(12)
    file.seek(0)
    return start[4:] == b"ftypisom"


def comment(path: str | os.PathLike[str]) -> str:
    """The comment in a film; "" where there is none. Raises Mistake where it cannot be read."""
    done = subprocess.run([find("ffprobe"), "-v", "error", "-show_entries", "format_tags=comment", "-of", "json",
                           local(path)], capture_output=True, check=False)
    try:
        return json.loads(done.stdout)["format"]["tags"]["comment"] if done.returncode == 0 else ""
    except (ValueError, KeyError):
        return ""


@contextlib.contextmanager
def running(*words: str, stdin: int | None = subprocess.DEVNULL, stdout: int | None = None,
            bad: Callable[[], bool] = lambda: True) -> Iterator["subprocess.Popen[bytes]"]:
    """ffmpeg with these words, until it ends; raises Failure where it does not end well, and that
    is `bad()`.

    Ctrl-C in a terminal does not reach it: who started it ends it. Where the block raises, it is killed."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([find(), "-v", "error", "-nostdin", *words], stdin=stdin, stdout=stdout,
                                   stderr=said, start_new_session=True)
        try:
            with contextlib.suppress(BrokenPipeError):  # it says why itself
                yield process
                if process.stdin:
                    process.stdin.close()
            if process.stdout:
                process.stdout.close()  # whoever does not read on needs no more of it
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            for pipe in process.stdin, process.stdout:
                if pipe:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
        if code and bad():
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
            raise Failure(f"ffmpeg: {lines[-1] if lines else f'exit code {code}'}")


def local(path: str | os.PathLike[str]) -> str:
    """The name of a file for ffmpeg, which else takes some for protocols or options."""
    return f"file:{os.path.abspath(path)}"


def _told(rate: Fraction) -> str:
    return f"{rate.numerator}/{rate.denominator}"


def _scale(rate: Fraction) -> str:
    """Ticks a second in which the rate has no rounding."""
    return str(rate.numerator * -(-1000 // rate.numerator))


def _microseconds(count: int, rate: Fraction) -> int:
    return round(Fraction(count * 10 ** 6) / rate)
