"""Uploads to a running studio: pictures get in, and nothing else does; nothing is ever overwritten or left over."""

import contextlib
import hashlib
import io
import json
import socket
import struct
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from browser import Served
from client import Client
from helpers import PYTHON, ROOT, search, visible
from mutants import mutants

PHOTO = (ROOT / "tests/pictures/coffee.jpg").read_bytes()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A studio on an empty folder, which says nothing until the end."""
    made = Served(tmp_path_factory.mktemp("photos"))
    yield made
    assert parts(made) == []
    said = made.stop()
    assert "Traceback" not in said
    assert "warning" not in said, said


def parts(served: Served) -> list[str]:
    """Names of unfinished uploads."""
    return [path.name for path in (served.folder / ".studio/parts").iterdir()]


def gone(served: Served, seconds: float = 30) -> bool:
    """Whether no unfinished upload is left within this time."""
    until = time.monotonic() + seconds
    while parts(served) and time.monotonic() < until:
        time.sleep(0.05)
    return not parts(served)


def put(client: Client, name: str, data: bytes) -> tuple[int, dict[str, object]]:
    """(status, answer) of an upload."""
    status, _, body = client.ask("PUT", f"/photos/{name}", data)
    return status, json.loads(body)


def test_a_photo_gets_in_byte_for_byte(served: Served, client: Client) -> None:
    status, answer = put(client, "my%20photo.jpg", PHOTO)
    assert status == 201
    assert answer["name"] == "my photo.jpg"
    with Image.open(io.BytesIO(PHOTO)) as picture:
        assert (answer["width"], answer["height"]) == picture.size
    assert (served.folder / "my photo.jpg").read_bytes() == PHOTO
    assert (served.folder / "my photo.jpg").stat().st_mode & 0o777 == 0o644
    assert client.ask("GET", f"/file/my%20photo.jpg?v={answer['version']}")[2] == PHOTO


def test_nothing_is_overwritten(served: Served, client: Client) -> None:
    names = [put(client, "same.jpg", PHOTO)[1]["name"] for _ in range(3)]
    assert names == ["same.jpg", "same-2.jpg", "same-3.jpg"]


def test_uploads_of_one_name_at_once_are_all_kept(served: Served, client: Client) -> None:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(put(client, "at%20once.jpg", PHOTO)[1]["name"]))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, found)) == ["at once-2.jpg", "at once-3.jpg", "at once-4.jpg", "at once.jpg"]


@pytest.mark.parametrize("name", ["..%2fx.jpg", ".x.jpg", "-x.jpg", "a%2fb.jpg", "a%00.jpg", "a%0a.jpg",
                                  "x" * 151 + ".jpg",
                                  "%ff.jpg", "..", "a%5cb.jpg", "frame-%2504d.png"])
def test_names_that_are_no_names_are_refused(served: Served, client: Client, name: str) -> None:
    before = visible(served.folder.parent), visible(served.folder)
    assert client.ask("PUT", f"/photos/{name}", PHOTO)[0] == 400
    assert (visible(served.folder.parent), visible(served.folder)) == before
    assert gone(served)


@pytest.mark.parametrize("name", ["x.html", "x.svg", "x.js", "x.txt", "x", "x.jpg.exe", "x.jpg.html", "x.pdf", "x.py"])
def test_other_files_are_refused_by_their_names(served: Served, client: Client, name: str) -> None:
    status, answer = put(client, name, PHOTO)
    assert (status, list(answer)) == (415, ["error", "lines"])
    assert not (served.folder / name).exists()


def bomb(side: int) -> bytes:
    """A PNG of side × side white pixels, in some kilobytes."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = zlib.compressobj(9)
    packed = b"".join(rows.compress(b"\0" + b"\xff" * (side // 8)) for _ in range(side)) + rows.flush()
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
            + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


@pytest.mark.parametrize(("name", "data"), [
    ("page.jpg", b"<!doctype html><script>alert(1)</script>"), ("drawing.png", b"<svg onload='alert(1)'/>"),
    ("empty.jpg", b""), ("zero.png", bytes(10_000)), ("half.jpg", PHOTO[:300]), ("text.webp", b"hello" * 1000),
    ("film.mp4", b"no film" * 1000), ("list.mp4", b"#EXTM3U\nfile:///etc/passwd\n"), ("bomb.png", bomb(20_000))],
    ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_no_picture_is_refused_in_one_line(served: Served, client: Client, name: str, data: bytes) -> None:
    status, answer = put(client, name, data)
    assert status == 415
    assert "\n" not in str(answer["error"])
    assert name in str(answer["error"])
    assert ".part" not in str(answer)
    assert not (served.folder / name).exists()
    assert gone(served)


def head(client: Client, path: str, *headers: str) -> bytes:
    """The begin of a request to upload."""
    return "\r\n".join([f"PUT {path} HTTP/1.1", f"Host: {client.host}", f"Cookie: {client.cookie}", "X-Studio: 1",
                        *headers, "", ""]).encode()


def connected(client: Client) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(client.host.rpartition(":")[2])), timeout=20)


def answered(connection: socket.socket) -> bytes:
    """The first line and the rest of what comes, until the connection ends."""
    got = b""
    with contextlib.suppress(OSError):
        while block := connection.recv(65536):
            got += block
    return got


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(served: Served, client: Client) -> None:
    for name, size in (("x.jpg", (256 << 20) + 1), ("x.mp4", (4 << 30) + 1)):
        with connected(client) as connection:
            connection.sendall(head(client, f"/photos/{name}", f"Content-Length: {size}"))
            answer = answered(connection)
        assert answer.startswith(b"HTTP/1.1 413"), answer[:300]
        assert b'"error": "the file is too large' in answer
    assert parts(served) == []


def test_a_file_that_grows_too_large_is_refused(served: Served, client: Client) -> None:
    """Without a length; a mask may have 16 MB."""
    with connected(client) as connection:
        block = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
        with contextlib.suppress(ConnectionError):
            connection.sendall(head(client, "/masks", "Transfer-Encoding: chunked"))
            for _ in range(18):
                connection.sendall(block)
        answer = answered(connection)
    assert answer.startswith(b"HTTP/1.1 413"), answer[:300]
    assert gone(served)


def test_a_connection_that_ends_leaves_nothing(served: Served, client: Client) -> None:
    before = visible(served.folder)
    with connected(client) as connection:
        connection.sendall(head(client, "/photos/half.jpg", f"Content-Length: {len(PHOTO)}") + PHOTO[:20_000])
        until = time.monotonic() + 30
        while not parts(served) and time.monotonic() < until:
            time.sleep(0.02)
        assert len(parts(served)) == 1
    assert gone(served)
    assert visible(served.folder) == before


def test_at_most_four_uploads_at_once(served: Served, client: Client) -> None:
    waiting = [connected(client) for _ in range(4)]
    try:
        for connection in waiting:
            connection.sendall(head(client, "/photos/slow.jpg", f"Content-Length: {len(PHOTO)}") + PHOTO[:1000])
        until = time.monotonic() + 30
        while len(parts(served)) < 4 and time.monotonic() < until:
            time.sleep(0.02)
        assert put(client, "fifth.jpg", PHOTO)[0] == 503
    finally:
        for connection in waiting:
            connection.close()
    assert gone(served)
    assert put(client, "fifth.jpg", PHOTO)[0] == 201


def test_uploads_without_cookie_or_header_store_nothing(served: Served, client: Client) -> None:
    for lost in ("Cookie", "X-Studio"):
        with connected(client) as connection:
            text = head(client, "/photos/x.jpg", f"Content-Length: {len(PHOTO)}").decode()
            lines = [line for line in text.split("\r\n") if not line.startswith(lost)]
            with contextlib.suppress(ConnectionError):
                connection.sendall("\r\n".join(lines).encode() + PHOTO)
            assert answered(connection)[9:12] in (b"401", b"403")
    assert parts(served) == []
    assert not (served.folder / "x.jpg").exists()


def test_a_mask_is_kept_under_its_checksum(served: Served, client: Client) -> None:
    file = io.BytesIO()
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).save(file, "PNG")
    for _ in range(2):
        status, _, body = client.ask("PUT", "/masks", file.getvalue())
        assert status == 201
        name = json.loads(body)["mask"]
        assert name == hashlib.sha256(file.getvalue()).hexdigest() + ".png"
    status, headers, data = client.ask("GET", f"/masks/{name}")
    assert (status, headers["Content-Type"], data) == (200, "image/png", file.getvalue())
    assert client.ask("PUT", "/masks", PHOTO)[0] == 415
    assert client.ask("PUT", "/masks", b"<svg/>")[0] == 415


def test_a_sample_photo_is_copied(served: Served, client: Client) -> None:
    answer = client.json("POST", "/samples/raccoon.jpg")
    assert (served.folder / answer["name"]).read_bytes() == (ROOT / "tests/pictures/raccoon.jpg").read_bytes()
    assert client.json("POST", "/samples/raccoon.jpg")["name"] == "raccoon-2.jpg"
    assert client.ask("POST", "/samples/sky.py")[0] == 404
    assert client.ask("POST", "/samples/README.md")[0] == 404


def test_parts_of_an_earlier_run_are_swept(tmp_path: Path) -> None:
    folder = tmp_path / ".studio/parts"
    folder.mkdir(parents=True)
    (folder / "upload-old.part").write_bytes(b"x")
    served = Served(tmp_path)
    assert not (folder / "upload-old.part").exists()
    served.stop()


def test_the_disk_keeps_some_room(tmp_path: Path) -> None:
    """A studio that believes that 300 MB are free takes 90 MB, but no 110."""
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nsys.argv = ['dreamify.py', 'studio', {str(tmp_path)!r}, "
        "'--port', '0', '--no-open']\nimport dreamify\nfrom dreamer.studio.studio import Studio\n"
        "Studio.free = lambda self: 300 << 20\ndreamify.main()\n")
    process = subprocess.Popen([PYTHON, program], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    own = Client(search(r"http://\S+", process.stdout.readline())[0])
    for size, wanted, seconds in ((90 << 20, b"", 2), (110 << 20, b"HTTP/1.1 507", 60)):
        with connected(own) as connection:
            connection.settimeout(seconds)
            connection.sendall(head(own, "/photos/x.jpg", f"Content-Length: {size}"))
            assert answered(connection)[:12] == wanted
    process.terminate()
    process.wait(20)


@pytest.mark.slow
def test_a_thousand_damaged_uploads(served: Served, client: Client) -> None:
    """Each is taken or refused in one line; the studio is as well as before."""
    found = dict.fromkeys((201, 415), 0)
    for number, (name, data) in enumerate(mutants(1000, "uploads")):
        kind = name.split()[3].lower().replace("jpeg2000", "jp2").replace("mpo", "jpg")
        status, answer = put(client, f"damaged{number}.{kind}", data)
        assert status in found, (name, answer)
        found[status] += 1
        assert status == 201 or (answer["error"] and "\n" not in str(answer["error"])), name
    print(found)
    assert min(found.values()) > 100
    assert gone(served)
    assert put(client, "sound.jpg", PHOTO)[0] == 201
    assert client.dream({"photo": "sound.jpg", "model": "daydream", "max_size": 96, "octaves": 1}) == "sound-dream.jpg"


def test_whoever_leaves_at_the_last_byte_leaves_no_warning(tmp_path: Path) -> None:
    """The file is closed and removed while it is being put on the disk, and nobody is left to read an answer."""
    served = Served(tmp_path)
    client = Client(served.url)
    host, _, port = client.host.partition(":")
    for number in range(300):
        head = f"PUT /photos/{number}.jpg HTTP/1.1\r\nHost: {client.host}\r\nCookie: {client.cookie}\r\nX-Studio: 1\r\n"
        with socket.create_connection((host, int(port))) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(f"{head}Content-Length: {len(PHOTO)}\r\n\r\n".encode() + PHOTO)
            time.sleep(number % 30 / 5000)
    assert client.ask("GET", "/gallery?start=0&count=1")[0] == 200
    assert served.stop() == "dreamify: stopped by SIGTERM\n"
    assert parts(served) == []
