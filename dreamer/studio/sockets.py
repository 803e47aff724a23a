"""The WebSockets: few, guarded like everything else, and closed if nobody answers at the other end."""

import asyncio
import contextlib
from typing import Any

from tornado.websocket import WebSocketClosedError, WebSocketHandler

from dreamer.studio import mirror
from dreamer.studio.guard import Guarded, Refused
from dreamer.studio.mirror import Mirror
from dreamer.studio.quiet import report

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

    def on_message(self, message: Any) -> None:
        """The page has nothing to say."""

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
        self._feeding = asyncio.get_running_loop().create_task(self.studio.board.feed(self._send))
        self._feeding.add_done_callback(self._ended)

    async def _send(self, text: str) -> None:
        await self.write_message(text)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()):
            if not isinstance(error, WebSocketClosedError):
                report(error)
            self.close(1011)

    def on_close(self) -> None:  # noqa: D102 - Tornado's
        super().on_close()
        if self._feeding:
            self._feeding.cancel()


class MirrorSocket(Socket):
    """/mirror: frames of a camera in, their dreams out. One at a time, because each has a net of its own."""

    longest = mirror.LONGEST + mirror.NUMBER
    _mirror: Mirror | None = None
    _sending: "asyncio.Future[None] | None" = None

    def prepare(self) -> None:  # noqa: D102 - Tornado's
        if any(isinstance(other, MirrorSocket) for other in self.studio.sockets):
            Guarded.prepare(self)
            raise Refused(503, "another page shows the mirror: close it there")
        super().prepare()

    def open(self, *_: str) -> None:  # noqa: D102 - Tornado's
        studio = self.studio
        self._mirror = Mirror(studio.folder, studio.script.step, studio.script.objectives, self._send)

    def _send(self, message: bytes | str) -> None:
        """Send it; a picture is left out if the one before is still on its way, so that none waits in a queue."""
        if isinstance(message, bytes) and self._sending and not self._sending.done():
            return
        with contextlib.suppress(WebSocketClosedError):
            sending = asyncio.ensure_future(self.write_message(message, isinstance(message, bytes)))
            sending.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._sending = sending if isinstance(message, bytes) else self._sending

    def on_message(self, message: bytes | str) -> None:  # noqa: D102 - Tornado's
        if self._mirror:
            if isinstance(message, bytes):
                self._mirror.put(message)
            else:
                self._mirror.set(message)

    def on_close(self) -> None:  # noqa: D102 - Tornado's
        super().on_close()
        if self._mirror:
            self._mirror.close()
