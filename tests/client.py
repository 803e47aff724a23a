"""A client of a studio without a browser, for the tests: it logs in as a browser does, with the printed address."""

import http.client
import json
import time
from typing import Any
from urllib.parse import urlsplit


class Client:
    """Logged in to the studio at `url`, the address that it printed.

    port  another one, through which it is reached"""

    def __init__(self, url: str, port: int | None = None) -> None:
        parts = urlsplit(url)
        self.host = f"{parts.hostname}:{port or parts.port}"
        self.cookie = ""
        status, headers, _ = self.ask("GET", f"/?{parts.query}")
        assert status == 303, status
        self.cookie = headers["Set-Cookie"].partition(";")[0]

    def ask(self, method: str, path: str, body: bytes | None = None, **more: str) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) of the answer to a request; `more`: headers."""
        headers = {"Cookie": self.cookie} if self.cookie else {}
        headers |= {"X-Studio": "1"} if method != "GET" else {}
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.request(method, path, body, headers | more)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, asked: object = None) -> Any:
        """The answer to a request that must succeed, from JSON to JSON."""
        status, _, body = self.ask(method, path, None if asked is None else json.dumps(asked).encode())
        assert status in (200, 201), (status, body)
        return json.loads(body)

    def dreams(self) -> list[str]:
        """Names of the dreams in the folder, newest first."""
        return [item["name"] for item in self.json("GET", "/gallery?start=0&count=60&kind=dreams")["items"]]

    def dream(self, form: dict[str, Any], seconds: float = 120) -> str:
        """Have the form dreamed; returns the name of the dream."""
        before = self.dreams()
        self.json("POST", "/dreams", form)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if new := [name for name in self.dreams() if name not in before]:
                return new[0]
            time.sleep(0.2)
        raise AssertionError(f"no dream after {seconds} s")
