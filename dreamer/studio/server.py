"""The studio's server: from the command line to the printed address, and to the end."""

import asyncio
import contextlib
import errno
import fcntl
import functools
import os
import signal
import socket
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path

from tornado.netutil import bind_sockets

from dreamer.errors import Mistake, Stopped, counted, say, tell
from dreamer.machine import files, here
from dreamer.options import outputs
from dreamer.studio import uploads
from dreamer.studio.guard import Gate
from dreamer.studio.quiet import quieten
from dreamer.studio.routes import Server
from dreamer.studio.studio import Script, Studio

LOOPBACK = "127.0.0.1"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOCK_WAIT = 3.0  # seconds: the children of a studio that was killed hold the lock for a moment


def serve(folder: str | os.PathLike[str], *, program: str, port: int, bind: str | None, jobs: int | None,
          open_browser: bool, script: Script, farm: str | None = None) -> None:
    """Run the studio on `folder` until a signal ends it; then raise Stopped. Raises Mistake if it cannot be started.

    program       path of dreamify.py
    port          of the page; 0 for any that is free
    bind          another address at which the page answers; None for what suits the place
    jobs          number of dreams at the same time; None for what suits the place
    open_browser  whether to open the page, if there is a desktop
    script        functions of dreamify
    farm          address of the farm that dreams; None to dream here"""
    place, bind = checked(folder), bind or here.address()
    make = functools.partial(Studio, place, program, bind, jobs, script, farm)
    with owned(place):
        sockets = listening(port, bind)
        try:
            number, words = asyncio.run(_run(make, sockets, bind, open_browser))
        finally:
            for each in sockets:
                each.close()
    raise Stopped(number, words)


def checked(folder: str | os.PathLike[str]) -> Path:
    """The folder, absolute. Raises Mistake unless files can be made in it, and stay."""
    place = Path(os.path.realpath(folder))
    if not place.is_dir():
        why = "is not a folder" if place.exists() else f"does not exist{here.not_mounted(place)}"
        raise Mistake(f"studio: {folder} {why}")
    try:
        outputs.check_folder(place, False)
    except Mistake as error:
        raise Mistake(*(f"studio: {line.removeprefix('output: ')}" for line in error.args)) from None
    return place


@contextlib.contextmanager
def owned(folder: Path) -> Iterator[Path]:
    """The studio's own folder in `folder`, made if it is not there. Raises Mistake if another studio runs on it."""
    hidden = folder / ".studio"
    try:
        if hidden.is_symlink():
            raise Mistake(f"studio: {hidden} is a link; remove it")
        for path in (hidden, hidden / "parts"):
            files.make_folder(path)
            with contextlib.suppress(OSError):  # a shared folder may have fixed modes
                path.chmod(0o700)
        lock = open(hidden / "lock", "ab")  # noqa: SIM115 - closed below
    except OSError as error:
        raise Mistake(f"studio: {hidden} cannot be made: {error.strerror}") from None
    with lock:
        files.give(lock.name, folder)
        _take(lock.fileno(), folder)
        uploads.sweep(hidden / "parts")
        yield hidden


def _take(lock: int, folder: Path) -> None:
    until = time.monotonic() + _LOCK_WAIT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise Mistake(f"studio: another studio already runs on {folder}; use its page, or end it, or name "
                              "another folder") from None
            time.sleep(0.1)
        except OSError:  # some shared folders have no locks
            return


def listening(port: int, bind: str | None) -> list[socket.socket]:
    """Sockets that listen on the loopback, and at the address `bind` if there is one. Raises Mistake."""
    found: list[socket.socket] = []
    addresses = {"0.0.0.0": [bind], "::": [bind, "0.0.0.0"]}.get(bind or "", [LOOPBACK, bind, "::1"])
    try:
        for address in dict.fromkeys(filter(None, addresses)):
            try:
                found += bind_sockets(port, address, reuse_port=False)
                port = found[0].getsockname()[1]
            except OSError as error:
                if address in ("::1", "0.0.0.0") and found:  # some machines have no IPv6, or take both in one
                    continue
                raise Mistake(_why(error, port, address)) from None
    except BaseException:
        for each in found:
            each.close()
        raise
    return found


def _why(error: OSError, port: int, address: str) -> str:
    """Why one cannot listen, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return f"port: {port} is taken by another program, or another studio; add --port {port % 65535 + 1}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port: {port} is only for the administrator; add --port 8420"
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, socket.EAI_ADDRFAMILY, socket.EAI_NONAME):
        return f"bind: this machine has no address {address}; `ip addr` lists those that it has"
    return f"port: the page cannot listen at {address}, port {port}: {error.strerror}"


def announce(gate: Gate, port: int, bind: str | None, open_browser: bool) -> None:
    """Print the page's address, and open it in the browser of the desktop, if there is one."""
    address = f"http://{LOOPBACK}:{port}/?token={gate.token}"
    others = []
    if bind and not bind.startswith("127.") and bind not in ("::1", here.address()):
        tell("warning: ", f"bind: anyone in the network of {bind} who has the token can use this page, and on the way "
             "the token and the pictures can be read")
        if bind not in ("0.0.0.0", "::"):
            others = [f"http://{f'[{bind}]' if ':' in bind else bind}:{port}/?token={gate.token}"]
    for each in (address, *others):
        say(each)
    if open_browser and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


async def _run(make: Callable[[], Studio], sockets: list[socket.socket], bind: str | None,
               open_browser: bool) -> tuple[int, str]:
    """Serve until a signal comes; returns (its number, words on what goes on next time)."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    came: list[int] = []

    def end(number: int) -> None:
        came.append(number)
        ended.set()
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup's
            loop.add_signal_handler(number, end, number)
    quieten(loop)
    studio = make()
    server = Server(studio)
    server.add_sockets(sockets)
    running = studio.start()
    announce(studio.gate, sockets[0].getsockname()[1], bind, open_browser)
    await ended.wait()
    server.stop()
    await studio.end(running)
    left = sum(job["state"] == "waiting" for job in studio.queue.state())
    return came[0], f"{counted(left, 'dream')} will go on when the studio is started again" if left else ""
