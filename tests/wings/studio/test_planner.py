"""The planner: the same words as the command line, sizes and work as a dream has them, and speeds that are learned."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import dreamify
from dreamer.errors import Mistake
from dreamer.machine import limits
from dreamer.studio import forecast, planner
from dreamer.studio.forecast import Forecaster, Question
from dreamer.studio.planner import Planner
from helpers import ROOT, run

PHOTO = ROOT / "tests/pictures/coffee.jpg"


def planned(hidden: Path, act: Callable[[Planner], Awaitable[Any]]) -> Any:
    """What `act` returns with a Planner."""
    async def all_of_it() -> Any:
        made = Planner(hidden, dreamify.ask, dreamify.octave_sizes, dreamify.make_step, dreamify.objectives_of)
        try:
            return await act(made)
        finally:
            made.close()
    return asyncio.run(all_of_it())


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    return Forecaster(dreamify.ask, dreamify.octave_sizes, dreamify.make_step, dreamify.objectives_of)


def plan(forecaster: Forecaster, height: int = 120, width: int = 160, frames: int | None = None,
         speeds: dict[str, float] | None = None, **asked: Any) -> dict[str, Any]:
    request = {"input": "./photo.jpg", "output": "./dream.jpg", "model": "daydream"} | asked
    return forecaster(Question(request, height, width, frames, speeds or {})).plan


def test_the_plan_is_what_a_dream_then_has(tmp_path: Path) -> None:
    """The sizes, the memory and the tiles: compared with the events of the dream, in a process of its own."""
    asked = {"input": str(PHOTO), "output": str(tmp_path / "dream.jpg"), "model": "daydream", "iterations": 2,
             "max_size": 200, "quiet": True}
    done = run("--request", "-", input=json.dumps(asked | {"events": "fd:1"}))
    [began] = [event for event in map(json.loads, done.stdout.splitlines()) if event["event"] == "began"]
    width, height = Image.open(PHOTO).size
    found = planned(tmp_path, lambda planner: planner.plan(asked, height, width))
    assert found["errors"] == []
    assert found["sizes"] == began["sizes"]
    assert found["octaves"] == len(began["sizes"])
    assert not found["tiles"]
    assert 0.3 < found["seconds"] < 30
    assert 0.5 < found["memory"] / began["memory"] < 2


@pytest.mark.parametrize("asked", [
    {"layer": "nonsense"}, {"layer": "conv1/7x7_s2:9999"}, {"layer": "conv1/7x7_s2*0"}, {"layer": "conv1/7x7_s2+"},
    {"iterations": "many", "scale": 0.5, "jitter": -1}, {"model": "none"}, {"seed": -1, "layer": "x"},
])
def test_errors_are_those_of_the_command_line(forecaster: Forecaster, tmp_path: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(Mistake) as error:
        dreamify.dreamify(PHOTO, tmp_path / "dream.jpg", **{"model": "daydream"} | asked)
    assert plan(forecaster, **asked)["errors"] == list(error.value.args)


def test_a_photo_that_is_too_small_is_told(forecaster: Forecaster) -> None:
    [error] = plan(forecaster, 3, 3)["errors"]
    assert "needs at least" in error


def test_only_some_octaves_are_told(forecaster: Forecaster) -> None:
    found = plan(forecaster, 60, 80, octaves=9)
    [warning] = found["warnings"]
    assert warning.startswith(f"only {found['octaves']} of 9 octaves")


def test_more_work_takes_longer(forecaster: Forecaster) -> None:
    speeds = {forecast.key("daydream", "inception_4c/output", limits.threads(), False): 1e-6}
    layer: dict[str, Any] = {"layer": "inception_4c/output", "speeds": speeds}
    few, many = (plan(forecaster, iterations=count, **layer)["seconds"] - forecast.START for count in (10, 100))
    assert 7 < many / few < 10
    zoom = plan(forecaster, zoom=20, output="./dream.gif", iterations=10, **layer)["seconds"] - forecast.START
    assert 15 < zoom / few < 21
    video = plan(forecaster, frames=20, input="./v.mp4", output="./dream.mp4", iterations=10, **layer)
    assert 15 < (video["seconds"] - forecast.START) / few < 23
    steps = plan(forecaster, output="./dream.gif", iterations=10, **layer)["seconds"] - forecast.START
    assert few < steps < 3 * few
    unknown = plan(forecaster, input="./v.mp4", output="./dream.mp4", **layer)
    assert unknown["seconds"] is None
    assert unknown["memory"] > 1 << 20
    assert unknown["errors"] == []


def test_a_speed_is_measured_once(forecaster: Forecaster) -> None:
    question = Question({"input": "./p.jpg", "output": "./d.jpg", "model": "daydream"}, 120, 160, None, {})
    measured = forecaster(question).speeds
    assert len(measured) == 1
    assert forecaster(question._replace(speeds=measured)).speeds == {}


def test_little_memory_means_tiles_or_an_error(forecaster: Forecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "memory", lambda: 64 << 30)  # other tests may take this machine's
    whole = plan(forecaster, 3000, 4000)
    assert not whole["tiles"]
    assert plan(forecaster, 3000, 4000, memory=whole["memory"] * 3 // 4)["tiles"]
    [error] = plan(forecaster, 3000, 4000, memory="20m")["errors"]
    assert "needs at least" in error
    monkeypatch.setattr(limits, "memory", lambda: 1 << 20)
    fresh = Forecaster(dreamify.ask, dreamify.octave_sizes, dreamify.make_step, dreamify.objectives_of)
    [error] = plan(fresh)["errors"]
    assert "memory" in error


def figures(seconds: float, layer: str = "a") -> dict[str, Any]:
    return {"model": "m", "layer": layer, "threads": 2, "work": [10_000], "total": 960_000.0, "seconds": seconds}


def test_speeds_are_learned_and_kept(tmp_path: Path) -> None:
    async def act(made: Planner) -> None:
        made.learn({"form": {}}, figures(1.0))
        made.learn({"form": {}}, figures(2.0))
        made.learn({"form": {"guide": "g.jpg"}}, figures(4.0))
        made.learn({"form": {}}, figures(0.01, "short"))  # says little
    planned(tmp_path, act)
    kept = json.loads((tmp_path / "speeds.json").read_text())
    assert kept == {"m a 2": pytest.approx(1.5e-6), "m a 2 guided": pytest.approx(4e-6)}

    async def again(made: Planner) -> dict[str, float]:
        return made._learned
    assert planned(tmp_path, again) == kept


def test_only_so_many_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "_MOST", 3)

    async def act(made: Planner) -> None:
        for layer in "abcda":
            made.learn({"form": {}}, figures(1.0, layer))
    planned(tmp_path, act)
    assert list(json.loads((tmp_path / "speeds.json").read_text())) == ["m c 2", "m d 2", "m a 2"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": "x", "b": 1e999, "c": -1.0, "d": true}', "[" * 5000])
def test_a_damaged_file_is_no_harm(tmp_path: Path, text: str) -> None:
    (tmp_path / "speeds.json").write_text(text)

    async def act(made: Planner) -> dict[str, float]:
        return made._learned
    assert planned(tmp_path, act) == {}


def test_what_cannot_be_planned_is_empty_and_a_crash_is_a_line(tmp_path: Path) -> None:
    async def act(made: Planner) -> None:
        asked = {"input": "./p.jpg", "output": "./d.jpg", "model": "daydream"}
        assert await made.plan({"command": "atlas"} | asked, 100, 100) == forecast.empty()
        assert await made.plan(asked, 0, 0) == forecast.empty()
        [error] = (await made.plan(asked | {"unheard_of": 1}, 100, 100))["errors"]
        assert error == "request: unknown argument 'unheard_of'"
    planned(tmp_path, act)

    async def crash() -> list[str]:
        made = Planner(tmp_path, dreamify.ask, dreamify.octave_sizes, crashing, dreamify.objectives_of)
        found = await made.plan({"input": "./p.jpg", "output": "./d.jpg", "model": "daydream"}, 100, 100)
        made.close()
        return list(found["errors"])
    [error] = asyncio.run(crash())
    assert error.startswith("the planner ended unexpectedly (signal SIGABRT)")


def crashing(*_: object) -> float:
    os.abort()
