"""The engine's connection with a real scheduler, when it breaks."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dreamer.errors import Failure
from farms import Farm, until

client = pytest.importorskip("dreamer.farm.client", reason="no python3-distributed: ./provision.sh farm")
from dreamer.farm import connection, engine, keys  # noqa: E402 - with the engine

pytestmark = pytest.mark.xdist_group("farm")


@pytest.fixture
def joined(farm: Farm) -> Iterator[Any]:
    """A client's Farm."""
    here = client.Farm(farm.address, keys.find(farm.keys))
    yield here
    here.client._handle_report_task = None  # the end of the engine's task, which a test breaks, would be waited for
    here.close()


def cut(joined: Any) -> None:
    """Break the connection, at this end."""
    joined.client.loop.add_callback(joined.client.scheduler_comm.comm.abort)


def test_it_connects_again_and_that_is_seen_once(joined: Any) -> None:
    assert not joined.connection.is_new()
    cut(joined)
    until(joined.connection.is_new)
    assert not joined.connection.is_new()
    assert not joined.connection.is_lost()
    assert joined.state()["workers"] == {}


def test_an_engine_that_gives_up_without_a_word_is_not_waited_for(joined: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler is there, and answers; but what the engine is asked to do would never arrive."""
    async def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(joined.client, "_ensure_connected", fails)
    cut(joined)
    until(lambda: joined.client.status != "running")
    assert joined.state()["workers"] == {}  # it may still come back
    monkeypatch.setattr(connection, "AGAIN", 0.5)

    def told() -> str:
        try:
            joined.state()
        except Failure as error:
            return str(error)
        return ""

    assert until(told).startswith(f"the farm's scheduler at {joined.where} is gone; ")
    assert not joined.connection.is_new()


def test_who_closes_a_connection_at_once_is_asked_again(farm: Farm) -> None:
    """As who passes a port on does, as long as nobody listens behind it."""
    distributed = engine.load()
    guard = engine.security(keys.find(farm.keys)).get_connection_args("client")
    with socket.create_server(("127.0.0.1", 0)) as server:
        def close_all() -> None:
            for _ in range(30):
                server.accept()[0].close()

        threading.Thread(target=close_all, daemon=True).start()

        async def ask() -> None:
            connector = distributed.comm.registry.get_backend("tls").get_connector()
            for _ in range(30):
                with pytest.raises(OSError):  # noqa: PT011 - any, because the engine tries again after each
                    await connector.connect(f"127.0.0.1:{server.getsockname()[1]}", **guard)

        asyncio.run(ask())
