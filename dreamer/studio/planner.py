"""What a dream will take, before it is begun. A child process finds it out; the machine's speed at each layer is
learned from the dreams that are done."""

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
from dreamer.studio import forecast
from dreamer.studio.forecast import Forecast, Forecaster, Question

_IDLE = 60.0  # seconds without a question after which the child ends, and frees 150 MB
_LONGEST = 20.0  # seconds that an answer may take
_MOST = 500  # speeds that are kept
_NEW = 0.5  # share of the newest dream in the speed: a machine's load changes


class Planner:
    """Plans dreams. Make it in a running loop.

    hidden                        the studio's hidden folder: what is learned is kept there, in speeds.json
    ask, sizes, step, objectives  dreamify.ask, octave_sizes, make_step and objectives_of

    studio.planner = Planner(hidden, script.ask, script.sizes, script.step, script.objectives)
    queue = Queue(…, learned=studio.planner.learn)"""

    def __init__(self, hidden: Path, ask: Callable[..., Request], sizes: Sizes, step: Callable[..., float],
                 objectives: Callable[..., Any]) -> None:
        self._path = Path(hidden, "speeds.json")
        self._servant = Servant(Forecaster(ask, sizes, step, objectives), _IDLE, called="the planner")
        self._threads = ThreadPoolExecutor(1)
        self._learned, self._measured = _read(self._path), dict[str, float]()

    async def plan(self, request: Mapping[str, Any], height: int, width: int,
                   frames: int | None = None) -> dict[str, Any]:
        """What the dream of a photo will take: {"seconds": None if unknown, "memory": bytes, or None, "sizes":
        [[height, width] of each octave], "octaves": their number, "tiles": whether it is dreamed in tiles,
        "warnings": lines, "errors": lines as on the command line}. Raises nothing.

        request        its members, as form.request_of makes them
        height, width  of the upright photo, in pixels
        frames         of a video, if known; without them, its seconds are unknown"""
        members = {name: value for name, value in request.items() if name != "command"}
        if "command" in request or not (height and width):  # an atlas; or a photo that cannot be read
            return forecast.empty()
        question = Question(members, height, width, frames, self._measured | self._learned)
        try:
            found: Forecast = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._servant.ask, question, _LONGEST)
        except (Mistake, Failure) as error:  # the child crashed, or cannot be started
            return forecast.empty() | {"errors": list(error.args)}
        self._measured |= found.speeds
        return found.plan

    def learn(self, shown: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
        """Learn from a dream that is done. Arguments as of Queue's `learned`: the job, with its form, and its
        figures."""
        pixels, seconds = figures["work"], float(figures["seconds"])
        total = float(figures["total"]) + forecast.first(pixels[0])
        name = forecast.key(figures["model"], figures["layer"], figures["threads"], "guide" in shown.get("form", {}))
        speed = seconds / total if total > 0 else 0.0
        if not (_is_speed(speed) and seconds > 0.2):  # a short run says little
            return
        before = self._learned.pop(name, speed)  # the newest comes last
        self._learned[name] = before + _NEW * (speed - before)
        for old in list(self._learned)[:-_MOST]:
            del self._learned[old]
        with contextlib.suppress(OSError), files.replacing(self._path) as file:  # else it is learned again
            file.write(json.dumps(self._learned, indent=1).encode())

    def close(self) -> None:
        """End the child."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._servant.close()


def _read(path: Path) -> dict[str, float]:
    """The speeds in a file; {} if it is missing or damaged."""
    try:
        found = json.loads(path.read_bytes()[:1 << 20])
        return {name: speed for name, speed in found.items() if _is_speed(speed)}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _is_speed(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value) and 1e-10 < value < 1e-2
