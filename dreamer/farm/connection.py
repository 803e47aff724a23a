"""The engine's connection with the scheduler. When it breaks, the engine gives up what it was asked to do, and connects
again."""

import time
from typing import Any

from distributed.comm import tcp
from distributed.comm.core import CommClosedError

from dreamer.machine.signals import LOOK

AGAIN = 15.0  # seconds to connect again; the engine itself tries for 10


class Connection:
    """Watches the connection of the engine's `client`. The engine may give up without a word to connect again; then all
    that it is asked to do later would wait for ever."""

    def __init__(self, client: Any) -> None:
        self._client, self._comm = client, client.scheduler_comm
        self._was = time.monotonic()  # when it was last there

    def is_lost(self) -> bool:
        """Whether it broke so long ago that the engine has given up."""
        if self._client.status == "running":
            self._was = time.monotonic()
        return time.monotonic() - self._was > AGAIN

    def is_back(self) -> bool:
        """Whether it is there; if it has just broken, waits until it is there again, or lost."""
        while self._client.status == "connecting" and not self.is_lost():
            time.sleep(LOOK)
        return bool(self._client.status == "running")

    def is_new(self) -> bool:
        """Whether it is another one than at the last call: then the scheduler has forgotten what this client wanted to
        hear."""
        if self._client.status != "running" or self._client.scheduler_comm is self._comm:
            return False
        self._comm = self._client.scheduler_comm
        return True


class _Connector(tcp.TLSConnector):
    async def connect(self, *words: Any, **more: Any) -> Any:
        try:
            return await super().connect(*words, **more)
        except ValueError as error:
            raise CommClosedError(str(error)) from None


def persist() -> None:
    """Have the engine try again when who takes a connection closes it at once, as those do who pass a port on, as long
    as nobody is there. Tornado raises ValueError then, which ends the engine's tries."""
    tcp.TLSBackend._connector_class = _Connector
