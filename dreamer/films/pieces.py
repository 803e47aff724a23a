"""GIF and WebP films: each frame becomes a piece in a folder, and the pieces become the film."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

from dreamer.films import gif, webp
from dreamer.films.tracks import NOTHING, Tracks
from dreamer.machine import files
from dreamer.pictures import recipe
from dreamer.pictures.picture import Picture, eight_bit

FORMATS: dict[str, ModuleType] = {".gif": gif, ".webp": webp}


class Pieces:
    """The unfinished film `output`; the arguments are as for dreamer.films.muxed.Muxed."""

    arrays = encoded = 0

    def __init__(self, output: str, folder: Path, rate: Fraction, ticks: Sequence[int] | None,
                 beside: Tracks = NOTHING) -> None:
        self._output, self._folder, self._rate, self._ticks = output, folder, rate, ticks
        self._extension, self._beside = Path(output).suffix.lower(), beside
        self.kept = self.joined = {".gif": 0.9, ".webp": 0.4}[self._extension]

    def begin(self) -> list[str]:
        """Returns what the film cannot keep: all that is not a picture."""
        return self._beside.named()

    def keep(self, number: int, picture: Picture) -> None:
        """Store frame `number`. Raises OSError."""
        with files.replacing(self._folder / f"{number:06d}") as file:
            file.write(FORMATS[self._extension].piece(eight_bit(picture.pixels)))

    def finish(self, count: int, made: dict[str, Any]) -> None:
        """Write the film of the first `count` frames; `made` is its recipe. Raises OSError."""
        pieces = ((self._folder / f"{number:06d}").read_bytes() for number in range(count))
        about = recipe.text(made).encode() if self._extension == ".gif" else recipe.packet(made)
        with files.replacing(self._output, self._folder) as file:
            FORMATS[self._extension].join(file, pieces, self._ticks[:count] if self._ticks else [1] * count,
                                          self._rate, (made["height"], made["width"]), about)
