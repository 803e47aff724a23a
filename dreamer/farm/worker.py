"""A worker of a farm: it carries out units of work, one or a few at a time, with this machine's memory and threads."""

import asyncio
import contextlib
import os
import signal
import socket
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import distributed
from tornado.ioloop import PeriodicCallback

from dreamer.arrays import Planes
from dreamer.errors import Failure, Stopped, counted, say
from dreamer.farm import engine
from dreamer.farm.attempt import SOON, Arrived
from dreamer.farm.blocks import Blocks
from dreamer.farm.home import home
from dreamer.farm.keys import Keys
from dreamer.farm.likeness import check, likeness
from dreamer.farm.pageless import Pageless
from dreamer.farm.windows import Children, Held, Windows
from dreamer.machine import limits
from dreamer.machine.series import Series
from dreamer.machine.signals import ASKING

PLENTY = 10 ** 9  # units that can use the same weights at once
SHARE = 0.8  # of the free memory; the rest is left for other programs
FORGET = 20.0  # seconds between two looks whether the commands live whose pictures are held
PAUSE = 1.0  # seconds between two tries to reach the scheduler


class Room(NamedTuple):
    """What a worker may use.

    memory   bytes in all
    threads  in all
    jobs     units at a time, which share both
    folder   the folder that all machines share, or None"""

    memory: int
    threads: int
    jobs: int
    folder: Path | None = None

    def told(self) -> str:
        """As text."""
        return (f"{counted(self.jobs, 'dream')} at a time, {limits.told(self.memory)} of memory, "
                f"{counted(self.threads, 'thread')}" + (f", the shared folder {self.folder}" if self.folder else ""))


def room(memory: int | None, threads: int | None, jobs: int, folder: Path | None) -> Room:
    """The Room for these options: by default, most of this machine's memory, and all its cores."""
    free = int(limits.memory() * SHARE)
    return Room(memory or min(free, limits.cap() or free), threads or limits.threads(), jobs, folder)


class Worker(Pageless, distributed.Worker):
    """The engine's worker, for dreams. It has no page, and one thread more than units, which brings what units share.

    home            folder for its units
    folder          the folder that all machines share, or None
    windows         who computes the windows of giant pictures
    attempts        at units, by key: each has a method stop
    series          who carries out units, and does not now; the one that was used last is the last
    arrived         pixels of windows that wait to be computed
    blocks          what it holds of giant pictures
    memory_share, threads_share  what a unit may use"""

    def __init__(self, where: str, keys: Keys, room: Room, folder: Path, weights: dict[str, str],
                 windows: Children) -> None:
        self.windows, self.attempts, self.series = windows, dict[str, Any](), list[Series]()
        self.home, self.folder, self.memory_share = folder, room.folder, room.memory // room.jobs
        self.threads_share = max(1, room.threads // room.jobs)
        resources = {"slots": room.jobs, "memory": room.memory, "cores": room.threads}
        resources |= {f"weights-{checksum}": PLENTY for checksum in weights.values()}
        resources |= {"folder": PLENTY} if room.folder else {}
        super().__init__(where, nthreads=room.jobs + 1, host=_own_address(where), protocol="tls://",
                         name=f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:4]}",
                         security=engine.security(keys), memory_limit=0, local_directory=str(folder),
                         resources=resources, dashboard=False, dashboard_address=None)
        self.arrived = Arrived(lambda name: name in self.state.tasks)
        self.blocks = Blocks(lambda: str(self.address), self.rpc)
        self.handlers |= {"farm_window": self.farm_window, "farm_gather": self.farm_gather, **self.blocks.handlers()}
        self.periodic_callbacks["farm_window"] = PeriodicCallback(self.arrived.forget, SOON * 1000)
        self.periodic_callbacks["farm_blocks"] = PeriodicCallback(self.farm_forget, FORGET * 1000)

    def farm_window(self, name: str, pixels: Planes) -> None:
        """The pixels of a window come from who holds the picture."""
        self.arrived.add(name, pixels)

    async def farm_gather(self, name: str, held: Held) -> None:
        """The pixels of a window are to come from the workers that hold the picture."""
        self.arrived.add(name, await self.blocks.window(*held))

    async def farm_forget(self) -> None:
        """Forget what is held for commands that are gone."""
        with contextlib.suppress(Exception):  # the scheduler may be gone: then this worker ends soon
            await self.blocks.forget(self.scheduler.farm_owners)


async def work(where: str, keys: Keys, room: Room, pull: Callable[..., float], objectives: Callable[..., Any]) -> None:
    """Work for the scheduler at `where` until a signal ends it: raises Stopped. If the scheduler is not there, wait for
    it. Raises Failure if this machine is not like the farm's others.

    pull, objectives  dreamify.pull and dreamify.objectives_of"""
    mine, asked, numbers = likeness(), asyncio.Event(), list[int]()
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        numbers.append(number)
        asked.set()

    for number in ASKING:
        loop.add_signal_handler(number, stop, number)
    share = Windows(pull, objectives, max(1, room.threads // room.jobs), room.memory // room.jobs)
    with home() as folder, contextlib.closing(Children(share, room.jobs)) as windows:
        while not asked.is_set():
            if await _joined(where, keys, mine, asked):
                await _serve(Worker(where, keys, room, folder, mine["weights"], windows), where, room, asked)
    raise Stopped(numbers[0])


async def _joined(where: str, keys: Keys, mine: dict[str, Any], asked: asyncio.Event) -> bool:
    """Wait until the scheduler answers, and compare this machine with it; returns False if a stop is asked for."""
    told = False
    while not asked.is_set():
        try:
            state = await engine.ask(where, keys, "farm_state")
        except engine.Absent as error:
            if not told:
                say(f"waiting for the farm: {error}")
            told = True
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asked.wait(), PAUSE)
        else:
            check(mine, state["likeness"])
            return True
    return False


async def _serve(worker: Worker, where: str, room: Room, asked: asyncio.Event) -> None:
    """Run the worker until the scheduler is gone, or a stop is asked for."""
    try:
        await worker
    except Exception as error:
        if asked.is_set():
            return
        raise Failure(f"the worker cannot join the farm at {where}: {error}") from None
    say(f"works for the farm at {where}: {room.told()}; stop it with Ctrl-C")
    ends = [asyncio.ensure_future(worker.finished()), asyncio.ensure_future(asked.wait())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for each in ends:
        each.cancel()
    with contextlib.suppress(Exception):
        await asyncio.wait_for(worker.close(timeout=5), 10)
    for series in worker.series:
        series.close()
    worker.blocks.clear()  # the engine may keep its worker for a while
    if not asked.is_set():
        say("the scheduler is gone")


def _own_address(where: str) -> str:
    """The address of this machine on the way to the scheduler: only there the worker listens. Raises Failure."""
    host, _, port = where.removeprefix("tls://").rpartition(":")
    try:
        kind, _, _, _, target = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
        with socket.socket(kind, socket.SOCK_DGRAM) as way:
            way.connect(target)  # sends nothing
            return str(way.getsockname()[0])
    except OSError as error:
        raise Failure(f"{host} cannot be reached: {error.strerror}") from None
