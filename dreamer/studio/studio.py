"""A running studio: its parts, which the handlers of requests share, and the state that all pages show."""

import asyncio
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dreamer.options.request import Request
from dreamer.options.understood import Sizes
from dreamer.studio import commandline
from dreamer.studio.answers import Known
from dreamer.studio.board import Board
from dreamer.studio.gallery import Gallery
from dreamer.studio.guard import Gate
from dreamer.studio.planner import Planner
from dreamer.studio.queue import FLOOR, FULL, Queue
from dreamer.studio.quiet import report
from dreamer.studio.viewer import Viewer

_AGAIN = 1.0  # seconds


class Script(NamedTuple):
    """What the studio uses of dreamify.

    ask        makes the Request of what was asked for
    command    makes the command line of a Request
    sizes      octave_sizes
    step       make_step
    objectives objectives_of"""

    ask: Callable[..., Request]
    command: Callable[[Request], str]
    sizes: Sizes
    step: Callable[..., float]
    objectives: Callable[..., Any]


class Studio:
    """The studio on `folder`. Make it in a running loop.

    program  path of dreamify.py
    bind     the address at which it answers besides the loopback; None if there is none
    jobs     number of dreams at the same time; None for what suits the place
    script   functions of dreamify
    farm     address of the farm that dreams; None to dream here

    server   differs from one start of the studio to the next
    uploads  those that are under way; sockets: the WebSockets that are open"""

    def __init__(self, folder: Path, program: str, bind: str | None, jobs: int | None, script: Script,
                 farm: str | None = None) -> None:
        self.folder, self.hidden = folder, folder / ".studio"
        self.script = script
        self.gate, self.server = Gate(bind), secrets.token_hex(4)
        self.uploads, self.sockets = set[Any](), set[Any]()
        self.known = Known(script.ask)
        self.board = Board(self.state, self.free)
        self.viewer = Viewer(self.hidden)
        self.gallery = Gallery(folder, self.viewer, self.board.changed)
        self.planner = Planner(self.hidden, script.ask, script.sizes, script.step, script.objectives)
        self.queue = Queue(folder, program, jobs, self.board.changed, self.told, self.planner.learn, farm)

    def told(self, members: Mapping[str, Any]) -> str:
        """The command line for the members of a request."""
        return commandline.line(members, self.folder, self.script.ask, self.script.command)

    def free(self) -> int:
        """Bytes that are free on the disk; raises OSError."""
        return shutil.disk_usage(self.folder).free

    def state(self, free: int) -> dict[str, Any]:
        """What all pages show; `free`: bytes that are free on the disk."""
        jobs = self.queue.state()
        waiting = sum(job["state"] == "waiting" for job in jobs)
        return {"jobs": jobs, "gallery": self.gallery.version, "folder": self.folder.name, "server": self.server,
                "disk": {"free": free, "full": free < FLOOR}, "queue_full": waiting >= FULL,
                "warnings": self.queue.warnings()}

    def start(self) -> Sequence["asyncio.Future[Any]"]:
        """Begin what runs all the time; returns it, for `end`."""
        parts = self.board.run, self.gallery.run, self.queue.run
        return [asyncio.ensure_future(self.known.get()), *(asyncio.ensure_future(_kept_up(part)) for part in parts)]

    async def end(self, running: Sequence["asyncio.Future[Any]"]) -> None:
        """Stop everything; dreams are saved, and go on next time."""
        for each in list(self.sockets):
            each.close(1001)
        await self.queue.close()
        pending = set(running)
        while pending:  # asyncio.wait_for loses a cancellation that comes together with what it waits for
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=0.2)
        self.viewer.close()
        self.planner.close()


async def _kept_up(part: Callable[[], Any]) -> None:
    """Run a part of the studio until cancelled. An error that nobody has foreseen is told, and the part runs again."""
    while True:
        try:
            await part()
        except Exception as error:
            report(error)
        await asyncio.sleep(_AGAIN)
