"""Files that many units read, such as a mask or a model: the engine brings each to each worker once. At first one
worker holds it. If that hangs, the file is sent again, because the others would wait for it until the engine gives the
worker up."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from dreamer.farm import unit
from dreamer.machine.files import sha256

SILENT = 6.0  # seconds without news of a worker after which it counts as hung; a few workers tell news twice a second


class Shared:
    """The files of one run.

    client  the engine's
    name    of the run, for keys that no other has"""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name
        self._futures: dict[str, Any] = {}  # by checksum
        self._checksums: dict[Path, str] = {}
        self._only: dict[str, set[str]] = {}  # by checksum: workers that must get it first; empty for any
        self._count = 0

    def content(self, path: Path, avoided: Collection[str], workers: Collection[str]) -> Any:
        """The future of a file's content.

        avoided  workers that must not get it first, if there are others among `workers`"""
        checksum = self._checksums[path] = sha256(path)
        if checksum not in self._futures:
            self._count += 1
            # named only if need be: if no worker is left, the engine gives a task with names to none that joins later
            better = sorted({*workers} - {*avoided}) if avoided else []
            self._only[checksum] = {*better}
            self._futures[checksum] = self._client.submit(
                unit.content, path.read_bytes(), pure=False, key=f"content-{self._name}-{self._count}",
                workers=better or None, allow_other_workers=bool(better))
        return self._futures[checksum]

    def lost(self, hung: Collection[str], workers: Collection[str]) -> set[Path]:
        """The files that only hung workers hold, or that only hung or gone ones are to get: content() sends them again.
        Raises what the engine raises if the scheduler is gone.

        workers  all that are there"""
        gone_with = {each for each in self._futures if self._only[each] and not self._only[each] & {*workers}}
        if not self._futures or not (hung or gone_with):
            return set()
        ask = self._client.scheduler
        keys = [each.key for each in self._futures.values()]
        holders = self._client.sync(ask.who_has, keys=keys, callback_timeout=20)
        to_get = self._client.sync(ask.processing, workers=None, callback_timeout=20)
        getting = {key for worker in hung for key in to_get.get(worker, ())}
        gone = {checksum for checksum, each in self._futures.items()
                if each.key in getting or (holders.get(each.key) and {*holders[each.key]} <= {*hung})
                or (checksum in gone_with and not holders.get(each.key))}
        for checksum in gone:
            del self._futures[checksum]
        return {path for path, checksum in self._checksums.items() if checksum in gone}

    def clear(self) -> None:
        """Give them all up."""
        self._futures.clear()
