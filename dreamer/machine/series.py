"""A child process that carries out one dream after another, so that its modules and the net stay loaded between them,
and both of its ends: a server has a Series, and the child is dreamify.py --requests -.

Each dream is a fork of the child (see worker.py), so Caffe can end only that. A dream of 96×64 pixels and one step then
takes 0.09 s of processor time instead of 0.6."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dreamer.errors import Failure, Mistake
from dreamer.machine.child import Child, End, has_begun, opened, started, tail

IDLE = 60.0  # seconds without a dream after which the child ends, and frees its memory


class _Running(NamedTuple):
    """The child: its events, the number under which it has their pipe, and what it prints at its end."""

    process: asyncio.subprocess.Process
    events: asyncio.StreamReader
    number: int
    said: "asyncio.Task[bytes]"


class Series:
    """A child process for dreams. It starts when it is needed, and starts again if it has ended.

    program  path of dreamify.py"""

    def __init__(self, program: str) -> None:
        self.program = program
        self._running: _Running | None = None
        self._idle: asyncio.TimerHandle | None = None

    def child(self, folder: str | os.PathLike[str], request: Mapping[str, Any],
              heard: Callable[[dict[str, Any]], None]) -> Child:
        """A dream that the child carries out, after the one before has ended. Arguments: as for Child."""
        return _Next(self, folder, request, heard)

    def has_begun(self) -> bool:
        """Whether the child was started, and is not known to have ended."""
        return self._running is not None and self._running.process.returncode is None

    async def begin(self) -> _Running:
        """The child, which does nothing now. Raises Failure and OSError."""
        if self._idle:
            self._idle.cancel()
        if not self.has_begun():
            self.close()
        if self._running is None:
            reader, writer = os.pipe()
            events = await opened(reader)
            try:
                process = await started(self.program, "--requests", os.sep, writer)
            finally:
                os.close(writer)
            self._running = _Running(process, events, writer, asyncio.ensure_future(tail(process.stderr)))
            if not await has_begun(process):
                self.close()
                raise Failure("the dream cannot be started: setpriv hangs")
        return self._running

    def rest(self) -> None:
        """A dream has ended, and the child can carry out another one."""
        self._idle = asyncio.get_running_loop().call_later(IDLE, self.close)

    def close(self) -> None:
        """Kill the child, if there is one."""
        if self._idle:
            self._idle.cancel()
        running, self._running, self._idle = self._running, None, None
        if running is None:
            return
        assert running.process.stdin  # noqa: S101
        running.process.stdin.close()
        if running.process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(running.process.pid, signal.SIGKILL)


class _Next(Child):
    """A dream that a Series carries out."""

    def __init__(self, series: Series, folder: str | os.PathLike[str], request: Mapping[str, Any],
                 heard: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(series.program, folder, request, heard)
        self._series, self._ended = series, End("failed")
        self._whole = False  # whether the child has told the end

    async def _dream(self) -> End:
        try:
            return await self._carried_out()
        finally:
            if self._whole and not self._stopping:
                self._series.rest()
            else:  # a signal may still be on its way to it
                self._series.close()

    async def _carried_out(self) -> End:
        new = not self._series.has_begun()
        running = await self._series.begin()
        self._process = running.process
        await asyncio.gather(self._listen(running.events), self._ask(running.number))
        if self._whole:
            return self._ended
        self._kill()
        end = self._end(await running.process.wait(), await running.said)
        if new or self._last or self._broken or self._stopping:
            return end
        self._series.close()  # it had died before
        return await self._carried_out()

    async def _ask(self, number: int) -> None:
        assert self._process  # noqa: S101
        assert self._process.stdin  # noqa: S101
        asked = dict(self._request) | {"events": f"fd:{number}"}
        with contextlib.suppress(OSError):  # it has ended
            self._process.stdin.write(json.dumps({"folder": os.fspath(self._folder), "asked": asked}).encode() + b"\n")
            await self._process.stdin.drain()

    def _is_last(self, line: dict[str, Any]) -> bool:
        if "ended" not in line:
            return False
        self._whole = True
        self._ended = End("failed" if line["ended"] else "done", lines=tuple(line["lines"]),
                          code=2 if line["ended"] == Mistake.exit_code else 1)
        return True


def serve(carry_out: Callable[[dict[str, Any]], None]) -> None:
    """In the child: carry out what is asked for, until standard input ends.

    carry_out  function of the members of a request; what it raises ends the child, except Mistake and Failure"""
    for line in sys.stdin.buffer:
        found = json.loads(line)
        asked, code, lines = found["asked"], 0, list[str]()
        os.chdir(found["folder"])
        try:
            carry_out(asked)
        except (Mistake, Failure) as error:
            code, lines = error.exit_code, [*error.args]
        os.chdir(os.sep)  # the folder may be deleted now
        with open(int(asked["events"].removeprefix("fd:")), "wb", closefd=False) as events:
            events.write(json.dumps({"ended": code, "lines": lines}).encode() + b"\n")
