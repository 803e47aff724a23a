"""Which address is answered by what."""

from typing import Any

from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError

from dreamer.studio import answers, blank, front, served, sockets, uploads, verbs
from dreamer.studio.guard import Guarded
from dreamer.studio.studio import Studio

_NAME = "([^/]+)"
CONNECTIONS = 200
IDLE = 60.0  # seconds after which a silent connection is closed
_BODY, _HEADERS, _CHUNK = 1 << 20, 32 << 10, 256 << 10  # bytes
_PING = 15.0  # seconds


class Nothing(Guarded):
    """All other addresses."""

    def prepare(self) -> None:  # noqa: D102 - Tornado's
        super().prepare()
        raise HTTPError(404)


def application(studio: Studio) -> Application:
    """The web application. Each handler is Guarded."""
    shared = {"studio": studio}
    routes: list[tuple[str, type[Guarded]]] = [
        ("/", front.Front), (r"/page/([a-z]+\.(?:html|js|css|svg))", front.PageFile),
        (r"/tiles/([\w-]+)\.webp", front.Tiles),
        ("/models", answers.Models), ("/gallery", answers.GalleryPage), (f"/details/{_NAME}", answers.Details),
        (f"/blank/{_NAME}", blank.Blank), ("/socket", sockets.StateSocket), ("/mirror", sockets.MirrorSocket),
        (f"/thumb/{_NAME}", served.Thumb), (f"/view/{_NAME}", served.View), (f"/file/{_NAME}", served.File),
        ("/preview/([0-9]{1,9})", served.Preview), (f"/tried/([0-9a-f]{{1,64}})/{_NAME}", served.Tried),
        (r"/masks/([0-9a-f]{64}\.png)", served.Mask),
        (f"/photos/{_NAME}", uploads.Photo), ("/masks", uploads.NewMask), (r"/samples/([\w.-]+)", uploads.Sample),
        ("/plan", verbs.Plan), ("/dreams", verbs.Dreams), ("/jobs/([0-9]{1,9})/([a-z]+)", verbs.Job),
        (f"/files/{_NAME}/delete", verbs.Delete), (f"/files/{_NAME}/rename", verbs.Rename),
        (f"/trash/{_NAME}/restore", verbs.Restore)]
    return Application([(path, handler, shared) for path, handler in routes], default_handler_class=Nothing,
                       default_handler_args=shared, compress_response=True, log_function=lambda handler: None,
                       websocket_ping_interval=_PING)


class Server(HTTPServer):
    """Tornado's server with limits, also on the number of connections."""

    def initialize(self, studio: Studio) -> None:
        """Serve the application of `studio`."""
        super().initialize(application(studio), max_body_size=_BODY, max_header_size=_HEADERS, chunk_size=_CHUNK,
                           idle_connection_timeout=IDLE, body_timeout=IDLE)
        self._open = 0

    def handle_stream(self, stream: Any, address: Any) -> None:  # noqa: D102 - Tornado's
        if self._open >= CONNECTIONS:
            stream.close()
            return
        self._open += 1
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:  # noqa: D102 - Tornado's
        self._open -= 1
        super().on_close(server_conn)
