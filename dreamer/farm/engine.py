"""The engine between the machines: dask.distributed, as Debian has it. Everything that sets it up is here."""

import asyncio
import datetime
import logging
import socket
import time
import warnings
from typing import Any

from dreamer.errors import Failure
from dreamer.farm.keys import Keys
from dreamer.machine import here
from dreamer.machine.signals import LOOK

KILLS = 2  # workers that a unit may have ended before; the next one ends the unit too
WAIT = "10s"  # for a connection
REFUSED = 2.0  # seconds for which connections may be refused, because the scheduler is starting
_SETTINGS = {
    "distributed.scheduler.allowed-failures": KILLS,
    "distributed.scheduler.work-stealing": False,  # it moves long tasks at odd times
    "distributed.scheduler.worker-ttl": "60s",  # after which a machine that says nothing counts as gone
    "distributed.scheduler.events-log-length": 100,
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.log-length": 100,
    "distributed.admin.event-loop": "tornado",
    "distributed.comm.require-encryption": True,
    "distributed.comm.timeouts.connect": WAIT,
    "distributed.comm.timeouts.tcp": "30s",
    "distributed.worker.use-file-locking": False,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.scheduler.active-memory-manager.start": False,
}

_TALKERS = ("distributed", "tornado", "asyncio", "bokeh")  # loggers


class Absent(Failure):
    """No scheduler answers; there may be one later."""


def load() -> Any:
    """The module distributed, set up and silent: its messages are not for people who dream. Raises Failure without
    it."""
    warnings.simplefilter("ignore")
    try:
        import dask
        import distributed
    except ImportError as error:
        raise Failure(f"a farm needs the package python3-distributed ({error}): {here.provision('farm')}") from None
    from dreamer.farm.connection import persist  # with the engine
    persist()
    dask.config.set(_SETTINGS)
    for name in {*_TALKERS, *(name for name in logging.root.manager.loggerDict if name.split(".")[0] in _TALKERS)}:
        logging.getLogger(name).handlers = [logging.NullHandler()]
        logging.getLogger(name).propagate = False
    return distributed


def version() -> str:
    """The engine's version; all machines of a farm must have the same."""
    return str(load().__version__)


def security(keys: Keys) -> Any:
    """The engine's Security: each connection is encrypted, and both ends show the farm's certificate."""
    held = {f"tls_{who}_{what}": str(path) for who in ("client", "scheduler", "worker")
            for what, path in (("cert", keys.certificate), ("key", keys.key))}
    return load().Security(tls_ca_file=str(keys.authority), require_encryption=True, **held)


def listens(where: str) -> None:
    """Raise Absent if nothing listens at `where`: the engine would try for as long as WAIT."""
    host, _, port = where.removeprefix("tls://").rpartition(":")
    last = time.monotonic() + REFUSED
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), REFUSED).close()
            return
        except ConnectionRefusedError as error:
            if time.monotonic() > last:
                raise unreachable(where, error) from None
            time.sleep(LOOK)
        except OSError:  # the engine tries for longer, and says what is wrong
            return


async def ask(where: str, keys: Keys, question: str, **more: Any) -> Any:
    """What the scheduler at `where` answers. Raises Failure if none of this farm answers there."""
    distributed = load()
    guard = security(keys)
    await asyncio.get_running_loop().run_in_executor(None, listens, where)
    try:
        async with distributed.core.rpc(where, connection_args=guard.get_connection_args("client")) as scheduler:
            return await asyncio.wait_for(getattr(scheduler, question)(**more), 15)
    except Exception as error:
        raise unreachable(where, error) from None


def unreachable(where: str, error: BaseException) -> Failure:
    """The Failure if the scheduler at `where` cannot be reached, because of `error`."""
    told = _reasons(error)
    if "not yet valid" in told or "has expired" in told:
        return Failure(f"by this machine's clock ({datetime.date.today()}), the keys of the farm at {where} are not "
                       "valid: set the clock, or make new keys")
    if any(word in told for word in ("certificate", "CERTIFICATE", "SSLError", "alert")):
        return Failure(f"the scheduler at {where} belongs to another farm: its keys are not those of this machine")
    return Absent(f"no scheduler of a farm answers at {where}; start one there with: "
                   f"{here.command('farm scheduler')}")


def _reasons(error: BaseException | None) -> str:
    """What an error says, and what those say that led to it."""
    return f"{error} {_reasons(error.__cause__ or error.__context__)}" if error else ""
