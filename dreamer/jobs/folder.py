"""All pictures of a folder, each dreamed once.

The dream of photo.jpg is photo-dream.jpg; of a format that is only read, such as scan.bmp, scan-dream.bmp.png. What has
a recipe in it is a dream, under whatever name, and is never dreamed again; that a dream is there already is seen by its
recipe too. So nothing need be remembered between two runs.
"""

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from PIL import Image

from dreamer.errors import Failure, Mistake, Stopped
from dreamer.jobs import events
from dreamer.jobs.events import Listener
from dreamer.machine.files import natural
from dreamer.machine.signals import Stop
from dreamer.pictures import inputs, writing
from dreamer.pictures.recipe import read_recipe


def dream_name(name: str) -> str:
    """What the dream of the file `name` is called; no two have the same."""
    stem, extension = os.path.splitext(name)
    return f"{stem}-dream{extension}" + ("" if extension.lower() in writing.FORMATS else ".png")


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
    return sorted(found, key=natural)


class Folder:
    """The pictures of a folder, to be dreamed.

    source  the folder
    target  the folder for the dreams; may be the same
    read    function of (path, path of the dream) that reads the picture, raises Mistake where it cannot, and gives a
            function of no arguments that dreams it, which raises Mistake, Failure or Stopped
    wanted  function of (path, recipe), whether a dream with that recipe is the one that would be made
    force   overwrite files that are no dreams
    listen  is called with what happens
    stop    asks for the end"""

    def __init__(self, source: str | os.PathLike[str], target: str | os.PathLike[str],
                 read: Callable[[Path, Path], Callable[[], None]], wanted: Callable[[Path, dict[str, Any]], bool],
                 force: bool, listen: Listener, stop: Stop) -> None:
        self.source, self.target = Path(source), Path(target)
        self._read, self._wanted, self._force, self._listen, self.stop = read, wanted, force, listen, stop

    def dream_all(self) -> None:
        """Dream all that are not yet; raises Failure with those that cannot be, when the others are done."""
        wrong, found = [], names(self.source)
        dreams = set(map(dream_name, found))
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
        """Dream the file `name`, where that is not done. Raises Mistake, Failure and Stopped.

        dreams         what the dreams of all files in the folder are called
        number, count  which of how many it is; 0 where nobody knows"""
        self.stop_if_asked()
        try:
            ready = self._ready(name, dreams)
        except OSError as error:  # its name is too long for its dream's, or a folder has gone
            raise Failure(f"{dream_name(name)}: {error.strerror}") from None
        if ready:
            self._listen(events.Taken(number, count, name))
            try:
                ready()
            except Mistake as error:  # it was read: to wait would not help
                raise Failure(*error.args) from None
            except OSError as error:  # a file has gone in between
                raise Failure(f"{error.filename or name}: {error.strerror or error}") from None

    def _ready(self, name: str, dreams: Collection[str]) -> Callable[[], None] | None:
        """A function that dreams it; None where it is a dream itself, or its dream is there."""
        path, dream = self.source / name, self.target / dream_name(name)
        if _recipe(path) is not None or (name in dreams and self.source.samefile(self.target)):
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
        """Raise Stopped if the end is asked for."""
        if number := self.stop.asked():
            raise Stopped(number)


def _recipe(path: Path) -> dict[str, Any] | None:
    """The recipe in the picture at `path`; None where there is none, or no picture."""
    try:
        return read_recipe(path)
    except Mistake:
        return None
