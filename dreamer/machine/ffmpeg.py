"""ffmpeg, the distribution's own program, in processes of its own."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import IO

from dreamer.errors import Failure, Mistake

ENCODING, DECODING = 100, 60  # bytes a pixel that it takes, by measurement at 1920×1080


def find(program: str = "ffmpeg") -> str:
    """The program's path; raises Mistake where it is not installed."""
    path = shutil.which(program)
    if not path:
        raise Mistake(f"{program} is not installed; run ./provision.sh film (.gif and .webp films do not need it)")
    return path


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
