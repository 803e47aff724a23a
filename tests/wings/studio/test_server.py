"""The studio from the command line to its end: what it prints, what it refuses to begin with, how it stops."""

import os
import re
import signal
import socket
import stat
import subprocess
import time
import webbrowser
from pathlib import Path

import pytest

from browser import Served
from client import Client
from dreamer.errors import Mistake
from dreamer.machine import here
from dreamer.studio import server
from dreamer.studio.guard import Gate
from helpers import ROOT, children, ends, run, search


def studio(*words: object, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """The command line of a studio that does not begin."""
    return run("studio", *words, "--no-open", timeout=30, cwd=cwd)


def test_it_prints_its_address_and_ends_with_a_signals_exit_code(tmp_path: Path) -> None:
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):
        served = Served(tmp_path)
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/\?token=[\w-]{32}", served.url)
        began = time.monotonic()
        said = served.stop(number)
        assert time.monotonic() - began < 15
        assert served.process.returncode == code
        assert said == f"dreamify: stopped by {number.name}\n"


def test_its_own_folder_is_hidden_and_private(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.stop()
    assert [path.name for path in tmp_path.iterdir()] == [".studio"]
    for path in (tmp_path / ".studio", tmp_path / ".studio/parts"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_second_studio_on_the_folder_is_one_line(tmp_path: Path) -> None:
    served = Served(tmp_path)
    try:
        done = studio(tmp_path, "--port", 0)
        assert done.returncode == 2
        assert done.stderr.startswith(f"dreamify: studio: another studio already runs on {tmp_path}; ")
        assert done.stderr.count("\n") == 1
    finally:
        served.stop()
    Served(tmp_path).stop()


def test_after_kill_9_it_begins_again_and_leaves_no_child(tmp_path: Path) -> None:
    served = Served(tmp_path)
    client = Client(served.url)
    client.json("POST", "/samples/coffee.jpg")
    client.json("POST", "/dreams", {"photo": "coffee.jpg", "model": "daydream", "iterations": 500})
    until = time.monotonic() + 60
    while len(kin := children(served.process.pid)) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    served.process.kill()
    served.process.wait()
    assert kin
    assert all(ends(pid) for pid in kin)
    again = Served(tmp_path)
    assert "1 dream will go on when the studio is started again" in again.stop()


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = studio(tmp_path, "--port", port)
    assert done.returncode == 2
    assert done.stderr == (f"dreamify: port: {port} is taken by another program, or another studio; "
                           f"add --port {port + 1}\n")


@pytest.mark.parametrize(("words", "line"), [
    (["nowhere"], "studio: nowhere does not exist"), (["file"], "studio: file is not a folder"),
    ([".", "--bind", "192.0.2.1"], "bind: this machine has no address 192.0.2.1"),
    ([".", "--bind", "evil.example"], "bind: 'evil.example' is not an IP address"), ([".", "--port", "x"], "port: 'x'"),
    ([".", "--port", "70000"], "port: '70000'"), ([".", "--jobs", "0"], "jobs: '0'"), (["link"], "studio: ")])
def test_what_is_wrong_is_one_line(tmp_path: Path, words: list[str], line: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").mkdir()
    (tmp_path / "link/.studio").symlink_to("/tmp")
    done = studio(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"dreamify: {line}")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/sys/kernel").exists(), reason="no read-only folder here")
def test_a_folder_that_cannot_be_written_is_one_line() -> None:
    done = studio("/sys/kernel")
    assert done.returncode == 2
    assert re.fullmatch(r"dreamify: studio: cannot write into /sys/kernel: [^\n]+\n", done.stderr)


@pytest.mark.parametrize(("bind", "also"), [
    ("0.0.0.0", ""), ("192.168.1.5", "http://192.168.1.5:8420/?token="), ("fe80::1", "http://[fe80::1]:8420/?token=")])
def test_another_address_is_announced_with_what_it_opens(bind: str, also: str,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    server.announce(Gate(bind), 8420, bind, False)
    out, err = capsys.readouterr()
    assert out.startswith("http://127.0.0.1:8420/?token=")
    assert also in out
    assert re.fullmatch(rf"dreamify: warning: bind: anyone in the network of {re.escape(bind)} [^\n]+\n", err)


def test_it_answers_at_every_address_of_the_machine_if_asked(tmp_path: Path) -> None:
    served = Served(tmp_path, "--bind", "0.0.0.0")
    client = Client(served.url)
    client.host = f"127.0.0.2:{served.port}"
    assert client.json("GET", "/gallery")["total"] == 0
    served.stop()


def test_in_the_container_the_entry_point_has_bound_it(monkeypatch: pytest.MonkeyPatch,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(here, "place", lambda: here.CONTAINER)
    server.announce(Gate("0.0.0.0"), 8420, "0.0.0.0", False)
    out, err = capsys.readouterr()
    assert out.startswith("http://127.0.0.1:8420/?token=")
    assert err == ""


@pytest.mark.parametrize(("display", "asked", "opened"), [(":0", True, 1), (":0", False, 0), ("", True, 0)])
def test_the_browser_is_opened_only_on_a_desktop(monkeypatch: pytest.MonkeyPatch, display: str, asked: bool,
                                                 opened: int) -> None:
    found: list[str] = []
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(webbrowser, "open", found.append)
    gate = Gate()
    server.announce(gate, 8420, None, asked)
    until = time.monotonic() + (30 if opened else 0.1)
    while not found and time.monotonic() < until:
        time.sleep(0.01)
    assert found == [f"http://127.0.0.1:8420/?token={gate.token}"] * opened


def test_it_listens_on_both_loopbacks_at_one_port() -> None:
    sockets = server.listening(0, None)
    assert {each.getsockname()[1] for each in sockets} == {sockets[0].getsockname()[1]}
    assert {each.getsockname()[0] for each in sockets} <= {"127.0.0.1", "::1"}
    with pytest.raises(Mistake, match="is taken"):
        server.listening(sockets[0].getsockname()[1], None)
    for each in sockets:
        each.close()


def test_the_lock_is_free_when_the_studio_ends(tmp_path: Path) -> None:
    for _ in range(2):
        with server.owned(tmp_path) as hidden:
            assert hidden == tmp_path / ".studio"


def test_an_error_that_nobody_has_foreseen_is_one_line_and_the_studio_goes_on(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nsys.argv = ['dreamify.py', 'studio', {str(tmp_path)!r}, "
        "'--port', '0', '--no-open']\nimport dreamify\nfrom dreamer.studio.gallery import Gallery\n"
        "async def page(*_):\n    return 1 / 0\nGallery.page = page\ndreamify.main()\n")
    process = subprocess.Popen(["/usr/bin/python3", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    client = Client(search(r"http://\S+", process.stdout.readline())[0])
    for _ in range(2):
        status, _, body = client.ask("GET", "/gallery")
        assert status == 500
        assert b'"error": "the studio has made an error: ZeroDivisionError: division by zero"' in body
    assert client.ask("GET", "/models")[0] == 200
    process.terminate()
    _, said = process.communicate(timeout=20)
    assert said.splitlines()[:2] == ["dreamify: warning: studio: GET /gallery: ZeroDivisionError: division by zero"] * 2
    assert "Traceback" not in said
