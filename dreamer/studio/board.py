"""Tells all pages the newest state, at most 8 times a second, and watches the disk. States in between are left out."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

PAUSE = 1 / 8  # seconds between two messages to a page
LOOK = 5.0  # seconds between two looks at the disk
_STEP = 16 << 20  # bytes: smaller changes of the free room are no news


class Board:
    """The state, as text. Make it in a running loop.

    state  returns the state, as data for JSON, for a number of bytes that are free on the disk
    free   returns that number; raises OSError"""

    def __init__(self, state: Callable[[int], dict[str, Any]], free: Callable[[], int]) -> None:
        self._state, self._free, self._loop = state, free, asyncio.get_running_loop()
        self._version, self._room = 0, 0
        self._made: tuple[int, str] = (-1, "")
        self._news = asyncio.Event()

    def changed(self) -> None:
        """Let all pages know, soon. From any thread."""
        self._loop.call_soon_threadsafe(self._change)

    def _change(self) -> None:
        self._version += 1
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def newer(self, version: int) -> tuple[int, str]:
        """(version, text) of a state newer than `version`, as soon as there is one."""
        while self._version <= version:
            await self._news.wait()
        if self._made[0] != self._version:
            self._made = self._version, json.dumps(self._state(self._room))
        return self._made

    async def feed(self, send: Callable[[str], Awaitable[None]]) -> None:
        """Send each new state, until cancelled. `send` waits until it is on its way, so that nothing waits in a queue
        for a slow page."""
        version = -1
        while True:
            version, text = await self.newer(version)
            await send(text)
            await asyncio.sleep(PAUSE)

    async def run(self) -> None:
        """Watch the disk, until cancelled."""
        before = -1
        while True:
            try:
                self._room = await self._loop.run_in_executor(None, self._free)
            except OSError:  # the folder is gone, or its disk
                self._room = 0
            if abs(self._room - before) >= _STEP:
                before = self._room
                self._change()
            await asyncio.sleep(LOOK)
