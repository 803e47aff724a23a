"""A unit on a worker that sees the folder with its pictures: nothing travels, and a lease guards each output."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from dreamer.errors import Failure
from dreamer.farm.leases import Lease, Live, Owner, living, mark
from dreamer.farm.share import refreshed, within

_LOOKS, _PAUSE = 20, 0.2  # how often, and after how many seconds, a proof is looked for: a network may be slow
_LONGEST = 20.0  # seconds until the scheduler has said who lives


class Apart(Failure):
    """The worker cannot use the shared folder."""


class Other(Apart):
    """A file there differs from that of the machine that asks."""


async def prove(proof: list[str]) -> None:
    """Raise Apart, with the reason, unless this worker sees the shared folder as the machine that asks does. Called by
    the engine, which brings an error to that machine, whereas a result would stay on a worker that may hang later.

    proof  relative path of a file, and its content"""
    import distributed
    await asyncio.to_thread(_prove, distributed.get_worker().folder, proof)


async def carry_out(worker: Any, job: Mapping[str, Any], folder: Path,
                    dream: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Dream a unit; returns the same as unit.carry_out, with "there": the paths of results that are in their places.
    Raises Apart, before the dream, and Held, Lost and OSError. If a dream cannot be written there, it travels after
    all, and "apart" says why.

    job     as for unit.carry_out; "place" is what Share.place says
    folder  of the unit
    dream   function that dreams in `folder`"""
    loop = asyncio.get_running_loop()

    def live() -> Live:
        return living(asyncio.run_coroutine_threadsafe(worker.scheduler.farm_owners(), loop).result(_LONGEST))

    place = job["place"]
    owner = Owner(place["farm"], mark(place["farm"], worker.address, job["key"]), place["unit"], str(worker.name))
    unit = _InPlace(worker.folder, place, owner, live)
    try:
        if await asyncio.to_thread(unit.begin, folder):
            made = await dream()
        else:  # an earlier attempt has written everything, and died before it could say so
            made = {"files": {}, "error": [], "code": 0, "warnings": [], "tiles": False, "worker": worker.address}
        return await asyncio.to_thread(unit.write, made)
    finally:
        unit.end()


class _InPlace:
    """The files of a unit in the shared folder, and the leases of its results."""

    def __init__(self, root: Path | None, place: Mapping[str, Any], owner: Owner, live: Callable[[], Live]) -> None:
        self._root, self._place, self._owner, self._live = root, place, owner, live
        self._leases: dict[str, Lease] = {}
        self._there, self._over = list[str](), False

    def begin(self, folder: Path) -> bool:
        """Copy what the unit reads into its folder, so that what was compared is what is dreamed, and take the leases.
        Returns whether there is something to dream. Raises Apart and Held."""
        _prove(self._root, self._place["proof"])
        assert self._root  # noqa: S101
        try:
            for name, (relative, size, checksum) in self._place["reads"].items():
                data = within(self._root, relative).read_bytes()
                if len(data) != size or hashlib.sha256(data).hexdigest() != checksum:
                    raise Other(f"{relative} is another file there")
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)
            for name, relative in sorted(self._place["writes"].items()):
                lease = Lease(within(self._root, relative), self._owner)
                if lease.take(self._live):
                    self._there.append(name)
                    continue
                self._leases[name] = lease
                if self._over:  # nobody waits for this thread any more
                    self.end()
        except OSError as error:
            raise Apart(_told(error)) from None
        return bool(self._leases)

    def write(self, made: dict[str, Any]) -> dict[str, Any]:
        """Write the results of a dream; returns what the worker tells. Raises Lost."""
        travelling, apart = dict(made["files"]), ""
        try:
            for name, data in made["files"].items():
                if name in self._leases:
                    self._leases[name].write(data)
                    self._there.append(name)
                    del travelling[name]
        except OSError as error:
            apart = _told(error)
        return made | {"files": travelling, "there": self._there, "apart": apart}

    def end(self) -> None:
        """Give the leases back."""
        self._over = True
        for lease in self._leases.values():
            lease.release()


def _prove(root: Path | None, proof: list[str]) -> None:
    """Raise Apart unless the folder has the file `proof`, [relative path, content]."""
    if root is None:
        raise Apart("it has no --folder")
    name, content = proof
    for left in reversed(range(_LOOKS)):
        try:
            path = within(root, name)
            if path.read_text(encoding="utf-8") == content:
                return
        except (OSError, ValueError) as error:
            if not isinstance(error, FileNotFoundError):
                raise Apart(f"{root} cannot be used: {_told(error)}") from None
            refreshed(root, path)
        if left:
            time.sleep(_PAUSE)
    raise Apart(f"{root} is not the folder that the others share")


def _told(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
