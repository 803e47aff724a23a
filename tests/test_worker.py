"""The child process: whatever becomes of it, the parent says so in one line and goes on."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from dreamer import worker
from dreamer.errors import Failure, Mistake


def run(work):
    """(messages, what was raised) of a run."""
    messages = []
    try:
        worker.run(work, messages.append)
    except Exception as error:
        return messages, error
    return messages, None


def alive():
    """Child processes that are left."""
    try:
        return os.waitpid(-1, os.WNOHANG) != (0, 0) or True
    except ChildProcessError:
        return False


def test_messages_arrive_in_order_and_whole():
    messages, error = run(lambda w: [w.send((number, b"x" * number * 1000)) for number in range(200)])
    assert error is None
    assert [(number, len(data)) for number, data in messages] == [(number, number * 1000) for number in range(200)]
    assert not alive()


@pytest.mark.parametrize("error", [Mistake("your fault"), Failure("nobody's fault")])
def test_errors_come_through(error):
    def work(_):
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
def test_every_other_end_is_one_line(end, told, capfd):
    messages, error = run(lambda w: (w.send("begun"), end()))
    assert messages == ["begun"]
    assert isinstance(error, worker.Died)
    assert told in str(error)
    assert "\n" not in str(error)
    assert capfd.readouterr().err == ""
    assert not alive()


def test_a_real_check_of_caffes_is_told():
    def work(_):
        import caffe
        net = caffe.Net("/nonexistent.prototxt", caffe.TEST)
        net.forward()
    _, error = run(work)
    assert isinstance(error, worker.Died)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_work_where_it_can_be_stopped(number, code):
    def work(w):
        w.send(os.getpid())
        while True:
            time.sleep(0.01)
            if w.asked():
                raise worker.Stopped(w.asked(), saved=True)
    threading.Timer(0.3, os.kill, (os.getpid(), number)).start()
    _, error = run(work)
    assert isinstance(error, worker.Stopped)
    assert error.exit_code == code
    assert error.saved
    assert not alive()


def test_work_that_does_not_stop_is_killed(monkeypatch):
    monkeypatch.setattr(worker, "PATIENCE", 0.3)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    _, error = run(lambda w: time.sleep(60))
    assert isinstance(error, worker.Stopped)
    assert error.exit_code == 143
    assert not alive()


def test_a_child_does_not_outlive_its_parent(tmp_path):
    pid = os.fork()
    if not pid:
        try:
            worker.run(lambda w: ((tmp_path / "pid").write_text(str(os.getpid())), time.sleep(60)), print)
        finally:
            os._exit(0)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.02)
    child = int((tmp_path / "pid").read_text())
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    for _ in range(100):
        try:
            state = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the child lives on")


def test_a_child_dreams_after_its_parent_has(tiny):
    """Threads do not survive a fork: Caffe's, which the parent has used, must not be waited for."""
    import dreamify
    from dreamer.net import Net

    def dream():
        return dreamify.deepdream(Net(tiny, "mix/output", threads=3), np.zeros((150, 150, 3)), 1, 1).tolist()

    ours, threads = dream(), threading.active_count()
    killer = threading.Timer(20, os.kill, (os.getpid(), signal.SIGTERM))
    killer.start()
    messages, error = run(lambda w: w.send(dream()))
    killer.cancel()
    killer.join()
    assert error is None
    assert messages == [ours]
    assert dream() == ours
    assert threading.active_count() == threads
