"""A Servant, and those in this process who wait for its answers."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dreamer.errors import Failure
from dreamer.machine.servant import Servant


class Desk:
    """Asks a Servant one question at a time without making the event loop wait. Who came last is served first: that is
    the part of the page that is looked at now."""

    def __init__(self, answer: Callable[[Any], Any], memory: int | None) -> None:
        self._servant = Servant(answer, memory=memory, called="the viewer")
        self._thread = ThreadPoolExecutor(1, "desk")
        self._waiting: list[asyncio.Future[None]] = []
        self.busy = False

    async def ask(self, question: object, seconds: float) -> Any:
        """The Servant's answer; errors as Servant.ask. Raises Failure after close()."""
        loop = asyncio.get_running_loop()
        if self.busy:
            turn = loop.create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._next()
                raise
        self.busy = True
        try:
            return await loop.run_in_executor(self._thread, self._servant.ask, question, seconds)
        except RuntimeError:  # its thread has ended
            raise Failure("the studio ends") from None
        finally:
            self._next()

    def _next(self) -> None:
        """Let the last who waits ask."""
        while self._waiting:
            turn = self._waiting.pop()
            if not turn.done():
                turn.set_result(None)  # and `busy` stays, so that nobody comes between
                return
        self.busy = False

    def close(self) -> None:
        """End the Servant, and refuse questions from now on."""
        with contextlib.suppress(RuntimeError):
            self._thread.shutdown(wait=False, cancel_futures=True)
        self._servant.close()
