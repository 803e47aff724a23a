"""The lease of an output in a folder that many machines share: only its owner writes the output.

An owner first makes a part, a hidden file of its own, then the claim, a hidden file of which there can be only one, and
then removes the parts of all others. It writes the dream into its part and renames that to the output. So an owner that
counts as gone, but is only slow, cannot write any more: its part is gone, and it never makes that part again.

Whether an owner lives is known to the scheduler. There is no lock and no clock in this: folders that are shared over a
network may have no locks, and machines have different clocks."""

import contextlib
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dreamer.errors import Failure, Mistake
from dreamer.machine import files

_CLAIM = re.compile(r"\.dreamer-([0-9a-f]{16})\.lease")
_PART = re.compile(r"\.dreamer-([0-9a-f]{16})-([0-9a-f]{16})-[0-9a-f]{8}\.(?:dream|gone)")
_PROOF = re.compile(r"\.dreamer-([0-9a-f]{16})-([0-9a-f]{16})-[0-9a-f]{8}\.proof")
_LOOKS, _PAUSE = 10, 0.1  # how often, and after how many seconds, a claim is read that has no content yet
_PATIENCE = 100  # such pauses until a cancelled attempt must be gone


class Held(Mistake):
    """Another owner has the lease."""


class Lost(Failure):
    """The lease was taken over, because the scheduler said that its owner is gone."""


class Live(NamedTuple):
    """Who lives, as the scheduler says.

    farm    its address
    owners  the marks of all attempts at units that run now, and of all commands that use the farm"""

    farm: str
    owners: frozenset[str]


class Owner(NamedTuple):
    """Who wants a lease.

    farm  address of the scheduler, as that knows it
    mark  what `mark` makes of the farm, and a worker and a task's key, or a command
    unit  run and number of the unit
    name  of the worker, for people"""

    farm: str
    mark: str
    unit: str
    name: str


def mark(*words: str) -> str:
    """16 characters that stand for these words, in names of files."""
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]


def living(told: Mapping[str, Any]) -> Live:
    """What Scheduler.farm_owners says, as Live."""
    farm = str(told["farm"])
    return Live(farm, frozenset([*(mark(farm, worker, key) for worker, key in told["attempts"]),
                                 *(mark(farm, command) for command in told["commands"])]))


def proof(folder: Path, farm: str, owner: str) -> Path:
    """A new path in the folder for a file that shows who else sees the folder. `owner`: a mark."""
    return folder / f".dreamer-{mark(farm)}-{owner}-{secrets.token_hex(4)}.proof"


class Lease:
    """The right to write the file `path`, which need not exist. It is not taken yet."""

    def __init__(self, path: Path, owner: Owner) -> None:
        self._path, self._folder, self._owner = path, path.parent, owner
        self._digest = mark(path.name)
        self._claim = _claim(self._folder, self._digest)
        self._part = Path()

    def take(self, live: Callable[[], Live]) -> bool:
        """Take the lease. Returns True if an earlier owner for the same unit has written the file: then the lease is
        not needed, and not taken. Raises Held, OSError, and what `live` raises.

        live  function that returns who lives now"""
        while True:
            self._part = self._new("dream")
            try:
                os.close(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
                if self._claimed(live):
                    self._part.unlink(missing_ok=True)
                    return True
                for path, _ in _parts(self._folder, self._digest):
                    if path != self._part:
                        path.unlink(missing_ok=True)
                if self._part.exists():
                    return False
            except BaseException:
                self.release()
                raise
            self.release()  # another owner had the lease in between, and removed the part

    def write(self, data: bytes) -> None:
        """Write the file, whole or not at all. Raises Lost and OSError."""
        try:
            with open(self._part, "r+b") as file:
                file.write(data)
                file.flush()
                files.sync(file)
            files.give(self._part, self._folder)
            if _read(self._claim) != self._said():
                raise Lost("another worker has it now")
            files.move(self._part, self._path)
        except FileNotFoundError:
            if self._folder.is_dir():
                raise Lost("another worker has it now") from None
            raise

    def release(self) -> None:
        """Give the lease back, if it is held, and remove what was not written."""
        with contextlib.suppress(OSError):
            if _read(self._claim) == self._said():
                self._claim.unlink()
        with contextlib.suppress(OSError):
            self._part.unlink()

    def _new(self, kind: str) -> Path:
        return self._folder / f".dreamer-{self._digest}-{self._owner.mark}-{secrets.token_hex(4)}.{kind}"

    def _said(self) -> dict[str, str]:
        """What is in the claim."""
        return {"farm": self._owner.farm, "mark": self._owner.mark, "unit": self._owner.unit,
                "worker": self._owner.name, "output": self._path.name, "part": self._part.name}

    def _claimed(self, live: Callable[[], Live]) -> bool:
        """Make the claim; or return True if an earlier owner for the same unit has written the file."""
        patience = _PATIENCE
        while True:
            try:
                with open(self._claim, "x", encoding="utf-8") as file:
                    try:
                        json.dump(self._said(), file)
                        file.flush()
                    except OSError:
                        self._claim.unlink()
                        raise
                return False
            except FileExistsError:
                pass
            before = _read(self._claim)
            if before is None:
                continue
            if before.get("mark") != self._owner.mark:  # else it is from an earlier attempt of this very worker
                try:
                    _check_gone(self._claim, before, live(), self._path, self._owner.mark)
                except Held:
                    patience -= 1
                    if before.get("unit") != self._owner.unit or not patience:
                        raise
                    time.sleep(_PAUSE)  # that attempt is cancelled, and the scheduler hears of it soon
                    continue
            if _removed(self._claim, before, self._new("gone")) and before.get("unit") == self._owner.unit:
                return True


def sweep(folder: Path, owner: str, live: Callable[[], Live]) -> None:
    """Remove from the folder what owners left that are gone. What cannot be removed stays.

    owner  mark of who sweeps
    live   function that returns who lives now"""
    with contextlib.suppress(OSError):
        names = os.listdir(folder)
        claims = {found[1]: _read(folder / name) for name in names if (found := _CLAIM.fullmatch(name))}
        known = live()  # asked only now, so that no owner of what was found is missing
        for digest, before in claims.items():
            aside = folder / f".dreamer-{digest}-{owner}-{secrets.token_hex(4)}.gone"
            with contextlib.suppress(Held, OSError):
                if before is not None:
                    _check_gone(_claim(folder, digest), before, known)
                    _removed(_claim(folder, digest), before, aside)
        for name in names:
            part, shown = _PART.fullmatch(name), _PROOF.fullmatch(name)
            left = part and part[2] not in known.owners and not _claim(folder, part[1]).exists()
            if left or (shown and shown[1] == mark(known.farm) and shown[2] not in known.owners):
                with contextlib.suppress(OSError):
                    os.unlink(folder / name)


def _claim(folder: Path, digest: str) -> Path:
    return folder / f".dreamer-{digest}.lease"


def _parts(folder: Path, digest: str) -> Iterator[tuple[Path, str]]:
    """The (path, mark of its owner) of each part for an output."""
    for name in os.listdir(folder):
        if (found := _PART.fullmatch(name)) and found[1] == digest:
            yield folder / name, found[2]


def _read(claim: Path) -> dict[str, Any] | None:
    """What a claim says: None if there is none, {} if nothing can be read in it. Raises OSError."""
    for _ in range(_LOOKS):
        try:
            found = json.loads(claim.read_bytes())
            if isinstance(found, dict):
                return found
        except FileNotFoundError:
            return None
        except ValueError:
            pass
        time.sleep(_PAUSE)  # its owner has made it, and not filled it yet; or died in between
    return {}


def _check_gone(claim: Path, said: Mapping[str, Any], known: Live, output: Path | None = None,
                taker: str = "") -> None:
    """Raise Held unless the scheduler knows that the owner of a claim is gone.

    said    what the claim says
    output  the path of the output, for people
    taker   mark of who wants to know"""
    if not said:  # an owner that dies before it fills the claim has a part
        digest = claim.name.removeprefix(".dreamer-").removesuffix(".lease")
        if any(other in known.owners - {taker} for _, other in _parts(claim.parent, digest)):
            raise Held(f"another worker begins {output or claim}: run the same command again later")
    elif said.get("farm") != known.farm:
        raise Held(f"{output or claim} belongs to a run of another farm, at {said.get('farm')}; if that farm is gone, "
                   f"remove {claim}")
    elif said.get("mark") in known.owners:
        raise Held(f"{output or claim} is being dreamed for another command, by {said.get('worker')}: it is left to "
                   "that one")


def _removed(claim: Path, said: Mapping[str, Any], aside: Path) -> bool:
    """Remove the claim of an owner that is gone, with its part. Returns whether that owner had written the output.

    said   what the claim says
    aside  a new path beside it"""
    try:
        os.rename(claim, aside)  # so that only one of several takers has it
    except FileNotFoundError:
        return False
    ours = _read(aside) == said
    if not ours:  # another one has taken the lease over in between
        with contextlib.suppress(OSError):
            os.link(aside, claim)
    aside.unlink(missing_ok=True)  # who took the lease meanwhile has removed it with the parts of all others
    if not ours:
        return False
    if not _PART.fullmatch(str(said.get("part"))):
        return False
    try:
        os.unlink(claim.parent / str(said["part"]))
        return False
    except FileNotFoundError:
        return True
