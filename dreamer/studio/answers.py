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
from dreamer.options.request import Request
from dreamer.pictures import writing
from dreamer.studio import commandline, form
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


def formats() -> list[str]:
    """Extensions of the pictures that can be written: one for each format, without the dot."""
    return list({kind: extension[1:] for extension, (kind, _, _) in sorted(writing.FORMATS.items(), reverse=True)}
                .values())


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
        "layers": [{"name": key, "words": words.get(key, "")} for key in keys],
        "looks": [{"name": name, **look._asdict(), "words": words.get(look.layer, "")}
                  for name, look in looks.items()]}


def models() -> list[dict[str, Any]]:
    """All models that are not damaged, the default one first."""
    found = []
    for name in sorted(model.names(), key=lambda name: (name != model.DEFAULT, name)):
        try:
            found.append(about(model.find(name)))
        except (Mistake, Failure):
            continue
    return found


def everything(ask: Callable[..., Request]) -> dict[str, Any]:
    """The answer on models: what can be dreamed here, and how.

    ask  gives the Request with the defaults"""
    encoders = there(ffmpeg.find)
    usual = vars(ask({}))
    return {
        "models": models(), "formats": formats(), "samples": samples(), "limits": LIMITS,
        "films": {name[1:]: name not in CONTAINERS or encoders for name in FILMS}, "flow": there(flow.opencv),
        "defaults": {name: value for name, value in usual.items() if isinstance(value, int | float | str | None)}}


class Models(Guarded):
    """/models"""

    kept: "tuple[float, dict[str, Any]] | None" = None

    async def get(self) -> None:  # noqa: D102 - Tornado's
        cls = type(self)
        if not cls.kept or time.monotonic() > cls.kept[0] + _KEPT:
            found = await asyncio.get_running_loop().run_in_executor(None, everything, self.studio.script.ask)
            cls.kept = time.monotonic(), found
        self.answer(cls.kept[1])


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
            found["photo"] = await asyncio.get_running_loop().run_in_executor(
                None, commandline.source, self.studio.folder, name, seen.recipe)
            found["form"] = form.form_of(seen.recipe) | ({"photo": found["photo"]} if found["photo"] else {})
            with contextlib.suppress(Mistake):  # the photo is gone, or the recipe is of another release, or forged
                size = {"max_size": longest} if (longest := max(seen.width, seen.height)) < max(
                    (await self.studio.viewer.look(self.studio.gallery.find(found["photo"] or "")))[1:3]) else {}
                found["command"] = self.studio.told(form.request_of(found["form"] | size, self.studio.folder, name))
        self.answer(found)
