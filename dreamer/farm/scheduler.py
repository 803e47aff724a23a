"""The scheduler of a farm: workers and clients meet there, and each unit of work gets its worker."""

import asyncio
import collections
import contextlib
import signal
import time
from typing import Any

import distributed

from dreamer.errors import Failure, Stopped, say
from dreamer.farm import engine
from dreamer.farm.keys import Keys
from dreamer.farm.likeness import likeness
from dreamer.farm.pageless import Pageless
from dreamer.machine import here
from dreamer.machine.signals import ASKING

LOOPBACK = "127.0.0.1"


class Scheduler(Pageless, distributed.Scheduler):
    """The engine's scheduler, for dreams. It has no page (the engine's own has no lock), and knows what each worker
    does."""

    def __init__(self, keys: Keys, host: str, port: int) -> None:
        super().__init__(host=host, port=port, protocol="tls://", security=engine.security(keys),
                         dashboard_address=None, dashboard=False)
        self._likeness = likeness()
        self._doing: dict[str, dict[str, dict[str, Any]]] = collections.defaultdict(dict)  # of each worker: by key
        self._glimpses: dict[str, bytes] = {}  # the newest of each unit
        self.handlers |= {"farm_state": self.farm_state, "farm_owners": self.farm_owners,
                          "farm_glimpse": self.farm_glimpse}
        self.stream_handlers["farm_progress"] = self.farm_progress

    def farm_state(self) -> dict[str, Any]:
        """{"likeness": as likeness() says, "workers": {address: {"name", "resources", "silent": seconds without news of
        it, "doing": [what it tells of each unit]}}}."""
        for address in {*self._doing} - {*self.workers}:
            for key in self._doing.pop(address):
                self._glimpses.pop(key, None)
        return {"likeness": self._likeness,
                "workers": {address: {"name": str(worker.name), "resources": dict(worker.resources),
                                      "silent": time.time() - worker.last_seen if worker.last_seen else 0.0,
                                      "doing": list(self._doing.get(address, {}).values())}
                            for address, worker in self.workers.items()}}

    def farm_owners(self) -> dict[str, Any]:
        """Who may have leases: {"farm": the scheduler's address, "attempts": [[address of a worker, key of what it
        does now]], "commands": what the engine calls those who use the farm}."""
        return {"farm": self.address, "commands": [*self.clients],
                "attempts": [[task.processing_on.address, str(task.key)] for task in self.tasks.values()
                             if task.processing_on]}

    def farm_glimpse(self, key: str) -> bytes:
        """The newest picture of the dream so far of a unit; empty if there is none."""
        return self._glimpses.get(key, b"")

    def farm_progress(self, worker: str, key: str, topic: str, told: dict[str, Any], glimpse: bytes = b"") -> None:
        """A worker tells how far it is with a unit: this is passed on to who subscribed to `topic`. A picture is kept
        here until it is asked for, because the engine keeps the last hundred messages of each topic for good."""
        if told["ended"]:
            self._doing[worker].pop(key, None)
            self._glimpses.pop(key, None)
        else:
            self._doing[worker][key] = told
            if glimpse:
                self._glimpses[key] = glimpse
        self.log_event(topic, told | {"key": key, "worker": worker})


async def serve(keys: Keys, host: str, port: int) -> None:
    """Run the scheduler until a signal ends it: raises Stopped. Raises Failure if it cannot listen there."""
    asked, loop = asyncio.Event(), asyncio.get_running_loop()
    number = [signal.SIGTERM]

    def stop(which: signal.Signals) -> None:
        number[0] = which
        asked.set()

    for which in ASKING:
        loop.add_signal_handler(which, stop, which)
    scheduler = Scheduler(keys, host, port)
    try:
        await scheduler
    except OSError as error:
        raise Failure(f"the scheduler cannot listen at {host}:{port}: {error.strerror or error}") from None
    where = scheduler.address
    say(f"the farm's scheduler is at {where}; stop it with Ctrl-C\n"
        f"  on each machine:  {here.command(f'farm worker {where}')}\n"
        f"  to dream:         {here.command(f'photos/ dreams/ --farm {where}')}")
    try:
        await asked.wait()
    finally:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(scheduler.close(), 5)
    raise Stopped(number[0])
