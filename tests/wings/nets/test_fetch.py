"""Downloads of weights, from a real HTTP server on loopback that can misbehave like servers on the Internet."""

import contextlib
import dataclasses
import hashlib
import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dreamer.errors import Failure, Mistake
from dreamer.nets import fetch, model

CONTENT: bytes = np.random.RandomState(0).bytes(300_000)


class Server(http.server.ThreadingHTTPServer):
    """A server on loopback, with its content, the requests so far (path, range), and the seconds that it stalls."""

    daemon_threads = False  # the end waits for the threads, because a process with threads dreams in another way

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.stall, self.over = CONTENT, 5.0, threading.Event()
        self.seen: list[tuple[str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves server.content. The path says how: /good /norange /cut /wrong /short /html /stall
    /endless."""

    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        way, content = self.path[1:], self.server.content
        self.server.seen.append((way, self.headers.get("Range")))
        if way == "gone":
            return self.send_error(404)
        if way == "stall":
            self.server.over.wait(self.server.stall)
            return None
        if way == "endless":  # says no size
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):  # the client has enough
                while not self.server.over.is_set():
                    self.wfile.write(content)
            return None
        if way == "wrong":
            content = content[::-1]
        elif way == "short":
            content = content[:-10]
        elif way == "html":
            content = b"<html>Please log in to this network</html>"
        start = 0
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked and way != "norange" and int(asked[1]) >= len(content):
            return self.send_error(416)
        if asked and way != "norange":
            start = int(asked[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        self.wfile.write(body[:len(body) // 2] if way == "cut" else body)
        return None


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        yield server
        server.over.set()
        server.shutdown()
        serving.join()


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "w.caffemodel.part"


@pytest.fixture(params=["sha256", "sha1", "sha1 and no size"])
def exact(request: pytest.FixtureRequest) -> fetch.Wanted:
    """CONTENT, as it is known before the download."""
    checksum = hashlib.new(request.param.split()[0], CONTENT).hexdigest()
    least, most = (1000, 400_000) if "no size" in request.param else (len(CONTENT), len(CONTENT))
    return fetch.Wanted(least, most, checksum)


LOOSE = fetch.Wanted(250_000, 400_000, "")  # without a checksum


def test_a_good_source_is_taken_whole(server: Server, part: Path, exact: fetch.Wanted) -> None:
    assert fetch.download(server.url + "good", part, exact) is None
    assert part.read_bytes() == CONTENT


def test_a_broken_download_is_kept_and_resumed_by_the_next_source(server: Server, part: Path,
                                                                  exact: fetch.Wanted) -> None:
    assert fetch.download(server.url + "cut", part, exact)
    assert part.read_bytes() == CONTENT[:150_000]
    assert fetch.download(server.url + "good", part, exact) is None
    assert part.read_bytes() == CONTENT
    assert server.seen[-1] == ("good", "bytes=150000-")


def test_a_source_that_cannot_resume_starts_afresh(server: Server, part: Path, exact: fetch.Wanted) -> None:
    part.write_bytes(CONTENT[:1000])
    assert fetch.download(server.url + "norange", part, exact) is None
    assert part.read_bytes() == CONTENT


def test_a_bad_part_is_thrown_away_and_the_source_tried_once_more(server: Server, part: Path,
                                                                  exact: fetch.Wanted) -> None:
    part.write_bytes(b"x" * 1000)
    assert fetch.download(server.url + "good", part, exact) is None
    assert part.read_bytes() == CONTENT
    part.write_bytes(b"x" * (len(CONTENT) + 5))
    assert fetch.download(server.url + "good", part, exact) is None


def test_a_part_that_is_complete_asks_nobody(server: Server, part: Path, exact: fetch.Wanted) -> None:
    part.write_bytes(CONTENT)
    assert fetch.download(server.url + "gone", part, exact) is None
    assert server.seen == []


@pytest.mark.parametrize(("way", "why"), [("wrong", "its sha"), ("short", "bytes|its sha1"), ("html", "bytes"),
                                          ("gone", "404"), ("endless", "larger than")])
def test_what_is_not_the_file_is_refused(server: Server, part: Path, exact: fetch.Wanted, way: str,
                                         why: str) -> None:
    assert re.search(why, fetch.download(server.url + way, part, exact) or "")
    assert not part.exists()


def test_without_a_checksum_no_file_is_put_together_from_two(server: Server, part: Path) -> None:
    assert fetch.download(server.url + "cut", part, LOOSE)
    assert part.stat().st_size == 150_000
    assert fetch.download(server.url + "wrong", part, LOOSE) is None
    assert part.read_bytes() == CONTENT[::-1]
    assert [asked for _, asked in server.seen] == [None, None]


@pytest.mark.parametrize(("way", "why"), [("html", "not at least 250,000"), ("gone", "404"),
                                          ("endless", "larger than")])
def test_without_a_checksum_the_size_must_be_likely(server: Server, part: Path, way: str, why: str) -> None:
    assert why in (fetch.download(server.url + way, part, LOOSE) or "")
    assert not part.exists()


def test_silence_is_given_up(server: Server, part: Path, exact: fetch.Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "STALL_SECONDS", 1)
    assert fetch.download(server.url + "stall", part, exact)
    assert fetch.download("http://127.0.0.1:1/", part, exact)
    assert fetch.download("http://no-such-host.invalid/", part, exact)


@pytest.fixture
def bare(tiny: model.Model, server: Server, tmp_path: Path) -> model.Model:
    """The tiny model without its weights; the server has them."""
    folder = shutil.copytree(tiny.folder, tmp_path / "tiny")
    server.content = (folder / "tiny.caffemodel").read_bytes()
    (folder / "tiny.caffemodel").unlink()
    return dataclasses.replace(model.find(str(folder)),
                               sources=tuple(server.url + way for way in ("gone", "wrong", "cut", "good")))


def test_fetch_goes_from_source_to_source(bare: model.Model, server: Server) -> None:
    said: list[str] = []
    fetch.fetch(bare, said.append)
    assert bare.weights_path() == bare.folder / "tiny.caffemodel"
    assert bare.weights_path().read_bytes() == server.content
    assert sorted(path.name for path in bare.folder.iterdir()) == ["model.toml", "net.prototxt", "tiny.caffemodel"]
    assert [line.split("/")[-1].split(" ")[0] for line in said] == ["gone", "wrong", "cut", "good"]
    server.seen.clear()
    fetch.fetch(bare, said.append)
    assert server.seen == []


@pytest.fixture
def unknown(bare: model.Model, server: Server) -> model.Model:
    """The same model, whose weights have no published size and checksum."""
    return dataclasses.replace(bare, weights_size=0, weights_sha256="", sources=(server.url + "good",))


def test_what_came_without_a_checksum_is_recorded_and_pinned(unknown: model.Model, server: Server) -> None:
    said: list[str] = []
    fetch.fetch(unknown, said.append)
    weights = unknown.weights_path()
    digest = hashlib.sha256(server.content).hexdigest()
    assert fetch.record(unknown).read_text() == f"{digest}  tiny.caffemodel\n"
    assert digest in said[-1]
    assert fetch.wanted(unknown).checksum == digest
    weights.unlink()
    server.content = other(server.content)
    with pytest.raises(Failure, match=digest):
        fetch.fetch(unknown, said.append)
    assert "its sha256 differs" in said[-1]
    fetch.record(unknown).unlink()  # the user wants the new one
    fetch.fetch(unknown, said.append)
    assert weights.read_bytes() == server.content


def other(weights: bytes) -> bytes:
    """The same weights, of which one number is different."""
    from caffe.proto import caffe_pb2
    net = caffe_pb2.NetParameter.FromString(weights)
    net.layer[1].blobs[0].data[0] += 1
    return bytes(net.SerializeToString())


def test_weights_of_another_net_are_refused_and_removed(unknown: model.Model, server: Server) -> None:
    from caffe.proto import caffe_pb2
    net = caffe_pb2.NetParameter.FromString(server.content)
    net.layer[1].name = "conv0"
    server.content = net.SerializeToString()
    said: list[str] = []
    with pytest.raises(Failure, match=r"Get tiny\.caffemodel \(about 0 MB\)"):
        fetch.fetch(unknown, said.append)
    assert said == [f"tiny: no weights from {server.url}good (does not fit this model: it has no weights for conv1)"]
    assert sorted(path.name for path in unknown.folder.iterdir()) == ["model.toml", "net.prototxt"]


def test_a_published_sha1_is_as_good(unknown: model.Model, server: Server) -> None:
    sha1 = hashlib.sha1(server.content).hexdigest()  # noqa: S324
    said: list[str] = []
    with pytest.raises(Failure, match="sha1 " + "0" * 40):
        fetch.fetch(dataclasses.replace(unknown, weights_sha1="0" * 40), said.append)
    assert "its sha1 differs" in said[-1]
    fetch.fetch(dataclasses.replace(unknown, weights_sha1=sha1), said.append)
    assert unknown.weights_path().read_bytes() == server.content


def test_the_size_of_unknown_weights_is_likely_from_the_description(unknown: model.Model, server: Server) -> None:
    least, most, checksum = fetch.wanted(unknown)
    assert least < len(server.content) < 1.5 * least
    assert most < 100e6
    assert checksum == ""


def test_no_source_at_all_says_where_to_put_the_file(bare: model.Model) -> None:
    with pytest.raises(Failure) as error:
        fetch.fetch(dataclasses.replace(bare, sources=()), print)
    assert str(bare.folder) in str(error.value)
    assert "tiny.caffemodel" in str(error.value)
    assert bare.weights_sha256 in str(error.value)


def test_a_file_of_the_users_own_is_copied_in_when_it_fits(bare: model.Model, tiny: model.Model, tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setenv("DREAMER_WEIGHTS_TINY", str(tiny.weights_path()))
    fetch.fetch(bare, print)
    assert (bare.folder / "tiny.caffemodel").read_bytes() == server.content
    (tmp_path / "bad").write_bytes(b"not a weights")
    monkeypatch.setenv("DREAMER_WEIGHTS_TINY", str(tmp_path / "bad"))
    with pytest.raises(Mistake, match="bad"):
        fetch.fetch(bare, print)
    assert (bare.folder / "tiny.caffemodel").read_bytes() == server.content
    assert server.seen == []
