"""The queue, with real dreams on a small net: its order, its file, and what becomes of it after a crash."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dreamer.errors import Failure, Mistake
from dreamer.jobs.atlas import tile_name
from dreamer.machine import limits
from dreamer.machine.child import PATIENCE
from dreamer.nets import model
from dreamer.pictures.recipe import read_recipe
from dreamer.studio.queue import FULL, KEPT, Queue
from helpers import PYTHON, ROOT, SLOWLY, children, ends, run

SCRIPT = ROOT / "dreamify.py"
FORM = {"model": "daydream", "layer": "conv2/3x3", "iterations": 3, "octaves": 2, "seed": 1}
LONG = FORM | {"iterations": 150}
ENDLESS = FORM | {"iterations": 100_000}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sky = Image.open(ROOT / "tests/pictures/sky.jpg")
    for name, width in (("a.jpg", 160), ("b.png", 100), ("c.jpg", 90)):
        sky.resize((width, 80)).save(tmp_path / name)
    return tmp_path


def queue(folder: Path, jobs: int = 1, script: Path = SCRIPT, **more: Any) -> Queue:
    return Queue(folder, str(script), jobs, lambda: None, **more)


def states(of: Queue) -> dict[int, str]:
    """{number of a job: its state}"""
    return {job["id"]: job["state"] for job in of.state()}


def job(of: Queue, number: int) -> dict[str, Any]:
    return next(each for each in of.state() if each["id"] == number)


async def until(true: Callable[[], Any], seconds: float = 60) -> float:
    """Wait until this is true; returns the seconds that it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() < began + seconds, "it never became true"
        await asyncio.sleep(0.005)
    return time.monotonic() - began


def running(of: Queue, do: Callable[[], Awaitable[None]]) -> None:
    """Run the queue while `do` does something."""
    async def both() -> None:
        task = asyncio.ensure_future(of.run())
        try:
            await do()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    asyncio.run(asyncio.wait_for(both(), 120))


def whole(folder: Path, photo: str, form: dict[str, Any]) -> bytes:
    """The dream that the command line makes."""
    output = folder.with_name(f"{folder.name}-whole{Path(photo).suffix}")
    done = run(folder / photo, output, form["layer"], form["iterations"], form["octaves"], "--seed", form["seed"],
               "--model", form["model"])
    assert done.returncode == 0, done.stderr
    return output.read_bytes()


# dreams --------------------------------------------------------------------------------------------------

def test_a_batch_becomes_what_the_command_line_dreams(folder: Path) -> None:
    told: list[tuple[dict[str, Any], dict[str, Any]]] = []
    made = queue(folder, told=lambda request: f"dreamify {request['input']}",
                 learned=lambda shown, figures: told.append((shown, figures)))

    async def do() -> None:
        assert made.add(FORM, ["a.jpg", "b.png"]) == [1, 2]
        assert [each["state"] for each in made.state()] == ["waiting", "waiting"]
        await until(lambda: set(states(made).values()) == {"done"})

    running(made, do)
    assert (folder / "a-dream.jpg").read_bytes() == whole(folder, "a.jpg", FORM)
    assert (folder / "b-dream.png").read_bytes() == whole(folder, "b.png", FORM)
    latest, first = made.state()
    assert (first["id"], first["done"], first["left"], first["error"], first["resumed"]) == (1, 1.0, None, None, False)
    assert (first["size"], first["octave"], first["octaves"], first["iterations"]) == ([80, 160], 2, 2, 3)
    assert (first["photo"], first["output"], first["layer"], first["seed"]) == ("a.jpg", "a-dream.jpg", "conv2/3x3", 1)
    assert first["command"] == "dreamify ./a.jpg"
    assert first["memory"] > 1 << 20
    assert first["took"] > 0
    [(shown, figures), _] = told
    assert (shown["id"], figures["sizes"], figures["layer"]) == (1, [[57, 114], [80, 160]], "conv2/3x3")
    assert figures["total"] > 6 * 57 * 114
    assert 0 < figures["seconds"] < 30
    json.dumps(made.state(), allow_nan=False)
    assert sorted(os.listdir(folder / ".studio")) == ["previews", "queue.json", "tries"]


def test_a_live_picture_and_a_stop_that_is_saved_and_goes_on_to_the_same_bytes(
        folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOW_SECONDS", "0.015")  # so that it is not done before the second picture
    made = queue(folder, script=SLOWLY)

    async def do() -> None:
        made.add(LONG, ["a.jpg"])
        await until(lambda: job(made, 1)["preview"])
        first = job(made, 1)["preview"]
        assert Image.open(folder / ".studio/previews/1.jpg").size == (160, 80)
        await until(lambda: job(made, 1)["preview"] > first)
        with pytest.raises(Mistake, match="this job is dreaming, so it cannot remove"):
            made.act(1, "remove")
        made.act(1, "stop")
        assert states(made) == {1: "stopping"}
        assert await until(lambda: states(made) == {1: "stopped"}) < PATIENCE  # it was not killed
        assert "unfinished" in read_recipe(folder / "a-dream.jpg")
        assert 0 < job(made, 1)["done"] < 1
        made.act(1, "go")
        await until(lambda: states(made) == {1: "done"})

    running(made, do)
    assert job(made, 1)["resumed"]
    assert (folder / "a-dream.jpg").read_bytes() == whole(folder, "a.jpg", LONG)
    assert not list((folder / ".studio/previews").iterdir())


def test_what_waits_is_moved_and_cancelled_while_another_dreams(folder: Path) -> None:
    made = queue(folder)

    async def do() -> None:
        made.add(ENDLESS, ["a.jpg"])
        await until(lambda: job(made, 1)["iteration"] > 3)
        made.add(FORM, ["a.jpg", "b.png", "c.jpg"])
        made.act(4, "move", 0)
        made.act(2, "move", 99)
        assert [each["id"] for each in made.state()] == [1, 4, 3, 2]
        made.act(3, "remove")
        made.act(4, "stop")
        assert states(made) == {1: "dreaming", 2: "waiting", 4: "stopped"}
        before = job(made, 1)["iteration"]
        await until(lambda: job(made, 1)["iteration"] > before)
        made.act(1, "stop")
        await until(lambda: states(made)[2] == "done")

    running(made, do)
    assert states(made) == {1: "stopped", 2: "done", 4: "stopped"}
    assert job(made, 2)["output"] == "a-dream-2.jpg"


def test_two_at_once_share_the_threads(folder: Path) -> None:
    made = queue(folder, jobs=2)

    async def do() -> None:
        made.add(ENDLESS, ["a.jpg", "b.png", "c.jpg"])
        await until(lambda: [each["iteration"] > 0 for each in made.state()] == [True, True, False])
        made.act(1, "stop")
        await until(lambda: job(made, 3)["iteration"] > 0)
        assert states(made) == {1: "stopped", 2: "dreaming", 3: "dreaming"}

    running(made, do)
    request = made._request(made._entries[0])
    assert request["threads"] == max(1, limits.threads() // 2)


def test_again_is_the_same_with_another_seed(folder: Path) -> None:
    made = queue(folder)
    made.add(FORM, ["a.jpg"])
    made.act(1, "again")
    one, two = made.state()
    assert (two["id"], two["output"]) == (2, "a-dream-2.jpg")
    assert {**two["form"], "seed": 1} == one["form"]
    assert one["seed"] == 1 != two["seed"]


def test_a_film(folder: Path) -> None:
    made = queue(folder)

    async def do() -> None:
        made.add(FORM | {"film": "gif", "zoom": 3}, ["a.jpg"])
        await until(lambda: states(made)[1] in ("done", "failed"))

    running(made, do)
    found = job(made, 1)
    assert (found["state"], found["kind"], found["output"], found["frames"]) == ("done", "film", "a-dream.gif", 3)
    assert Image.open(folder / "a-dream.gif").n_frames == 3


def test_a_try_makes_a_tile_of_each_layer(folder: Path) -> None:
    made = queue(folder)
    layers = model.find("daydream").keys

    async def do() -> None:
        assert made.add({"kind": "try", "model": "daydream"}, ["c.jpg"]) == [1]
        assert made.add({"kind": "try", "model": "daydream"}, ["c.jpg"]) == [1]  # it is tried already
        await until(lambda: job(made, 1)["tried"] >= 2)
        tiles = folder / ".studio/tries" / job(made, 1)["key"]
        assert Image.open(tiles / tile_name(layers[0])).size == (90, 80)
        assert 0 < job(made, 1)["done"] < 0.5
        made.act(1, "stop")
        assert await until(lambda: states(made) == {1: "stopped"}) < PATIENCE

    running(made, do)
    assert job(made, 1)["tried"] >= 2
    assert [path.name for path in folder.iterdir() if "dream" in path.name] == []


# what is wrong -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("layer", ["--force", "./out.png", "-", "../../etc/passwd", "$(reboot)", "a\nb", "--model=x"])
def test_a_layer_is_never_anything_else(folder: Path, layer: str) -> None:
    made = queue(folder)

    async def do() -> None:
        made.add(FORM | {"layer": layer}, ["a.jpg"])
        await until(lambda: states(made)[1] not in ("waiting", "dreaming"))

    running(made, do)
    found = job(made, 1)
    assert found["state"] == "failed"
    assert found["error"].startswith("layer: daydream has no layer")
    assert sorted(path.name for path in folder.iterdir()) == [".studio", "a.jpg", "b.png", "c.jpg"]


def test_all_photos_or_none_are_added(folder: Path) -> None:
    made = queue(folder)
    wrong: list[Any] = [[], ["a.jpg", "no.jpg"], ["../a.jpg"], [None], [["a.jpg"]], [{}], "a.jpg", None, 5]
    for photos in wrong:
        with pytest.raises(Mistake):
            made.add(FORM, photos)
    forms: list[Any] = [None, [], "x", FORM | {"force": True}, FORM | {"iterations": 0}]
    for sent in forms:
        with pytest.raises(Mistake):
            made.add(sent, ["a.jpg"])
    assert made.state() == []
    assert made.add(FORM, ["a.jpg"]) == [1]


def test_a_verb_that_means_nothing_now(folder: Path) -> None:
    made = queue(folder)
    made.add(FORM, ["a.jpg"])
    for number, verb, value in ((1, "go", None), (1, "fly", None), (1, "", None), (2, "stop", None), (1, "move", "x"),
                                (1, "move", None), (1, "move", True), (1, "_load", None), (1, "x" * 10 ** 5, None)):
        with pytest.raises(Mistake) as caught:
            made.act(number, verb, value)
        assert len(str(caught.value)) < 200
    assert states(made) == {1: "waiting"}


def test_a_full_queue_says_so(folder: Path) -> None:
    made = queue(folder)
    for _ in range(4):
        made.add(FORM, ["a.jpg"] * (FULL // 4))
    for photos in (["a.jpg"], ["a.jpg"] * 1000):
        with pytest.raises(Failure, match="the queue is full"):
            made.add(FORM, photos)
    assert len(made.state()) == len({each["output"] for each in made.state()}) == FULL
    made.act(7, "remove")
    assert made.add(FORM, ["a.jpg"]) == [FULL + 1]


def test_a_full_disk_says_so_and_what_waits_goes_on_when_there_is_room(
        folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = queue(folder), os.statvfs
    full = [False]

    def there(path: Any) -> Any:
        found = real(path)
        return found if not full[0] else os.statvfs_result((*found[:4], 7, *found[5:]))

    monkeypatch.setattr(os, "statvfs", there)
    monkeypatch.setattr("dreamer.studio.queue.LOOK", 0.05)

    async def do() -> None:
        made.add(FORM, ["a.jpg"])
        full[0] = True
        with pytest.raises(Failure, match="the disk is full: only 1 MB are free"):
            made.add(FORM, ["a.jpg"])
        await until(made.warnings)
        assert "the disk is full" in job(made, 1)["lines"][0]
        assert states(made) == {1: "waiting"}
        full[0] = False
        await until(lambda: states(made) == {1: "done"})
        assert (made.warnings(), job(made, 1)["lines"]) == ([], [])

    running(made, do)


def test_what_came_in_between_is_not_overwritten(folder: Path) -> None:
    """Neither another's file, nor another's finished dream, even of the same photo, nor what is no file."""
    made = queue(folder)
    assert made.reserved() == set()
    made.add(FORM, ["a.jpg", "b.png", "c.jpg"])
    assert made.reserved() == {"a-dream.jpg", "b-dream.png", "c-dream.jpg"}
    shutil.copy(folder / "c.jpg", folder / "a-dream.jpg")
    assert run(folder / "b.png", folder / "b-dream.png", "conv2/3x3", 1, 1, "--seed", 1, "--model",
               "daydream").returncode == 0
    (folder / "c-dream.jpg").mkdir()
    before = [(folder / name).read_bytes() for name in ("a-dream.jpg", "b-dream.png")]

    async def do() -> None:
        await until(lambda: set(states(made).values()) == {"done"})

    running(made, do)
    assert before == [(folder / name).read_bytes() for name in ("a-dream.jpg", "b-dream.png")]
    assert [job(made, number)["output"] for number in (1, 2, 3)] == [
        "a-dream-2.jpg", "b-dream-2.png", "c-dream-2.jpg"]
    assert (folder / "a-dream-2.jpg").read_bytes() == whole(folder, "a.jpg", FORM)


def test_a_removed_job_leaves_the_dream_so_far_and_nothing_else(folder: Path) -> None:
    made = queue(folder)

    async def do() -> None:
        made.add(ENDLESS, ["a.jpg"])
        await until(lambda: job(made, 1)["preview"])
        made.act(1, "stop")
        await until(lambda: states(made) == {1: "stopped"})
        assert (folder / ".a-dream.jpg.dreaming").exists()
        made.act(1, "remove")

    running(made, do)
    assert made.state() == []
    assert sorted(path.name for path in folder.iterdir()) == [".studio", "a-dream.jpg", "a.jpg", "b.png", "c.jpg"]
    assert not list((folder / ".studio/previews").iterdir())


# its file ------------------------------------------------------------------------------------------------

def test_it_is_there_again(folder: Path) -> None:
    first = queue(folder)
    first.add(FORM, ["a.jpg", "b.png"])
    first.add({"kind": "try", "model": "daydream"}, ["c.jpg"])
    first.act(1, "move", 5)
    first.act(2, "remove")
    second = queue(folder)
    assert second.state() == first.state()
    assert [each["id"] for each in second.state()] == [3, 1]
    assert second.add(FORM, ["b.png"]) == [4]  # numbers are never used again
    assert second.warnings() == []


@pytest.mark.parametrize("damage", [
    lambda kept: b"", lambda kept: b"{", lambda kept: b"[]", lambda kept: kept[:200], lambda kept: b"\xff" * 9,
    lambda kept: kept.replace(b'"version": 1', b'"version": 2'), lambda kept: kept.replace(b'"a.jpg"', b'"../a.jpg"'),
    lambda kept: kept.replace(b'"a-dream.jpg"', b'"/etc/passwd"'), lambda kept: kept.replace(b'"waiting"', b'"flying"'),
    lambda kept: kept.replace(b'"asked"', b'"ordered"'), lambda kept: kept.replace(b'"lines": []', b'"lines": [[]]'),
    lambda kept: kept.replace(b'"next": 2', b'"next": "2"'), lambda kept: b"[" * 100_000,
    lambda kept: kept.replace(b'"done": 0.0', b'"done": "0"'), lambda kept: kept.replace(b'"id": 1', b'"id": true'),
    lambda kept: kept.replace(b'"kind": "dream"', b'"kind": "try"')])
def test_a_damaged_file_is_moved_aside(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    queue(folder).add(FORM, ["a.jpg"])
    path = folder / ".studio/queue.json"
    kept = path.read_bytes()
    assert damage(kept) != kept
    path.write_bytes(damage(kept))
    made = queue(folder)
    assert made.state() == []
    assert made.warnings() == ["the list of dreams was damaged, and is now .studio/queue.json.damaged"]
    assert (folder / ".studio/queue.json.damaged").read_bytes() == damage(kept)
    made.add(FORM, ["a.jpg"])
    assert len(queue(folder).state()) == 1


def test_a_form_that_was_changed_in_the_file_is_checked_again(folder: Path) -> None:
    queue(folder).add(FORM, ["a.jpg"])
    path = folder / ".studio/queue.json"
    path.write_text(path.read_text().replace('"octaves": 2,', '"octaves": 2, "force": true,', 1))
    made = queue(folder)

    async def do() -> None:
        await until(lambda: states(made) == {1: "failed"})

    running(made, do)
    assert job(made, 1)["error"] == "form: unknown field 'force'"


def test_only_the_latest_that_ended_are_kept(folder: Path) -> None:
    made = queue(folder)
    for _ in range(KEPT + 5):
        [number] = made.add(FORM, ["a.jpg"])
        made.act(number, "stop")
    made._trim()
    assert sorted(states(made)) == list(range(6, KEPT + 6))


def test_a_disk_that_cannot_keep_the_list_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = queue(folder)

    def full(path: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dreamer.machine.files.replacing", full)
    made.add(FORM, ["a.jpg"])
    assert made.warnings() == ["the queue cannot be saved: No space left on device"]
    assert states(made) == {1: "waiting"}


SERVER = f"""
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from dreamer.studio.queue import Queue
async def main():
    queue = Queue(Path(sys.argv[1]), {str(SLOWLY)!r}, 1, lambda: [print(each["iteration"], flush=True)
                                                                  for each in queue.state() if each["octave"] == 2])
    queue.add({LONG!r}, ["a.jpg", "b.png"])
    await queue.run()
asyncio.run(main())
"""


@pytest.mark.parametrize("after", [2, 120, None], ids=["early", "late", "closed"])
def test_after_a_crash_it_goes_on_by_itself_to_the_same_bytes(folder: Path, after: int | None) -> None:
    (folder / "server.py").write_text(SERVER)
    with subprocess.Popen([PYTHON, folder / "server.py", folder], stdout=subprocess.PIPE, text=True,
                          env=os.environ | {"SLOW_AFTER": str(150 + (after or 9))}) as server:
        assert server.stdout
        for line in server.stdout:
            if int(line) >= (after or 9):
                break
        found = children(server.pid)
        found += [grandchild for child in found for grandchild in children(child)]
        server.send_signal(signal.SIGINT if after is None else signal.SIGKILL)
        server.stdout.read()
    assert len(found) == 2
    assert all(ends(number) for number in found)
    made = queue(folder)
    assert [(each["id"], each["state"]) for each in made.state()] == [(1, "waiting"), (2, "waiting")]

    async def do() -> None:
        await until(lambda: set(states(made).values()) == {"done"})

    running(made, do)
    assert job(made, 1)["resumed"]
    assert (folder / "a-dream.jpg").read_bytes() == whole(folder, "a.jpg", LONG)
    assert sorted(path.name for path in folder.iterdir() if path.name[0] in "ab") == [
        "a-dream.jpg", "a.jpg", "b-dream.png", "b.png"]


def test_a_dream_that_was_written_as_the_server_died_is_not_made_twice(folder: Path) -> None:
    """It gets its own name again, and the same bytes."""
    made = queue(folder)
    made.add(FORM, ["a.jpg"])
    made._entries[0].begin()  # and then the server dies
    made._save()
    (folder / "a-dream.jpg").write_bytes(whole(folder, "a.jpg", FORM))
    made = queue(folder)

    async def do() -> None:
        await until(lambda: states(made) == {1: "done"})

    running(made, do)
    assert job(made, 1)["output"] == "a-dream.jpg"
    assert not (folder / "a-dream-2.jpg").exists()
