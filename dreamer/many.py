"""All pictures of a folder, each dreamed once, and those that are still to come.

The dream of photo.jpg is photo-dream.jpg; of a format that is only read, such as scan.bmp, scan-dream.bmp.png. What has
a recipe in it is a dream, under whatever name, and is never dreamed again; that a dream is there already is seen by its
recipe too. So nothing need be remembered between two runs.
"""

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from PIL import Image

from dreamer import inputs, pictures, recipe
from dreamer.errors import Failure, Mistake, printable
from dreamer.watch import Changes
from dreamer.worker import Stopped

SETTLED = 1  # seconds for which a file must stay as it is before it is taken: it may still be being copied
PATIENCE = 20  # seconds that one which stays as it is, and cannot be read, is given: copying may have come to a halt

_Like: TypeAlias = tuple[int, int]  # what changes when a file does


def dream_name(name: str) -> str:
    """What the dream of the file `name` is called; no two have the same."""
    stem, extension = os.path.splitext(name)
    return f"{stem}-dream{extension}" + ("" if extension.lower() in pictures.FORMATS else ".png")


def names(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the files in `folder` that should be pictures, by their extensions, as people count: 2 before 10.
    Raises Failure."""
    kinds = inputs.formats()
    extensions = {extension for extension, kind in Image.registered_extensions().items() if kind in kinds}
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file()
                     and os.path.splitext(entry.name)[1].lower() in extensions]
    except OSError as error:
        raise Failure(f"{folder} cannot be read: {error.strerror}") from None
    return sorted(found, key=lambda name: [int(part) if part.isdigit() else part.lower()
                                           for part in re.split(r"([0-9]+)", name)])


class Many:
    """The pictures of a folder, to be dreamed.

    source  the folder
    target  the folder for the dreams; may be the same
    read    function of (path, path of the dream) that reads the picture, raises Mistake where it cannot, and gives a
            function of no arguments that dreams it, which raises Mistake, Failure or Stopped
    wanted  function of (path, recipe), whether a dream with that recipe is the one that would be made
    force   overwrite files that are no dreams
    tell    function of a line, on how far it is"""

    def __init__(self, source: str | os.PathLike[str], target: str | os.PathLike[str],
                 read: Callable[[Path, Path], Callable[[], None]], wanted: Callable[[Path, dict[str, Any]], bool],
                 force: bool, tell: Callable[[str], None]) -> None:
        self._source, self._target = Path(source), Path(target)
        self._read, self._wanted, self._force, self._tell = read, wanted, force, tell
        # what a file was like when it was looked at, and when that was first so
        self._seen: dict[str, tuple[_Like, float]] = {}
        self._over: dict[str, _Like] = {}  # what a file was like that need not be looked at again
        self._asked: int | None = None  # the signal that has asked for the end
        self._waiting = False

    def dream_all(self) -> None:
        """Dream all that are not yet; raises Failure with those that cannot be, when the others are done."""
        wrong, found = [], names(self._source)
        with self._listening():
            for number, name in enumerate(found, 1):
                try:
                    self._take(name, found, f"{number}/{len(found)} ")
                except (Mistake, Failure) as error:
                    wrong.append(f"{name}: {' '.join(error.args)}")
                    self._tell(f"{name}: failed")
                except Stopped as stop:
                    raise Stopped(stop.number, "\n".join([stop.words, *wrong]), stop.saved) from None
        if wrong:
            raise Failure(f"{len(wrong)} of {len(found)} pictures could not be dreamed:", *wrong)

    def watch(self, complain: Callable[[str], None]) -> None:
        """Dream all that are not yet and all that come, until a signal ends it: raises Stopped.

        complain  function of a line, on a picture that cannot be dreamed"""
        changes = Changes(self._source)
        self._tell(f"{self._source} is watched; Ctrl-C ends it")
        there = True
        with self._listening():
            while True:
                try:
                    soon, there = self._look(complain), True
                except Failure as error:  # a shared folder may come back
                    if there:
                        complain(str(error))
                    soon, there = False, False
                self._waiting = True
                self._stop_if_asked()
                changes.wait(SETTLED / 2 if soon else None)
                self._waiting = False

    def _look(self, complain: Callable[[str], None]) -> bool:
        """Take what has settled; returns whether something has yet to settle."""
        soon, found = False, names(self._source)
        for name in found:
            like = self._like(name)
            if like is None or self._over.get(name) == like:
                continue
            if self._seen.get(name, (None,))[0] != like:
                self._seen[name] = like, time.monotonic()
            age = time.monotonic() - self._seen[name][1]
            if age < SETTLED:
                soon = True
                continue
            try:
                self._take(name, found)
            except (Mistake, Failure) as error:
                if age < PATIENCE and isinstance(error, Mistake):
                    soon = True
                    continue
                complain(f"{name}: {' '.join(error.args)}")
            self._over[name] = like
        return soon

    def _like(self, name: str) -> _Like | None:
        """None where there is no such file."""
        try:
            status = os.stat(self._source / name)
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns  # not the inode: on a shared folder a file may get another any time

    def _take(self, name: str, found: list[str], place: str = "") -> None:
        """Dream the file `name`, one of those that were `found`, where that is not done."""
        self._stop_if_asked()
        path, dream = self._source / name, self._target / dream_name(name)
        if _recipe(path) is not None or (self._source.samefile(self._target)
                                         and any(dream_name(other) == name for other in found)):
            return
        if dream.exists():
            there = _recipe(dream)
            if there is None and not self._force:
                raise Failure(f"{dream} is there and is no dream; --force overwrites it")
            if there is not None and self._wanted(path, there):
                return
        ready = self._read(path, dream)
        self._tell(f"{place}{printable(name)}")
        try:
            ready()
        except Mistake as error:  # it was read: to wait would not help
            raise Failure(*error.args) from None

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """In this block SIGINT and SIGTERM end nothing until a picture is whole, or is kept for the next time."""
        def ask(number: int, _: object) -> None:
            self._asked = self._asked or number
            if self._waiting:
                raise Stopped(number)
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop_if_asked(self) -> None:
        if self._asked:
            raise Stopped(self._asked)


def _recipe(path: Path) -> dict[str, Any] | None:
    """The recipe in the picture at `path`; None where there is none, or no picture."""
    try:
        return recipe.read(path)
    except Mistake:
        return None
