"""A unit of work on a worker: a dream in a child process, in a folder of its own."""

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dreamer.errors import Failure, Mistake, printable
from dreamer.farm import inplace
from dreamer.farm.glimpse import SECONDS, glimpse
from dreamer.machine import files
from dreamer.machine.child import Child
from dreamer.machine.series import Series

ROOMY = 2  # times the memory that a dream needs: with less, no net is kept between it and the one before
OFTEN = 0.4  # seconds between two reports, and between two looks whether somebody still wants the result
_PROGRAM = Path(__file__).resolve().parents[2] / "dreamify.py"


def content(data: bytes) -> bytes:
    """What several units read, as a result that the engine brings to each worker once."""
    return data


def stop(key: str, dask_worker: Any) -> None:
    """Have a unit stop, and bring what it keeps. Called by the engine, on a worker."""
    if attempt := dask_worker.attempts.get(key):
        attempt.stop()


async def carry_out(job: Mapping[str, Any], names: list[str], contents: list[bytes], *shared: bytes) -> dict[str, Any]:
    """Dream; returns {"files": {path: bytes}, "error": lines, "code": 0, 1 or 2, "warnings": lines, "worker": address},
    and what inplace.carry_out adds. Called by the engine, on a worker.

    job       name, request, outputs, whole, count (of pictures), key, topic, need (bytes, or None), shared (paths),
              follows (whether its events are told), keeps (path of what it leaves if it is stopped; "": nothing),
              place (as Share.place says; None if everything travels)
    names     paths of `contents`, the files that only this unit reads; `shared` are the others"""
    import distributed
    worker = distributed.get_worker()
    folder = Path(tempfile.mkdtemp(prefix="unit-", dir=worker.home))
    try:
        for name, data in zip([*names, *job["shared"]], [*contents, *shared], strict=True):
            path = _inside(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        _inside(folder, job["outputs"]).parent.mkdir(parents=True, exist_ok=True)
        if job["outputs"].endswith("/"):
            _inside(folder, job["outputs"]).mkdir(exist_ok=True)
        if job["place"] is None:
            return await _Attempt(worker, job, folder).run()
        return await inplace.carry_out(worker, job, folder, lambda: _Attempt(worker, job, folder).run())
    except inplace.Apart as error:
        return _ended(worker, error=[f"{worker.name}: {error}"], code=1) | {
            "apart": str(error), "only": isinstance(error, inplace.Other)}
    except (Failure, Mistake) as error:  # another owner has the lease of its output
        return _ended(worker, error=[str(error)], code=error.exit_code)
    except OSError as error:
        return _ended(worker, error=[f"{worker.name}: {error.filename or folder}: {error.strerror or error}"], code=1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Attempt:
    """One attempt at a unit: a child process, and what it tells."""

    def __init__(self, worker: Any, job: Mapping[str, Any], folder: Path) -> None:
        self._worker, self._job, self._folder = worker, job, folder
        self._warnings, self._tiles = list[str](), False
        self._began, self._told = time.monotonic(), 0.0
        self._done, self._share, self._left = 0, 0.0, None
        self._events: dict[str, dict[str, Any]] = {}  # the newest of each kind that was not told yet
        self._shown: dict[str, Any] | None = None  # the event of a preview that was not sent yet
        share = worker.memory_share
        request = {**job["request"], "quiet": True, "force": True,
                   "threads": worker.threads_share}
        if request.get("memory") is None:  # else the tiles are planned with it
            request["memory"] = max(share, job["need"] or 0)
        self._series = worker.series.pop() if worker.series else Series(str(_PROGRAM))
        if job["need"] and ROOMY * job["need"] <= request["memory"] and job["request"].get("memory") is None:
            self._child = self._series.child(folder, request, self._hear)
        else:
            self._series.close()  # its memory is needed
            self._child = Child(str(_PROGRAM), folder, request, self._hear)

    async def run(self) -> dict[str, Any]:
        """Dream; returns the same as carry_out."""
        self._report()
        watching = [asyncio.ensure_future(each) for each in (self._watch(), self._show())]
        self._worker.attempts[self._job["key"]] = self
        try:
            end = await self._child.run()
        finally:
            del self._worker.attempts[self._job["key"]]
            for each in watching:
                each.cancel()
            self._worker.series.append(self._series)
            self._report(ended=True)
        if self._tiles:
            return _ended(self._worker, error=[f"{self._worker.name} has too little memory to dream it in one piece"],
                          code=1, tiles=True)
        if end.state == "stopped":
            return _ended(self._worker, error=["it was stopped"], code=1, files=self._kept())
        return _ended(self._worker, error=list(end.lines), code=0 if end.state == "done" else end.code,
                      warnings=self._warnings, files=self._results())

    def stop(self) -> None:
        """Stop the dream."""
        self._child.stop()

    def _kept(self) -> dict[str, bytes]:
        """The dream so far, and what it goes on from, if it has left that."""
        name = self._job["keeps"]
        if name.endswith("/"):
            files.sweep(self._folder / name)
        left = self._files(name) if name else {}
        return self._results() | left if left else {}

    def _results(self) -> dict[str, bytes]:
        outputs = self._job["outputs"]
        return {name: data for name, data in self._files(outputs).items()
                if "/." not in name.removeprefix(outputs) and not name.removeprefix(outputs).startswith(".")}

    def _files(self, name: str) -> dict[str, bytes]:
        """The file of that name in the unit's folder, or with / at its end all files in that folder, by their names."""
        path = self._folder / name
        if not name.endswith("/"):
            return {name: path.read_bytes()} if path.is_file() else {}
        return {str(each.relative_to(self._folder)): each.read_bytes()
                for each in sorted(path.rglob("*")) if each.is_file()}

    def _hear(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "warning":
            self._warnings.append(str(event["line"]))
        elif kind == "began" and event["overhead"] > 1 and self._job["whole"]:
            self._tiles = True
            self._child.stop()
        elif kind == "finished":
            self._done, self._share = self._done + 1, 0.0
        elif kind in ("step", "tiled"):
            self._share, self._left = event["done"] / max(1, event["total"]), event["left"]
        elif kind == "preview":
            self._shown = event
        if self._job["follows"] and kind in ("began", "step", "tiled"):
            self._events[kind] = event
        if time.monotonic() - self._told > OFTEN:
            self._report()

    async def _show(self) -> None:
        """Send a picture of the dream so far from time to time, if there is a new one."""
        while self._job["follows"]:
            await asyncio.sleep(SECONDS)
            if event := self._shown:
                self._shown = None
                with contextlib.suppress(OSError):
                    made = await asyncio.to_thread(glimpse, self._folder / self._job["request"]["preview"])
                    self._events[event["event"]] = event
                    self._report(made)

    def _report(self, picture: bytes = b"", ended: bool = False) -> None:
        self._told = time.monotonic()
        share = min(1.0, (self._done + self._share) / self._job["count"])
        told = {"number": self._job["number"], "name": printable(self._job["name"]), "share": share, "left": self._left,
                "seconds": time.monotonic() - self._began, "ended": ended, "events": [*self._events.values()]}
        self._events.clear()
        with contextlib.suppress(Exception):  # the connection is gone: so is who would hear it
            self._worker.batched_send({"op": "farm_progress", "key": self._job["key"], "topic": self._job["topic"],
                                       "told": told, "glimpse": picture})

    async def _watch(self) -> None:
        """Stop the child as soon as nobody wants the result."""
        while True:
            await asyncio.sleep(OFTEN)
            task = self._worker.state.tasks.get(self._job["key"])
            if task is None or task.state in ("cancelled", "released", "forgotten"):
                self._child.stop()


def _ended(worker: Any, *, error: list[str], code: int, warnings: list[str] | None = None,
           files: dict[str, bytes] | None = None, tiles: bool = False) -> dict[str, Any]:
    return {"files": files or {}, "error": error, "code": code, "warnings": warnings or [], "tiles": tiles,
            "worker": worker.address}


def _inside(folder: Path, name: str) -> Path:
    """The path `name` in the folder. Raises OSError if it leads out of it."""
    path = Path(os.path.normpath(folder / name))
    if not path.is_relative_to(folder) or path == folder:
        raise OSError(f"{name} is not a path in the unit's folder")
    return path
