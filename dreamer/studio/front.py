"""The way in, and what the page is made of: its files, which are a fixed list, and the tiles of the models."""

import asyncio
from pathlib import Path

from tornado.web import HTTPError

from dreamer.nets import model
from dreamer.studio.guard import Guarded

PAGE = Path(__file__).with_name("page")
_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
          ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


class Front(Guarded):
    """/: with the token, it sets the cookie, and the token leaves the address; otherwise the page."""

    def is_open(self) -> bool:  # noqa: D102 - Guarded's
        return self.request.method == "GET" and "token" in self.request.query_arguments

    def get(self) -> None:  # noqa: D102 - Tornado's
        if self.is_open():
            gate = self.studio.gate
            gate.check_token(self.get_query_argument("token"))
            self.set_cookie(gate.cookie, gate.value, path="/", httponly=True, samesite="Strict")
            self.redirect("/", status=303)
            return
        self.as_page()
        send(self, "index.html")


class PageFile(Guarded):
    """/page/NAME: a file of the page."""

    def get(self, name: str) -> None:  # noqa: D102 - Tornado's
        self.may_be_kept()
        send(self, name)


def send(handler: Guarded, name: str) -> None:
    """Answer with a file of the page; raises HTTPError if the page has none of that name."""
    names = {path.name for path in PAGE.iterdir()} if PAGE.is_dir() else set()
    kind = _TYPES.get(Path(name).suffix)
    if name not in names or not kind:
        raise HTTPError(404)
    handler.set_header("Content-Type", kind)
    handler.finish((PAGE / name).read_bytes())


class Tiles(Guarded):
    """/tiles/MODEL.webp: a dream of each layer of the model."""

    async def get(self, name: str) -> None:  # noqa: D102 - Tornado's
        path = model.MODELS / name / "tiles.webp"
        if name not in model.names() or not path.is_file():
            raise HTTPError(404)
        self.may_be_kept()
        self.set_header("Content-Type", "image/webp")
        self.finish(await asyncio.get_running_loop().run_in_executor(None, path.read_bytes))
