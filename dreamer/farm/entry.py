"""The command `farm`: what its words mean."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from dreamer.errors import Mistake, counted
from dreamer.farm import engine, keys
from dreamer.machine import here, limits
from dreamer.options import values

_Found = TypeVar("_Found")
_WORDS = ("keys", "scheduler", "worker", "status")
_OF = {"bind": "scheduler", "port": "scheduler", "jobs": "worker", "memory": "worker", "threads": "worker",
       "folder": "worker"}


def enter(what: str | None, where: str | os.PathLike[str] | None, given: dict[str, Any],
          pull: Callable[..., float], objectives: Callable[..., Any]) -> list[str] | None:
    """Carry out `farm WHAT WHERE`.

    given             {option: its checked value, or None}
    pull, objectives  dreamify.pull and dreamify.objectives_of, or functions with the same arguments, at the top level
                      of a module

    Returns lines to print, for keys and status; scheduler and worker end with Stopped. Raises Mistake and Failure."""
    if what not in _WORDS:
        raise Mistake(f"farm: {'name' if what is None else f'{what} is not'} one of {', '.join(_WORDS)}, such as: "
                      f"{here.command('farm keys FOLDER')}")
    if wrong := [f"{name}: only farm {_OF[name]} takes --{name}" for name, value in given.items()
                 if value is not None and _OF[name] != what]:
        raise Mistake(*wrong)
    if what == "keys":
        return keys.make(Path(where) if where is not None else keys.usual())
    if what == "scheduler":
        if where is not None:
            raise Mistake(f"farm: name the scheduler's own address with --bind {where}")
        held = keys.find()
        engine.load()
        from dreamer.farm.scheduler import LOOPBACK, serve
        port = given["port"] if given["port"] is not None else values.FARM_PORT
        return _run(serve(held, given["bind"] or here.address() or LOOPBACK, port))
    if "://" not in (address := values.farm(where or os.environ.get("DREAMER_FARM") or values.NONE)):
        raise Mistake(f"farm: {what} needs the address of a scheduler, such as tls://192.168.1.5:{values.FARM_PORT}")
    if what == "status":
        return _run(_status(address, keys.find()))
    from dreamer.farm.share import named
    folder, held = named(given["folder"]), keys.find()
    engine.load()
    from dreamer.farm.worker import room, work
    has = room(given["memory"], given["threads"], given["jobs"] or 1, folder)
    return _run(work(address, held, has, pull, objectives))


def _run(work: Coroutine[Any, Any, _Found]) -> _Found:
    """Do the work in a new loop. asyncio.run would then cancel what the engine has left running and wait for it, for
    ever; here the process ends with it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(work)


async def _status(address: str, held: keys.Keys) -> list[str]:
    """Lines about a farm: what it runs, and for each worker what it has and does."""
    state = await engine.ask(address, held, "farm_state")
    like, workers = state["likeness"], state["workers"]
    lines = [f"{address}: {counted(len(workers), 'worker')}; image-dreamer {like['program']}, Caffe {like['caffe']}, "
             f"python3-distributed {like['engine']}"]
    for worker in workers.values():
        has = worker["resources"]
        lines.append(f"{worker['name']}: {counted(int(has['cores']), 'core')}, {limits.told(has['memory'])} of memory, "
                     f"{counted(int(has['slots']), 'dream')} at a time")
        lines += [f"  {told['name']}: {told['share']:.0%}"
                  + (f", {told['left']:.0f} s to go" if told["left"] is not None else "") for told in worker["doing"]]
        lines += [] if worker["doing"] else ["  waits for work"]
    return lines
