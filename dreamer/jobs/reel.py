"""A film in the making: what is kept of it, in a hidden folder beside it, so that a run that is stopped or killed goes
on."""

import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dreamer.arrays import Pixels
from dreamer.errors import Failure
from dreamer.films import flow
from dreamer.films.moving import Moving
from dreamer.films.mp4 import Mp4
from dreamer.films.names import RATE
from dreamer.films.numbered import Numbered, numbered
from dreamer.films.pieces import Pieces
from dreamer.films.video import Video
from dreamer.jobs import checkpoint
from dreamer.machine import ffmpeg, files
from dreamer.pictures.picture import Picture


class Form(Protocol):
    """What becomes of the frames. All methods raise OSError or Failure.

    arrays   bytes a pixel that it takes, processes of its own included
    encoded  how many frames are encoded together; 0 where none is"""

    arrays: int
    encoded: int

    def begin(self) -> None:
        """Be ready for frames."""

    def keep(self, number: int, picture: Picture) -> None:
        """Keep frame `number`, from 0."""

    def finish(self, count: int, made: dict[str, Any]) -> None:
        """Write the film of the first `count` frames; `made` is its recipe."""


class Reel:
    """Of the film at `output`.

    dream   all but the seed that decides what the film is, for JSON: what is kept is of one such film alone
    image   pixels that decide too
    rate    ticks a second
    video   what moves that it is made of: each frame is shown for its ticks, the sound of a Video is kept"""

    def __init__(self, output: str, dream: dict[str, Any], image: Pixels, rate: Fraction = Fraction(RATE),
                 video: Moving | None = None) -> None:
        self.output, self.rate = output, Fraction(rate)
        self._dream, self._image = dream, image
        self._key = checkpoint.key(dream, image)
        self.folder = checkpoint.beside(output, "film")
        self._form = self._formed(video)
        self.arrays = (self._form.arrays + ffmpeg.DECODING * bool(video)  # bytes a pixel
                       + flow.ARRAYS * bool(dream.get("flow")))
        self.encoded = self._form.encoded

    def _formed(self, video: Moving | None) -> Form:
        ticks = video.ticks if video else None
        if numbered(self.output):
            return Numbered(self.output)
        if Path(self.output).suffix.lower() == ".mp4":
            return Mp4(self.output, self.folder, self.rate, ticks, video if isinstance(video, Video) else None)
        return Pieces(self.output, self.folder, self.rate, ticks)

    def seed(self) -> int | None:
        """The seed of an earlier run of this film, to go on with; None where there is none."""
        try:
            kept = json.loads((self.folder / "film").read_text())
            return int(kept["seed"]) if kept["key"] == self._key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def begin(self, seed: int, afresh: bool = False) -> None:
        """Be ready for frames of the film with this seed; what is kept of any other goes. Raises Failure, also where
        the sound cannot be kept."""
        try:
            if afresh or self.seed() != seed:
                self.remove()
                self.folder.mkdir()
                files.give(self.folder, self.folder.parent)
                with files.replacing(self.folder / "film") as file:
                    file.write(json.dumps({"key": self._key, "seed": seed}).encode())
            self._form.begin()
        except OSError as error:
            raise self._failure(error) from None

    def frame(self, number: int) -> checkpoint.Checkpoint:
        """The Checkpoint of frame `number` while it is dreamed."""
        return checkpoint.Checkpoint(self.folder / "frame", self._dream | {"frame": number}, self._image)

    def done(self) -> tuple[int, Pixels | None]:
        """(number of frames done, the last of them, float32 (h, w, 3)); (0, None) where there are none."""
        found = checkpoint.load(self.folder / "last", self._key)
        if not found:
            return 0, None
        header, planes = found
        return header["frames"], planes.transpose(1, 2, 0)

    def add(self, number: int, picture: Picture) -> None:
        """Keep frame `number`, and with it that all up to this are done. Raises Failure."""
        self.keep(number, picture)
        planes = np.ascontiguousarray(picture.pixels.transpose(2, 0, 1), np.float32)
        try:
            checkpoint.save(self.folder / "last", self._key, planes, frames=number + 1)
        except OSError as error:
            raise self._failure(error) from None

    def keep(self, number: int, picture: Picture) -> None:
        """Keep frame `number`. Raises Failure."""
        try:
            self._form.keep(number, picture)
        except OSError as error:
            raise self._failure(error) from None

    def finish(self, count: int, made: dict[str, Any]) -> None:
        """Write the film of the first `count` frames; `made` is its recipe. Raises Failure."""
        try:
            self._form.finish(count, made)
        except OSError as error:
            raise self._failure(error) from None

    def remove(self) -> None:
        """Forget what is kept."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _failure(self, error: OSError) -> Failure:
        return Failure(f"{self.output} could not be written: {error.strerror or error}")
