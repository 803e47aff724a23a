"""Events for other programs: the schema, and where they are written. With the real command."""

import fcntl
import json
import os
import re
import select
import signal
import subprocess
import time
import typing
from pathlib import Path
from typing import Any

import pytest

from dreamer.errors import Mistake
from dreamer.jobs import events
from dreamer.machine.signals import Stop
from dreamer.nets.model import Model
from dreamer.nets.net import Net
from helpers import ROOT, Word, dream, names, noise, pixels, run, saved, start, start_slow, wait_for

SECTION = (ROOT / "docs/programs.md").read_text()
ROWS = {cells[1].strip(" `"): re.findall(r"`(\w+)`", cells[2])
        for cells in (line.split("|") for line in SECTION.splitlines() if re.match(r"\| `\w+` \|", line))}
WRITTEN: dict[str, Any] = {name: kind for kind, name in events.KINDS.items()}


@pytest.fixture
def words(tiny: Model, tmp_path: Path) -> list[Any]:
    """The command line of a short dream, in.png to out.png."""
    saved(tmp_path / "in.png", noise(60, 80))
    return [tmp_path / "in.png", tmp_path / "out.png", "mix/output", 2, 2, "--seed", 5, "--model", tiny.folder]


def told(text: str) -> list[dict[str, Any]]:
    """The events in the lines of a file. Each must be an object with the members of the schema."""
    found = [json.loads(line) for line in text.splitlines()]
    for event in found:
        kind = WRITTEN[event["event"]]
        assert list(event) == ["event", *kind._fields]
        for name, hint in typing.get_type_hints(kind).items():
            assert fits(hint, event[name]), (event["event"], name, hint, event[name])
    return found


def fits(hint: Any, value: Any) -> bool:
    """Whether a value read from JSON fits an annotation."""
    if typing.get_origin(hint) in (list, tuple):
        parts = typing.get_args(hint)
        return isinstance(value, list) and all(fits(part, one) for part, one in zip(
            parts if typing.get_origin(hint) is tuple else parts * len(value), value, strict=True))
    if typing.get_args(hint):
        return any(fits(one, value) for one in typing.get_args(hint))
    if hint is float:
        return type(value) in (int, float)
    return value is None if hint is type(None) else type(value) is hint


# the schema ----------------------------------------------------------------------------------------------

def test_the_readme_tells_every_event_and_its_fields() -> None:
    assert {name: list(kind._fields) for name, kind in WRITTEN.items()} == ROWS


def test_every_event_is_written_but_the_ticks() -> None:
    assert set(typing.get_args(events.Event)) == {*events.KINDS, events.Tick}
    assert len(WRITTEN) == len(events.KINDS)


def test_an_event_is_a_line() -> None:
    text = events.line(events.Missed("a\nb \udcff.png", ["ü"]))
    assert json.loads(text) == {"event": "missed", "name": "a\nb \udcff.png", "lines": ["ü"]}
    assert text.isascii()
    assert len(text.splitlines()) == 1


# how a dream is told -------------------------------------------------------------------------------------

def test_a_picture(words: list[Any], tmp_path: Path) -> None:
    done = run(*words, "--events", tmp_path / "happened", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    began, *steps, finished = told((tmp_path / "happened").read_text())
    assert (began["event"], began["output"], began["seed"], began["frames"]) == ("began", str(words[1]), 5, 1)
    assert began["sizes"] == [[43, 57], [60, 80]]
    assert (began["iterations"], began["layer"], began["after"]) == (2, "mix/output", [0, 0, 0])
    assert [(step["event"], step["frame"], step["octave"], step["iteration"]) for step in steps] == [
        ("step", 1, 1, 1), ("step", 1, 1, 2), ("step", 1, 2, 1), ("step", 1, 2, 2)]
    assert finished == {"event": "finished", "output": str(words[1])}
    work = [began["done"], *(step["done"] for step in steps)]
    assert work == sorted(set(work))
    assert {step["total"] for step in steps} == {began["total"]}
    assert all(step["left"] >= 0 for step in steps)
    assert sorted(names(tmp_path)) == ["happened", "in.png", "out.png"]


def test_in_tiles_the_parts_of_a_step_are_told(words: list[Any], tmp_path: Path) -> None:
    """Of a sum too, which goes through the tiles twice."""
    for layer, count in (("mix/output", 1), ("mix/1x1*0.5+mix/output", 3)):
        done = run("noise:2000x1500", tmp_path / "out.tif", layer, 2, 1, *words[5:], "--reproducible", "--events",
                   tmp_path / "happened")
        assert done.returncode == 0, done.stderr
        began, *rest = told((tmp_path / "happened").read_text())
        assert began["overhead"] > 1
        assert [event["event"] for event in rest] == [*[*["tiled"] * count, "step"] * 2, "finished"]
        assert [(event["octave"], event["iteration"]) for event in rest[:-1]] == [
            (1, 1)] * (count + 1) + [(1, 2)] * (count + 1)
        work = [began["done"], *(event["done"] for event in rest[:-1])]
        assert work == sorted(set(work))
        assert all(event["left"] >= 0 for event in rest[:-1])


def test_the_objective_is_that_of_the_algorithm(words: list[Any], tiny: Model, tmp_path: Path) -> None:
    assert run(*words, "--events", tmp_path / "happened").returncode == 0
    _, expected = dream(Net(tiny, "mix/output"), pixels(words[0]), iterations=2, octaves=2, seed=5)
    steps = [event for event in told((tmp_path / "happened").read_text()) if event["event"] == "step"]
    assert [step["objective"] for step in steps] == pytest.approx(expected, rel=1e-6)


def test_a_film(words: list[Any], tmp_path: Path) -> None:
    words[1] = tmp_path / "out.gif"
    assert run(*words, "--zoom", 3, "--events", tmp_path / "happened").returncode == 0
    found = told((tmp_path / "happened").read_text())
    assert [event["event"] for event in found] == ["began", *[*["step"] * 4, "frame"] * 3, "finished"]
    assert (found[0]["frames"], found[0]["rate"], found[0]["of_steps"]) == (3, 25, False)
    assert [event["frame"] for event in found if event["event"] == "step"] == [1] * 4 + [2] * 4 + [3] * 4
    assert [(event["frame"], event["frames"]) for event in found if event["event"] == "frame"] == [
        (1, 3), (2, 3), (3, 3)]


def test_a_folder(words: list[Any], photos: Path, tmp_path: Path) -> None:
    (photos / "a1.jpg").write_bytes(b"no picture")
    done = run(photos, tmp_path / "out", "mix/output", 1, 1, *words[-2:], "--events", tmp_path / "happened")
    assert done.returncode == 1
    found = told((tmp_path / "happened").read_text())
    found = [event for event in found if event["event"] != "step"]
    assert [(event["event"], event.get("name", event.get("output"))) for event in found] == [
        ("missed", "a1.jpg"),
        ("taken", "a2.PNG"), ("began", f"{tmp_path}/out/a2-dream.PNG"), ("finished", f"{tmp_path}/out/a2-dream.PNG"),
        ("taken", "a10.jpg"), ("began", f"{tmp_path}/out/a10-dream.jpg"), ("finished", f"{tmp_path}/out/a10-dream.jpg"),
        ("taken", "b.bmp"), ("began", f"{tmp_path}/out/b-dream.bmp.png"),
        ("finished", f"{tmp_path}/out/b-dream.bmp.png"), ("skipped", None), ("failed", None)]
    assert [(event["number"], event["line"]) for event in found if event["event"] == "skipped"] == [
        (1, "1 file is not a picture that can be read: notes.txt")]
    assert [(event["number"], event["of"]) for event in found if event["event"] == "taken"] == [(2, 4), (3, 4), (4, 4)]


def test_an_atlas(words: list[Any], tmp_path: Path) -> None:
    done = run("atlas", words[0], tmp_path / "all.png", "mix/*", 1, 1, *words[-2:], "--events", tmp_path / "happened")
    assert done.returncode == 0, done.stderr
    found = told((tmp_path / "happened").read_text())
    assert [event["event"] for event in found] == [*["taken", "began", "step"] * 3, "finished"]
    assert [event["name"] for event in found if event["event"] == "taken"] == ["mix/1x1", "mix/3x3", "mix/output"]


def test_one_that_is_stopped_and_goes_on(dreaming: list[str], tmp_path: Path) -> None:
    words = [*dreaming, "--events", str(tmp_path / "happened")]
    with start_slow(words, 170) as process:
        wait_for(process, "octave 2/3  iteration 20/150")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    *_, step, stopped = told((tmp_path / "happened").read_text())
    assert stopped == {"event": "stopped", "output": dreaming[2], "saved": True,
                       "line": errors.strip().removeprefix("dreamify: ")}
    done = run(*words[1:])
    assert done.returncode == 0
    began, first, *_, finished = told((tmp_path / "happened").read_text())  # only of this run
    assert began["after"] == [0, step["octave"] - 1, step["iteration"]]
    assert (first["octave"], first["iteration"]) == (step["octave"], step["iteration"] + 1)
    assert 0 < began["done"] < began["total"]
    assert finished["event"] == "finished"


def test_what_is_amiss_on_the_way(words: list[Any], tmp_path: Path) -> None:
    (tmp_path / "w.caffemodel").write_bytes(b"not a weights")
    words[2:5] = ["mix/all", 1, 40]
    done = run(*words, "--events", tmp_path / "happened")
    assert done.returncode == 0
    warned = [event["line"] for event in told((tmp_path / "happened").read_text()) if event["event"] == "warning"]
    assert [f"dreamify: warning: {line}" for line in warned] == done.stderr.splitlines()
    assert len(warned) == 2
    done = run(*words, "--events", tmp_path / "happened", "--weights", tmp_path / "w.caffemodel")
    assert done.returncode == 2
    last = told((tmp_path / "happened").read_text())[-1]
    assert (last["event"], last["exit_code"]) == ("failed", 2)
    assert "w.caffemodel" in last["lines"][0]


def test_what_is_wrong_from_the_beginning(words: list[Any], tmp_path: Path) -> None:
    """A program that reads only events learns of it too."""
    words[0], words[3] = tmp_path / "nosuch.png", "ten"
    done = run(*words, "--events", tmp_path / "happened")
    assert done.returncode == 2
    [failed] = told((tmp_path / "happened").read_text())
    assert (failed["event"], failed["exit_code"]) == ("failed", 2)
    assert [f"dreamify: {line}" for line in failed["lines"]] == done.stderr.splitlines()
    assert len(failed["lines"]) == 2


# where they are written ----------------------------------------------------------------------------------

def test_to_an_open_file(words: list[Any], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader) as file:
        done = run(*words, "--events", f"fd:{writer}", pass_fds=[writer])
        os.close(writer)
        found = told(file.read())
    assert done.returncode == 0, done.stderr
    assert [event["event"] for event in found] == ["began", *["step"] * 4, "finished"]
    assert names(tmp_path) == ["in.png", "out.png"]


def test_as_they_happen(dreaming: list[str], tmp_path: Path) -> None:
    """Not only when a buffer is full."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as file, start_slow([*dreaming, "--quiet", "--events", f"fd:{writer}"], 0,
                                               pass_fds=[writer]) as process:
        os.close(writer)
        assert json.loads(file.readline())["event"] == "began"
        assert json.loads(file.readline())["event"] == "step"
        assert process.poll() is None
        process.terminate()
        assert json.loads(file.readlines()[-1])["event"] == "stopped"


def test_a_reader_that_goes_away_ends_no_dream(words: list[Any], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    words[3] = 60
    command = [ROOT / "dreamify.py", *words, "--events", f"fd:{writer}"]
    with start([*map(str, command)], pass_fds=[writer]) as process:
        os.close(writer)
        os.read(reader, 100)
        os.close(reader)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    words[1] = tmp_path / "again.png"
    assert run(*words).returncode == 0
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "again.png").read_bytes()


@pytest.mark.parametrize("content", ["[1]\n", "my notes\n", '{"event"', " ", "\0" * 100])
def test_a_file_that_holds_something_else_is_refused(words: list[Any], tmp_path: Path, content: str) -> None:
    (tmp_path / "notes").write_text(content)
    done = run(*words, "--events", tmp_path / "notes")
    assert done.returncode == 2
    assert done.stderr == f"dreamify: events: {tmp_path}/notes exists and does not contain events; name another file\n"
    assert (tmp_path / "notes").read_text() == content
    assert not words[1].exists()


@pytest.mark.parametrize("content", ["", '{"event": "began", "output": "a.png"}\n'])
def test_a_file_of_events_or_an_empty_one_is_begun_anew(words: list[Any], tmp_path: Path, content: str) -> None:
    (tmp_path / "happened").write_text(content)
    assert run(*words, "--events", tmp_path / "happened").returncode == 0
    assert len(told((tmp_path / "happened").read_text())) == 6


@pytest.mark.parametrize(("where", "why"), [
    ("fd:77", "fd:77 is not open"), ("fd:x", "followed by the number"), ("fd:", "followed by the number"),
    ("fd:-1", "followed by the number"), ("-", "fd:1"),
    ("fd:99999999999999999999", "is not open"), ("no/happened", "does not exist"),
    (".", "Is a directory"), ("in.png", "another file"), ("a" * 300, "too long")])
def test_what_cannot_be_written_is_told_before_the_work(words: list[Any], tmp_path: Path, where: str, why: str) -> None:
    done = run(*words, "--events", where, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("dreamify: events: ")
    assert why in done.stderr
    assert names(tmp_path) == ["in.png"]


def test_events_do_not_take_the_place_of_the_dream(words: list[Any], tmp_path: Path) -> None:
    """Nor of its preview: one would overwrite the other."""
    for path in (words[1], tmp_path / "so far.png"):
        done = run(*words, "--preview", tmp_path / "so far.png", "--events", path)
        assert done.returncode == 2
        assert done.stderr.startswith("dreamify: events: ")
        assert names(tmp_path) == ["in.png"]


def test_a_log_that_cannot_be_opened_is_a_mistake(tmp_path: Path) -> None:
    for where in (str(tmp_path), "fd:777", str(tmp_path / "no/file")):
        with pytest.raises(Mistake, match="events: "):
            events.Log(where, Stop())


# a request from another program --------------------------------------------------------------------------

def test_a_request_on_standard_input_dreams_what_the_command_line_does(words: list[Any], tmp_path: Path) -> None:
    assert run(*words).returncode == 0
    asked = {"input": str(words[0]), "output": "again.png", "layer": "mix/output", "iterations": 2, "octaves": 2,
             "seed": 5, "model": str(words[-1]), "events": "fd:1", "quiet": True}
    done = run("--request", "-", input=json.dumps(asked), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [event["event"] for event in told(done.stdout)] == ["began", *["step"] * 4, "finished"]
    assert (tmp_path / "again.png").read_bytes() == words[1].read_bytes()


def test_a_request_for_an_atlas(words: list[Any], tmp_path: Path) -> None:
    assert run("atlas", words[0], tmp_path / "all.png", "mix/*", 1, 1, *words[-2:], "--max-size", 60).returncode == 0
    asked = {"command": "atlas", "input": str(words[0]), "output": "again.png", "layer": "mix/*", "iterations": 1,
             "octaves": 1, "model": str(words[-1]), "max_size": 60, "seed": None, "events": "fd:1", "quiet": True}
    done = run("--request", "-", input=json.dumps(asked), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [event["event"] for event in told(done.stdout)] == [*["taken", "began", "step"] * 3, "finished"]
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "all.png").read_bytes()


def test_a_request_may_name_the_usual_command(words: list[Any], tmp_path: Path) -> None:
    asked = {"command": "dreamify", "input": str(words[0]), "output": "a.png", "layer": "conv1", "iterations": 1,
             "model": str(words[-1]), "quiet": True}
    assert run("--request", "-", input=json.dumps(asked), cwd=tmp_path).returncode == 0
    assert (tmp_path / "a.png").exists()


def test_a_name_that_is_no_text_comes_through(words: list[Any], tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    with open(name, "wb") as file:
        file.write(words[0].read_bytes())
    asked = {"input": os.fsdecode(name), "output": os.fsdecode(b"dream-\xff.png"), "layer": "conv1", "iterations": 1,
             "octaves": 1, "model": str(words[-1]), "events": "fd:1", "quiet": True}
    done = run("--request", "-", input=json.dumps(asked), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert told(done.stdout)[-1]["output"] == asked["output"]
    assert os.path.exists(os.path.join(os.fsencode(tmp_path), b"dream-\xff.png"))


def test_people_need_not_know_of_requests() -> None:
    assert "request" not in run("--help").stdout


@pytest.mark.parametrize("more", [["--request"], ["--request", "a.json"], ["--request", "-", "a.png"],
                                  ["--quiet", "--request", "-"], ["a.png", "b.png", "--request", "-"]])
def test_a_request_stands_alone(more: list[str], tmp_path: Path) -> None:
    done = run(*more, input="{}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "dreamify: request: use --request - alone; the request is JSON on standard input\n"


@pytest.mark.parametrize(("text", "lines"), [
    ("", ["request: it is not JSON"]), ("[]", ["request: it must be a JSON object"]),
    ('{"input": "-", "output": "a.png"}', ["request: INPUT cannot be standard input"]),
    ('{"inptu": 1, "quiet": "yes"}', ["request: unknown argument 'inptu'", "quiet: 'yes' is not"]),
    ('{"input": "nosuch.jpg", "output": "a.xyz", "iterations": 0}', ["iterations: ", "output: ", "input: "]),
    ('{"like": 5}', ["like: 5 is not"]), ('{"input": "a\\u0000b", "output": "a.png"}', ["input: "]),
    ('{"like": "a\\u0000b", "output": "a.png"}', ["like: "]),
    ('{"command": "keys"}', ["request: the command 'keys' is neither"]),
    ('{"command": ["atlas"]}', ["request: the command ['atlas'] is neither"]),
    ('{"command": "atlas", "watch": true, "full": 1}', ["request: unknown argument 'watch'", "full: 1 is not"]),
    ('{"command": "atlas", "output": "a.png", "input": ["b.png"]}', ["input: name a picture"]),
])
def test_a_request_that_makes_no_sense_is_told(text: str, lines: list[str], tmp_path: Path) -> None:
    done = run("--request", "-", input=text, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    for line in lines:
        assert f"dreamify: {line}" in done.stderr
    assert names(tmp_path) == []


def test_without_standard_input_there_is_no_request(tmp_path: Path) -> None:
    command: list[Word] = ["sh", "-c", '"$@" <&-', "sh", ROOT / "dreamify.py", "--request", "-"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("dreamify: request: ")


def test_a_reader_that_stalls_does_not_keep_a_dream_from_its_end(tiny: Model, sky: Path, tmp_path: Path) -> None:
    """The pipe is full when Ctrl-C comes."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    process = subprocess.Popen(
        [ROOT / "dreamify.py", sky, tmp_path / "dream.png", "mix/output", "4000", "1", "--model", tiny.folder,
         "--quiet", "--events", f"fd:{writer}"], pass_fds=[writer], stderr=subprocess.PIPE, text=True)
    os.close(writer)
    try:
        waiting = select.poll()
        waiting.register(reader, select.POLLIN)
        assert waiting.poll(60_000)
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
        os.close(reader)
    assert process.returncode == 130
    assert "is the dream so far" in said


@pytest.mark.parametrize("field", ["input", "output", "preview", "guide", "events", "mask", "like"])
@pytest.mark.parametrize("name", ["a\0.png", "\ud800.png"])
def test_a_name_that_no_file_can_have_is_told(sky: Path, tiny: Model, tmp_path: Path, field: str, name: str) -> None:
    asked = {"input": str(sky), "output": str(tmp_path / "a.png"), "model": str(tiny.folder)} | {field: name}
    done = run("--request", "-", input=json.dumps(asked), cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"{field}: " in done.stderr
    assert not list(tmp_path.iterdir())
