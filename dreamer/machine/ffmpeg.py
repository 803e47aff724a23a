"""ffmpeg, the distribution's program, run in its own processes."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import IO

from dreamer.errors import Failure, Mistake
from dreamer.machine import here

ENCODING, DECODING = 100, 75  # bytes of memory per pixel, measured at 1920×1080 (HDR; of SDR: 50)


def find(program: str = "ffmpeg") -> str:
    """The program's path; raises Mistake if it is not installed."""
    path = shutil.which(program)
    if not path:
        raise Mistake(f"{program} is not installed (.gif and .webp films do not need it); {here.provision('film')}")
    return path


def is_mp4(file: IO[bytes]) -> bool:
    """Whether the open file is an MP4 as ffmpeg writes it; the file's position is 0 before and after."""
    start = file.read(12)
    file.seek(0)
    return start[4:] == b"ftypisom"


def comment(path: str | os.PathLike[str]) -> str:
    """The comment in a film; "" if none can be read. Raises Mistake if ffprobe is not installed."""
    done = subprocess.run([find("ffprobe"), "-v", "error", "-show_entries", "format_tags=comment", "-of", "json",
                           local(path)], capture_output=True, check=False)
    try:
        return json.loads(done.stdout)["format"]["tags"]["comment"] if done.returncode == 0 else ""
    except (ValueError, KeyError):
        return ""


@contextlib.contextmanager
def running(*words: str, stdin: int | None = subprocess.DEVNULL, stdout: int | None = None,
            bad: Callable[[], bool] = lambda: True, told: bool = False,
            folder: str | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Run ffmpeg with these arguments during the block, and wait for its end; raises Failure if it fails
    and `bad()` is true.

    told    whether the block reads standard error, to which ffmpeg then writes what it does
    folder  in which it runs

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
            lines = said.read().decode(errors="replace").strip().splitlines()
            raise Failure(f"ffmpeg: {lines[-1] if lines else f'exit code {code}'}")


def local(path: str | os.PathLike[str]) -> str:
    """A file's name for ffmpeg, which takes some bare names for protocols or options."""
    return f"file:{os.path.abspath(path)}"
