"""All pictures of a folder, each dreamed once.

The dream of photo.jpg is photo-dream.jpg. If a format can only be read, the dream is a PNG: scan.bmp becomes
scan-dream.bmp.png. A file with a recipe is a dream, whatever its name, and is never dreamed again. The recipe also
shows which dream already exists, so nothing needs to be remembered between two runs.
"""

import collections
import enum
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dreamer.errors import Failure, Mistake, Stopped, counted
from dreamer.jobs import events
from dreamer.jobs.away import Away, Missed
from dreamer.jobs.contents import Contents, Lister, left_alone
from dreamer.jobs.events import Listener
from dreamer.machine import files
from dreamer.machine.signals import Stop
from dreamer.pictures.recipe import read_recipe
from dreamer.pictures.writing import dream_name


class Outcome(enum.Enum):
    """What became of a picture."""

    DREAMED = enum.auto()
    CURRENT = enum.auto()  # its dream is up to date
    DREAM = enum.auto()  # it is a dream itself


class Folder:
    """The pictures of a folder, to be dreamed.

    source     the folder
    target     the folder for the dreams; may be the same
    read       function of (path, path of the dream) that reads the picture, or raises Mistake, and returns a function
               of no arguments that dreams it, or raises Mistake, Failure or Stopped
    wanted     function of (path, recipe) that says whether the dream of that path would have that recipe
    force      overwrite files that are not dreams
    listen     called with each event
    stop       says when to stop
    some       paths of the only pictures to dream, in any folders; `source` is then ignored
    recursive  whether to look into subfolders; the dreams get the same tree in `target`
    away       gets what `read`'s function sends to other machines; None: it dreams here"""

    def __init__(self, source: str | os.PathLike[str], target: str | os.PathLike[str],
                 read: Callable[[Path, Path], Callable[[], None]], wanted: Callable[[Path, dict[str, Any]], bool],
                 force: bool, listen: Listener, stop: Stop, some: Collection[str] | None = None,
                 recursive: bool = False, away: Away | None = None) -> None:
        self.source, self.target, self._some = Path(source), Path(target), some
        self._read, self._wanted, self._force, self._listen, self.stop = read, wanted, force, listen, stop
        self._away = away
        inside = os.path.realpath(target) != os.path.realpath(source)
        self._lister = Lister(source, recursive, target if inside else None)

    def contents(self) -> Contents:
        """What is in the folder now. Raises Failure if it cannot be read."""
        if self._some is not None:
            return Contents(list(dict.fromkeys(self._some)), [], [], [], {}, False)
        return self._lister.look()

    def dream_all(self) -> None:
        """Dream all pictures that have no dream yet. Raises Stopped. If pictures failed, raises Failure at the end,
        with a line for each; if there is nothing to dream, with a line that says why."""
        found, wrong = self.contents(), list[str]()
        for name, why in found.unread.items():
            self._missed(name, [f"the folder cannot be read: {why}"], wrong)
        outcomes: collections.Counter[Outcome] = collections.Counter()
        dreams, left = self.dreams(found.pictures), len(found.pictures)

        def steps() -> Iterator[int]:
            nonlocal left
            for number, name in enumerate(found.pictures, 1):
                try:
                    outcomes[self.take(name, dreams, number, len(found.pictures))] += 1
                except (Mistake, Failure) as error:
                    self._missed(name, error.args, wrong)
                left -= 1
                yield number

        with self.stop.heard():
            try:
                self.go(steps(), lambda name, lines: self._missed(name, lines, wrong), lambda: left,
                        {(self.target / self._dream_of(name)).parent for name in found.pictures})
            except Stopped as stop:
                raise Stopped(stop.number, "\n".join([stop.words, *wrong]), stop.saved) from None
        self._conclude(found, outcomes, wrong)

    def go(self, steps: Iterable[object], missed: Missed, rest: Callable[[], int] = lambda: 0,
           folders: Iterable[Path] = ()) -> None:
        """Go through the steps, in which take() is called; see Away.run. Raises Stopped and Failure."""
        if self._away:
            self._away.run(steps, missed, rest, folders)
        else:
            collections.deque(steps, maxlen=0)

    @property
    def is_away(self) -> bool:
        """Whether other machines dream."""
        return self._away is not None

    def _missed(self, name: str, lines: Sequence[str], wrong: list[str]) -> None:
        wrong.append(f"{name}: {' '.join(lines)}")
        self._listen(events.Missed(name, list(lines)))

    def _conclude(self, found: Contents, outcomes: "collections.Counter[Outcome]", wrong: list[str]) -> None:
        """Say what was left alone, and raise Failure if something failed or nothing can be dreamed."""
        count, why = left_alone(self.source, found.others, found.folders, found.links)
        if not wrong and self._some is None and not outcomes[Outcome.DREAMED] + outcomes[Outcome.CURRENT]:
            reasons = [why] if why else []
            if dreams := outcomes[Outcome.DREAM]:
                reasons.insert(0, "its picture is a dream" if dreams == 1 else f"all its {dreams} pictures are dreams")
            empty = "it is empty" + (", except for hidden files" if found.hidden else "")
            raise Failure(f"there is nothing to dream in {self.source}: {'; '.join(reasons) or empty}")
        self.tell_left_alone(count, why)
        self.tell_current(outcomes[Outcome.CURRENT])
        if wrong:
            whole = len(found.pictures) + len(found.unread)
            what = "pictures and subfolders" if found.unread else "pictures"
            raise Failure(f"{len(wrong)} of {whole} {what} could not be dreamed:", *wrong)

    def tell_left_alone(self, count: int, why: str) -> None:
        """Say what is left alone, if anything is; see left_alone()."""
        if why:
            self._listen(events.Skipped(count, why))

    def tell_current(self, count: int) -> None:
        """Say how many dreams are up to date, if any are."""
        if count:
            self._listen(events.Skipped(count, f"{counted(count, 'dream')} {'is' if count == 1 else 'are'} up to date"))

    def dreams(self, names: Collection[str]) -> set[str]:
        """What the dreams of these files are called: names for take()."""
        return set(map(self._dream_of, names))

    def _dream_of(self, name: str) -> str:
        """The dream of the file `name`, relative to the folder for dreams."""
        inside, name = os.path.split(name)
        return os.path.join(inside if self._some is None else "", dream_name(name))

    def take(self, name: str, dreams: Collection[str], number: int = 0, count: int = 0) -> Outcome:
        """Dream the file `name`, unless that is done. Raises Mistake, Failure and Stopped.

        dreams         what the dreams of all files are called
        number, count  the file's number, and how many there are; 0 if unknown"""
        self.stop_if_asked()
        try:
            ready = self._ready(name, dreams)
        except OSError as error:  # the dream's name would be too long, or a folder is gone
            raise Failure(f"{self._dream_of(name)}: {error.strerror}") from None
        if isinstance(ready, Outcome):
            return ready
        self._listen(events.Taken(number, count, name))
        try:
            ready()
        except Mistake as error:  # the file could be read, so waiting would not help
            raise Failure(*error.args) from None
        except OSError as error:  # a file has disappeared in the meantime
            raise Failure(f"{error.filename or name}: {error.strerror or error}") from None
        return Outcome.DREAMED

    def _ready(self, name: str, dreams: Collection[str]) -> Callable[[], None] | Outcome:
        """A function that dreams the file; or what became of it, if it is a dream itself, or its dream exists."""
        path, dream = self.source / name, self.target / self._dream_of(name)
        if _recipe(path) is not None or self._is_named_as_dream(name, dreams):
            if self._some is not None:  # somebody named it
                self._listen(events.Warned(f"{name} is a dream already, so it is left alone"))
            return Outcome.DREAM
        if os.path.lexists(dream):
            os.stat(dream)
            there = _recipe(dream)
            if there is None and not self._force:
                raise Failure(f"{dream} exists and is not a dream; use --force to overwrite it")
            if there is not None and self._wanted(path, there):
                return Outcome.CURRENT
        self._make_folders(dream.parent)
        return self._read(path, dream)

    def _is_named_as_dream(self, name: str, dreams: Collection[str]) -> bool:
        """Whether the file stands where the dream of another one would be."""
        if self._some is not None:
            return os.path.basename(name) in dreams and (self.source / name).parent.samefile(self.target)
        return name in dreams and self.source.samefile(self.target)

    def _make_folders(self, folder: Path) -> None:
        """Make the folder, inside the folder for dreams, unless it exists. Raises OSError."""
        if folder != self.target and not folder.is_dir():
            self._make_folders(folder.parent)
            files.make_folder(folder)

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
