"""Programs that decode one file each: their limits, their errors, and the files that they leave behind."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dreamer.machine import decoders
from helpers import ROOT, ends, is_running

DATA = io.BytesIO(b"some bytes")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "a folder for\ntemporary files"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def shell(script: str, pixels: int = 100) -> bytes:
    """The output of a script that gets the names of both files."""
    with decoders.decoded(["sh", "-c", script, "sh", decoders.IN, decoders.OUT], DATA, pixels, (".a", ".b")) as result:
        return result.read()


def test_a_program_gets_and_makes_a_file(temporary: Path) -> None:
    assert shell("rev $1 >$2; echo $1 $2 >>$2; ls >>$2") == b"setyb emosin.a out.b\nin.a\nout.b\n"
    with decoders.decoded(["cat", decoders.IN], DATA, 1, ("", "")) as result:
        assert result.read() == b"some bytes"
    assert os.listdir(temporary) == []


@pytest.mark.parametrize(("script", "error"), [
    ("exit 1", decoders.DamagedError), ("kill -SEGV $$", decoders.DamagedError),
    ("echo Unsupported codec >&2; exit 1", decoders.UnsupportedError), ("while :; do :; done", decoders.TooMuchError),
    ("echo 'std::bad_alloc' >&2; exit 1", MemoryError), ("kill -KILL $$", decoders.TooMuchError)])
def test_errors(temporary: Path, script: str, error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    if "while" in script:
        monkeypatch.setattr(decoders, "_SECONDS", 1)
    with pytest.raises(error):
        shell(script)
    assert os.listdir(temporary) == []


def test_memory_is_limited_by_the_pixels(temporary: Path) -> None:
    script = f"{sys.executable} -c 'len(bytearray(700 << 20))' || {{ echo memory >&2; exit 1; }}"
    shell(script, 20_000_000)
    with pytest.raises(MemoryError):
        shell(script, 1000)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_this_process_ends(temporary: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Even if it is killed."""
    code = ("import io, signal, sys; sys.path.insert(0, sys.argv[1]); from dreamer.machine import decoders\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background ignores it
            "words = ['sh', '-c', 'echo $$ >' + sys.argv[2] + '; sleep 60', decoders.IN]\n"
            "with decoders.decoded(words, io.BytesIO(), 1, ('', '')): pass")
    process = subprocess.Popen([sys.executable, "-c", code, ROOT, tmp_path / "pid"], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()) and time.monotonic() < until:
        time.sleep(0.02)
    program = int((tmp_path / "pid").read_text())
    assert is_running(program)
    process.send_signal(number)
    process.wait(20)
    assert ends(program)
    until = time.monotonic() + 5
    while os.listdir(temporary) and time.monotonic() < until:
        time.sleep(0.02)
    assert os.listdir(temporary) == []
