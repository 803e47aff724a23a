"""ffmpeg, the distribution's program, run in its own processes."""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import IO

from dreamer.errors import Failure, Mistake
from dreamer.machine import here

DECODING = 75  # bytes of memory per pixel, measured at 1920×1080 (HDR; of SDR: 50)
# Containers that hold their own content. Others are lists of files, and ffmpeg would read any file that they name.
SAFE = ("-protocol_whitelist", "file", "-format_whitelist",
        "asf,avi,dv,flv,h264,hevc,ivf,m4v,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegts,mpegvideo,mxf,nut,"
        "ogg,yuv4mpegpipe")


def find(program: str = "ffmpeg") -> str:
    """The program's path; raises Mistake if it is not installed."""
    path = shutil.which(program)
    if not path:
        raise Mistake(f"{program} is not installed (.gif and .webp films do not need it); {here.provision('film')}")
    return path


def is_film(file: IO[bytes]) -> bool:
    """Whether the open file is a film in a container that ffmpeg wrote, ours or another; the file's position is 0
    before and after."""
    start = file.read(12)
    file.seek(0)
    return start[4:] in (b"ftypisom", b"ftypqt  ") or start.startswith(b"\x1aE\xdf\xa3")  # .mp4, .mov; .mkv, .webm


def comment(path: str | os.PathLike[str]) -> str:
    """The comment in a film; "" if none can be read. Raises Mistake if ffprobe is not installed."""
    done = subprocess.run([find("ffprobe"), "-v", "error", *SAFE, "-show_entries", "format_tags", "-of", "json",
                           local(path)], capture_output=True, check=False)
    try:
        tags = json.loads(done.stdout)["format"]["tags"] if done.returncode == 0 else {}
    except (ValueError, KeyError):
        return ""
    return next((text for name, text in tags.items() if name.lower() == "comment"), "")


@contextlib.contextmanager
def running(*words: str, stdin: int | None = subprocess.DEVNULL, stdout: int | None = None,
            bad: Callable[[], bool] = lambda: True, told: bool = False,
            folder: str | os.PathLike[str] | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Run ffmpeg with these arguments during the block, in `folder` (default: the current one), and wait for its end.
    If it fails and `bad()` is true, raises OSError if the disk is full or a file too large, otherwise Failure.

    told    whether the block reads standard error, to which ffmpeg then writes what it does

    Ctrl-C in a terminal does not reach it, because its parent ends it. If the block raises, or if this process is
    killed, it is killed too."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", find(), "-v", "info" if told else "error",
                                    "-nostats", "-hide_banner", "-nostdin", *words], stdin=stdin, stdout=stdout,
                                   stderr=subprocess.PIPE if told else said, start_new_session=True,
                                   cwd=folder)
        try:
            with contextlib.suppress(BrokenPipeError):  # ffmpeg itself says why
                yield process
                if process.stdin:
                    process.stdin.close()
            if process.stdout:
                process.stdout.close()  # the block has read all that it needs
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            for pipe in process.stdin, process.stdout, process.stderr:
                if pipe:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
        if code and bad():
            said.seek(0)
            raise _cause(said.read().decode(errors="replace"), code)


def _cause(said: str, code: int) -> OSError | Failure:
    """The error for what ffmpeg said and its exit code."""
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        if os.strerror(number) in said:  # the last line may be about what follows from it
            return OSError(number, os.strerror(number))
    if code == -signal.SIGXFSZ:
        return OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    lines = said.strip().splitlines() or [f"exit code {code}"]
    return Failure(f"ffmpeg: {f'killed by {signal.Signals(-code).name}' if code < 0 else lines[-1]}")


def local(path: str | os.PathLike[str]) -> str:
    """A file's name for ffmpeg, which takes some bare names for protocols or options."""
    return f"file:{os.path.abspath(path)}"


def inside(path: str | os.PathLike[str]) -> str:
    """The same for a file in the folder in which ffmpeg runs: what is above that folder may be named like a pattern."""
    return f"file:{os.path.basename(path)}"
