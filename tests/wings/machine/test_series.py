"""Dreams that one child process carries out, one after another, with the real command and with programs that behave
badly."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dreamer.machine import series
from dreamer.machine.child import End
from dreamer.machine.series import Series
from helpers import ROOT, children, ends, made

SCRIPT = ROOT / "dreamify.py"
STARTS = f"""
import json, os, signal, sys, time
sys.path.insert(0, {str(ROOT)!r})
from dreamer.errors import Failure
from dreamer.machine.series import serve
def carry_out(asked):
    with open(int(asked["events"][3:]), "w", closefd=False) as events:
        print(json.dumps({{"event": "began", "process": os.getpid()}}), file=events)
    exec(asked["code"])
serve(carry_out)
"""


OTHERS = set[int]()  # children of this process that no test here has started, such as Python's resource tracker


@pytest.fixture(autouse=True)
def others() -> None:
    """Sees OTHERS before the test."""
    OTHERS.clear()
    OTHERS.update(children(os.getpid()))


def own() -> list[int]:
    """Numbers of the processes of a Series."""
    return [number for number in children(os.getpid()) if number not in OTHERS]


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Three folders, each with another picture of the same name."""
    found = []
    with Image.open(ROOT / "tests/pictures/sky.jpg") as sky:
        for number in range(3):
            found.append(tmp_path / str(number))
            found[-1].mkdir()
            sky.crop((50 * number, 0, 50 * number + 300, 240)).resize((100, 80)).save(found[-1] / "a.png")
    return found


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A program whose requests say what it does."""
    program = tmp_path / "bad.py"
    program.write_text(STARTS)
    return program


def asked(**more: Any) -> dict[str, Any]:
    return {"input": "a.png", "output": "d.png", "layer": "conv2/3x3", "model": "daydream", "iterations": 2,
            "octaves": 2, "seed": 1, "memory": "2g", "quiet": True} | more


async def dreamed(used: Series, folder: Path, request: dict[str, Any], stop_at: str = "") -> tuple[End, Any]:
    """(how a dream ended, its events); it is stopped at the first event of the kind `stop_at`."""
    heard: list[dict[str, Any]] = []

    def hear(event: dict[str, Any]) -> None:
        heard.append(event)
        if event["event"] == stop_at:
            child.stop()

    child = used.child(folder, request, hear)
    return await asyncio.wait_for(child.run(), 60), heard


def in_turn(program: Path, work: Callable[[Series], Any]) -> Any:
    """What the coroutine `work` of a Series returns; the Series' child ends with it."""
    async def whole() -> Any:
        used = Series(str(program))
        try:
            return await work(used)
        finally:
            used.close()
            while own():  # until asyncio has waited for it
                await asyncio.sleep(0.01)

    return asyncio.run(asyncio.wait_for(whole(), 300))


def test_each_is_dreamed_as_alone_and_in_one_process(folders: list[Path]) -> None:
    """One that fails, and one that is wrong, change nothing for those that follow."""
    async def work(used: Series) -> list[tuple[End, Any]]:
        found = [await dreamed(used, folders[0], asked())]
        process = own()
        found.append(await dreamed(used, folders[0], asked(input="gone.png")))
        found.append(await dreamed(used, folders[0], {"inptu": 1}))
        found += [await dreamed(used, folder, asked()) for folder in folders[1:]]
        assert own() == process
        assert len(process) == 1
        return found

    good, gone, wrong, *others = in_turn(SCRIPT, work)
    assert {end for end, _ in (good, *others)} == {End("done")}
    assert [event["event"] for event in others[0][1]] == ["began", *["step"] * 4, "finished"]
    assert (gone[0].state, gone[0].code) == ("failed", 2)
    assert gone[0].lines[0].startswith("input: no such file: gone.png")
    assert wrong == (End("failed", lines=("request: unknown argument 'inptu'",), code=2), [])
    for folder in folders:
        made([SCRIPT, folder / "a.png", folder / "e.png", "conv2/3x3", "2", "2", "--seed", "1", "--model", "daydream"])
        assert (folder / "d.png").read_bytes() == (folder / "e.png").read_bytes()


def test_the_net_stays_loaded(folders: list[Path], tmp_path: Path) -> None:
    """From the second dream on: the first one shows that Caffe can load it. The child then maps its weights."""
    (tmp_path / "counting.py").write_text(f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
import dreamify
from dreamer.nets import folding
load = folding.load
def counted(*arguments):
    with open({str(tmp_path / "loads")!r}, "a") as file:
        print(os.getpid(), file=file)
    return load(*arguments)
folding.load = counted
sys.exit(dreamify.main())
""")

    async def work(used: Series) -> int:
        for folder in (*folders, *folders):
            assert (await dreamed(used, folder, asked(force=True)))[0] == End("done")
        [number] = own()
        return number

    number = in_turn(tmp_path / "counting.py", work)
    first, second = (tmp_path / "loads").read_text().split()
    assert int(first) != int(second) == number


def test_a_stop_is_heard_and_the_next_dream_gets_a_new_child(folders: list[Path]) -> None:
    async def work(used: Series) -> None:
        end, _ = await dreamed(used, folders[0], asked(iterations=10_000), stop_at="step")
        assert end == End("stopped", saved=True)
        assert (await dreamed(used, folders[1], asked()))[0] == End("done")
        child = used.child(folders[1], asked(), lambda event: None)
        child.stop()  # before it began
        assert await child.run() == End("stopped")
        assert (await dreamed(used, folders[2], asked()))[0] == End("done")

    in_turn(SCRIPT, work)


@pytest.mark.parametrize(("code", "told"), [
    ("os.kill(os.getpid(), signal.SIGKILL)", "the dream ended unexpectedly (signal SIGKILL)"),
    ("sys.exit(3)", "the dream ended unexpectedly (exit code 3)"),
    ("raise ValueError('no')", "the dream ended unexpectedly (exit code 1)"),
    ("os.write(int(asked['events'][3:]), b'no json\\n'); time.sleep(60)", "its events cannot be understood"),
    ("os.close(int(asked['events'][3:])); time.sleep(60)", "the dream ended unexpectedly"),
    ("raise Failure('it is sad')", "it is sad"),
])
def test_one_that_breaks_is_told_and_the_next_goes_well(bad: Path, folders: list[Path], code: str, told: str) -> None:
    async def work(used: Series) -> None:
        end, _ = await dreamed(used, folders[0], {"code": code})
        assert (end.state, end.code, len(end.lines)) == ("failed", 1, 1)
        assert told in end.lines[0]
        assert (await dreamed(used, folders[0], {"code": "pass"}))[0] == End("done")

    in_turn(bad, work)


def test_one_that_died_in_between_is_replaced(bad: Path, folders: list[Path]) -> None:
    async def work(used: Series) -> None:
        numbers = []
        for _ in range(2):
            end, [began] = await dreamed(used, folders[0], {"code": "pass"})
            assert end == End("done")
            numbers.append(began["process"])
            os.kill(numbers[-1], signal.SIGKILL)
            while own():  # until asyncio has waited for it
                await asyncio.sleep(0.01)
        assert len(set(numbers)) == 2

    in_turn(bad, work)


def test_after_a_while_without_a_dream_it_ends(bad: Path, folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "IDLE", 0.3)

    async def work(used: Series) -> None:
        end, [began] = await dreamed(used, folders[0], {"code": "time.sleep(1)"})  # which is no such time
        assert end == End("done")
        while own():
            await asyncio.sleep(0.01)
        assert (await dreamed(used, folders[0], {"code": "pass"}))[1][0]["process"] != began["process"]

    in_turn(bad, work)


def test_a_cancelled_one_is_killed(bad: Path, folders: list[Path]) -> None:
    async def work(used: Series) -> int:
        began = asyncio.Event()
        child = used.child(folders[0], {"code": "time.sleep(60)"}, lambda event: began.set())
        running = asyncio.ensure_future(child.run())
        await asyncio.wait_for(began.wait(), 30)
        [number] = own()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return number

    assert ends(in_turn(bad, work))


def test_without_the_program_it_fails_in_one_line(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert in_turn(SCRIPT, lambda used: dreamed(used, folders[0], asked()))[0] == End(
        "failed", lines=("setpriv is not installed: install the package util-linux",))
