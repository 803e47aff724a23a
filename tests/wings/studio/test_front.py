"""The page itself, as a running studio serves it: small, of its own files only, and with nothing inline."""

import re
from collections.abc import Iterator

import pytest

from browser import Served
from client import Client
from dreamer.studio import front
from helpers import ROOT


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    served = Served(tmp_path_factory.mktemp("photos"))
    yield Client(served.url)
    served.stop()


def test_the_page_and_all_its_files(client: Client) -> None:
    status, headers, body = client.ask("GET", "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert body == (front.PAGE / "index.html").read_bytes()
    for path in front.PAGE.iterdir():
        status, headers, body = client.ask("GET", f"/page/{path.name}")
        assert (status, body) == (200, path.read_bytes()), path
        assert headers["Content-Type"].startswith(
            {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}[path.suffix])


def test_files_of_the_page_are_packed(client: Client) -> None:
    _, headers, body = client.ask("GET", "/page/studio.js", None, **{"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert len(body) < (front.PAGE / "studio.js").stat().st_size / 2


def test_the_pages_policy_allows_our_own_files_only(client: Client) -> None:
    _, headers, _ = client.ask("GET", "/")
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == f"'self' ws://{client.host}"
    assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_nothing_else_is_in_the_pages_folder(client: Client) -> None:
    for name in ("server.py", "none.js", "INDEX.html", "index.html.js", "a-b.js", "%69ndex.html"):
        assert client.ask("GET", f"/page/{name}")[0] in (404, 200 if name.startswith("%") else 404)


@pytest.mark.parametrize("name", ["daydream", "bvlc_googlenet"])
def test_tiles(client: Client, name: str) -> None:
    status, headers, body = client.ask("GET", f"/tiles/{name}.webp")
    assert (status, headers["Content-Type"]) == (200, "image/webp")
    assert body == (ROOT / f"models/{name}/tiles.webp").read_bytes()


def test_tiles_of_no_model(client: Client) -> None:
    for name in ("none", "README", "..", "x/../daydream"):
        assert client.ask("GET", f"/tiles/{name}.webp")[0] == 404


def test_without_a_cookie_it_is_one_plain_line(client: Client) -> None:
    own, client.cookie = client.cookie, ""
    status, headers, body = client.ask("GET", "/")
    client.cookie = own
    assert (status, headers["Content-Type"]) == (401, "text/plain; charset=utf-8")
    assert re.fullmatch(rb"401: [^\n<]+\n", body)


def test_the_page_is_small_and_asks_nobody_else() -> None:
    """A page of 120 kB is there at once on a slow line. It names no other host, and has no script or style inside."""
    files = [path for path in front.PAGE.iterdir() if path.suffix != ".svg"]
    assert {path.suffix for path in files} == {".html", ".js", ".css"}
    assert sum(path.stat().st_size for path in files) <= 120_000
    for path in files:
        text = path.read_text()
        assert not re.search(r"(https?:)?//(?!127\.0)[\w-]+\.\w|@import|eval\(|innerHTML|\.write\(", text), path.name
        assert path.suffix == ".js" or "url(" not in text
    page = (front.PAGE / "index.html").read_text()
    assert not re.search(r"<script(?! type=\"module\" src=)|<style|\sstyle=|\son\w+=", page)
