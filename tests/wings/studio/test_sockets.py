"""The WebSockets of a running studio: the newest state for everybody, and nothing that waits for the slow."""

import asyncio
import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from browser import Served, quiet
from client import Client
from helpers import ROOT


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("photos")
    shutil.copy(ROOT / "tests/pictures/coffee.jpg", folder)
    yield from quiet(folder)


async def opened(client: Client, path: str = "/socket") -> Any:
    """A WebSocket."""
    return await websocket_connect(HTTPRequest(f"ws://{client.host}{path}", headers={
        "Cookie": client.cookie, "Origin": f"http://{client.host}"}))


async def until(line: Any, fits: Callable[[dict[str, Any]], bool], seconds: float = 60) -> dict[str, Any]:
    """The first message that fits."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = json.loads(await asyncio.wait_for(line.read_message(), seconds))
        if fits(found):
            return dict(found)
    raise AssertionError("no message fits")


def test_the_state_comes_at_once_and_when_something_changes(served: Served, client: Client) -> None:
    async def watch() -> None:
        line = await opened(client)
        state = await until(line, lambda state: state["disk"]["free"] > 0)
        assert {"jobs", "gallery", "disk", "folder", "queue_full", "server"} <= set(state)
        assert (state["folder"], state["jobs"], state["queue_full"]) == (served.folder.name, [], False)
        shutil.copy(ROOT / "tests/pictures/raccoon.jpg", served.folder)
        await until(line, lambda now: bool(now["gallery"] > state["gallery"]))
        line.close()
    asyncio.run(watch())


def test_a_dream_is_told_to_every_page(client: Client) -> None:
    async def watch() -> None:
        lines = [await opened(client) for _ in range(9)]
        form = {"photo": "coffee.jpg", "model": "daydream", "max_size": 160}
        number = (await asyncio.to_thread(client.json, "POST", "/dreams", form))["ids"][0]
        for line in lines:
            state = await until(line, lambda state: any(job["state"] == "done" for job in state["jobs"]))
            assert [job["id"] for job in state["jobs"]] == [number]
            line.close()
        await asyncio.to_thread(client.json, "POST", f"/jobs/{number}/remove")
    asyncio.run(watch())


def test_at_most_eight_messages_a_second(client: Client) -> None:
    async def watch() -> tuple[int, float]:
        began = time.monotonic()
        line, count = await opened(client), 0
        form = {"photo": "coffee.jpg", "model": "daydream", "max_size": 600, "iterations": 100_000}
        number = (await asyncio.to_thread(client.json, "POST", "/dreams", form))["ids"][0]

        def dreams(state: dict[str, Any]) -> bool:
            nonlocal count
            count += 1
            return any(job["iteration"] for job in state["jobs"])
        await until(line, dreams)
        end = time.monotonic() + 3
        while (left := end - time.monotonic()) > 0:
            try:
                await asyncio.wait_for(line.read_message(), left)
            except asyncio.TimeoutError:
                break
            count += 1
        seconds = time.monotonic() - began
        await asyncio.to_thread(client.json, "POST", f"/jobs/{number}/stop")
        await until(line, lambda state: all(job["state"] == "stopped" for job in state["jobs"]))
        await asyncio.to_thread(client.json, "POST", f"/jobs/{number}/remove")
        line.close()
        return count, seconds
    count, seconds = asyncio.run(watch())
    assert 2 <= count <= 8 * seconds + 2


def test_a_page_that_reads_nothing_costs_nothing(served: Served, client: Client) -> None:
    """Its kernel's buffer fills; then no more is sent, and the studio's memory stays as it is."""
    def memory() -> int:
        return int(Path(f"/proc/{served.process.pid}/statm").read_text().split()[1])

    def work() -> None:
        client.json("POST", "/samples/coffee.jpg")
        for _ in range(100):
            client.json("GET", "/gallery")
    work()  # what is loaded only once does not count
    silent = socket.create_connection(("127.0.0.1", served.port))
    silent.sendall(f"GET /socket HTTP/1.1\r\nHost: {client.host}\r\nCookie: {client.cookie}\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
    before = memory()
    for _ in range(3):
        work()
    assert memory() - before < 8000
    silent.close()


def test_one_mirror_at_a_time(client: Client) -> None:
    async def watch() -> None:
        first = await opened(client, "/mirror")
        with pytest.raises(HTTPClientError, match="503"):
            await opened(client, "/mirror")
        first.write_message("{")
        assert "error" in json.loads(await asyncio.wait_for(first.read_message(), 20))
        first.close()
        for _ in range(50):
            try:
                second = await opened(client, "/mirror")
                second.close()
                return
            except HTTPClientError:
                await asyncio.sleep(0.1)
        raise AssertionError("the mirror stays closed")
    asyncio.run(watch())
