"""What a page can do, besides uploads: plan and begin dreams, act on jobs, delete and rename files."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tornado.web import HTTPError

from dreamer.errors import Mistake
from dreamer.films import video
from dreamer.pictures import inputs, nothing
from dreamer.studio import form, naming
from dreamer.studio.guard import Guarded


class Plan(Guarded):
    """/plan: what a dream would take."""

    async def post(self) -> None:  # noqa: D102 - Tornado's
        studio, asked = self.studio, form.checked(self.asked())
        photo = asked.get("photo", "")
        made = nothing.find(photo, inputs.MAX_PIXELS, studio.folder)
        path = studio.folder / photo if made else studio.gallery.find(photo)
        seen = None if made else await studio.viewer.look(path)
        output = naming.dream_name(studio.folder, photo, form.extension(asked), studio.queue.reserved())
        request = form.request_of(asked, studio.folder, output)
        frames = None
        if seen and seen.kind == "video" and form.film(asked):
            frames = await asyncio.get_running_loop().run_in_executor(None, length, path, asked)
        whole = made or seen
        assert whole  # noqa: S101
        found = await studio.planner.plan(request | studio.queue.shares(), whole.height, whole.width, frames)
        self.answer(found | {"command": studio.told(request)})


def length(path: Path, asked: Mapping[str, Any]) -> int | None:
    """The number of frames of a film of a video, as the video says; None if it does not.

    asked  a checked form"""
    try:
        seconds, rate = video.length(path)
    except Mistake:
        return None
    part = min(seconds, asked.get("end", seconds)) - asked.get("start", 0.0)
    return max(1, round(part * asked.get("fps", rate))) if seconds and rate else None


class Dreams(Guarded):
    """/dreams: begin a dream of each of some photos."""

    def post(self) -> None:  # noqa: D102 - Tornado's
        asked = self.asked()
        photos = asked.pop("photos", None)
        self.answer({"ids": self.studio.queue.add(asked, [asked.get("photo")] if photos is None else photos)}, 201)


class Job(Guarded):
    """/jobs/ID/VERB: stop, go, remove, move, again."""

    def post(self, number: str, verb: str) -> None:  # noqa: D102 - Tornado's
        value: Any = self.asked().get("to") if self.request.body else None
        self.studio.queue.act(int(number), verb, value)
        self.answer({})


class OfFile(Guarded):
    """A verb on a file of the gallery."""

    def check(self, name: str) -> str:
        """The name; raises HTTPError if the gallery has no file of that name, Mistake if a dream needs it."""
        try:
            self.studio.gallery.find(name)
        except Mistake:
            raise HTTPError(404) from None
        if self.studio.queue.needs(name):
            raise Mistake(f"{name} is needed by a dream that runs or waits; stop or cancel that first")
        return name


class Delete(OfFile):
    """/files/NAME/delete: move a file to the trash."""

    def post(self, name: str) -> None:  # noqa: D102 - Tornado's
        self.answer({"undo": self.studio.gallery.delete(self.check(name))})


class Rename(OfFile):
    """/files/NAME/rename: give a file another name, which no file has."""

    def post(self, name: str) -> None:  # noqa: D102 - Tornado's
        to = naming.check(self.asked().get("to"))
        if to in self.studio.queue.reserved():
            raise Mistake(f"{to} is the name of a dream that is in the queue; choose another name")
        self.studio.gallery.rename(self.check(name), to)
        self.answer({"name": to})


class Restore(Guarded):
    """/trash/ID/restore: take a file back from the trash."""

    def post(self, number: str) -> None:  # noqa: D102 - Tornado's
        self.answer({"name": self.studio.gallery.restore(number, self.studio.queue.reserved())})
