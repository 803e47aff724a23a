"""The child process: however it ends, the parent says so in one line and continues."""

import contextlib
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import numpy as np
import pytest

import dreamify
from dreamer.errors import Failure, Mistake, Stopped
from dreamer.machine import worker
from dreamer.machine.signals import Stop
from dreamer.nets.model import Model
from dreamer.nets.net import Net
from helpers import dies_with_its_parent, is_running

Work: TypeAlias = Callable[[worker.Worker], None]


def run(work: Work, stop: Stop | None = None,
        then: Callable[[], object] = lambda: None) -> tuple[list[Any], Exception | None]:
    """(messages, the error) of a run; a function is called with each message."""
    messages = []

    def receive(message: object) -> None:
        messages.append(message)
        then()
    try:
        worker.run(work, receive, stop or Stop())
    except Exception as error:
        return messages, error
    return messages, None


def alive() -> bool:
    """Whether a child process still exists."""
    try:
        return os.waitpid(-1, os.WNOHANG) != (0, 0) or True
    except ChildProcessError:
        return False


def test_messages_arrive_in_order_and_whole() -> None:
    def work(w: worker.Worker) -> None:
        for number in range(200):
            w.send((number, b"x" * number * 1000))
    messages, error = run(work)
    assert error is None
    assert [(number, len(data)) for number, data in messages] == [(number, number * 1000) for number in range(200)]
    assert not alive()


@pytest.mark.parametrize("error", [Mistake("your fault"), Failure("nobody's fault")])
def test_errors_come_through(error: Exception) -> None:
    def work(_: worker.Worker) -> None:
        raise error
    _, raised = run(work)
    assert type(raised) is type(error)
    assert str(raised) == str(error)


@pytest.mark.parametrize(("end", "told"), [
    (lambda: os.kill(os.getpid(), signal.SIGKILL), "memory ran out"),
    (lambda: os.kill(os.getpid(), signal.SIGSEGV), "SIGSEGV"),
    (lambda: os._exit(3), "exit code 3"),
    (lambda: [][0], "IndexError"),
    (lambda: (os.write(2, b"F1122 10:00 1 net.cpp:7] Check failed: a == b (1 vs. 2) \n*** stack\n"), os.abort()),
     "Caffe gave up: Check failed: a == b (1 vs. 2)"),
])
def test_every_other_end_is_one_line(end: Callable[[], object], told: str, capfd: pytest.CaptureFixture[str]) -> None:
    def work(w: worker.Worker) -> None:
        w.send("begun")
        end()
    messages, error = run(work)
    assert messages == ["begun"]
    assert isinstance(error, worker.Died)
    assert told in str(error)
    assert "\n" not in str(error)
    assert capfd.readouterr().err == ""
    assert not alive()


def test_a_real_check_of_caffes_is_told() -> None:
    def work(_: worker.Worker) -> None:
        import caffe
        net = caffe.Net("/nonexistent.prototxt", caffe.TEST)
        net.forward()
    _, error = run(work)
    assert isinstance(error, worker.Died)


# The child is a fork, or, in a process with threads, a new interpreter; its work must be a function of a module.

def saves_when_asked(child: worker.Worker) -> None:
    """Ends three times as late as the patience lasts, because it saves something."""
    child.send("begun")
    while not child.asked():
        time.sleep(0.01)
    child.saving(30)
    time.sleep(1)
    child.send("saved")
    raise Stopped(child.asked() or 0, saved=True)


def ends_when_asked(w: worker.Worker) -> None:
    w.send(os.getpid())
    while True:
        time.sleep(0.01)
        if number := w.asked():
            raise Stopped(number, saved=True)


def sleeps(w: worker.Worker) -> None:
    w.send(os.getpid())
    time.sleep(60)


def tells(path: str, w: worker.Worker) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)


def breaks(w: worker.Worker) -> NoReturn:
    raise Failure("nobody's fault")


def dies(w: worker.Worker) -> None:
    w.send("begun")
    os.kill(os.getpid(), signal.SIGSEGV)


@contextlib.contextmanager
def thread() -> Iterator[None]:
    """In this block the process has another thread."""
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    try:
        yield
    finally:
        over.set()
        other.join()


@pytest.fixture(params=["alone", "beside a thread"])
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Without threads, the process forks; with another thread, it does not."""
    with contextlib.nullcontext() if request.param == "alone" else thread():
        yield


def signalled(work: Work, number: int) -> tuple[list[Any], Exception | None]:
    """Run work; after each message, this process gets a signal."""
    return run(work, then=lambda: os.kill(os.getpid(), number))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_work_where_it_can_be_stopped(way: None, number: signal.Signals, code: int) -> None:
    _, error = signalled(ends_when_asked, number)
    assert isinstance(error, Stopped)
    assert error.exit_code == code
    assert error.saved
    assert not alive()


def test_work_that_does_not_stop_is_killed(way: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PATIENCE", 0.3)
    messages, error = signalled(sleeps, signal.SIGTERM)
    assert isinstance(error, Stopped)
    assert error.exit_code == 143
    assert not any(map(is_running, messages))
    assert not alive()


def test_work_that_saves_something_has_the_time_for_it(way: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PATIENCE", 0.3)
    told = list[object]()

    def stop_once(message: object) -> None:
        told.append(message)
        if message == "begun":
            os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Stopped):
        worker.run(saves_when_asked, stop_once, Stop())
    assert told == ["begun", "saved"]


def test_signals_are_what_they_were_afterwards(way: None) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    signalled(ends_when_asked, signal.SIGTERM)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_event_stops_the_work_as_ctrl_c_does() -> None:
    """In any thread, also where signals are not handled."""
    event, found = threading.Event(), []
    other = threading.Thread(target=lambda: found.append(run(ends_when_asked, Stop(event), event.set)))
    other.start()
    other.join(30)
    [(_, error)] = found
    assert isinstance(error, Stopped)
    assert (error.exit_code, error.saved) == (130, True)
    assert not alive()


@pytest.mark.parametrize(("work", "kind", "told"), [(breaks, Failure, "nobody's fault"),
                                                    (dies, worker.Died, "SIGSEGV")])
def test_a_new_interpreter_ends_as_a_fork_does(work: Work, kind: type[Exception], told: str) -> None:
    with thread():
        _, error = run(work)
    assert type(error) is kind
    assert told in str(error)
    assert not alive()


def test_work_that_no_other_interpreter_finds_is_told() -> None:
    with thread():
        _, error = run(lambda w: None)
    assert isinstance(error, Mistake)
    assert "top level of a module" in str(error)
    assert len(str(error).splitlines()) == 1


def test_a_child_does_not_outlive_its_parent(way: None, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Even if the parent is killed."""
    dies_with_its_parent(f"""
import functools, threading, time
import test_worker
from dreamer.machine import worker
from dreamer.machine.signals import Stop
{"" if "alone" in request.node.name else "threading.Thread(target=time.sleep, args=[60]).start()"}
worker.run(functools.partial(test_worker.tells, {str(tmp_path / "pid")!r}), print, Stop())
""", tmp_path / "pid")


def test_a_child_outlives_a_thread_that_has_ended() -> None:
    """Any thread except the one that waits for the child."""
    other = threading.Thread(target=time.sleep, args=[0.3])
    other.start()
    found = []
    waiting = threading.Thread(target=lambda: found.append(run(takes_a_second)))
    waiting.start()
    other.join()
    waiting.join(30)
    assert found == [(["begun", "done"], None)]


def takes_a_second(w: worker.Worker) -> None:
    w.send("begun")
    time.sleep(1)
    w.send("done")


def test_nothing_is_left_open(way: None) -> None:
    run(breaks)
    gc.collect()  # or files of tests before may be closed meanwhile
    before = sorted(os.listdir("/proc/self/fd"))
    for work in (breaks, dies, breaks):
        run(work)
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert not alive()


def test_a_child_dreams_after_its_parent_has(tiny: Model) -> None:
    """Threads do not survive a fork: the child must not wait for Caffe's threads, which the parent has used."""
    def dream() -> list[Any]:
        dreamed = dreamify.deepdream(Net(tiny, "mix/output", threads=3), np.zeros((150, 150, 3)), 1, 1)
        return list(dreamed.ravel())

    def too_long(*_: object) -> NoReturn:
        raise TimeoutError

    ours, threads = dream(), threading.active_count()
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(30)
    try:
        messages, error = run(lambda w: w.send(dream()))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert error is None
    assert messages == [ours]
    assert dream() == ours
    assert threading.active_count() == threads


def adds(w: worker.Worker) -> None:
    for first, second in w.questions():
        w.send(first + second)


def test_work_gets_questions(way: None) -> None:
    inbox, pipe = os.pipe()
    found: list[Any] = []

    def receive(message: object) -> None:
        found.append(message)
        if len(found) < 3:
            os.write(pipe, worker.packed((message, "b")))
        else:
            raise Failure("enough")
    os.write(pipe, worker.packed(("a", "b")))
    with pytest.raises(Failure, match="enough"):
        worker.run(adds, receive, Stop(), inbox=inbox)
    os.close(inbox)
    os.close(pipe)
    assert found == ["ab", "abb", "abbb"]
    assert not alive()
