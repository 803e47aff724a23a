"""One dream as a child process, with the real command and with programs that behave badly."""

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dreamer.machine.child import PATIENCE, Child, End
from dreamer.pictures.recipe import read_recipe
from helpers import PYTHON, ROOT, SLOWLY, children, ends, is_running

SCRIPT = ROOT / "dreamify.py"
WORKS = """
import json, os, signal, sys, time
asked = json.load(sys.stdin)
events = open(int(asked["events"][3:]), "w", buffering=1)
def tell(**event):
    print(json.dumps(event), file=events)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.open(ROOT / "tests/pictures/sky.jpg").resize((160, 120)).save(tmp_path / "a.png")
    return tmp_path


def asked(**more: Any) -> dict[str, Any]:
    return {"input": "./a.png", "output": "./d.png", "layer": "conv2/3x3", "model": "daydream", "iterations": 3,
            "octaves": 2, "seed": 1, "quiet": True} | more


async def dreamed(folder: Path, request: dict[str, Any], program: Path = SCRIPT, stop_at: str = "") -> tuple[End, Any]:
    """(how it ended, its events); it is stopped at the first event of the kind `stop_at`."""
    heard: list[dict[str, Any]] = []

    def hear(event: dict[str, Any]) -> None:
        heard.append(event)
        if event["event"] == stop_at:
            child.stop()

    child = Child(str(program), folder, request, hear)
    return await asyncio.wait_for(child.run(), 60), heard


def bad(folder: Path, code: str) -> Path:
    """A program that does this in the place of dreamify."""
    program = folder / "bad.py"
    program.write_text(WORKS + code)
    return program


def test_it_dreams_what_the_command_line_does(folder: Path) -> None:
    end, events = asyncio.run(dreamed(folder, asked()))
    assert end == End("done")
    assert [event["event"] for event in events] == ["began", *["step"] * 6, "finished"]
    words = "conv2/3x3", "3", "2", "--seed", "1", "--model", "daydream", "--quiet"
    subprocess.run([SCRIPT, folder / "a.png", folder / "e.png", *words], check=True)
    assert (folder / "d.png").read_bytes() == (folder / "e.png").read_bytes()


def test_a_stop_is_quick_and_saved_and_it_goes_on_to_the_same_bytes(folder: Path) -> None:
    long = asked(iterations=150)
    assert asyncio.run(dreamed(folder, long | {"output": "./whole.png"}))[0] == End("done")
    began = time.monotonic()
    end, events = asyncio.run(dreamed(folder, long, SLOWLY, stop_at="step"))
    assert end == End("stopped", saved=True)
    assert time.monotonic() - began < 10
    assert "unfinished" in read_recipe(folder / "d.png")
    end, events = asyncio.run(dreamed(folder, long))
    assert (end, events[0]["after"] != [0, 0, 0]) == (End("done"), True)
    assert (folder / "d.png").read_bytes() == (folder / "whole.png").read_bytes()


def test_a_stop_before_it_began(folder: Path) -> None:
    async def stopped(seconds: float) -> End:
        child = Child(str(SCRIPT), folder, asked(iterations=10_000), lambda event: None)
        if seconds < 0:
            child.stop()
            return await child.run()
        running = asyncio.ensure_future(child.run())
        await asyncio.sleep(seconds)
        child.stop()
        began = time.monotonic()
        end = await asyncio.wait_for(running, 30)
        assert time.monotonic() - began < PATIENCE  # it was not killed
        return end

    for seconds in (-1, 0, 0.01, 0.05, 0.1, 0.2, 0.3):
        assert asyncio.run(stopped(seconds)).state == "stopped", seconds


def test_what_is_wrong_is_told_in_the_words_of_the_program(folder: Path) -> None:
    end, events = asyncio.run(dreamed(folder, asked(layer="--force")))
    assert end.state == "failed"
    assert end.lines[0].startswith("layer: daydream has no layer '--force'")
    assert events[-1]["event"] == "failed"
    end, events = asyncio.run(dreamed(folder, {"inptu": 1}))  # before there are events
    assert (end, events) == (End("failed", lines=("request: unknown argument 'inptu'",), code=2), [])


@pytest.mark.parametrize(("code", "told"), [
    ("os.kill(os.getpid(), signal.SIGKILL)", "the dream ended unexpectedly (signal SIGKILL)"),
    ("sys.exit(3)", "the dream ended unexpectedly (exit code 3)"),
    ("pass", "the dream ended unexpectedly (exit code 0)"),
    ("raise ValueError('x' * 10 ** 6)", "the dream ended unexpectedly (exit code 1)"),
    ("events.write('no json\\n'); time.sleep(60)", "its events cannot be understood"),
    ("events.write('[1]\\n'); time.sleep(60)", "its events cannot be understood"),
    ("events.write('7' * (3 << 20)); time.sleep(60)", "its events cannot be understood"),
    ("tell(event='failed', lines=[], exit_code=1)", "the dream failed"),
])
def test_a_program_that_breaks(folder: Path, code: str, told: str) -> None:
    began = time.monotonic()
    end, _ = asyncio.run(dreamed(folder, {}, bad(folder, code)))
    assert (end.state, len(end.lines)) == ("failed", 1)
    assert told in end.lines[0]
    assert time.monotonic() - began < 10


def test_what_it_prints_is_no_event_and_fills_no_pipe(folder: Path) -> None:
    code = ("print('{\"event\": \"failed\"}' * 10 ** 5); print('x' * 10 ** 6, file=sys.stderr); "
            "tell(event='finished', output='')")
    assert asyncio.run(dreamed(folder, {}, bad(folder, code)))[0] == End("done")


def test_one_that_does_not_stop_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dreamer.machine.child.PATIENCE", 0.5)
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN); tell(event='began'); time.sleep(60)"
    began = time.monotonic()
    assert asyncio.run(dreamed(folder, {}, bad(folder, code), "began"))[0] == End("stopped")
    assert time.monotonic() - began < 10


def test_without_the_program_it_fails_in_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    end, _ = asyncio.run(dreamed(folder / "gone", asked()))
    assert (end.state, len(end.lines)) == ("failed", 1)
    monkeypatch.setenv("PATH", "/nowhere")
    end, _ = asyncio.run(dreamed(folder, asked()))
    assert end == End("failed", lines=("setpriv is not installed: install the package util-linux",))


def test_a_cancelled_one_is_killed(folder: Path) -> None:
    async def cancelled() -> int:
        began, others = asyncio.Event(), children(os.getpid())
        child = Child(str(SCRIPT), folder, asked(iterations=10_000), lambda event: began.set())
        running = asyncio.ensure_future(child.run())
        await asyncio.wait_for(began.wait(), 30)
        [number] = [each for each in children(os.getpid()) if each not in others]
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return number

    assert not is_running(asyncio.run(cancelled()))


SERVER = f"""
import asyncio, sys
sys.path.insert(0, {str(ROOT)!r})
from dreamer.machine.child import Child
asked = {{"input": "./a.png", "output": "./d.png", "model": "daydream", "iterations": 100000, "quiet": True}}
def hear(event):
    print(event["event"], flush=True)
print("here", flush=True)
asyncio.run(Child({str(SCRIPT)!r}, sys.argv[1], asked, hear).run())
"""


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.05, 0.1, 0.2, None])
def test_it_dies_with_the_server(folder: Path, seconds: float | None) -> None:
    """At whatever time that is killed: also before the request is handed over, and while it dreams."""
    (folder / "server.py").write_text(SERVER)
    with subprocess.Popen([PYTHON, folder / "server.py", folder], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        for line in server.stdout:
            if line == ("step\n" if seconds is None else "here\n"):
                break
        time.sleep(seconds or 0)
        found = children(server.pid)
        found += [grandchild for child in found for grandchild in children(child)]
        server.send_signal(signal.SIGKILL)
    assert all(ends(number) for number in found)
    assert seconds is not None or len(found) == 2
    time.sleep(0.3)  # one that was just being born
    until = time.monotonic() + 10
    while left := [path for path in Path("/proc").iterdir() if path.name.isdecimal() and _works_in(path, folder)]:
        assert time.monotonic() < until, left
        time.sleep(0.05)


def _works_in(process: Path, folder: Path) -> bool:
    try:
        return os.readlink(process / "cwd") == str(folder) and is_running(int(process.name))
    except OSError:
        return False


