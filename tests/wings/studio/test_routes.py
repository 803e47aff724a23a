"""Every address of a running studio: guarded, and not to be broken by damaged requests."""

import contextlib
import json
import random
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from browser import Served
from client import Client
from dreamer.studio import routes
from dreamer.studio.guard import Guarded
from helpers import ROOT
from mutants import mutant

REQUESTS = 10_000


def requests(client: Client) -> list[bytes]:
    """A sound request to each address."""
    def made(line: str, *headers: str, body: bytes = b"") -> bytes:
        own = [f"Host: {client.host}", f"Cookie: {client.cookie}", f"Origin: http://{client.host}", "X-Studio: 1"]
        length = [f"Content-Length: {len(body)}"] if body else []
        return "\r\n".join([f"{line} HTTP/1.1", *own, *headers, *length, "", ""]).encode() + body
    asked = json.dumps({"photo": "none.jpg", "layer": "inception_4c/output", "iterations": 3, "scale": 1.4,
                        "model": "daydream", "seed": 5, "film": "gif", "zoom": 3, "pan": "1,2"}).encode()
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    paths = ("/", "/?token=x", "/page/index.html", "/tiles/daydream.webp", "/models",
             "/gallery?start=0&count=60&search=a", "/details/coffee.jpg", "/thumb/coffee.jpg?v=1",
             "/view/coffee.jpg?full=1", "/file/coffee.jpg?download=1", "/blank/noise:30x20", "/view/grey:30x20",
             "/preview/1?v=2", "/tried/0123/inception_4c%2Foutput", f"/masks/{'0' * 64}.png", "/nothing")
    return [*(made(f"GET {path}") for path in paths), made("GET /file/coffee.jpg", "Range: bytes=10-20"),
            made("GET /socket", *upgrade), made("GET /mirror", *upgrade), made("HEAD /file/coffee.jpg"),
            made("PUT /photos/new.jpg", body=(ROOT / "tests/pictures/coffee.jpg").read_bytes()[:4000]),
            made("PUT /masks", body=b"\x89PNG\r\n\x1a\n"), made("PUT /photos/a.jpg", "Transfer-Encoding: chunked",
                                                                "Connection: close") + b"5\r\nhello\r\n0\r\n\r\n",
            made("POST /samples/none.jpg"), made("POST /plan", body=asked), made("POST /dreams", body=asked),
            made("POST /jobs/1/move", body=b'{"to": 3}'), made("POST /files/none.jpg/delete"),
            made("POST /files/none.jpg/rename", body=b'{"to": "other.jpg"}'), made("POST /trash/0123/restore")]


def attack(client: Client, data: bytes, found: dict[bytes, int]) -> None:
    """Send the bytes, and count the status of the answer."""
    host, _, port = client.host.partition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=0.1) as connection:
        connection.sendall(data)
        status = connection.recv(4096)[9:12]
        found[status] = found.get(status, 0) + 1


@pytest.mark.slow
def test_ten_thousand_damaged_requests(tmp_path: Path) -> None:
    """No traceback, no crash, and no request that was not understood changes anything; then it still dreams."""
    (tmp_path / "coffee.jpg").write_bytes((ROOT / "tests/pictures/coffee.jpg").read_bytes())
    served = Served(tmp_path)
    client = Client(served.url)
    sound, counts = requests(client), [dict[bytes, int]() for _ in range(8)]

    def some(part: int) -> None:
        for number in range(part, REQUESTS, 8):
            chance = random.Random(f"requests {number}")
            attack(client, mutant(chance.choice(sound), sound, chance), counts[part])
    threads = [threading.Thread(target=some, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {status: sum(each.get(status, 0) for each in counts) for status in {key for each in counts for key in each}}
    print(found)
    assert b"500" not in found
    assert {b"200", b"400", b"401", b"403", b"404", b"405"} <= set(found)
    assert served.process.poll() is None
    assert (tmp_path / "coffee.jpg").exists()
    form = {"photo": "coffee.jpg", "model": "daydream", "max_size": 96, "octaves": 1}
    assert client.dream(form).startswith("coffee-dream")
    said = served.stop()
    assert said == "dreamify: stopped by SIGTERM\n"


def test_whoever_leaves_at_once_leaves_no_warning(tmp_path: Path) -> None:
    """Before, while and after each request is answered."""
    (tmp_path / "coffee.jpg").write_bytes((ROOT / "tests/pictures/coffee.jpg").read_bytes())
    served = Served(tmp_path)
    client = Client(served.url)
    host, _, port = client.host.partition(":")
    for number in range(20):
        for sound in requests(client):
            with socket.create_connection((host, int(port))) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(sound)
                time.sleep(number / 4000)
    assert client.ask("GET", "/gallery?start=0&count=1")[0] == 200
    assert served.stop() == "dreamify: stopped by SIGTERM\n"


def test_every_handler_is_guarded() -> None:
    """And checks come first: only /, with a token, needs no cookie."""
    application = routes.application(None)  # type: ignore[arg-type]
    handlers = [rule.target for rule in application.wildcard_router.rules]
    assert len(handlers) > 20
    assert all(issubclass(handler, Guarded) for handler in handlers)
    assert [handler.__name__ for handler in handlers if handler.is_open is not Guarded.is_open] == ["Front"]
    assert issubclass(application.settings["default_handler_class"], Guarded)
