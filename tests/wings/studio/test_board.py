"""The newest state for all pages."""

import asyncio
import functools
import json
import time
from typing import Any

import pytest

from dreamer.studio import board
from dreamer.studio.board import Board


def test_states_in_between_are_left_out() -> None:
    """And a state is made once, for however many pages."""
    made: list[int] = []
    value = [0]

    def state(free: int) -> dict[str, Any]:
        made.append(value[0])
        return {"value": value[0]}

    async def watch() -> list[list[int]]:
        shown = Board(state, lambda: 5)
        got: list[list[int]] = [[], [], []]

        async def read(texts: list[int], text: str) -> None:
            texts.append(json.loads(text)["value"])
        tasks = [asyncio.ensure_future(shown.feed(functools.partial(read, texts))) for texts in got]
        await asyncio.sleep(0)
        for number in range(1, 1001):
            value[0] = number
            shown.changed()
            if number % 100 == 0:
                await asyncio.sleep(0.01)
        end = time.monotonic() + 30
        while not all(texts and texts[-1] == 1000 for texts in got) and time.monotonic() < end:
            await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        return got
    began = time.monotonic()
    got = asyncio.run(watch())
    most = (time.monotonic() - began) / board.PAUSE + 2
    for each in got:
        assert each[-1] == 1000
        assert len(each) <= most
    assert len(set(made)) == len(made)


def test_one_slow_page_does_not_hold_up_another() -> None:
    async def watch() -> int:
        shown = Board(lambda free: {}, lambda: 5)
        count = [0]

        async def slow(text: str) -> None:
            await asyncio.sleep(100)

        async def quick(text: str) -> None:
            count[0] += 1
        tasks = [asyncio.ensure_future(shown.feed(each)) for each in (slow, quick)]
        for _ in range(10):
            shown.changed()
            await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        return count[0]
    assert asyncio.run(watch()) >= 2


def test_the_disk_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small changes are no news; a disk that is gone has no room."""
    monkeypatch.setattr(board, "LOOK", 0.01)
    rooms: list[int | None] = [10 << 30, (10 << 30) + 1, 9 << 30, None]

    def free() -> int:
        found = rooms.pop(0) if len(rooms) > 1 else rooms[0]
        if found is None:
            raise OSError
        return found

    async def watch() -> list[int]:
        shown, got = Board(lambda free: {"free": free}, free), list[int]()
        running = asyncio.ensure_future(shown.run())
        version = 0
        while not got or got[-1]:
            version, text = await asyncio.wait_for(shown.newer(version), 5)
            got.append(json.loads(text)["free"])
        running.cancel()
        return got
    assert asyncio.run(watch())[-1] == 0
