"""The WebSockets: few, guarded like everything else, and closed if nobody answers at the other end."""

import asyncio
from typing import Any

from tornado.websocket import WebSocketClosedError, WebSocketHandler

from dreamer.studio.board import feed
from dreamer.studio.guard import Guarded, Refused

MOST = 32  # sockets that may be open


class Socket(Guarded, WebSocketHandler):
    """A WebSocket."""

    longest = 4096  # bytes of a message from the page

    @property
    def max_message_size(self) -> int:  # noqa: D102 - Tornado's
        return self.longest

    def prepare(self) -> None:  # noqa: D102 - Tornado's
        super().prepare()
        if len(self.studio.sockets) >= MOST:
            raise Refused(503, f"there are {MOST} open pages already: close some")
        self.studio.sockets.add(self)

    def check_origin(self, origin: str) -> bool:
        """Whether it is our own page that opens it."""
        return origin == f"http://{self.request.headers['Host']}"

    def on_finish(self) -> None:
        """Forget a socket that was not opened in the end."""
        if self.get_status() != 101:
            self.studio.sockets.discard(self)

    def on_close(self) -> None:  # noqa: D102 - Tornado's
        self.studio.sockets.discard(self)


class StateSocket(Socket):
    """/socket: tells the page the newest state."""

    _feeding: "asyncio.Task[None] | None" = None

    def open(self, *_: str) -> None:  # noqa: D102 - Tornado's
        self._feeding = asyncio.ensure_future(feed(self.studio.board, self._send))
        self._feeding.add_done_callback(self._ended)

    async def _send(self, text: str) -> None:
        await self.write_message(text)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()):
            if not isinstance(error, WebSocketClosedError):
                self.log_exception(type(error), error, None)
            self.close(1011)

    def on_message(self, message: Any) -> None:
        """The page has nothing to say."""

    def on_close(self) -> None:  # noqa: D102 - Tornado's
        super().on_close()
        if self._feeding:
            self._feeding.cancel()
