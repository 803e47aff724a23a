"""One picture, dreamed in many ways, side by side: on a labelled sheet, or on a page where a click enlarges each; or
each as a file in a folder.

For a sheet or a page, each dream is saved in a hidden folder beside it until all are done, so that a stopped atlas can
continue."""

import collections
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dreamer.arrays import Pixels
from dreamer.errors import Failure, Mistake, Stopped, printable
from dreamer.jobs import events
from dreamer.jobs.away import Away
from dreamer.jobs.events import Listener
from dreamer.machine import files
from dreamer.machine.signals import Stop
from dreamer.nets.layers import Layers
from dreamer.pictures import reading, sheet, writing
from dreamer.pictures.ours import is_ours
from dreamer.pictures.page import PAGES, page
from dreamer.pictures.picture import Picture
from dreamer.pictures.recipe import read_recipe


def names(layers: Layers) -> list[str]:
    """Names of what is dreamed separately: each layer in `layers`, or each channel or class that it names. Raises
    Mistake if a layer has a weight."""
    if any(term.weight != 1 for term in layers.terms):
        raise Mistake(f"{layers}: an atlas dreams each layer separately, so weights such as *0.5 are not allowed")
    return [name for term in layers.terms for name in term.each()]


def tile_name(name: str) -> str:
    """The name of the file with the dream of that layer or channel: inception_4c-output.png. No two have the same."""
    return quote(name, safe="").replace("-", "%2D").replace("%2F", "-") + ".png"


class Atlas:
    """The unfinished atlas `output`: a dream for each of the `names`. If `output` is a folder, or ends in /, the dreams
    stay there, and nothing else is written."""

    def __init__(self, output: str | os.PathLike[str], names: list[str]) -> None:
        self._output, self._names = Path(os.path.realpath(output)), names
        self._stays = os.fspath(output).endswith("/") or self._output.is_dir()
        self._folder = self._output if self._stays else self._output.with_name(f".{self._output.name}.atlas")

    def check(self, source: str | None) -> None:
        """Raise Mistake if a dream would replace the picture `source`, if there is one, or a file that is no dream."""
        lines = []
        for path in (self._path(name) for name in self._names if self._stays):
            try:
                if os.path.lexists(path) and ((source and os.path.samefile(path, source)) or not is_ours(path)):
                    lines.append(f"output: {path} exists and is not a dream; name another folder, or add --force")
            except OSError as error:
                lines.append(f"output: {path}: {error.strerror}")
        if lines:
            raise Mistake(*lines)

    def fill(self, dream: Callable[[str, Path], None], wanted: Callable[[str, dict[str, Any]], bool],
             listen: Listener, stop: Stop, away: Away | None = None) -> None:
        """Dream each name that has no dream yet. Raises Failure and Stopped.

        dream   function of (name, path of the dream)
        wanted  function of (name, recipe) that says whether `dream` would make a dream with that recipe
        listen  called with each event
        stop    says when to stop
        away    gets what `dream` sends to other machines; None: it dreams here"""
        try:
            files.make_folder(self._folder)
        except OSError as error:
            raise Failure(f"the folder {self._folder} cannot be created: {error.strerror}") from None
        began, made, number = time.monotonic(), 0, 1
        wrong = list[str]()

        def steps() -> Iterator[int]:
            nonlocal made, number
            for number, name in enumerate(self._names, 1):
                if asked := stop.asked():
                    raise Stopped(asked)
                if not self._is_there(name, wanted):
                    left = (time.monotonic() - began) / made * (len(self._names) - number + 1) if made else None
                    listen(events.Taken(number, len(self._names), name, left))
                    dream(name, self._path(name))
                    made += 1
                yield number

        with stop.heard():
            if away:
                away.run(steps(), lambda name, lines: wrong.append(f"{name}: {' '.join(lines)}"),
                         lambda: len(self._names) - number, {self._path(name).parent for name in self._names})
            else:
                try:
                    collections.deque(steps(), maxlen=0)
                except Stopped as end:
                    kept = f"{number - 1} of {len(self._names)} dreams are saved; run the same command to continue"
                    raise Stopped(end.number, kept) from None
        if wrong:
            raise Failure(f"{len(wrong)} of {len(self._names)} dreams failed, so there is no atlas yet:", *wrong)

    def write(self, picture: Pixels, caption: str, commands: Callable[[str], str], words: Mapping[str, str],
              recipe: dict[str, Any], full: bool) -> None:
        """Write the output from the dreams, and delete them; in a folder they stay. Raises Failure.

        picture   the picture that was dreamed: uint8 (h, w, 3)
        caption   its name
        commands  function of a name that returns the command for its dream
        words     {name: what it likes}
        recipe    the settings that all dreams share"""
        if self._stays:
            return
        dreams = [self._path(name) for name in self._names]
        if self._output.suffix.lower() in PAGES:
            text = page(caption, picture, [(name, reading.read(path).pixels, commands(name), words.get(name, ""))
                                           for name, path in zip(self._names, dreams, strict=True)], full)
            try:
                with files.replacing(self._output) as file:
                    file.write(text.encode())
            except OSError as error:
                raise Failure(f"{self._output} could not be written: {error.strerror or error}") from None
        else:
            pixels = sheet.sheet([(printable(caption), picture),
                                  *((name, reading.read(path).pixels)
                                    for name, path in zip(self._names, dreams, strict=True))])
            writing.write(self._output, Picture(pixels, recipe=recipe | {"atlas": len(self._names)}))
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self._folder / tile_name(name)

    def _is_there(self, name: str, wanted: Callable[[str, dict[str, Any]], bool]) -> bool:
        try:
            return wanted(name, read_recipe(self._path(name)))
        except Mistake:
            return False
