"""A dream that survives: stops, kills, checkpoints, previews, recipes. All by the real command."""

import json
import os
import re
import signal
import subprocess
import time

import numpy as np
import pytest
from PIL import Image
from soak.kills import listens
from test_cli import run

from conftest import ROOT
from dreamer import recipe
from dreamer.checkpoint import Checkpoint, State


@pytest.fixture
def command(tiny, sky, tmp_path):
    """The words of a dream by the tiny model that takes some seconds; the output is tmp_path/dream.png."""
    return [str(ROOT / "dreamify.py"), str(sky), str(tmp_path / "dream.png"), "mix/output", "150", "3", "--seed", "5",
            "--model", str(tiny.folder)]


@pytest.fixture
def whole(command, tmp_path_factory):
    """The pixels of that dream when nothing interrupts it."""
    output = tmp_path_factory.mktemp("whole") / "dream.png"
    subprocess.run([*command[:2], output, *command[3:], "--quiet"], check=True)
    return np.asarray(Image.open(output))


def start(command):
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process, words):
    for line in process.stdout:
        if words in line:
            return
    pytest.fail(f"{words!r} never came: {process.stderr.read()}")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_dream_is_saved_marked_and_gone_on_with(command, whole, tmp_path, number, code):
    with start(command) as process:
        wait_for(process, "octave 2/3  iteration 20/150")
        began = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        took = time.monotonic() - began
    assert process.returncode == code
    assert took < 5
    assert errors.splitlines() == [f"dreamify: stopped by {signal.Signals(number).name}: {tmp_path}/dream.png is the "
                                   "dream so far; the same command goes on from there"]
    half = np.asarray(Image.open(tmp_path / "dream.png"))
    assert half.shape == whole.shape
    assert recipe.read(tmp_path / "dream.png")["unfinished"]["octave"] == 2
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "goes on from octave 2, iteration" in done.stdout
    assert "octave 1/3" not in done.stdout
    assert np.array_equal(np.asarray(Image.open(tmp_path / "dream.png")), whole)
    assert not np.array_equal(half, whole)
    assert "unfinished" not in recipe.read(tmp_path / "dream.png")
    assert names(tmp_path) == ["dream.png"]


def test_kills_at_any_moment_cost_nothing_but_time(tmp_path):
    """A few of tests/soak/kills.py, which looks at all that they could leave behind."""
    done = subprocess.run([ROOT / "tests/soak/kills.py", "6", "ci"], cwd=tmp_path, capture_output=True, text=True,
                          check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(r"6 kills of .*: tracebacks 0, hangs 0, half-written files 0, pictures that differ 0, leftovers 0,",
                    done.stdout)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_before_the_dream_begins_is_one_line(command, tmp_path, number, code):
    for moment in (0, 0.05, 0.1):
        with start(command) as process:
            while not listens(process.pid):
                time.sleep(0.001)
            time.sleep(moment)  # it is still being loaded
            process.send_signal(number)
            _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (code, "dreamify: stopped\n")
        assert names(tmp_path) == []


def test_the_childs_death_is_one_line_and_what_was_done_is_kept(command, whole, tmp_path):
    with start(command) as process:
        wait_for(process, "octave 2/3  iteration 1/")
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True,
                                  check=True).stdout.split()
        os.kill(int(children[0]), signal.SIGKILL)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1
    assert "memory ran out" in errors
    assert "goes on from there" in errors
    assert not (tmp_path / "dream.png").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "octave 1/3" not in done.stdout
    assert np.array_equal(np.asarray(Image.open(tmp_path / "dream.png")), whole)


def test_no_resume_and_other_arguments_start_afresh(command, tmp_path):
    for more in (["--no-resume"], ["--jitter", "3"], ["--seed", "6"]):
        with start(command) as process:
            wait_for(process, "octave 2/3  iteration 1/")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        with start([*command, *more]) as process:
            wait_for(process, "octave 1/3  iteration 1/")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


def test_a_run_without_a_seed_goes_on_with_the_one_it_picked(command, tmp_path):
    seedless = [word for word in command if word not in ("--seed", "5")]
    with start(seedless) as process:
        wait_for(process, "octave 2/3  iteration 1/")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    seed = recipe.read(tmp_path / "dream.png")["seed"]
    done = subprocess.run(seedless, capture_output=True, text=True, check=True)
    assert f"seed {seed}" in done.stdout
    assert "goes on" in done.stdout


def test_a_preview_shows_the_dream_so_far(command, tmp_path):
    long = [word if word != "150" else "100000" for word in command]
    with start([*long, "--preview", str(tmp_path / "so far.jpg")]) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "so far.jpg").exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        assert Image.open(tmp_path / "so far.jpg").size == (720, 480)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_a_dream_without_a_seed_tells_it_and_can_be_repeated(tiny, sky, tmp_path):
    outputs = [tmp_path / name for name in ("a.png", "b.jpg", "c.png", "d.png")]
    for output in outputs[:2]:
        done = run(sky, output, "conv1", 2, 2, 1.5, "--model", tiny.folder, "--no-clip", "--step-size", "3.5")
        assert done.returncode == 0, done.stderr
        told = json.loads(run("recipe", output).stdout)
        assert told["seed"] == int(re.search(r"seed (\d+)", done.stdout)[1])
        assert (told["layer"], told["iterations"], told["octaves"], told["scale"], told["step_size"], told["clip"],
                told["model"], told["width"]) == ("conv1", 2, 2, 1.5, 3.5, False, "tiny", 720)
    first = recipe.read(outputs[0])
    assert first["seed"] != recipe.read(outputs[1])["seed"]
    again = run(sky, outputs[2], "--like", outputs[0], "--model", tiny.folder)
    assert again.returncode == 0, again.stderr
    assert outputs[2].read_bytes() == outputs[0].read_bytes()
    other = run(sky, outputs[3], "--like", outputs[1], "--model", tiny.folder, "--seed", first["seed"])
    assert other.returncode == 0, other.stderr
    assert np.array_equal(np.asarray(Image.open(outputs[3])), np.asarray(Image.open(outputs[0])))


def test_recipes_that_are_none_are_told(tiny, sky, tmp_path):
    for words in (["recipe", sky], ["recipe"], ["recipe", tmp_path / "no"],
                  [sky, tmp_path / "a.png", "--like", sky, "--model", tiny.folder]):
        done = run(*words)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert "Traceback" not in done.stderr


def state():
    generator = np.random.RandomState(3)
    generator.rand(7)
    return State(2, 5, np.random.RandomState(0).rand(3, 4, 6).astype(np.float32), generator.get_state(legacy=False), 9)


def test_a_state_comes_back_as_it_was(tmp_path):
    image = np.zeros((4, 6, 3), np.uint8)
    kept = Checkpoint(tmp_path / "a.png", {"layer": "x"}, image)
    assert kept.load() is None
    kept.save(state())
    back = kept.load(9)
    assert back[:2] == (2, 5)
    assert np.array_equal(back.picture, state().picture)
    generators = [np.random.RandomState() for _ in range(2)]
    for generator, known in zip(generators, (back, state()), strict=True):
        generator.set_state(known.random)
    assert generators[0].rand() == generators[1].rand()
    assert kept.load(8) is None
    assert Checkpoint(tmp_path / "a.png", {"layer": "y"}, image).load() is None
    assert Checkpoint(tmp_path / "a.png", {"layer": "x"}, image + 1).load() is None
    assert Checkpoint(tmp_path / "b.png", {"layer": "x"}, image).load() is None
    kept.remove()
    assert kept.load() is None


def test_a_damaged_state_is_none(tmp_path):
    kept = Checkpoint(tmp_path / "a.png", {}, np.zeros((4, 6, 3), np.uint8))
    kept.save(state())
    good = kept.path.read_bytes()
    for bad in (good[:-1], good[:50], b"", good[:-3] + bytes([good[-3] ^ 1]) + good[-2:], b"{}\n", b"[1]\n" + good):
        kept.path.write_bytes(bad)
        assert kept.load() is None
    kept.path.write_bytes(good)
    assert kept.load()


def test_a_dream_goes_on_where_nobody_listens_any_more(command, whole, tmp_path):
    with start(command) as process:
        wait_for(process, "layers:")
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, "")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "dream.png")), whole)


@pytest.mark.parametrize("more", [["1" + 400 * "0", "1"], ["1", "1", "--step-size", "1e308"]])
def test_numbers_beyond_all_measure_are_told(tiny, sky, tmp_path, more):
    done = run(sky, tmp_path / "a.png", "conv1", *more, "--model", tiny.folder)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "of at most" in done.stderr or "from 1 to" in done.stderr
