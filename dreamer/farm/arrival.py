"""What an attempt at a unit returned, on its way here from the worker that made it."""

import asyncio
import concurrent.futures
from collections.abc import Collection
from typing import Any


class GivenUp(Exception):
    """The engine gave up what was asked for, because its connection with the scheduler broke."""


class Arrival:
    """Begins to bring what an attempt returned: the engine's `client`, and the attempt's `future`, for whose end
    it waits if need be."""

    def __init__(self, client: Any, future: Any) -> None:
        self._client, self._key = client, future.key
        self._coming = asyncio.run_coroutine_threadsafe(self._brought(future), client.loop.asyncio_loop)

    async def _brought(self, future: Any) -> dict[str, Any]:
        found: dict[str, Any]
        try:
            [found] = await self._client.gather([future], asynchronous=True)
        except concurrent.futures.CancelledError:  # asyncio would take it for a request to end, which none catches
            raise GivenUp("the connection broke") from None
        return found

    def is_here(self, seconds: float) -> bool:
        """Whether it is here; waits so long for it."""
        return bool(concurrent.futures.wait([self._coming], seconds).done)

    def is_stuck(self, hung: Collection[str]) -> bool:
        """Whether only workers that hang have it. Raises what the engine raises if the scheduler is gone."""
        if not hung:
            return False
        holders = self._client.sync(self._client.scheduler.who_has, keys=[self._key], callback_timeout=20)
        return bool(holders.get(self._key)) and {*holders[self._key]} <= {*hung}

    def take(self) -> dict[str, Any]:
        """What it returned. Raises what the engine raises if it failed, GivenUp, and TimeoutError if it is not here."""
        if not self._coming.done():
            raise TimeoutError("what it made does not come")
        return self._coming.result()

    def drop(self) -> None:
        """Forget it, if it is not here."""
        self._coming.cancel()
