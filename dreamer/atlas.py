"""One picture, dreamed in many ways, side by side: on a labelled sheet, or on a page that shows each at its full size.

Each dream is kept in a hidden folder beside the output until all are there: what is stopped or killed goes on."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dreamer import files, pictures, recipe, sheet
from dreamer.errors import Failure, Mistake, printable
from dreamer.layers import Layers
from dreamer.page import page
from dreamer.pictures import Picture
from dreamer.planes import Pixels
from dreamer.worker import Stopped

PAGES = (".htm", ".html")


def check_output(path: str, source: str | None, force: bool) -> None:
    """Raise Mistake unless an atlas can be written to `path`; as pictures.check_output."""
    pictures.check_output(path, source, force, (*pictures.FORMATS, *PAGES))


def names(layers: Layers) -> list[str]:
    """What is dreamed of the layers, each by itself: every layer in it, or every channel that is named.
    Raises Mistake."""
    if any(term.weight != 1 for term in layers.terms):
        raise Mistake(f"weights have no use in an atlas, which dreams each layer by itself: {layers}")
    return [name for term in layers.terms
            for name in ([term.layer] if term.channels is None else [f"{term.layer}:{c}" for c in term.channels])]


class Atlas:
    """What is to become the file `output`: dreams of what the `names` say."""

    def __init__(self, output: str | os.PathLike[str], names: list[str]) -> None:
        self._output, self._names = Path(os.path.realpath(output)), names
        self._folder = self._output.with_name(f".{self._output.name}.atlas")

    def fill(self, dream: Callable[[str, Path], None], wanted: Callable[[str, dict[str, Any]], bool],
             tell: Callable[[str], None]) -> None:
        """Dream all that are not there yet. Raises Failure and Stopped.

        dream   function of (name, path of the dream)
        wanted  function of (name, recipe), whether a dream with that recipe is the one that `dream` would make
        tell    function of a line, on how far it is"""
        try:
            files.make_folder(self._folder)
        except OSError as error:
            raise Failure(f"{self._folder} cannot be made: {error.strerror}") from None
        began, made, number = time.monotonic(), 0, 1
        try:
            for number, name in enumerate(self._names, 1):
                if not self._is_there(name, wanted):
                    left = (time.monotonic() - began) / made * (len(self._names) - number + 1) if made else 0
                    tell(f"{number}/{len(self._names)}  {name}" + (f"  {_told(left)} to go" if left else ""))
                    dream(name, self._path(name))
                    made += 1
        except (Stopped, KeyboardInterrupt) as stop:  # it comes as the latter between two dreams
            kept = f"{number - 1} of {len(self._names)} dreams are kept; the same command goes on from there"
            raise Stopped(getattr(stop, "number", signal.SIGINT), kept, saved=True) from None

    def write(self, picture: Pixels, caption: str, commands: Callable[[str], str], words: Mapping[str, str],
              recipe: dict[str, Any]) -> None:
        """Write the output from the dreams, and forget them. Raises Failure.

        picture   the picture that was dreamed: uint8 (h, w, 3)
        caption   what it is called
        commands  of each name the command that dreams it
        words     {name: what it likes}
        recipe    what all dreams have in common"""
        dreams = [self._path(name) for name in self._names]
        if self._output.suffix.lower() in PAGES:
            text = page(caption, picture, [(name, pictures.read(path).pixels, commands(name), words.get(name, ""))
                                           for name, path in zip(self._names, dreams, strict=True)])
            try:
                with files.replacing(self._output) as file:
                    file.write(text.encode())
            except OSError as error:
                raise Failure(f"{self._output} could not be written: {error.strerror or error}") from None
        else:
            pixels = sheet.sheet([(printable(caption), picture),
                                  *((name, pictures.read(path).pixels)
                                    for name, path in zip(self._names, dreams, strict=True))])
            pictures.write(self._output, Picture(pixels, recipe=recipe | {"atlas": len(self._names)}))
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{quote(name, safe='')}.png"

    def _is_there(self, name: str, wanted: Callable[[str, dict[str, Any]], bool]) -> bool:
        try:
            return wanted(name, recipe.read(self._path(name)))
        except Mistake:
            return False


def _told(seconds: float) -> str:
    """A time for people."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
