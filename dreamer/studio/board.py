"""What all pages show: the queue, the gallery's version, the disk. The newest state only, at most 8 times a second."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from dreamer.studio.studio import FLOOR, Studio

PAUSE = 1 / 8  # seconds between two messages to a page
_LOOK = 5.0  # seconds between two looks at the disk
_STEP = 16 << 20  # bytes: smaller changes of the free room are no news
_WAITING = 100  # jobs that may wait


class Board:
    """The state, as text. `changed` is called, from any thread, when a part of it may have changed."""

    def __init__(self, studio: Studio) -> None:
        self._studio, self._loop = studio, asyncio.get_running_loop()
        self._version, self._free = 0, 0
        self._made: tuple[int, str] = (-1, "")
        self._news = asyncio.Event()

    def changed(self) -> None:
        """Let all pages know, soon."""
        self._loop.call_soon_threadsafe(self._change)

    def _change(self) -> None:
        self._version += 1
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def newer(self, version: int) -> tuple[int, str]:
        """(version, text) of a state newer than `version`, when there is one. States in between are left out."""
        while self._version <= version:
            await self._news.wait()
        if self._made[0] != self._version:
            self._made = self._version, json.dumps(self.state())
        return self._made

    def state(self) -> dict[str, Any]:
        """The state."""
        jobs = self._studio.queue.state()
        waiting = sum(job["state"] == "waiting" for job in jobs)
        return {"jobs": jobs, "gallery": self._studio.gallery.version, "folder": self._studio.folder.name,
                "disk": {"free": self._free, "full": self._free < FLOOR}, "queue_full": waiting >= _WAITING,
                "server": self._studio.server}

    async def run(self) -> None:
        """Watch the disk, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK)

    async def look(self) -> None:
        """Look how much room the disk has."""
        try:
            free = await self._loop.run_in_executor(None, self._studio.free)
        except OSError:  # the folder is gone, or its disk
            free = 0
        if abs(free - self._free) >= _STEP or (free < FLOOR) != (self._free < FLOOR):
            self._free = free
            self._change()


async def feed(board: Board, send: Callable[[str], Any]) -> None:
    """Send each new state, until cancelled; `send` waits until it is on its way, so that nothing waits in a queue for a
    slow page."""
    version = -1
    while True:
        version, text = await board.newer(version)
        await send(text)
        await asyncio.sleep(PAUSE)
