"""The studio on a farm: its dreams run on real workers, are seen to grow, and outlast what happens to it."""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import Page, Served
from client import Client
from dreamer.jobs.atlas import tile_name
from dreamer.nets.model import Model, find
from dreamer.pictures.recipe import read_recipe
from dreamer.studio.queue import Queue
from farms import MANY, SCRIPT, Farm, child_of, until
from helpers import ROOT, children, ends, is_running, made, run, search, visible

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

FORM: dict[str, Any] = {"model": "daydream", "layer": "conv2/3x3", "iterations": 3, "octaves": 2, "seed": 1,
                        "max_size": 160}
LONG = FORM | {"iterations": 60, "max_size": 320}


@pytest.fixture
def studio(farm: Farm, tmp_path: Path) -> Iterator[Served]:
    """A studio on the farm."""
    (tmp_path / "photos").mkdir()
    found = Served(tmp_path / "photos", "--farm", farm.address, DREAMER_FARM_KEYS=str(farm.keys))
    yield found
    if found.process.poll() is None:
        found.stop()


def alone(folder: Path, job: dict[str, Any]) -> bytes:
    """The dream of a job as this machine makes it."""
    form, output = job["form"], folder.parent / "alone.jpg"
    made([SCRIPT, folder / job["photo"], output, form["layer"], str(form["iterations"]), str(form["octaves"]), "--seed",
          "1", "--model", form["model"], "--max-size", str(form["max_size"])])
    return output.read_bytes()


# dreams ----------------------------------------------------------------------------------------------------

def test_one_sees_it_grow_stops_it_and_it_goes_on(farm: Farm, studio: Served, page: Page) -> None:
    """On the page as if it were dreamed here: the octave, the time to go, the live picture."""
    slow = farm.slow_worker(10, 0.3)
    page.open(**LONG)
    page.sample()
    page.dream()
    page.until("/^octave . of 2 · .* to go$/.test(document.querySelector('#now .line')?.textContent)")
    live = "[...document.querySelectorAll('#stage .after img')].map(one => one.src).find(src => /preview/.test(src))"
    first = page.until(live)
    page.until(f"({live}) !== {first!r}")
    page.shot("farm-wide")
    child = child_of(slow)
    page.press("Stop", "#now")
    page.shows("stopped")
    assert ends(child)
    job = studio.job("stopped")
    assert 0 < job["done"] < 1
    assert "unfinished" in read_recipe(studio.folder / job["output"])
    slow.kill()
    farm.worker()
    page.press("Go on", "#now")
    page.shows("done")
    job = studio.job("done")
    assert job["resumed"]
    assert job["lines"] == []
    assert (studio.folder / job["output"]).read_bytes() == alone(studio.folder, job)
    assert visible(studio.folder) == ["dandelions-dream.jpg", "dandelions.jpg"]


def test_as_many_at_once_as_the_farm_has_places(farm: Farm, studio: Served) -> None:
    """Two pictures, and a film whose frames come back here."""
    farm.worker()
    farm.worker()
    client = Client(studio.url)
    client.json("POST", "/samples/coffee.jpg")
    for more in ({}, {}, {"film": "gif", "zoom": 2}):
        client.json("POST", "/dreams", FORM | {"photo": "coffee.jpg"} | more)
    until(lambda: sum(job["state"] == "dreaming" for job in studio.jobs()) == 2)
    studio.job("done", 3)
    first, second, film = studio.jobs()
    assert (film["kind"], film["frames"], film["done"]) == ("film", 2, 1)
    for job in (first, second):
        assert (studio.folder / job["output"]).read_bytes() == alone(studio.folder, job)


def test_a_killed_studio_leaves_no_orphan_and_begins_again(farm: Farm, studio: Served) -> None:
    worker = farm.slow_worker(10, 0.3)
    client = Client(studio.url)
    client.json("POST", "/samples/coffee.jpg")
    client.json("POST", "/dreams", LONG | {"photo": "coffee.jpg"})
    dream, kin = child_of(worker), children(studio.process.pid)
    studio.stop(signal.SIGKILL)
    assert kin
    assert all(map(ends, [dream, *kin]))
    worker.kill()
    farm.worker()
    studio.start()
    job = studio.job("done")
    assert (studio.folder / job["output"]).read_bytes() == alone(studio.folder, job)


def test_it_waits_for_workers_and_without_a_scheduler_it_fails(farm: Farm, tmp_path: Path,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so. Meanwhile all layers are tried on a photo: those that are said to be ready are there."""
    monkeypatch.setenv("DREAMER_FARM_KEYS", str(farm.keys))
    (tmp_path / "photos").mkdir()
    shutil.copy(ROOT / "tests/pictures/coffee.jpg", tmp_path / "photos")
    queue = Queue(tmp_path / "photos", str(SCRIPT), None, lambda: None, farm=farm.address)

    async def until_job(true: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        end = time.monotonic() + MANY
        while not true(queue.state()[0]):
            assert time.monotonic() < end, queue.state()
            await asyncio.sleep(0.1)
        return queue.state()[0]

    async def do() -> None:
        running = asyncio.ensure_future(queue.run())
        queue.add({"kind": "try", "model": "daydream"}, ["coffee.jpg"])
        job = await until_job(lambda job: job["lines"])
        assert search("^waiting for workers at ", job["lines"][0])
        assert (job["state"], job["tried"]) == ("dreaming", 0)
        await asyncio.to_thread(farm.worker)
        await asyncio.to_thread(farm.worker)
        job = await until_job(lambda job: job["tried"] >= 3 and job["left"])
        ready = [tile_name(name) for name in find("daydream").keys[:job["tried"]]]
        assert {*ready} <= {*os.listdir(tmp_path / "photos" / job["output"])}
        assert job["lines"] == []
        assert 0 < job["done"] < 1
        assert job["left"] > 0
        farm.scheduler.kill()
        job = await until_job(lambda job: job["state"] != "dreaming")
        assert (job["state"], job["error"]) == ("failed", f"the farm's scheduler at {farm.address} is gone")
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    asyncio.run(do())


# before it begins ------------------------------------------------------------------------------------------

def test_a_farm_on_this_machine_lasts_as_long_as_the_studio(tmp_path: Path) -> None:
    """It is one for all dreams."""
    pytest.importorskip("distributed", reason="no python3-distributed: ./provision.sh farm")
    studio = Served(tmp_path, "--farm", "local")
    kin = children(studio.process.pid)
    assert len(kin) >= 3
    client = Client(studio.url)
    client.json("POST", "/samples/coffee.jpg")
    client.json("POST", "/dreams", FORM | {"photos": ["coffee.jpg", "coffee.jpg"]})
    studio.job("done", 2)
    assert all(map(is_running, kin[:3]))
    studio.stop(signal.SIGINT)
    assert studio.process.returncode == 130
    assert all(map(ends, kin))


def test_what_is_wrong_with_the_farm_is_one_line_before_the_page_opens(farm: Farm, tiny: Model, tmp_path: Path) -> None:
    other = {"DREAMER_WEIGHTS_DAYDREAM": str(tiny.folder / "tiny.caffemodel")}
    nowhere = {"DREAMER_FARM_KEYS": str(tmp_path / "none")}
    for address, variables, code, line in (
            (farm.address, nowhere, 2, "the farm's key "), ("127.0.0.1:1", {}, 1, "no scheduler of a farm answers"),
            (None, {"DREAMER_FARM": "http://x"}, 2, "DREAMER_FARM: 'http://x' is not the address"),
            (farm.address, other, 1, "this machine has other weights")):
        done = run("studio", tmp_path, "--no-open", "--port", 0, *(["--farm", address] if address else []),
                   env=farm.environment | variables, timeout=MANY)
        assert done.returncode == code, done.stderr
        assert done.stderr.startswith(f"dreamify: {line}")
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""


def test_none_dreams_here(tmp_path: Path) -> None:
    studio = Served(tmp_path, "--farm", "none", DREAMER_FARM="127.0.0.1:1")
    client = Client(studio.url)
    client.json("POST", "/samples/coffee.jpg")
    client.json("POST", "/dreams", FORM | {"photo": "coffee.jpg"})
    studio.job("done")
    studio.stop()
