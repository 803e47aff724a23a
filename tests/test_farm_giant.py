"""One giant picture on the workers of a farm: the same bytes as on one machine, whoever dies."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers import ROOT, children, ends, run, start, wait_for

WORDS = ["noise:4000x2000", "conv1/7x7_s2*0.5+pool1/3x3_s2", 2, 1, "--seed", 1, "--model", "daydream", "--reproducible"]
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("farm")]


def words(output: Path, *more: object) -> list[object]:
    """The arguments of the dream, into that file."""
    return [WORDS[0], output, *WORDS[1:], *more]


class Farm:
    """A scheduler on this machine, and workers that a test starts."""

    def __init__(self, keys: Path, stack: contextlib.ExitStack) -> None:
        pytest.importorskip("distributed", reason="no python3-distributed: ./provision.sh farm")
        self._stack, self.environment = stack, os.environ | {"DREAMER_FARM_KEYS": str(keys)}
        assert run("farm", "keys", keys).returncode == 0
        scheduler = self._started("scheduler", "--port", 0)
        self.address = "tls://" + wait_for(scheduler, "tls://").split("tls://")[1].split(";")[0]

    def _started(self, *more: object) -> "subprocess.Popen[str]":
        process = start([ROOT / "dreamify.py", "farm", *map(str, more)], env=self.environment)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def worker(self, memory: str = "3g") -> "subprocess.Popen[str]":
        """A worker that has joined."""
        process = self._started("worker", self.address, "--threads", 1, "--memory", memory)
        wait_for(process, "works for the farm")
        return process

    def dream(self, output: Path, *more: object) -> "subprocess.Popen[str]":
        """The dream, begun."""
        return start([ROOT / "dreamify.py", *map(str, words(output, "--farm", self.address, *more))],
                     env=self.environment)


class Relay:
    """The way to a farm's scheduler, for all its machines.

    address  of the way
    carried  bytes that have passed, in both directions"""

    def __init__(self, address: str) -> None:
        self._port, self.carried = int(address.rpartition(":")[2]), 0
        self._open = [socket.create_server(("127.0.0.1", 0))]
        self.address = f"tls://127.0.0.1:{self._open[0].getsockname()[1]}"
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ends = [self._open[0].accept()[0], socket.create_connection(("127.0.0.1", self._port))]
                self._open += ends
                self._threads += [threading.Thread(target=self._pass, args=each) for each in (ends, ends[::-1])]
                for each in self._threads[-2:]:
                    each.start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                self.carried += len(data)
                other.sendall(data)
            other.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End all connections."""
        self._open[0].shutdown(socket.SHUT_RDWR)  # wakes who waits for it
        self._threads[0].join()
        for each in self._open[1:]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in self._open:
            each.close()


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with contextlib.ExitStack() as stack:
        yield Farm(tmp_path / "keys", stack)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The dream of one machine."""
    output = tmp_path_factory.mktemp("alone") / "dream.png"
    assert run(*words(output)).returncode == 0
    return output.read_bytes()


def ended(process: "subprocess.Popen[str]") -> str:
    """Wait for the end of a dream, which must be good; returns what it printed last."""
    rest, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return rest + errors


def test_it_has_the_bytes_of_one_machine_and_waits_for_workers(farm: Farm, alone: bytes, tmp_path: Path) -> None:
    """The layers are a sum, so that the farm is asked twice in each step. One hears of each tile, and sees the dream
    grow."""
    process = farm.dream(tmp_path / "dream.png", "--events", tmp_path / "happened", "--preview", tmp_path / "seen.jpg")
    assert process.stderr
    with process:
        line = process.stderr.readline()
        assert f"waiting for workers at {farm.address}" in line
        farm.worker()
        farm.worker()
        ended(process)
    assert (tmp_path / "dream.png").read_bytes() == alone
    happened = [json.loads(line) for line in (tmp_path / "happened").read_text().splitlines()]
    assert shares(happened, 1) == shares(happened, 2)
    assert len(shares(happened, 1)) > 2
    assert shares(happened, 1) == sorted(shares(happened, 1))
    work = [event["done"] for event in happened if event["event"] in ("step", "tiled")]
    assert work == sorted(work)
    assert [event["width"] for event in happened if event["event"] == "preview"] == [1280]


def shares(happened: list[dict[str, Any]], iteration: int) -> list[float]:
    """How far that step was at each event within it."""
    return [event["share"] for event in happened if event["event"] == "tiled" and event["iteration"] == iteration]


def test_a_worker_that_dies_in_the_middle_changes_nothing(farm: Farm, alone: bytes, tmp_path: Path) -> None:
    first = farm.worker()
    farm.worker()
    with farm.dream(tmp_path / "dream.png") as process:
        wait_for(process, "iteration 1/2")
        computing = children(first.pid)
        first.kill()
        assert computing
        assert all(map(ends, computing))
        ended(process)
    assert (tmp_path / "dream.png").read_bytes() == alone


def test_pictures_do_not_pass_the_scheduler(farm: Farm, alone: bytes, tmp_path: Path) -> None:
    """It would carry each twice: some 24 MB for each of the windows, and as much for its gradient."""
    with contextlib.closing(Relay(farm.address)) as relay:
        farm.address = relay.address
        farm.worker()
        farm.worker()
        with farm.dream(tmp_path / "dream.png") as process:
            ended(process)
        assert (tmp_path / "dream.png").read_bytes() == alone
        assert 0 < relay.carried < 24_000_000


def test_a_computation_that_dies_is_done_elsewhere(farm: Farm, alone: bytes, tmp_path: Path) -> None:
    """As if Caffe had aborted: the worker lives on."""
    first = farm.worker()
    farm.worker()
    with farm.dream(tmp_path / "dream.png") as process:
        wait_for(process, "iteration 1/2")
        computing = children(first.pid)
        assert len(computing) == 1
        os.kill(computing[0], signal.SIGKILL)
        ended(process)
    assert first.poll() is None
    assert (tmp_path / "dream.png").read_bytes() == alone


def test_a_stopped_dream_goes_on(farm: Farm, alone: bytes, tmp_path: Path) -> None:
    farm.worker()
    with farm.dream(tmp_path / "dream.png") as process:
        wait_for(process, "iteration 1/2")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert "run the same command to continue" in errors
    with farm.dream(tmp_path / "dream.png") as process:
        assert "iteration 1/2" not in ended(process)
    assert (tmp_path / "dream.png").read_bytes() == alone


def test_what_the_farm_does_not_divide_is_said(farm: Farm, tmp_path: Path) -> None:
    farm.worker()
    """With so much memory, this machine would dream it in one piece; the worker has less."""
    given = [word for word in words(tmp_path / "dream.png", "--memory", "20g") if word != "--reproducible"]
    done = run(*given, "--farm", farm.address, env=farm.environment)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert "this machine would not divide it (--reproducible divides it), so one worker dreams the whole" in lines[0]
    assert "add --reproducible, or a smaller limit" in lines[-1]


def test_a_computation_that_hangs_is_done_elsewhere_too(farm: Farm, alone: bytes, tmp_path: Path) -> None:
    first = farm.worker()
    farm.worker()
    with farm.dream(tmp_path / "dream.png") as process:
        wait_for(process, "iteration 1/2")
        computing = children(first.pid)
        assert len(computing) == 1
        os.kill(computing[0], signal.SIGSTOP)
        assert "hangs, or is very slow: it gets no more of this picture" in ended(process)
    assert (tmp_path / "dream.png").read_bytes() == alone


def test_a_worker_with_too_little_memory_leaves_it_to_others(farm: Farm, alone: bytes, tmp_path: Path) -> None:
    farm.worker("150m")
    with farm.dream(tmp_path / "dream.png") as process:
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert re.fullmatch(r"dreamify: .*: a window of \d+×\d+ pixels needs \d+ MB of memory; 150 MB are available: give "
                        "the worker more\n", errors)
    farm.worker()
    with farm.dream(tmp_path / "dream.png") as process:
        ended(process)
    assert (tmp_path / "dream.png").read_bytes() == alone
