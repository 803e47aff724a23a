"""Files from a running studio: whole, in ranges, as downloads; kept by the browser only under a version."""

import http.client
import io
import json
import os
import subprocess
from collections.abc import Iterator

import pytest
from PIL import Image

from browser import Served, quiet
from client import Client
from helpers import ROOT

PHOTO = (ROOT / "tests/pictures/coffee.jpg").read_bytes()
LONG = os.urandom(3_000_001)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A studio with a photo, and a file of 3 MB that is called a film."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "coffee.jpg").write_bytes(PHOTO)
    (folder / "été 1.mp4").write_bytes(LONG)
    (folder / "scan.tga").write_bytes(b"scan")
    (folder / "empty.png").touch()
    for name, content in (("previews/7.jpg", PHOTO), ("tries/0123456789abcdef0123/inception_4c-output.png", b"tile")):
        path = folder / ".studio" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    yield from quiet(folder)


FILM = "/file/%C3%A9t%C3%A9%201.mp4"


def test_a_file_is_served_whole_with_its_type(client: Client) -> None:
    status, headers, body = client.ask("GET", "/file/coffee.jpg")
    assert (status, headers["Content-Type"], headers["Content-Length"]) == (200, "image/jpeg", str(len(PHOTO)))
    assert body == PHOTO
    assert "Content-Disposition" not in headers
    assert client.ask("GET", FILM)[2] == LONG


def test_head_has_the_headers_only(client: Client) -> None:
    status, headers, body = client.ask("HEAD", FILM)
    assert (status, headers["Content-Length"], headers["Accept-Ranges"], body) == (200, str(len(LONG)), "bytes", b"")


@pytest.mark.parametrize(("asked", "start", "end"), [
    ("bytes=0-", 0, 3_000_001), ("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=-1", 3_000_000, 3_000_001),
    ("bytes=-9999999", 0, 3_000_001), ("bytes=3000000-", 3_000_000, 3_000_001), ("bytes=1000000-9999999", 1_000_000,
    3_000_001)])
def test_ranges(client: Client, asked: str, start: int, end: int) -> None:
    status, headers, body = client.ask("GET", FILM, Range=asked)
    assert (status, headers["Content-Range"]) == (206, f"bytes {start}-{end - 1}/3000001")
    assert body == LONG[start:end]
    status, headers, _ = client.ask("HEAD", FILM, Range=asked)
    assert (status, headers["Content-Length"]) == (206, str(end - start))


@pytest.mark.parametrize("asked", ["bytes=3000001-", "bytes=9-8", "bytes=-0", "bytes=999999999999999999-"])
def test_ranges_outside_of_the_file(client: Client, asked: str) -> None:
    status, headers, _ = client.ask("GET", FILM, Range=asked)
    assert (status, headers["Content-Range"]) == (416, "bytes */3000001")


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=-", "bytes=", "items=0-1", "bytes=a-b", "bytes=0-1-2",
                                  "bytes=" + "9" * 99])
def test_odd_ranges_give_the_whole_file(client: Client, asked: str) -> None:
    assert client.ask("GET", FILM, Range=asked)[::2] == (200, LONG)


def test_a_player_can_go_to_any_place(served: Served, client: Client, ffmpeg: None) -> None:
    """An independent reader: ffmpeg reads the end of a film over HTTP."""
    path = served.folder / "film.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=4", "-pix_fmt", "yuv420p", path],
    check=True)
    done = subprocess.run(["ffmpeg", "-v", "error", "-headers", f"Cookie: {client.cookie}\r\n", "-ss", "3", "-i",
                           f"http://{client.host}/file/film.mp4", "-frames:v", "1", "-f", "image2pipe", "-c:v", "png",
                           "-"],
                          capture_output=True, check=True)
    assert Image.open(io.BytesIO(done.stdout)).size == (320, 240)
    path.unlink()


def test_only_what_has_a_version_is_kept(client: Client) -> None:
    for path in ("/file/coffee.jpg", "/thumb/coffee.jpg", "/view/coffee.jpg", "/preview/7", "/tiles/daydream.webp"):
        assert client.ask("GET", path)[1]["Cache-Control"] == "no-store"
        assert client.ask("GET", f"{path}?v=1")[1]["Cache-Control"] == "private, max-age=31536000, immutable"
    assert client.ask("GET", "/file/none.jpg?v=1")[1]["Cache-Control"] == "no-store"
    assert client.ask("GET", "/thumb/empty.png?v=1")[1]["Cache-Control"] == "no-store"


def test_what_has_not_changed_is_not_sent_again(served: Served, client: Client) -> None:
    tag = client.ask("GET", "/file/coffee.jpg")[1]["Etag"]
    assert client.ask("GET", "/file/coffee.jpg", None, **{"If-None-Match": tag})[::2] == (304, b"")
    assert client.ask("GET", "/file/coffee.jpg", None, Range="bytes=0-9", **{"If-Range": tag})[0] == 206
    assert client.ask("GET", "/file/coffee.jpg", None, Range="bytes=0-9", **{"If-Range": '"other"'})[0] == 200
    os.utime(served.folder / "coffee.jpg", (1, 1))
    assert client.ask("GET", "/file/coffee.jpg", None, **{"If-None-Match": tag})[0] == 200


def test_downloads_have_their_names(client: Client) -> None:
    assert client.ask("GET", f"{FILM}?download=1")[1]["Content-Disposition"] == (
        "attachment; filename*=UTF-8''%C3%A9t%C3%A9%201.mp4")
    headers = client.ask("GET", "/file/scan.tga")[1]
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment; ")


def test_an_empty_file_is_empty(client: Client) -> None:
    assert client.ask("GET", "/file/empty.png")[::2] == (200, b"")
    assert client.ask("GET", "/file/empty.png", Range="bytes=0-")[0] == 416


def test_thumbnails_and_views_are_jpegs(client: Client) -> None:
    for path, longest in (("/thumb/coffee.jpg", 320), ("/view/coffee.jpg", 600), ("/view/coffee.jpg?full=1", 600)):
        status, headers, body = client.ask("GET", path)
        assert (status, headers["Content-Type"]) == (200, "image/jpeg")
        picture = Image.open(io.BytesIO(body))
        assert (picture.format, max(picture.size)) == ("JPEG", longest)


def test_live_pictures_and_tiles(client: Client) -> None:
    assert client.ask("GET", "/preview/7?v=1")[2] == PHOTO
    assert client.ask("GET", "/preview/8")[0] == 404
    status, headers, body = client.ask("GET", "/tried/0123456789abcdef0123/inception_4c%2Foutput")
    assert (status, headers["Content-Type"], body) == (200, "image/png", b"tile")
    for path in ("/tried/0123456789abcdef0123/conv1", "/tried/00/inception_4c%2Foutput", "/tried/..%2f/x",
    "/preview/-1",
                 "/tried/0123456789abcdef0123/..%2f..%2f..%2fcoffee.jpg"):
        assert client.ask("GET", path)[0] == 404


def test_what_disappears_or_shrinks_while_it_is_served_ends_the_connection(served: Served, client: Client) -> None:
    path = served.folder / "large.mp4"
    with open(path, "wb") as file:
        file.truncate(1 << 30)
    connection = http.client.HTTPConnection(client.host, timeout=20)
    connection.request("GET", "/file/large.mp4", headers={"Cookie": client.cookie})
    answer = connection.getresponse()
    answer.read(1000)
    os.truncate(path, 2000)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answer.read()
    path.unlink()
    assert json.loads(client.ask("GET", "/gallery")[2])["total"] >= 3
