"""A farm for as long as a server runs, whose dreams are other processes of this program: they get its address with
their requests."""

import contextlib
import functools
import os
from collections.abc import Iterator

from dreamer.errors import Wrong
from dreamer.farm import engine, keys
from dreamer.machine import worker
from dreamer.machine.signals import Stop
from dreamer.machine.worker import Worker
from dreamer.options.values import LOCAL, NONE, farm


@contextlib.contextmanager
def lasting(asked: str | None) -> Iterator[str | None]:
    """The address of the farm that was asked for, or that DREAMER_FARM names; None if there is none. In this block its
    scheduler was there, and this machine is like it. LOCAL is a farm on this machine, which ends with the block.

    Raises Mistake if this machine has no keys; Failure if the scheduler does not answer, or if this machine differs."""
    wrong, where = Wrong(), NONE
    with wrong.noted("DREAMER_FARM: "):
        where = farm((os.environ.get("DREAMER_FARM") if asked is None else asked) or NONE)
    wrong.tell()
    if where == NONE:
        yield None
    elif where == LOCAL:
        engine.load()
        from dreamer.farm.local import local
        with local() as (address, held), _kept_in(os.path.dirname(held.key)):
            yield address
    else:
        # in another process, because the engine's memory and threads would stay here
        worker.run(functools.partial(_join, where, keys.find()), lambda _: None, Stop(), called="the farm")
        yield where


def _join(where: str, held: keys.Keys, child: Worker) -> None:
    """Join the farm, and leave it. Raises Failure if that cannot be."""
    engine.load()
    from dreamer.farm.client import Farm  # with the engine
    Farm(where, held).close()


@contextlib.contextmanager
def _kept_in(folder: str) -> Iterator[None]:
    """In this block, the processes that are started look for the farm's keys in the folder."""
    before = os.environ.get(keys.VARIABLE)
    os.environ[keys.VARIABLE] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ[keys.VARIABLE]
        else:
            os.environ[keys.VARIABLE] = before
