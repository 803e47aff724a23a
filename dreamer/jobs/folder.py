"""All pictures of a folder, each dreamed once.

The dream of photo.jpg is photo-dream.jpg. If a format can only be read, the dream is a PNG: scan.bmp becomes
scan-dream.bmp.png. A file with a recipe is a dream, whatever its name, and is never dreamed again. The recipe also
shows which dream already exists, so nothing needs to be remembered between two runs.
"""

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from dreamer.errors import Failure, Mistake, Stopped
from dreamer.jobs import events
from dreamer.jobs.events import Listener
from dreamer.machine.files import natural
from dreamer.machine.signals import Stop
from dreamer.pictures import inputs
from dreamer.pictures.recipe import read_recipe
from dreamer.pictures.writing import dream_name


def names(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the files in `folder` with the extension of a picture, sorted as people count: 2 before 10. Raises
    Failure."""
    extensions = inputs.extensions()
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file()
                     and os.path.splitext(entry.name)[1].lower() in extensions]
    except OSError as error:
        raise Failure(f"{folder} cannot be read: {error.strerror}") from None
    return sorted(found, key=natural)


class Folder:
    """The pictures of a folder, to be dreamed.

    source  the folder
    target  the folder for the dreams; may be the same
    read    function of (path, path of the dream) that reads the picture, or raises Mistake, and returns a function of
            no arguments that dreams it, or raises Mistake, Failure or Stopped
    wanted  function of (path, recipe) that says whether the dream of that path would have that recipe
    force   overwrite files that are not dreams
    listen  called with each event
    stop    says when to stop
    some    paths of the only pictures to dream, in any folders; `source` is then of no use"""

    def __init__(self, source: str | os.PathLike[str], target: str | os.PathLike[str],
                 read: Callable[[Path, Path], Callable[[], None]], wanted: Callable[[Path, dict[str, Any]], bool],
                 force: bool, listen: Listener, stop: Stop, some: Collection[str] | None = None) -> None:
        self.source, self.target, self._some = Path(source), Path(target), some
        self._read, self._wanted, self._force, self._listen, self.stop = read, wanted, force, listen, stop

    def dream_all(self) -> None:
        """Dream all pictures that have no dream yet. Raises Stopped; at the end Failure, a line for each failed one."""
        wrong, found = [], names(self.source) if self._some is None else list(dict.fromkeys(self._some))
        dreams = {dream_name(os.path.basename(name)) for name in found}
        with self.stop.heard():
            for number, name in enumerate(found, 1):
                try:
                    self.take(name, dreams, number, len(found))
                except (Mistake, Failure) as error:
                    wrong.append(f"{name}: {' '.join(error.args)}")
                    self._listen(events.Missed(name, list(error.args)))
                except Stopped as stop:
                    raise Stopped(stop.number, "\n".join([stop.words, *wrong]), stop.saved) from None
        if wrong:
            raise Failure(f"{len(wrong)} of {len(found)} pictures could not be dreamed:", *wrong)

    def take(self, name: str, dreams: Collection[str], number: int = 0, count: int = 0) -> None:
        """Dream the file `name`, unless that is done. Raises Mistake, Failure and Stopped.

        dreams         names of the dreams of all files in the folder
        number, count  the file's number, and how many there are; 0 if unknown"""
        self.stop_if_asked()
        try:
            ready = self._ready(name, dreams)
        except OSError as error:  # the dream's name would be too long, or a folder is gone
            raise Failure(f"{dream_name(name)}: {error.strerror}") from None
        if ready:
            self._listen(events.Taken(number, count, name))
            try:
                ready()
            except Mistake as error:  # the file could be read, so waiting would not help
                raise Failure(*error.args) from None
            except OSError as error:  # a file has disappeared in the meantime
                raise Failure(f"{error.filename or name}: {error.strerror or error}") from None

    def _ready(self, name: str, dreams: Collection[str]) -> Callable[[], None] | None:
        """A function that dreams the file; None if it is a dream itself, or its dream exists."""
        path = self.source / name
        dream = self.target / dream_name(path.name)
        if _recipe(path) is not None or (path.name in dreams and path.parent.samefile(self.target)):
            if self._some is not None:  # somebody named it
                self._listen(events.Warned(f"{name} is a dream already, so it is left alone"))
            return None
        if os.path.lexists(dream):
            os.stat(dream)
            there = _recipe(dream)
            if there is None and not self._force:
                raise Failure(f"{dream} exists and is not a dream; use --force to overwrite it")
            if there is not None and self._wanted(path, there):
                return None
        return self._read(path, dream)

    def stop_if_asked(self) -> None:
        """Raise Stopped if a stop is asked for."""
        if number := self.stop.asked():
            raise Stopped(number)


def _recipe(path: Path) -> dict[str, Any] | None:
    """The recipe in the picture at `path`; None if there is no recipe, or no picture."""
    try:
        return read_recipe(path)
    except Mistake:
        return None
