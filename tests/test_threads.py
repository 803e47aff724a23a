"""From another program: dreams from many threads at once, some of which are stopped; nothing is left behind."""

import functools
import gc
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
import slowly
from PIL import Image

import dreamify
from dreamer import perform
from dreamer.arrays import Pixels
from dreamer.errors import Failure, Stopped
from dreamer.jobs import events
from dreamer.nets.model import Model
from dreamer.nets.net import Net
from dreamer.options.request import Request
from dreamer.pictures.recipe import read_recipe
from helpers import PYTHON, ROOT, children, ends, noise, run, saved, search

one = functools.partial(perform.one, deepdream=dreamify.deepdream, step=dreamify.make_step, sizes=dreamify.octave_sizes)


def asked(tiny: Model, tmp_path: Path, number: int, iterations: int = 2, size: tuple[int, int] = (60, 80)) -> Request:
    """The Request of one of many dreams, each of a different picture."""
    source = saved(tmp_path / f"in-{number}.png", noise(*size, number))
    return dreamify.ask({"input": source, "output": tmp_path / f"out-{number}.png", "layer": "mix/output", "threads": 1,
                         "iterations": iterations, "octaves": 2, "seed": number, "model": str(tiny.folder)})


def by_the_command(request: Request, output: Path) -> bytes:
    """The bytes of the dream that the command line writes for a request."""
    done = run(request.input, output, request.layer, request.iterations, request.octaves, "--seed", request.seed,
               "--model", request.model)
    assert done.returncode == 0, done.stderr
    return output.read_bytes()


def process_wide() -> dict[str, Any]:
    """The state that exists once per process; no dream may change it."""
    gc.collect()  # or files of tests before may be closed later
    status = Path("/proc/self/status").read_text()
    return {"Pillow's limit": Image.MAX_IMAGE_PIXELS, "umask": search(r"Umask:.*", status)[0],
            "standard error": os.fstat(2)[:3],
            "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
            "warnings": list(warnings.filters), "folder": os.getcwd(), "environment": dict(os.environ),
            "files": len(os.listdir("/proc/self/fd")), "children": children(os.getpid()),
            "threads": threading.active_count(), "streams": (sys.stdout, sys.stderr)}


def no_child_is_left() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG) is None
    except ChildProcessError:
        return True


def test_twenty_dreams_from_four_threads_while_two_are_stopped(tiny: Model, tmp_path: Path) -> None:
    one(asked(tiny, tmp_path, 99), lambda event: None)  # loads everything that is loaded only once
    before = process_wide()
    long = {3: threading.Event(), 4: threading.Event()}  # these two take long, and are stopped
    requests = [asked(tiny, tmp_path, number, *[2000, (200, 300)] if number in long else ()) for number in range(20)]
    told: list[list[events.Event]] = [[] for _ in requests]
    raised: list[Exception | None] = [None] * 20
    midway = {number: threading.Event() for number in long}
    rest = iter(enumerate(requests))

    def listen(number: int, event: events.Event) -> None:
        told[number].append(event)
        if number in long and isinstance(event, events.Stepped) and event.iteration == 5:
            midway[number].set()

    def work() -> None:
        while True:
            with lock:
                following = next(rest, None)
            if following is None:
                return
            number, request = following
            try:
                one(request, functools.partial(listen, number), stop=long.get(number))
            except Exception as error:  # checked below
                raised[number] = error

    lock = threading.Lock()
    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for number, event in long.items():
        assert midway[number].wait(120)
        event.set()
    for worker in workers:
        worker.join(300)
        assert not worker.is_alive()

    assert [number for number, error in enumerate(raised) if error] == list(long)
    for number, request in enumerate(requests):
        assert request.output
        kinds = [type(event) for event in told[number] if not isinstance(event, events.Tick)]
        if number in long:
            error = raised[number]
            assert type(error) is Stopped
            assert (error.saved, error.exit_code) == (True, 130)
            assert told[number][-1] == events.Stopped(request.output, True, str(error))
            assert "unfinished" in read_recipe(request.output)
            assert Image.open(request.output).size == (300, 200)
        else:
            assert kinds == [events.Began, *[events.Stepped] * 4, events.Finished]
            with open(request.output, "rb") as file:
                assert file.read() == by_the_command(request, tmp_path / "alone.png")
    assert process_wide() == before
    assert no_child_is_left()
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]


def test_one_that_was_stopped_goes_on_to_the_very_bytes(tiny: Model, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """In another thread, with the same request."""
    request, stop = asked(tiny, tmp_path, 1, 150, (120, 160)), threading.Event()
    other = threading.Event()

    def listen(event: events.Event) -> None:
        if isinstance(event, events.Stepped) and (event.octave, event.iteration) == (2, 10):
            stop.set()
    raised: list[Stopped] = []
    second: list[events.Event] = []

    def first_run() -> None:
        try:
            one(request, listen, deepdream=slowly.deepdream, stop=stop)
        except Stopped as error:
            raised.append(error)

    monkeypatch.setenv("SLOW_AFTER", "160")
    for target in (first_run, lambda: one(request, second.append, stop=other)):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join(120)
    assert raised[0].saved
    began = next(event for event in second if isinstance(event, events.Began))
    assert began.after[1] == 1
    assert began.after[2] >= 10
    assert request.output
    with open(request.output, "rb") as file:
        assert file.read() == by_the_command(request, tmp_path / "alone.png")
    assert sorted(os.listdir(tmp_path)) == ["alone.png", "in-1.png", "out-1.png"]


def test_a_dream_that_is_stopped_before_it_begins_writes_nothing(tiny: Model, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    request = asked(tiny, tmp_path, 1)
    told: list[events.Event] = []
    thread = threading.Thread(target=lambda: pytest.raises(Stopped, one, request, told.append, stop=stop))
    thread.start()
    thread.join(60)
    assert type(told[-1]) is events.Stopped
    assert not told[-1].saved
    assert sorted(os.listdir(tmp_path)) == ["in-1.png"]


def test_in_the_main_thread_signals_stop_it_and_are_ours_again(tiny: Model, tmp_path: Path) -> None:
    request = asked(tiny, tmp_path, 1, 100_000)
    before = process_wide()

    def listen(event: events.Event) -> None:
        if isinstance(event, events.Stepped) and event.iteration == 3:
            os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Stopped) as caught:
        one(request, listen)
    assert (caught.value.exit_code, caught.value.saved) == (143, True)
    assert process_wide() == before


def test_a_listener_that_fails_ends_the_dream_and_leaves_no_child(tiny: Model, tmp_path: Path) -> None:
    """In the main thread and in another."""
    def listen(event: events.Event) -> None:
        if isinstance(event, events.Stepped):
            raise ZeroDivisionError
    before, raised = process_wide(), []

    def work() -> None:
        try:
            one(asked(tiny, tmp_path, 1, 1000), listen)
        except ZeroDivisionError as error:
            raised.append(error)
    work()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert len(raised) == 2
    assert process_wide() == before
    assert no_child_is_left()


def test_what_dreams_may_be_another_function_of_a_module(tiny: Model, tmp_path: Path) -> None:
    """In a process with threads too, where it is sent to a new interpreter. Other functions give an error."""
    request, raised = asked(tiny, tmp_path, 1), []

    def work(deepdream: perform.Deepdream) -> None:
        try:
            perform.one(request, lambda event: None, deepdream=deepdream, step=dreamify.make_step,
                    sizes=dreamify.octave_sizes)
        except Exception as error:
            raised.append(error)
    for deepdream in (inverted, lambda *words, **more: dreamify.deepdream(*words, **more)):
        thread = threading.Thread(target=work, args=[deepdream])
        thread.start()
        thread.join(60)
    assert ["must be at the top level of a module" in str(error) for error in raised] == [True]
    with Image.open(request.input) as source, Image.open(request.output) as dream:
        assert source.getpixel((5, 5)) == tuple(255 - value for value in dream.getpixel((5, 5)))


def inverted(net: Net, image: Pixels, **_: object) -> Pixels:
    return 255.0 - image


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a thread"])
def test_a_dream_ends_when_the_process_that_asked_for_it_is_killed(tiny: Model, tmp_path: Path, beside: bool) -> None:
    request = asked(tiny, tmp_path, 1, 1_000_000)
    code = f"""
import sys, threading, time
sys.path[:0] = [{str(ROOT)!r}]
import dreamify
from dreamer import perform
{"threading.Thread(target=time.sleep, args=[300]).start()" if beside else ""}
request = dreamify.ask({{"input": {request.input!r}, "output": {request.output!r}, "layer": "mix/output",
                         "iterations": 1000000, "octaves": 1, "model": {request.model!r}}})
perform.one(request, lambda event: print(type(event).__name__, flush=True), deepdream=dreamify.deepdream,
            step=dreamify.make_step, sizes=dreamify.octave_sizes)
"""
    with subprocess.Popen([PYTHON, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if line == "Stepped\n":
                break
        [child] = children(process.pid)
        process.kill()
    assert ends(child)


def test_a_film_and_a_folder_from_a_thread(tiny: Model, tmp_path: Path, photos: Path) -> None:
    film = dreamify.ask({"input": photos / "b.bmp", "output": tmp_path / "out.gif", "layer": "conv1", "iterations": 1,
                         "octaves": 1, "zoom": 3, "seed": 1, "model": str(tiny.folder)})
    folder = dreamify.ask({"input": photos, "output": tmp_path / "dreams", "layer": "conv1", "iterations": 1,
                           "octaves": 1, "seed": 1, "model": str(tiny.folder)})
    threads = [threading.Thread(target=one, args=[request, lambda event: None]) for request in (film, folder)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    words = ["conv1", 1, 1, "--seed", 1, "--model", tiny.folder]
    assert run(photos / "b.bmp", tmp_path / "alone.gif", *words, "--zoom", 3).returncode == 0
    assert run(photos, tmp_path / "alone", *words).returncode == 0
    assert (tmp_path / "out.gif").read_bytes() == (tmp_path / "alone.gif").read_bytes()
    dreams, alone = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
                     for name in ("dreams", "alone"))
    assert len(dreams) == 3
    assert dreams == alone


def test_a_script_without_a_guard_does_not_do_everything_again_in_each_child(tiny: Model, sky: Path,
                                                                             tmp_path: Path) -> None:
    """As with multiprocessing, the child loads the main script, which must not dream there."""
    (tmp_path / "script.py").write_text(f"""
import sys, threading
sys.path.insert(0, {str(ROOT)!r})
import dreamify
print("begins", flush=True)
threads = [threading.Thread(target=dreamify.dreamify, kwargs=dict(
    input={str(sky)!r}, output={str(tmp_path)!r} + f"/{{n}}.png", layer="mix/output", iterations=1, octaves=1,
    model={str(tiny.folder)!r}, quiet=True)) for n in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
""")
    done = subprocess.run(["/usr/bin/python3", tmp_path / "script.py"], capture_output=True, text=True, check=False,
                          timeout=120)
    assert done.stdout.count("begins") == 3  # once in the script, and once in each child
    assert {path.name for path in tmp_path.iterdir()} <= {"script.py", "0.png", "1.png"}


def test_a_child_that_cannot_be_started_is_a_failure(tiny: Model, sky: Path, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no python"))
    caught = []

    def dream() -> None:
        try:
            dreamify.dreamify(sky, tmp_path / "a.png", "mix/output", 1, 1, model=tiny.folder, quiet=True)
        except Failure as error:
            caught.append(str(error))
    thread = threading.Thread(target=dream)
    thread.start()
    thread.join(60)
    assert caught == ["cannot start a process: No such file or directory"]
