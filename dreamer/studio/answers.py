"""What the page asks for as data: the models, the gallery, and all about one file."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tornado.web import HTTPError

from dreamer.errors import Failure, Mistake
from dreamer.films import flow
from dreamer.films.containers import CONTAINERS
from dreamer.films.names import FILMS
from dreamer.machine import ffmpeg
from dreamer.nets import model
from dreamer.nets.classes import labels, names
from dreamer.options.request import Request
from dreamer.studio import blank, commandline, form
from dreamer.studio.guard import Guarded

SAMPLES = Path(__file__).resolve().parents[2] / "tests/pictures"
SAMPLE_NAMES = ("dandelions.jpg", "raccoon.jpg", "coffee.jpg")
LIMITS = {"picture": 256 << 20, "video": 4 << 30}  # bytes of an upload
_KEPT = 10.0  # seconds for which the answer on models is kept: weights may be put there while the studio runs


def there(function: Callable[[], object]) -> bool:
    """Whether the program that the function looks for is installed."""
    try:
        function()
    except Mistake:
        return False
    return True


def samples() -> list[str]:
    """Names of the sample photos that are here."""
    return [name for name in SAMPLE_NAMES if (SAMPLES / name).is_file()]


def about(found: model.Model) -> dict[str, Any]:
    """What the page shows of a model. Raises Mistake or Failure if it is damaged."""
    missing, words, looks = "", dict[str, str](), dict[str, model.Look]()
    try:
        found.weights_path()
    except (Mistake, Failure) as error:
        missing = str(error.args[0])
    try:
        keys = found.keys
        words, looks = found.likes(), found.looks()
    except Failure as error:
        keys, missing = [], missing or str(error.args[0])
    return {
        "name": found.name, "layer": found.default_layer, "weights": not missing, "missing": missing,
        "tiles": (found.folder / "tiles.webp").is_file(),
        "classes": things(found),
        "layers": [{"name": key, "words": words.get(key, "")} for key in keys],
        "looks": [{"name": name, **look._asdict(), "words": words.get(look.layer, "")}
                  for name, look in looks.items()]}


def things(found: model.Model) -> list[str]:
    """All names of each class that the model knows, first the one that `class:` takes; empty if it has no names."""
    try:
        return [", ".join(dict.fromkeys((label.name, *own)))
                for label, own in zip(labels(found), names(found), strict=True)] if found.classes else []
    except (Mistake, Failure):
        return []


def models() -> list[dict[str, Any]]:
    """All models that are not damaged, the default one first. Others that nobody has downloaded yet are left out."""
    found = []
    for name in sorted(model.names(), key=lambda name: (name != model.DEFAULT, name)):
        try:
            each = model.find(name)
            told = about(each)
        except (Mistake, Failure):
            continue
        if told["weights"] or name == model.DEFAULT or not each.sources:
            found.append(told)
    return found


def everything(ask: Callable[..., Request]) -> dict[str, Any]:
    """The answer on models: what can be dreamed here, and how.

    ask  gives the Request with the defaults"""
    encoders = there(ffmpeg.find)
    usual = vars(ask({}))
    return {
        "models": models(), "formats": list(form.FORMATS), "samples": [*samples(), blank.SAMPLE], "limits": LIMITS,
        "films": {name[1:]: name not in CONTAINERS or encoders for name in FILMS}, "flow": there(flow.opencv),
        "defaults": {name: value for name, value in usual.items() if isinstance(value, int | float | str | None)}}


class Known:
    """The answer on models. It takes half a second, so that it is kept; it is found out again while the page gets the
    one before.

    ask  gives the Request with the defaults"""

    def __init__(self, ask: Callable[..., Request]) -> None:
        self._ask = ask
        self._found: dict[str, Any] | None = None
        self._finding: asyncio.Future[None] | None = None
        self._when = 0.0

    async def get(self) -> dict[str, Any]:
        """The answer."""
        if self._finding is None and (self._found is None or time.monotonic() > self._when + _KEPT):
            self._finding = asyncio.ensure_future(self._find())
        if self._found is None and self._finding:
            await asyncio.shield(self._finding)
        return self._found or {}

    async def _find(self) -> None:
        try:
            self._found = await asyncio.get_running_loop().run_in_executor(None, everything, self._ask)
            self._when = time.monotonic()
        finally:
            self._finding = None


class Models(Guarded):
    """/models"""

    async def get(self) -> None:  # noqa: D102 - Tornado's
        self.answer(await self.studio.known.get())


class GalleryPage(Guarded):
    """/gallery?start=&count=&kind=&search=: a part of the gallery."""

    async def get(self) -> None:  # noqa: D102 - Tornado's
        self.answer(await self.studio.gallery.page(
            self._number("start", 0), self._number("count", 60), self.get_query_argument("kind", "") or "all",
            self.get_query_argument("search", "")[:200]))

    def _number(self, name: str, usual: int) -> int:
        text = self.get_query_argument(name, "") or str(usual)
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise Mistake(f"{name}: {text[:40]!r} is not a number")
        return int(text)


class Details(Guarded):
    """/details/NAME: all about a file, and the form and the command line that would make it."""

    async def get(self, name: str) -> None:  # noqa: D102 - Tornado's
        try:
            path = self.studio.gallery.find(name)
        except Mistake:
            raise HTTPError(404) from None
        seen = await self.studio.viewer.look(path)
        found = seen._asdict() | {"name": name, "photo": None, "form": None, "command": None}
        if seen.recipe:
            loop, folder = asyncio.get_running_loop(), self.studio.folder
            found["photo"] = await loop.run_in_executor(None, commandline.source, folder, name, seen.recipe)
            beside = await loop.run_in_executor(None, commandline.beside, folder, seen.recipe)
            found["form"] = form.form_of(seen.recipe) | beside | ({"photo": found["photo"]} if found["photo"] else {})
            with contextlib.suppress(Mistake):  # the photo is gone, or the recipe is of another release, or forged
                if not blank.found(found["photo"] or "", folder):
                    whole = await self.studio.viewer.look(self.studio.gallery.find(found["photo"] or ""))
                    if (longest := max(seen.width, seen.height)) < max(whole.width, whole.height):
                        found["form"]["max_size"] = longest
                found["command"] = self.studio.told(form.request_of(found["form"], self.studio.folder, name))
        self.answer(found)
