"""One dream as a child process of a server: it gets a request, tells its events, is stopped, and never outlives the
server, in whatever way that ends."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dreamer.errors import Failure, Mistake, printable

PATIENCE = 6.0  # seconds that it usually has to end after a stop; the dream's own process has a little less
LONGEST = 1 << 20  # bytes of an event's line
_BEGIN = 10.0  # seconds that setpriv may take to become Python
_SAID = 4000  # bytes kept of what it prints


class End(NamedTuple):
    """How a dream ended.

    state   done, stopped or failed
    saved   whether the output is the dream so far, if it was stopped
    lines   what went wrong, if it failed
    code    its exit code, if it failed: 2 if the request is wrong"""

    state: str
    saved: bool = False
    lines: tuple[str, ...] = ()
    code: int = 1


class Child:
    """A dream that is carried out in a child process.

    program   path of dreamify.py
    folder    the folder in which the request's relative paths are
    request   the members of the request, except `events`
    heard     called with each event, {"event": its kind, its fields}
    patience  seconds that it has to end after a stop"""

    def __init__(self, program: str, folder: str | os.PathLike[str], request: Mapping[str, Any],
                 heard: Callable[[dict[str, Any]], None], patience: float = PATIENCE) -> None:
        self._program, self._folder, self._request, self._heard = program, folder, request, heard
        self._patience = patience
        self._process: asyncio.subprocess.Process | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._last: dict[str, Any] = {}
        self._broken = ""

    def stop(self) -> None:
        """Ask the dream to stop and to save what it has. Call it from the loop's thread, at any time."""
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._stop())

    async def run(self) -> End:
        """Dream; returns how it ended. If this is cancelled, the child is killed."""
        if self._stopping is not None:
            self._stopping.cancel()
            return End("stopped")
        try:
            return await self._dream()
        except OSError as error:
            return End("failed", lines=(f"the dream cannot be started: {error.strerror}",))
        except Failure as error:
            return End("failed", lines=error.args)
        finally:
            if self._stopping:
                self._stopping.cancel()

    async def _dream(self) -> End:
        """Dream, in a process for this dream alone. Raises Failure and OSError."""
        reader, writer = os.pipe()
        try:
            events = await opened(reader)
            self._process = await started(self._program, "--request", self._folder, writer)
        finally:
            os.close(writer)  # the child has its own, and the pipe ends with that
        try:
            said, *_ = await asyncio.gather(tail(self._process.stderr), self._listen(events), self._ask(writer),
                                            self._process.wait())
        finally:
            self._kill()
            await self._process.wait()
        return self._end(self._process.returncode or 0, said)

    async def _ask(self, writer: int) -> None:
        """Hand the request to the child, which then dies with this process. If this process dies before, the child sees
        the end of its input, and ends too."""
        process = self._process
        assert process  # noqa: S101
        assert process.stdin  # noqa: S101
        if not await has_begun(process):
            self._broken = "setpriv hangs"
            self._kill()
        text = json.dumps(dict(self._request) | {"events": f"fd:{writer}"})
        with contextlib.suppress(OSError):
            process.stdin.write(text.encode())
            await process.stdin.drain()
        process.stdin.close()

    async def _listen(self, events: asyncio.StreamReader) -> None:
        """Pass on the events."""
        try:
            while line := await events.readline():
                event = json.loads(line)
                if not isinstance(event, dict):
                    raise TypeError("an event must be an object")
                if self._is_last(event):
                    return
                self._last = event
                self._heard(event)
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # no line of ours
            self._broken = self._broken or f"its events cannot be understood: {error}"
            self._kill()

    def _is_last(self, line: dict[str, Any]) -> bool:
        """Whether a line is no event, but says that no event follows."""
        return False

    async def _stop(self) -> None:
        """Ask the process to end; if it does not, kill it."""
        while self._process is None:  # not started yet
            await asyncio.sleep(0.01)
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)  # SIGINT may be ignored from the start
        await asyncio.sleep(self._patience)
        self._kill()

    def _kill(self) -> None:
        """Kill the process and those that it has started."""
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _end(self, code: int, said: bytes) -> End:
        """How it ended.

        code  the exit code, negative for a signal
        said  the end of what it printed on standard error"""
        kind = self._last.get("event")
        if kind == "finished" and code == 0:
            return End("done")
        if kind == "stopped":
            return End("stopped", self._last.get("saved") is True)
        if kind == "failed" and isinstance(self._last.get("lines"), list):
            return End("failed", lines=tuple(map(str, self._last["lines"])) or ("the dream failed",),
                       code=2 if self._last.get("exit_code") == Mistake.exit_code else 1)
        if self._stopping and not self._broken:
            return End("stopped")
        told = [line.removeprefix("dreamify: ") for line in said.decode(errors="replace").splitlines()
                if line.startswith("dreamify: ") and not line.startswith("dreamify: warning: ")]
        if code > 0 and told and not self._broken:  # what is wrong with the request itself
            return End("failed", lines=tuple(map(printable, told)), code=2 if code == Mistake.exit_code else 1)
        what = self._broken or (f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}")
        return End("failed", lines=(f"the dream ended unexpectedly ({printable(what)})",))


async def started(program: str, word: str, folder: str | os.PathLike[str], writer: int) -> asyncio.subprocess.Process:
    """Start a process of `program`, which reads what to dream from its standard input. setpriv has the kernel kill it
    when this process ends; the process of a server does not end before its main thread, which calls this.

    word    its first argument; the second is -
    folder  in which it begins
    writer  number of the open file for events, which it inherits

    Raises Failure and OSError."""
    privileged = shutil.which("setpriv")
    if privileged is None:
        raise Failure("setpriv is not installed: install the package util-linux")
    return await asyncio.create_subprocess_exec(
        privileged, "--pdeathsig", "KILL", sys.executable, program, word, "-",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        pass_fds=(writer,), cwd=folder, start_new_session=True)


async def has_begun(process: asyncio.subprocess.Process) -> bool:
    """Wait until setpriv has become Python, which would die with this process. Returns False if that takes too
    long."""
    privileged, until = os.path.realpath(shutil.which("setpriv") or ""), asyncio.get_running_loop().time() + _BEGIN
    with contextlib.suppress(OSError):  # it has ended
        while os.readlink(f"/proc/{process.pid}/exe") == privileged:
            if asyncio.get_running_loop().time() > until:
                return False
            await asyncio.sleep(0.002)
    return True


async def opened(reader: int) -> asyncio.StreamReader:
    """The open pipe as a stream, which closes it."""
    stream = asyncio.StreamReader(LONGEST)
    file = open(reader, "rb", buffering=0)  # noqa: SIM115 - the stream closes it
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), file)
    return stream


async def tail(stream: asyncio.StreamReader | None) -> bytes:
    """The last bytes of a stream, when it has ended."""
    assert stream  # noqa: S101
    said = b""
    while block := await stream.read(1 << 16):
        said = (said + block)[-_SAID:]
    return said
