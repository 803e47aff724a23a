"""The folder that all machines of a farm share: where files are in it, and what the machine that asks does there."""

import contextlib
import hashlib
import os
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from dreamer.errors import Mistake
from dreamer.farm.leases import Held, Lease, Live, Lost, Owner, mark, proof, sweep
from dreamer.jobs.elsewhere import Unit

_LOOKS, _PAUSE = 50, 0.1  # how often, and after how many seconds, a file is looked for that another machine has written


def named(folder: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder that all machines share: `folder`, else that of the variable; None if neither names one. Raises
    Mistake if it is no folder."""
    told = "folder" if folder is not None else "DREAMER_FARM_FOLDER"
    if not (found := folder if folder is not None else os.environ.get("DREAMER_FARM_FOLDER")):
        return None
    if not os.path.isdir(found):
        raise Mistake(f"{told}: {found} is not a folder; name the one that all machines share, as this machine sees it")
    return Path(os.path.realpath(found))


def within(root: Path, name: str) -> Path:
    """The path `name`, relative to the folder. Raises OSError if it leads out of it, also through a link."""
    path = root / PurePosixPath(name)
    if not Path(os.path.realpath(path)).is_relative_to(root) or ".." in path.relative_to(root).parts:
        raise OSError(f"{name} is not a path in {root}")
    return path


def refreshed(root: Path, path: Path) -> None:
    """Have the system look anew into the folders above a path: over a network, it may remember that a file was not
    there."""
    for folder in [*reversed(path.parents)]:
        if folder.is_relative_to(root):
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                next(entries, None)


class Share:
    """The shared folder during one run of a command.

    root     the folder, as this machine sees it
    live     function that returns who lives, as the scheduler says; it may raise Failure
    farm     the scheduler's address, as that knows it
    command  what the scheduler calls this command
    run      name of the run"""

    def __init__(self, root: Path, live: Callable[[], Live], farm: str, command: str, run: str) -> None:
        self._root, self._live, self._farm, self._run = root, live, farm, run
        self._mark = mark(farm, command)
        self._proofs: dict[Path, list[str]] = {}  # of each folder with outputs: relative path and content
        self._asked: dict[str, Any] = {}  # of each worker, the future that fails if it does not see the folder
        self._apart = set[str]()

    # ------------------------------------------------------------------------------------ the workers

    def ask(self, workers: Mapping[str, Mapping[str, Any]], submit: Callable[[list[str], str], Any]) -> None:
        """Ask the workers that name a shared folder whether they see this one. A unit must have its place before.

        workers  as Scheduler.farm_state has them
        submit   function of a proof and a worker that returns the future of inplace.prove there"""
        shown = next(iter(self._proofs.values()))
        for address, worker in workers.items():
            if "folder" in worker["resources"] and address not in self._asked:
                self._asked[address] = submit(shown, address)

    def waited_for(self) -> set[str]:
        """Workers that have not answered yet."""
        return {address for address, future in self._asked.items() if not future.done()}

    def seen_by(self, workers: Collection[str]) -> set[str]:
        """Those of the workers that see the folder."""
        return {address for address in workers if address in self._asked and address not in self._apart
                and self._asked[address].status == "finished"}

    def refusals(self) -> Iterable[tuple[str, str]]:
        """Each worker that has answered that it does not see the folder, and why; each once."""
        for address, future in self._asked.items():
            if future.status == "error" and address not in self._apart:
                yield address, str(future.exception())

    def leave_out(self, worker: str) -> bool:
        """Let this worker's files travel from now on; returns whether they did not before."""
        known = worker in self._apart
        self._apart.add(worker)
        return not known

    # -------------------------------------------------------------------------------------- the units

    def place(self, unit: Unit, number: int) -> dict[str, Any] | None:
        """How a worker finds a unit's files in the folder. None if its results do not belong there. Raises OSError.

        {"proof": its relative path and content, "reads": {path in the unit: [relative path, bytes, sha256]},
        "writes": {path in the unit: relative path}, "farm" and "unit": their names in leases}"""
        writes = {name: self._relative(path) for name, path in unit.places.items() if name not in unit.files}
        if not writes or None in writes.values():
            return None
        reads = {}
        for name, data in unit.files.items():
            if name in unit.places and isinstance(data, bytes) and (found := self._relative(unit.places[name])):
                reads[name] = [found, len(data), hashlib.sha256(data).hexdigest()]
        for name in writes:
            folder = Path(os.path.realpath(unit.places[name])).parent
            shown = self._proofs.get(folder) or self._begun(folder)
        return {"farm": self._farm, "proof": shown, "reads": reads, "writes": writes, "unit": f"{self._run}-{number}"}

    def write(self, unit: Unit, number: int, found: Mapping[str, bytes]) -> tuple[list[str], list[str]]:
        """Write the results that have travelled, under their leases; returns (their paths in the unit, lines on what
        went wrong)."""
        owner = Owner(self._farm, self._mark, f"{self._run}-{number}", f"the command on {socket.gethostname()}")
        there, wrong = list[str](), list[str]()
        for name, data in found.items():
            path = Path(os.path.realpath(unit.places[name]))
            lease = Lease(path, owner)
            try:
                if not lease.take(self._live):
                    lease.write(data)
                there.append(name)
            except (Held, Lost) as error:
                wrong += error.args
            except OSError as error:
                wrong.append(f"{path} could not be written: {error.strerror or error}")
            finally:
                lease.release()
        return there, wrong

    def missing(self, unit: Unit, names: Iterable[str]) -> list[str]:
        """Lines about results that a worker has written, and that this machine does not see, after a moment."""
        wrong = []
        for path in (Path(os.path.realpath(unit.places[name])) for name in names):
            for _ in range(_LOOKS):
                if path.is_file():
                    break
                refreshed(self._root, path)
                time.sleep(_PAUSE)
            else:
                wrong.append(f"{path} was written by a worker, but is not seen here: run the same command again")
        return wrong

    def belongs(self, unit: Unit) -> bool:
        """Whether the unit's results belong into the folder."""
        return bool(unit.places) and all(self._relative(path) for name, path in unit.places.items()
                                         if name not in unit.files)

    def end(self, folders: Iterable[Path] = ()) -> None:
        """Remove the proofs, and what owners left that are gone; also from these folders, as far as they are shared."""
        for name, _ in self._proofs.values():
            with contextlib.suppress(OSError):
                (self._root / name).unlink()
        shared = {Path(os.path.realpath(folder)) for folder in folders if self._relative(folder)}
        for folder in {*self._proofs, *shared}:
            with contextlib.suppress(Exception):  # the scheduler may be gone: then the next run does it
                sweep(folder, self._mark, self._live)
        self._proofs.clear()

    def _begun(self, folder: Path) -> list[str]:
        """The new proof of a folder with outputs, from which the leases of owners that are gone are removed."""
        sweep(folder, self._mark, self._live)
        path, content = proof(folder, self._farm, self._mark), secrets.token_hex(16)
        self._proofs[folder] = [path.relative_to(self._root).as_posix(), content]
        with open(path, "x", encoding="utf-8") as file:
            file.write(content)
        return self._proofs[folder]

    def _relative(self, path: Path) -> str | None:
        """The path, as links lead, relative to the folder; None if it is not in it."""
        real = Path(os.path.realpath(path))
        return real.relative_to(self._root).as_posix() if real.is_relative_to(self._root) else None
