"""The engine's scheduler and workers without their pages, which are plain HTTP and open to everybody."""

from typing import Any

from distributed.http.routing import RoutingApplication
from tornado.httpserver import HTTPServer


class Pageless:
    """Goes before the engine's class in the bases of another one."""

    def start_http_server(self, routes: Any, dashboard_address: Any, default_port: int = 0,
                          ssl_options: Any = None) -> None:
        """Make the HTTP server that the engine expects; it listens nowhere."""
        self.http_application = RoutingApplication([])
        self.http_server = HTTPServer(self.http_application)
