"""Those who wait for the child that looks at files."""

import asyncio
import os
import resource
import time
from typing import Any

import pytest

from dreamer.errors import Failure, Mistake
from dreamer.studio.desk import Desk
from helpers import children, ends

MEMORY = 3 << 30


def answer(question: Any) -> Any:
    """What the child says: its limit, an error, or the question again after a while."""
    if question == "memory":
        return resource.getrlimit(resource.RLIMIT_AS)[0]
    if question == "wrong":
        raise Mistake("so it is")
    time.sleep(0.2)
    return question


def test_who_came_last_is_served_first() -> None:
    desk, served = Desk(answer, MEMORY), list[int]()

    async def ask(number: int) -> None:
        served.append(await desk.ask(number, 10))

    async def work() -> None:
        assert not desk.busy
        asking = []
        for number in range(5):
            asking.append(asyncio.ensure_future(ask(number)))
            await asyncio.sleep(0)  # it waits now
        assert desk.busy
        asking[2].cancel()  # whoever goes does not stop the others
        await asyncio.gather(*asking, return_exceptions=True)
        assert not desk.busy
    try:
        asyncio.run(work())
    finally:
        desk.close()
    assert served == [0, 4, 3, 1]


def test_the_loop_goes_on_meanwhile_and_errors_arrive() -> None:
    desk = Desk(answer, MEMORY)

    async def work() -> None:
        asking, turns = asyncio.ensure_future(desk.ask("x", 10)), 0
        while not asking.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert turns > 3
        with pytest.raises(Mistake, match="so it is"):
            await desk.ask("wrong", 10)
        assert await desk.ask("memory", 10) == MEMORY
    try:
        asyncio.run(work())
    finally:
        desk.close()
    with pytest.raises(Failure):
        asyncio.run(desk.ask("x", 10))


def test_a_child_ends_with_its_desk() -> None:
    before = set(children(os.getpid()))
    desk = Desk(answer, MEMORY)
    asyncio.run(desk.ask("x", 10))
    [child] = set(children(os.getpid())) - before
    desk.close()
    assert ends(child)
