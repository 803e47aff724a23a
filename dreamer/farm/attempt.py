"""One attempt at a window of a giant picture: its pixels go straight to a worker, and its gradient comes straight back.
The scheduler only hears of it. It would carry each byte twice, and be the bound of all workers."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from distributed.protocol import to_serialize

from dreamer.arrays import Planes
from dreamer.farm.windows import Answer, Question, compute

STUCK = 1.0  # seconds after which a window whose pixels a worker does not take no longer keeps others waiting
SOON = 60.0  # seconds after which a worker has heard of a window from the scheduler, once its pixels have come


class Attempt:
    """Begins to have a worker compute a window.

    client   the engine's
    worker   address of the worker
    name     of the window's attempt; no other has it
    weights  sha256 of the weights that it needs
    ended    called in a thread of the engine with the seconds that it took, if it succeeds"""

    def __init__(self, client: Any, worker: str, name: str, question: Question, weights: str,
                 ended: Callable[[float], None]) -> None:
        self.worker, self.name, self._client, self.when = worker, name, client, time.monotonic()
        self._took, self._left = ended, False
        self._running = asyncio.run_coroutine_threadsafe(self._asked(name, question, weights), client.loop.asyncio_loop)

    def back(self) -> bool:
        """Whether it has ended."""
        return self._running.done()

    def leaves(self) -> bool:
        """Whether its pixels are on their way out, and not stuck."""
        return not self._left and not self.back() and time.monotonic() - self.when < STUCK

    def answer(self) -> Answer:
        """The Answer, once it is back."""
        if self._running.cancelled():  # with the connection, the engine gives up all that it does
            return Answer(None, None, "", "it was given up")
        return self._running.result()

    def drop(self) -> None:
        """Forget it, if it still runs."""
        self._running.cancel()

    async def _asked(self, name: str, question: Question, weights: str) -> Answer:
        """The Answer; its `worker` is "" if the window was lost with the worker, or on the way."""
        try:
            await self._bring(name, question)
            question, self._left = question.without_pixels(), True
            future = self._client.submit(compute, question, name, key=name, pure=False, workers=[self.worker],
                                         resources={"slots": 1, f"weights-{weights}": 1})
            found: Answer
            [found] = await self._client.gather([future], direct=True, asynchronous=True)
        except Exception as error:
            return Answer(None, None, "", str(error) or type(error).__name__)
        if not found.error:
            self._took(time.monotonic() - self.when)
        return found

    async def _bring(self, name: str, question: Question) -> None:
        """Have the worker get the window's pixels."""
        worker = self._client.rpc(self.worker)
        if question.held:
            await worker.farm_gather(name=name, held=to_serialize(question.held))
        else:
            await worker.farm_window(name=name, pixels=to_serialize(question.pixels))


class Arrived:
    """On a worker: the pixels of windows that wait for their turn.

    known  function that says whether the worker still has to compute the window of that name"""

    def __init__(self, known: Callable[[str], bool]) -> None:
        self._known = known
        self._pixels: dict[str, tuple[float, Planes]] = {}  # with the time at which they came

    def add(self, name: str, pixels: Planes) -> None:
        """The pixels of a window have come."""
        self._pixels[name] = time.monotonic(), pixels

    def take(self, name: str) -> Planes | None:
        """The pixels of a window, which are then forgotten; None if they are not there."""
        return self._pixels.pop(name, (0.0, None))[1]

    def forget(self) -> None:
        """Forget the pixels of windows that nobody wants any longer, because who sent them is gone, or has stopped."""
        late = time.monotonic() - SOON
        for name in [name for name, (when, _) in [*self._pixels.items()] if when < late and not self._known(name)]:
            self.take(name)
