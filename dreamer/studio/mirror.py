"""The mirror: what a camera sees, dreamed as it comes. One frame is in work at a time; of those that arrive meanwhile,
only the newest is dreamed, so that the picture is never far behind."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dreamer import __version__
from dreamer.errors import Failure, Mistake
from dreamer.machine.servant import Servant
from dreamer.nets import model
from dreamer.options import values
from dreamer.studio import keepsakes
from dreamer.studio.pace import USUAL, Pace
from dreamer.studio.reflection import JITTER, Dreamed, Frame, Reflection, Settings

LONGEST = 200_000  # bytes of a frame
TEXT = 4096  # bytes of a text
NUMBER = 8  # bytes before each frame: its number, which comes back with its dream
FILM = 10.0  # seconds that are kept
_LOADING, _DREAMING = 60.0, 20.0  # seconds that a net, or a frame, may take on a busy machine
_OLD = 0.3  # seconds; a frame that has waited longer, for a net, would be too far behind: the page sends another
REST = 2.0  # seconds before the next try after a failure

_CHECKS: dict[str, Callable[[Any], Any]] = {
    "strength": values.number(above=0, most=50), "steps": values.whole(1, 8),
    "memory_of_past": values.number(least=0, most=1)}


class Mirror:
    """A mirror for one page.

    folder  where pictures are kept; unfinished ones are in .studio/parts in it
    step    dreamify.make_step, and `objectives` dreamify.objectives_of, or functions with the same arguments, at
            the top level of a module
    send    called on the event loop with each message for the page: bytes (8 bytes of number, then a JPEG), or text
            (JSON): {"ready": true, "flow": bool, "model": name, "layer": name} when another net has been loaded;
            {"error": line}; {"kept": name};
            {"pace": {"steps": n, "size": [h, w], "less": bool}} when steps or size change; less: than asked for

    All methods are called on the event loop, and return at once:

        def open(self): self.mirror = Mirror(folder, step, objectives, self.tell)
        def on_message(self, message): (self.mirror.put if isinstance(message, bytes) else self.mirror.set)(message)
        def on_close(self): self.mirror.close()
    """

    def __init__(self, folder: Path, step: Callable[..., float], objectives: Callable[..., Any],
                 send: Callable[[bytes | str], object]) -> None:
        self._folder, self._parts, self._send = Path(folder), Path(folder, ".studio", "parts"), send
        self._servant = Servant(Reflection(step, objectives), called="the mirror")
        self._threads = ThreadPoolExecutor(2)  # one for frames, one for what is kept
        self._pace, self._settings, self._asked = Pace(), Settings(), USUAL
        self._told: object = None  # the pace that the page knows
        self._net: tuple[str, str] | None = None  # names of the model and layer that are loaded
        self._fresh = True  # whether the settings ask for another net
        self._frame: tuple[float, bytes] | None = None  # the newest that waits: when it came, and its number and JPEG
        self._latest: deque[tuple[float, bytes]] = deque()  # (time, JPEG) of the dreams of the last seconds
        self._working: asyncio.Future[None] | None = None
        self._keeping: asyncio.Future[None] | None = None
        self._closed = False

    def set(self, text: str) -> None:
        """Take settings, a JSON object with some fields of Settings, or {"keep": "still"} or {"keep": "film"}."""
        if self._closed:
            return
        try:
            asked = _object(text)
            if "keep" in asked:
                self._keep(asked["keep"])
                return
            before, self._settings = self._settings, _checked(asked, self._settings)
        except Mistake as error:
            self._fail(error)
            return
        self._fresh = self._fresh or before[:2] != self._settings[:2]
        self._go()

    def put(self, frame: bytes) -> None:
        """Take a frame: its number, 8 bytes, and a JPEG."""
        if NUMBER < len(frame) <= LONGEST + NUMBER:
            self._frame = time.monotonic(), frame
            self._go()
        else:
            self._fail(Mistake(f"mirror: a frame is a JPEG of at most {LONGEST // 1000} kB"))

    def close(self) -> None:
        """End the child; nothing is sent any more."""
        if self._closed:
            return
        self._closed = True
        self._threads.submit(self._servant.close)  # it may take a tenth of a second
        self._threads.shutdown(wait=False)

    def _go(self) -> None:
        if self._working is None and not self._closed:
            self._working = asyncio.ensure_future(self._work())

    async def _work(self) -> None:
        """Dream as long as something waits."""
        try:
            while not self._closed and (self._fresh or self._frame):
                try:
                    await (self._load() if self._fresh else self._dream())
                except Mistake as error:
                    self._fail(error)
                except Failure as error:  # the next frame gets a new child, or a new try to load the net
                    self._fail(error)
                    self._pace.restart()
                    await asyncio.sleep(REST)
                    self._fresh = self._fresh or (self._net is None and self._frame is not None)
        finally:
            self._working = None

    async def _load(self) -> None:
        """Load the net that the settings ask for."""
        self._fresh, settings = False, self._settings
        self._net = None
        found = await self._ask(Frame(None, settings), _LOADING)
        if self._frame and self._frame[0] < time.monotonic() - _OLD:
            self._frame = None
        self._net = found.model, found.layer
        self._pace.restart()
        self._tell({"ready": True, "flow": found.flow, "model": found.model, "layer": found.layer})

    async def _dream(self) -> None:
        """Dream the newest frame."""
        assert self._frame, "one waits"  # noqa: S101
        (_, frame), self._frame = self._frame, None
        if self._net is None:  # that layer is wrong, or cannot be loaded; the page knows
            return
        begun, settings = time.monotonic(), self._settings
        steps, pixels = self._pace.choose(settings.steps, self._asked)
        found = await self._ask(Frame(frame[NUMBER:], settings._replace(steps=steps), pixels), _DREAMING)
        now = time.monotonic()
        self._asked = found.asked
        self._pace.note(now - begun, steps, found.size[0] * found.size[1])
        self._latest.append((now, found.jpeg))
        while self._latest[0][0] < now - FILM:
            self._latest.popleft()
        if not self._closed:
            self._send(frame[:NUMBER] + found.jpeg)
        pace = {"steps": steps, "size": found.size,
                "less": steps < settings.steps or found.size[0] * found.size[1] < 0.95 * found.asked}
        if pace != self._told:
            self._told = pace
            self._tell({"pace": pace})

    def _keep(self, what: object) -> None:
        """Keep the newest picture or the film, while the mirror goes on."""
        if what not in ("still", "film"):
            raise Mistake('mirror: it keeps a "still" or a "film"')
        if not self._latest or self._net is None:
            raise Mistake("mirror: there is no picture yet")
        if self._keeping is not None:
            raise Mistake("mirror: one is being kept already; wait a moment")
        times, jpegs = zip(*self._latest, strict=True)
        made, parts = self._recipe(), (self._folder, self._parts)
        done = self._call(keepsakes.still, jpegs[-1], made, *parts) if what == "still" else self._call(
            keepsakes.film, jpegs, times[-1] - times[0], made, *parts)
        self._keeping = asyncio.ensure_future(self._kept(done))

    async def _kept(self, done: Awaitable[str]) -> None:
        try:
            self._tell({"kept": await done})
        except (Mistake, Failure) as error:
            self._fail(error)
        finally:
            self._keeping = None

    def _recipe(self) -> dict[str, Any]:
        """The settings, as a dream's recipe has them."""
        assert self._net, "it has dreamed"  # noqa: S101
        settings = self._settings
        return {"version": __version__, "model": self._net[0], "layer": self._net[1], "iterations": settings.steps,
                "octaves": 1, "step_size": settings.strength, "jitter": JITTER, "clip": True,
                "mirror": {"memory_of_past": settings.memory_of_past, "flow": settings.flow}}

    async def _ask(self, question: Frame, seconds: float) -> Dreamed:
        found: Dreamed = await self._call(self._servant.ask, question, seconds)
        return found

    def _call(self, function: Callable[..., Any], *arguments: object) -> Awaitable[Any]:
        return asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def _fail(self, error: Mistake | Failure) -> None:
        self._tell({"error": str(error.args[0])})

    def _tell(self, message: dict[str, Any]) -> None:
        if not self._closed:
            self._send(json.dumps(message))


def _object(text: str) -> dict[str, Any]:
    """The JSON object in a text. Raises Mistake."""
    try:
        asked = json.loads(text) if len(text) <= TEXT else None
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise Mistake(f"mirror: settings are a JSON object of at most {TEXT} characters")
    return asked


def _checked(asked: dict[str, Any], before: Settings) -> Settings:
    """The Settings `before` with those that are asked for. Raises Mistake."""
    found = dict[str, Any]()
    for name, value in asked.items():
        if name not in Settings._fields:
            raise Mistake(f"mirror: {name[:40]!r} is not a setting; the settings are {', '.join(Settings._fields)}")
        if name == "flow":
            good = isinstance(value, bool)
        elif name in _CHECKS:
            good = isinstance(value, int | float) and not isinstance(value, bool)
        else:
            good = isinstance(value, str) and bool(value)
        if not good:
            raise Mistake(f"mirror: {name}: {str(value)[:40]!r} is not a valid value")
        try:
            found[name] = _CHECKS[name](value) if name in _CHECKS else value
        except Mistake as error:
            raise Mistake(f"mirror: {name}: {error}") from None
    if found.get("model", None) not in (None, *model.names()):
        raise Mistake(f"mirror: no model {found['model'][:40]!r}; the models are: {', '.join(model.names())}")
    if "model" in found and "layer" not in found and found["model"] != before.model:
        found["layer"] = None  # the layer of the other model
    return before._replace(**found)
