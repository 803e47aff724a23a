"""What a dream will take, before it begins: seconds, memory, octaves. What is learned about the speed is kept."""

import asyncio
import contextlib
import json
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dreamer.errors import Failure, Mistake
from dreamer.machine import files
from dreamer.machine.servant import Servant
from dreamer.options.request import Request
from dreamer.options.understood import Sizes
from dreamer.studio.forecast import Answer, Forecast, Question, key_of

START = 1.2  # seconds of a dream outside its steps, on two cores: the process, the weights, reading, writing
_SECONDS = 30.0  # that an answer may take on a busy machine
_LEAST = 1.0  # seconds of a dream that says something about the speed
_NEW = 0.5  # weight of the latest dream's speed
_MOST = 500  # speeds that are kept
_BEGIN = "begin"  # the key of START in the file; no model has that name, because keys of models have spaces


class Planner:
    """Plans dreams on this machine.

    ask, sizes, step, objective  dreamify's
    hidden                       the folder .studio; speeds.json in it has what was learned
    threads                      of each dream; None: all that there are"""

    def __init__(self, ask: Callable[..., Request], sizes: Sizes, step: Callable[..., float],
                 objective: Callable[..., Any], hidden: Path, threads: int | None = None) -> None:
        self._servant = Servant(Forecast(ask, sizes, step, objective), called="the planner")
        self._thread = ThreadPoolExecutor(1)
        self._path, self._threads = Path(hidden, "speeds.json"), threads
        self._speeds = _read(self._path)

    async def plan(self, members: Mapping[str, Any], height: int, width: int) -> dict[str, Any]:
        """What the dream of a request takes, of a photo of height × width pixels.

        members  of the request, with paths relative to the folder of pictures

        Returns {"seconds": None if nobody knows, "memory": bytes, "sizes": [[height, width]], "octaves", "frames",
        "tiles": whether memory is so short that it is dreamed in tiles, "warnings": lines, "errors": lines}; after an
        error the figures are None."""
        asked = dict(members)
        if self._threads is not None:
            asked.setdefault("threads", self._threads)
        try:
            answer = await self._ask(Question(asked, str(self._path.parents[1]), height, width, False))
            if answer.key not in self._speeds and answer.speed is None:
                answer = await self._ask(Question(asked, str(self._path.parents[1]), height, width, True))
        except (Mistake, Failure) as error:
            return {"seconds": None, "memory": None, "sizes": [], "octaves": None, "frames": None, "tiles": False,
                    "warnings": [], "errors": list(error.args)}
        speed = self._speeds.get(answer.key, answer.speed)
        seconds = None if answer.total is None or not speed else (
            answer.total / speed + self._speeds.get(_BEGIN, START))
        return {"seconds": seconds, "memory": answer.memory, "sizes": answer.sizes, "octaves": len(answer.sizes),
                "frames": answer.frames, "tiles": answer.overhead > 1, "warnings": answer.warnings, "errors": []}

    def learn(self, shown: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
        """Learn from a dream that is done: arguments as the Queue's `learned`."""
        if not figures["seconds"] > _LEAST or not figures["total"] > 0:
            return
        key = key_of(figures["model"], figures["layer"], figures["threads"], "guide" in shown["form"])
        self._note(key, figures["total"] / figures["seconds"])
        if not shown["resumed"] and shown["kind"] == "dream":
            self._note(_BEGIN, max(0.1, shown["took"] - figures["seconds"]))
        with contextlib.suppress(OSError), files.replacing(self._path) as file:  # a full disk: it is learned again
            file.write(json.dumps(self._speeds).encode())

    def rest(self) -> None:
        """End the child: a dream that begins needs the memory."""
        self._thread.submit(self._servant.close)

    def close(self) -> None:
        """End the child for good."""
        self._servant.close()
        self._thread.shutdown(wait=False)

    async def _ask(self, question: Question) -> Answer:
        loop = asyncio.get_running_loop()
        found: Answer = await loop.run_in_executor(self._thread, self._servant.ask, question, _SECONDS)
        return found

    def _note(self, key: str, value: float) -> None:
        before = self._speeds.pop(key, None)  # the latest are at the end
        self._speeds[key] = value if before is None else _NEW * value + (1 - _NEW) * before
        while len(self._speeds) > _MOST:
            del self._speeds[next(iter(self._speeds))]


def _read(path: Path) -> dict[str, float]:
    """What was learned so far; nothing if the file is missing or damaged."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(path.read_text("utf-8"))
        if isinstance(found, dict):
            return {name: float(value) for name, value in found.items()
                    if isinstance(value, int | float) and math.isfinite(value) and value > 0}
    return {}
