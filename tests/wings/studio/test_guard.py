"""Attacks on a running studio: each is refused before anything else happens."""

import contextlib
import json
import re
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser import Served
from client import Client
from dreamer.studio.guard import Gate, Refused
from helpers import ROOT, names

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"


POST = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


class Target:
    """A studio that is attacked.

    cookie  the right one"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.served = Served(folder)
        self.port = self.served.port
        self.client = Client(self.served.url)
        self.cookie = self.client.cookie
        self.token = self.served.url.partition("token=")[2]
        self.host = f"127.0.0.1:{self.port}"

    def raw(self, data: str | bytes, seconds: float = 30) -> bytes:
        """What it answers to these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            got = b""
            with contextlib.suppress(TimeoutError, ConnectionError):
                connection.sendall(data.encode("latin-1") if isinstance(data, str) else data)
                while block := connection.recv(65536):
                    got += block
            return got

    def status(self, line: str, *headers: str, host: str | None = None, cookie: bool = True, body: str = "") -> int:
        """The status of its answer to a request with these headers; 0 if it hangs up."""
        own = [f"Host: {self.host if host is None else host}"] if host != "" else []
        own += [f"Cookie: {self.cookie}"] if cookie else []
        length = [f"Content-Length: {len(body)}"] if body else []
        text = "\r\n".join([f"{line} HTTP/1.1", *own, *headers, *length, "Connection: close", "", body])
        found = re.match(rb"HTTP/1\.1 ([0-9]{3})", self.raw(text))
        return int(found[1]) if found else 0

    def works(self) -> bool:
        """Whether it still serves those who may come in."""
        return self.status("GET /gallery") == 200


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A studio with a photo, and with files that must never be served."""
    outside = tmp_path_factory.mktemp("outside")
    folder = outside / "photos"
    folder.mkdir()
    (outside / "secret.jpg").write_bytes(b"SECRET")
    photo = (ROOT / "tests/pictures/coffee.jpg").read_bytes()
    (folder / "coffee.jpg").write_bytes(photo)
    (folder / ".hidden.jpg").write_bytes(b"SECRET")
    (folder / "page.html").write_text("<script>SECRET</script>")
    (folder / "drawing.svg").write_text("<svg>SECRET</svg>")
    (folder / "script.js").write_text("SECRET")
    (folder / "html.jpg").write_text("<!doctype html><script>alert(1)</script>")
    (folder / "link.jpg").symlink_to(outside / "secret.jpg")
    (folder / "sub").mkdir()
    (folder / "sub/deep.jpg").write_bytes(b"SECRET")
    made = Target(folder)
    yield made
    assert made.works()
    said = made.served.stop()
    assert "Traceback" not in said
    assert "warning" not in said, said
    assert made.token not in said


def test_it_listens_on_the_loopback_only(target: Target) -> None:
    """1: found where the kernel says so."""
    found = set()
    for name, own in (("tcp", {"0100007F"}), ("tcp6", {"00000000000000000000000001000000"})):
        table = Path(f"/proc/net/{name}")
        for line in table.read_text().splitlines()[1:] if table.exists() else []:
            address, port = line.split()[1].split(":")
            if int(port, 16) == target.port and line.split()[3] == "0A":
                found.add(address)
                assert address in own
    assert "0100007F" in found


def test_the_token_is_long_and_becomes_a_strict_cookie(target: Target) -> None:
    """2: and the token leaves the address."""
    assert re.fullmatch(r"[\w-]{32}", target.token)
    status, headers, _ = bare(target).ask("GET", f"/?token={target.token}")
    assert (status, headers["Location"]) == (303, "/")
    value, *attributes = [part.strip() for part in headers["Set-Cookie"].split(";")]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} == set(attributes)
    assert re.fullmatch(r"studio-[0-9a-f]{8}=[\w-]{32}", value)
    assert target.token not in value


def bare(target: Target) -> Client:
    """A client that has not logged in."""
    made = Client.__new__(Client)
    made.host, made.cookie = target.host, ""
    return made


@pytest.mark.parametrize("path", ["/", "/gallery", "/models", "/file/coffee.jpg", "/page/studio.js", "/nothing",
                                  "/socket", "/mirror", "/thumb/coffee.jpg", "/?tokens=1", "/x?token="])
def test_without_the_cookie_there_is_nothing(target: Target, path: str) -> None:
    assert target.status(f"GET {path}", cookie=False) == 401
    assert target.status(f"GET {path}", "Cookie: studio-00000000=x; a=b", cookie=False) == 401
    assert target.status(f"PUT {path}", "X-Studio: 1", cookie=False) == 401
    assert b"<" not in target.raw(f"GET {path} HTTP/1.1\r\nHost: {target.host}\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:8420", "localhost.evil.example", "127.0.0.1.evil.example", "localhost.", "127.1",
    "2130706433", "0.0.0.0", "192.168.1.5", "user@127.0.0.1", "127.0.0.1@evil.example", "127.0.0.1:1:2", "[::]",
    "[::2]", "127.0.0.1/", "127.0.0.1:80a", "127.0.0.1:123456", "127.0.0.1 evil.example", "", " ",
    "127.0.0.1,evil.example"])
def test_a_foreign_host_is_refused_with_cookie_and_with_token(target: Target, host: str) -> None:
    """3: DNS rebinding. Before anything else, so also for odd methods and for addresses that are not there."""
    for line in ("GET /gallery", f"GET /?token={target.token}", "GET /nothing", "POST /dreams", "TRACE /", "DELETE /",
                 "GET /%ff", "GET /socket"):
        assert target.status(line, "X-Studio: 1", host=host) in (400, 403), (line, host)


def test_several_hosts_are_refused(target: Target) -> None:
    for second in ("evil.example", target.host):
        assert target.status("GET /gallery", f"Host: {second}") in (400, 403)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:65535", "127.0.0.1:9999"])
def test_our_hosts_have_any_port(target: Target, host: str) -> None:
    """Because Docker and Vagrant map it."""
    assert target.status("GET /gallery", f"Origin: http://{host}", host=host) == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1", "http://127.0.0.1:1",
                                    "https://{host}", "http://{host}.evil.example", "http://{host}/", "file://",
                                    "http://localhost:{port}", "http://{host}, http://evil.example"])
def test_a_foreign_origin_is_refused(target: Target, origin: str) -> None:
    """4"""
    given = origin.format(host=target.host, port=target.port)
    for line in ("GET /", "GET /gallery", f"GET /?token={target.token}", "POST /dreams"):
        assert target.status(line, f"Origin: {given}", "X-Studio: 1") == 403
    assert target.status("GET /gallery", f"Origin: http://{target.host}", f"Origin: {given}") == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "other"])
def test_a_foreign_site_is_refused(target: Target, site: str) -> None:
    """5: also a link to the page, with the token."""
    for line in ("GET /", "GET /gallery", f"GET /?token={target.token}", "POST /dreams", "GET /file/coffee.jpg"):
        assert target.status(line, f"Sec-Fetch-Site: {site}", "X-Studio: 1") == 403
    assert target.status("GET /gallery", "Sec-Fetch-Site: same-origin") == 200
    assert target.status(f"GET /?token={target.token}", "Sec-Fetch-Site: none", cookie=False) == 303


@pytest.mark.parametrize("path", ["/dreams", "/plan", "/jobs/1/stop", "/files/coffee.jpg/delete", "/photos/a.jpg",
                                  "/masks", "/samples/coffee.jpg", "/trash/1/restore", "/files/coffee.jpg/rename", "/"])
def test_a_form_can_change_nothing(target: Target, path: str) -> None:
    """6"""
    for headers in ((), ("Content-Type: application/x-www-form-urlencoded",), ("Content-Type: text/plain",),
                    ("Content-Type: multipart/form-data; boundary=x",), ("X-Studio: 2",),
                    ("X-Studio: 1", "X-Studio: 1")):
        assert target.status(f"POST {path}", *headers, body='{"photo": "coffee.jpg"}') == 403
    assert target.status(f"GET {path}", "X-Studio: 1") in (404, 405) or path in ("/", "/samples/coffee.jpg")
    assert [name for name in names(target.folder) if name.startswith("coffee")] == ["coffee.jpg"]


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "DELETE", "PATCH", "CONNECT", "PROPFIND", "get", "FOO",
                                    "G\xe9T"])
def test_odd_methods_are_refused_and_no_answer_has_cors(target: Target, method: str) -> None:
    for path in ("/", "/dreams", "/gallery", "/nothing", "/file/coffee.jpg"):
        answer = target.raw(f"{method} {path} HTTP/1.1\r\nHost: {target.host}\r\nCookie: {target.cookie}\r\n"
                            f"X-Studio: 1\r\nOrigin: http://{target.host}\r\nAccess-Control-Request-Method: POST\r\n"
                            "Access-Control-Request-Headers: x-studio\r\nConnection: close\r\n\r\n")
        assert answer.split()[1] in (b"400", b"403", b"404", b"405")
        assert b"access-control" not in answer.lower()


def upgrade(target: Target, *headers: str, path: str = "/socket", cookie: bool = True) -> tuple[int, socket.socket]:
    """(status, connection) of an attempt to open a WebSocket."""
    connection = socket.create_connection(("127.0.0.1", target.port), timeout=60)
    own = [f"Cookie: {target.cookie}"] if cookie else []
    text = "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {target.host}", *own, *headers])
    connection.sendall(f"{text}\r\n{UPGRADE}\r\n".encode())
    answer = connection.recv(65536)
    return int(answer.split()[1]), connection


def test_a_websocket_has_the_same_guard(target: Target) -> None:
    """7"""
    own = f"Origin: http://{target.host}"
    for headers, cookie, wanted in (
            ([own], True, 101), ([], True, 101), ([own], False, 401), (["Origin: http://evil.example"], True, 403),
            (["Origin: null"], True, 403), ([f"Origin: http://127.0.0.1:{target.port + 1}"], True, 403),
            ([own, "Sec-Fetch-Site: cross-site"], True, 403), ([own, "Host: evil.example"], True, 403)):
        status, connection = upgrade(target, *headers, cookie=cookie)
        connection.close()
        assert status == wanted or (wanted == 403 and status == 400), headers


def test_at_most_32_websockets(target: Target) -> None:
    """12"""
    opened = []
    try:
        for _ in range(32):
            status, connection = upgrade(target)
            opened.append(connection)
            assert status == 101
        status, connection = upgrade(target)
        opened.append(connection)
        assert status == 503
    finally:
        for connection in opened:
            connection.close()
    until = time.monotonic() + 20  # the server reads the ends one after the other
    while status != 101:
        assert time.monotonic() < until, "closed sockets still count"
        status, connection = upgrade(target)
        connection.close()


def test_a_message_that_is_too_long_closes_the_socket(target: Target) -> None:
    _, connection = upgrade(target)
    with connection:
        connection.sendall(b"\x82\xff" + struct.pack(">Q", 1 << 40) + b"\0" * 4 + b"x" * 1000)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(65536):
                pass
    assert target.works()


@pytest.mark.parametrize("line", ["GET /", "GET /gallery", "GET /nothing", "GET /file/coffee.jpg", "GET /%ff",
                                  "PUT /photos/a.js", "DELETE /", "GET /models", "POST /dreams"])
@pytest.mark.parametrize("cookie", [True, False])
def test_every_answer_has_the_headers(target: Target, line: str, cookie: bool) -> None:
    """8"""
    own = f"Cookie: {target.cookie}\r\nX-Studio: 1\r\n" if cookie else ""
    answer = target.raw(f"{line} HTTP/1.1\r\nHost: {target.host}\r\n{own}Connection: close\r\n\r\n")
    headers = dict(part.lower().split(": ", 1) for part in answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:])
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "camera=(self)" in headers["permissions-policy"]
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "tornado" not in answer.decode("latin-1").lower()


@pytest.mark.parametrize("name", [
    "..%2f..%2fsecret.jpg", "..%2Fsecret.jpg", "%2e%2e%2fsecret.jpg", "..\\secret.jpg", "..%5csecret.jpg",
    "%2fetc%2fpasswd", "coffee.jpg%00", "coffee.jpg%00.png", "link.jpg", ".hidden.jpg", ".studio%2fqueue.json",
    "sub%2fdeep.jpg", "sub",
    "page.html", "drawing.svg", "script.js", "%ff.jpg", "-.jpg", "none.jpg", "a%0ab.jpg", "."])
def test_only_pictures_and_films_of_the_folder_are_served(target: Target, name: str) -> None:
    """10"""
    for path in (f"/file/{name}", f"/thumb/{name}", f"/view/{name}", f"/details/{name}", f"/file/{name}?download=1"):
        answer = target.raw(f"GET {path} HTTP/1.1\r\nHost: {target.host}\r\nCookie: {target.cookie}\r\n"
                            "Connection: close\r\n\r\n")
        assert answer.split()[1] in (b"400", b"404"), path
        assert b"SECRET" not in answer


@pytest.mark.parametrize("path", ["/../secret.jpg", "/file/../../secret.jpg", "//etc/passwd", "/file//etc/passwd",
                                  "/page/../server.py", "/page/%2e%2e/server.py", "/page/index.html%00.js",
                                  "/tiles/..%2fx.webp", "/samples/../../README.md", "/masks/..%2f..%2fcoffee.jpg",
                                  "/tried/00/..%2f..%2fcoffee", "/preview/..", "http://evil.example/", "*", "/file/",
                                  "/?x=%ff&y=%00"])
def test_no_address_leads_out(target: Target, path: str) -> None:
    answer = target.raw(f"GET {path} HTTP/1.1\r\nHost: {target.host}\r\nCookie: {target.cookie}\r\n"
                        "Connection: close\r\n\r\n")
    assert answer.split()[1] in (b"400", b"404", b"405") or path.startswith("/?"), answer[:300]
    assert b"root:" not in answer
    assert b"import" not in answer


def test_html_that_is_called_a_picture_is_never_a_page(target: Target) -> None:
    status, headers, body = target.client.ask("GET", "/file/html.jpg")
    assert (status, headers["Content-Type"], headers["X-Content-Type-Options"]) == (200, "image/jpeg", "nosniff")
    assert target.client.ask("GET", "/view/html.jpg")[0] in (400, 404)
    assert target.client.ask("GET", "/thumb/html.jpg")[0] == 404


@pytest.mark.parametrize("form", [
    {"photo": "--help"}, {"photo": "-"}, {"photo": "coffee.jpg", "model": "--force"}, {"photo": ".hidden.jpg"},
    {"photo": "../secret.jpg"}, {"photo": "coffee.jpg", "weights": "/etc/passwd"},
    {"photo": "coffee.jpg", "memory": "1"}, {"photo": "coffee.jpg", "output": "/tmp/x.jpg"}, {"photo": "coffee.jpg",
    "events": "/tmp/x"}, {"photo": "link.jpg"},
    {"photo": "coffee.jpg", "model": "../../tmp"}, {"photo": "coffee.jpg", "mask": "../../coffee.jpg"},
    {"photo": "coffee.jpg", "guide": "/etc/passwd"}, {"photo": "coffee.jpg", "iterations": "10; rm"},
    {"photo": ["coffee.jpg"]}, {"photo": None}, {}, {"photos": "coffee.jpg"}, {"photos": [["coffee.jpg"]]},
    {"photo": "coffee.jpg", "preview": "x.jpg"}, {"photo": "coffee.jpg", "iterations": 10 ** 400},
    {"photo": "coffee.jpg", "like": "x"}, {"photo": "coffee.jpg", "request": "-"}, {"photos": ["coffee.jpg"] * 1000}])
def test_nothing_that_a_browser_sends_becomes_an_option(target: Target, form: object) -> None:
    """11"""
    body = json.dumps(form)
    assert target.status("POST /dreams", "X-Studio: 1", body=body) in (400, 503)
    assert target.client.json("GET", "/gallery")["total"] == 2


def test_a_layer_that_looks_like_an_option_is_a_layer(target: Target) -> None:
    """It reaches the program as data, and there is no such layer."""
    form = {"photo": "coffee.jpg", "layer": "--force", "model": "daydream"}
    number = target.client.json("POST", "/dreams", form)["ids"][0]
    status, connection = upgrade(target)
    assert status == 101
    with connection:
        text = ""
        while "has no layer '--force'" not in text:
            block = connection.recv(65536)
            assert block, text
            text += block.decode("utf-8", "replace")
    target.client.json("POST", f"/jobs/{number}/remove")
    assert not list(target.folder.glob("*-dream*"))


@pytest.mark.parametrize("body", ["", "[]", "null", "{", '{"photo": NaN}', '{"photo": 1e999}', "[" * 100000, '"x"',
"\xff",
                                  '{"photo": ' + "9" * 500000 + "}", '{"photo": "\\ud800.jpg"}',
                                  '{"photo": "a\\u0000.jpg"}'], ids=lambda body: body[:9])
def test_odd_json_is_refused(target: Target, body: str) -> None:
    assert target.status("POST /dreams", "X-Studio: 1", body=body) == 400
    assert target.status("POST /plan", "X-Studio: 1", body=body) == 400


def test_large_bodies_and_headers_are_refused(target: Target) -> None:
    """12"""
    assert target.status("POST /dreams", "X-Studio: 1", body="x" * (2 << 20)) in (0, 400, 413)
    assert target.status("GET /gallery", "X: " + "x" * 40_000) in (0, 400, 431)
    assert target.status("GET /" + "x" * 40_000) in (0, 400, 414, 431)
    assert target.status("GET /gallery", *[f"X{number}: 1" for number in range(5000)]) in (0, 400, 431)
    chunks = b"".join(b"10000\r\n" + b"x" * 65536 + b"\r\n" for _ in range(32))
    head = f"POST /dreams HTTP/1.1\r\nHost: {target.host}\r\nCookie: {target.cookie}\r\nX-Studio: 1\r\n"
    answer = target.raw(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    assert answer[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 413")
    assert target.works()


@pytest.mark.parametrize("text", ["\x16\x03\x01\x02\x00", "\0" * 100, "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
"\r\n" * 50,
                                  "GET / HTTP/1.1\r\n: x\r\n\r\n", "GET /\x00 HTTP/1.1\r\n\r\n",
                                  "GET / HTTP/1.1\r\nHost\r\n\r\n", f"{POST}Content-Length: -1\r\n\r\n",
                                  f"{POST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
                                  f"{POST}Content-Length: x\r\n\r\n",
                                  f"{POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n"],
                         ids=lambda text: text[:9])
def test_what_is_no_http_is_refused(target: Target, text: str) -> None:
    with socket.create_connection(("127.0.0.1", target.port), timeout=1) as connection:
        connection.sendall(text.encode("latin-1"))
        with contextlib.suppress(OSError):
            assert not connection.recv(100).startswith(b"HTTP/1.1 2")
    assert target.works()


@pytest.mark.slow
def test_slow_clients_are_left(target: Target) -> None:
    """12: whoever says nothing for a minute, in the middle of a request, before one, or in the middle of an upload."""
    head = f"Host: {target.host}\r\nCookie: {target.cookie}\r\nX-Studio: 1\r\n"
    begun = [b"", b"GET / HTTP/1.1\r\nHost: ", f"GET /models HTTP/1.1\r\n{head}\r\n".encode(),
             f"POST /plan HTTP/1.1\r\n{head}Content-Length: 100\r\n\r\n{{".encode(),
             f"PUT /photos/slow.jpg HTTP/1.1\r\n{head}Content-Length: 100000\r\n\r\nslow".encode()]
    opened = [socket.create_connection(("127.0.0.1", target.port), timeout=100) for _ in begun]
    for connection, data in zip(opened, begun, strict=True):
        connection.sendall(data)
    time.sleep(30)
    opened[1].sendall(b"127.")  # a little now and then does not help
    for connection in opened:
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(65536):
                pass
        connection.close()
    end = time.monotonic() + 30
    while names(target.folder / ".studio/parts") and time.monotonic() < end:
        time.sleep(0.1)
    assert names(target.folder / ".studio/parts") == []
    assert target.works()


def test_many_connections_do_not_shut_others_out_for_long(target: Target) -> None:
    opened = [socket.create_connection(("127.0.0.1", target.port)) for _ in range(260)]
    for connection in opened:
        connection.close()
    until = time.monotonic() + 20  # refused connections come back within 0.1 ms, sooner than the server reads the ends
    while not target.works():
        assert time.monotonic() < until, "closed connections still count"
        time.sleep(0.05)


def test_wrong_tokens_are_slowed_down_and_cookies_go_on(tmp_path: Path) -> None:
    """13"""
    target = Target(tmp_path)
    asked = [*["wrong"] * 12, target.token, "wrong"]  # in one go, because the first wait is only a second
    try:
        said = target.raw("".join(f"GET /?token={token} HTTP/1.1\r\nHost: {target.host}\r\n{last}\r\n"
                                  for token, last in zip(asked, [*[""] * 13, "Connection: close\r\n"], strict=True)))
        assert re.findall(rb"HTTP/1\.1 ([0-9]{3})", said) == [b"403"] * 10 + [b"429"] * 4
        waits = list(map(int, re.findall(rb"Retry-After: ([0-9]+)", said)))
        assert len(waits) == 4
        assert all(1 <= wait <= 60 for wait in waits)
        assert target.works()
    finally:
        assert target.token not in target.served.stop()


def test_the_wait_grows_up_to_a_minute_and_the_right_token_ends_it() -> None:
    now = [0.0]
    gate = Gate(clock=lambda: now[0])
    waits = []
    for _ in range(30):
        with pytest.raises(Refused) as caught:
            gate.check_token("wrong")
        if caught.value.status == 429:
            waits.append(caught.value.wait)
            now[0] += caught.value.wait
    assert waits == sorted(waits)
    assert max(waits) in (60, 61)
    now[0] += 61
    gate.check_token(gate.token)
    with pytest.raises(Refused) as caught:
        gate.check_token("wrong")
    assert caught.value.status == 403


@pytest.mark.parametrize("given", ["", "x", "\xff", "ü" * 32, "\ud800", "a" * 100_000],
                         ids=lambda given: ascii(given[:9]))
def test_odd_tokens_are_wrong(given: str) -> None:
    with pytest.raises(Refused):
        Gate().check_token(given)
    with pytest.raises(Refused):
        Gate().check_cookie(given)


def test_the_token_and_the_cookie_are_on_no_page(target: Target) -> None:
    """16"""
    for path in ("/", "/models", "/gallery", "/nothing", "/page/studio.js", "/details/coffee.jpg"):
        _, headers, body = target.client.ask("GET", path)
        for secret in (target.token, target.cookie.partition("=")[2]):
            assert secret.encode() not in body
            assert secret not in str(headers)
    for kept in (target.folder / ".studio").rglob("*"):
        if kept.is_file():
            assert target.token.encode() not in kept.read_bytes()


@pytest.mark.parametrize(("bind", "host", "known"), [
    (None, "192.168.1.5", False), ("192.168.1.5", "192.168.1.5:8420", True), ("192.168.1.5", "192.168.1.6", False),
    ("192.168.1.5", "localhost:1", True), ("0.0.0.0", "192.168.1.6:1", True), ("0.0.0.0", "evil.example", False),
    ("::", "[fe80::1]:1", True), ("::", "10.0.0.1", True), ("fe80::1", "[fe80::1]:1", True),
    ("fe80::1", "[fe80::2]", False), ("0.0.0.0", "1.2.3", False), ("0.0.0.0", "[evil]", False), ("0.0.0.0",
    "1.2.3.4.evil.example", False)])
def test_which_hosts_are_ours(bind: str | None, host: str, known: bool) -> None:
    """An address that is all numbers cannot be a web site's name, so no rebinding is possible with it."""
    assert Gate(bind).knows(host) is known


def test_the_cookies_of_others_do_no_harm(target: Target) -> None:
    for other in ("a b=c", "=", ";;", 'x="y', "studio=1", "x=\xe9"):
        assert target.status("GET /gallery", f"Cookie: {other}; {target.cookie}; {other}", cookie=False) == 200
