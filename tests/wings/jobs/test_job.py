"""Dreams that are stopped or killed: what is saved and reported. All with the real command."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dreamer.nets.model import Model
from dreamer.pictures.recipe import read_recipe
from helpers import ROOT, children, names, pixels, psnr, run, start, start_slow, wait_for
from soak.kills import listens


@pytest.fixture
def whole(dreaming: list[str], tmp_path_factory: pytest.TempPathFactory) -> NDArray[Any]:
    """The pixels of the dream without an interruption."""
    output = tmp_path_factory.mktemp("whole") / "dream.png"
    subprocess.run([*dreaming[:2], output, *dreaming[3:], "--quiet"], check=True)
    return pixels(output)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_dream_is_saved_marked_and_gone_on_with(dreaming: list[str], whole: NDArray[Any], tmp_path: Path,
                                                          number: signal.Signals, code: int) -> None:
    with start_slow(dreaming, 170) as process:
        wait_for(process, "octave 2/3  iteration 20/150")
        began = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        took = time.monotonic() - began
    assert process.returncode == code
    assert took < 15  # to its end it would take half a minute
    assert errors.splitlines() == [f"dreamify: stopped by {signal.Signals(number).name}: {tmp_path}/dream.png is the "
                                   "dream so far; run the same command to continue"]
    half = pixels(tmp_path / "dream.png")
    assert half.shape == whole.shape
    assert read_recipe(tmp_path / "dream.png")["unfinished"]["octave"] == 2
    done = subprocess.run(dreaming, capture_output=True, text=True, check=True)
    assert "continues from octave 2, iteration" in done.stdout
    assert "octave 1/3" not in done.stdout
    assert np.array_equal(pixels(tmp_path / "dream.png"), whole)
    assert not np.array_equal(half, whole)
    assert "unfinished" not in read_recipe(tmp_path / "dream.png")
    assert names(tmp_path) == ["dream.png"]


@pytest.mark.slow
def test_kills_at_any_moment_cost_nothing_but_time(tmp_path: Path) -> None:
    """A few trials of tests/soak/kills.py, which checks everything that they could leave behind."""
    done = subprocess.run([ROOT / "tests/soak/kills.py", "6", "ci"], cwd=tmp_path, capture_output=True, text=True,
                          check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(r"6 kills of .*: tracebacks 0, hangs 0, half-written files 0, pictures that differ 0, leftovers 0,",
                    done.stdout)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_before_the_dream_begins_is_one_line(dreaming: list[str], tmp_path: Path, number: signal.Signals,
                                                    code: int) -> None:
    """While the program loads, and while it waits for its input, so that it begins on no machine."""
    command = [dreaming[0], "-", *dreaming[2:]]
    for moment in (0, 0.05, 0.1, 0.5):
        with start(command, stdin=subprocess.PIPE) as process:
            while not listens(process.pid):
                time.sleep(0.001)
            time.sleep(moment)
            process.send_signal(number)
            _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (code, "dreamify: stopped\n")
        assert names(tmp_path) == []


def test_the_childs_death_is_one_line_and_what_was_done_is_kept(dreaming: list[str], whole: NDArray[Any],
                                                                tmp_path: Path) -> None:
    with start_slow(dreaming, 151) as process:
        wait_for(process, "octave 2/3  iteration 1/")
        os.kill(children(process.pid)[0], signal.SIGKILL)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1
    assert "memory ran out" in errors
    assert "run the same command to continue" in errors
    assert not (tmp_path / "dream.png").exists()
    done = subprocess.run(dreaming, capture_output=True, text=True, check=True)
    assert "octave 1/3" not in done.stdout
    assert np.array_equal(pixels(tmp_path / "dream.png"), whole)


def test_no_resume_and_other_arguments_start_afresh(dreaming: list[str], tmp_path: Path) -> None:
    for more in (["--no-resume"], ["--jitter", "3"], ["--seed", "6"]):
        with start_slow(dreaming, 151) as process:
            wait_for(process, "octave 2/3  iteration 1/")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        with start_slow([*dreaming, *more], 1) as process:
            wait_for(process, "octave 1/3  iteration 1/")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


def test_a_run_without_a_seed_goes_on_with_the_one_it_picked(dreaming: list[str], tmp_path: Path) -> None:
    seedless = [word for word in dreaming if word not in ("--seed", "5")]
    with start_slow(seedless, 151) as process:
        wait_for(process, "octave 2/3  iteration 1/")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    seed = read_recipe(tmp_path / "dream.png")["seed"]
    done = subprocess.run(seedless, capture_output=True, text=True, check=True)
    assert f"seed {seed}" in done.stdout
    assert "continues from" in done.stdout


def test_a_dream_without_a_seed_tells_it_and_can_be_repeated(tiny: Model, sky: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / name for name in ("a.png", "b.jpg", "c.png", "d.png")]
    for output in outputs[:2]:
        done = run(sky, output, "conv1", 2, 2, 1.5, "--model", tiny.folder, "--no-clip", "--step-size", "3.5")
        assert done.returncode == 0, done.stderr
        told = json.loads(run("recipe", output).stdout)
        assert re.findall(r"seed (\d+)", done.stdout)[:1] == [str(told["seed"])]
        assert (told["layer"], told["iterations"], told["octaves"], told["scale"], told["step_size"], told["clip"],
                told["model"], told["width"]) == ("conv1", 2, 2, 1.5, 3.5, False, "tiny", 720)
    first = read_recipe(outputs[0])
    assert first["seed"] != read_recipe(outputs[1])["seed"]
    again = run(sky, outputs[2], "--like", outputs[0], "--model", tiny.folder)
    assert again.returncode == 0, again.stderr
    assert outputs[2].read_bytes() == outputs[0].read_bytes()
    other = run(sky, outputs[3], "--like", outputs[1], "--model", tiny.folder, "--seed", first["seed"])
    assert other.returncode == 0, other.stderr
    assert np.array_equal(pixels(outputs[3]), pixels(outputs[0]))


def test_recipes_that_are_none_are_told(tiny: Model, sky: Path, tmp_path: Path) -> None:
    for words in (["recipe", sky], ["recipe"], ["recipe", tmp_path / "no"],
                  [sky, tmp_path / "a.png", "--like", sky, "--model", tiny.folder]):
        done = run(*words)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert "Traceback" not in done.stderr


def test_a_dream_goes_on_where_nobody_listens_any_more(dreaming: list[str], whole: NDArray[Any],
                                                       tmp_path: Path) -> None:
    with start(dreaming) as process:
        wait_for(process, "layers:")
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, "")
    assert np.array_equal(pixels(tmp_path / "dream.png"), whole)


@pytest.mark.parametrize("more", [["1" + 400 * "0", "1"], ["1", "1", "--step-size", "1e308"]])
def test_numbers_beyond_all_measure_are_told(tiny: Model, sky: Path, tmp_path: Path, more: list[str]) -> None:
    done = run(sky, tmp_path / "a.png", "conv1", *more, "--model", tiny.folder)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "at most" in done.stderr or "from 1 to" in done.stderr


def test_a_tiff_is_written_in_less_memory_than_a_png(tiny: Model, tmp_path: Path) -> None:
    """Because it is written in strips."""
    words = ["noise:3000x3000", tmp_path / "a.png", "conv1", 1, 1, "--model", tiny.folder, "--seed", 1, "--memory"]
    least = re.search(r"needs at least (\d+) MB of memory", run(*words, "170m").stderr)
    assert least
    words[1] = tmp_path / "a.tif"
    assert run(*words, f"{int(least[1]) - 50}m").returncode == 0
    words[1] = tmp_path / "a.png"
    assert run(*words, f"{int(least[1]) + 20}m").returncode == 0  # what Python takes varies a little
    assert psnr(pixels(tmp_path / "a.png"), pixels(tmp_path / "a.tif")) > 60
