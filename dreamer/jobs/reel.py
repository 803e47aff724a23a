"""An unfinished film, saved in a hidden folder beside the output, so that a stopped or killed run can continue."""

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
    """The form in which frames are stored. All methods raise OSError or Failure.

    arrays   bytes per pixel that it takes, including its own processes
    encoded  number of frames that are encoded together; 0 if none are"""

    arrays: int
    encoded: int

    def begin(self) -> None:
        """Prepare for frames."""

    def keep(self, number: int, picture: Picture) -> None:
        """Store frame `number`, counted from 0."""

    def finish(self, count: int, made: dict[str, Any]) -> None:
        """Write the film of the first `count` frames; `made` is its recipe."""


class Reel:
    """The saved state of the film at `output`.

    dream   every setting that the film depends on, except the seed, as data for JSON
    image   pixels that it depends on too; what was saved for other pixels or settings is not used
    rate    ticks per second
    video   the moving input, or None: each frame keeps its ticks, and the film gets the sound of a Video"""

    def __init__(self, output: str, dream: dict[str, Any], image: Pixels, rate: Fraction = Fraction(RATE),
                 video: Moving | None = None) -> None:
        self.output, self.rate = output, Fraction(rate)
        self._dream, self._image = dream, image
        self._key = checkpoint.key(dream, image)
        self.folder = checkpoint.beside(output, "film")
        self._form = self._formed(video)
        self.arrays = (self._form.arrays + ffmpeg.DECODING * bool(video)  # bytes per pixel
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
        """The seed of an earlier run of this film, to resume with; None if there is none."""
        try:
            kept = json.loads((self.folder / "film").read_text())
            return int(kept["seed"]) if kept["key"] == self._key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def begin(self, seed: int, afresh: bool = False) -> None:
        """Prepare for frames of the film with this seed. What was saved for a different film is deleted; with `afresh`,
        so is what was saved for this one. Raises Failure, also if the sound cannot be saved."""
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
        """(number of frames done, the last of them, float32 (h, w, 3)); (0, None) if there are none."""
        found = checkpoint.load(self.folder / "last", self._key)
        if not found:
            return 0, None
        header, planes = found
        return header["frames"], planes.transpose(1, 2, 0)

    def add(self, number: int, picture: Picture) -> None:
        """Store frame `number`, and record that all frames up to it are done. Raises Failure."""
        self.keep(number, picture)
        planes = np.ascontiguousarray(picture.pixels.transpose(2, 0, 1), np.float32)
        try:
            checkpoint.save(self.folder / "last", self._key, planes, frames=number + 1)
        except OSError as error:
            raise self._failure(error) from None

    def keep(self, number: int, picture: Picture) -> None:
        """Store frame `number`. Raises Failure."""
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
        """Delete the saved state."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _failure(self, error: OSError) -> Failure:
        return Failure(f"{self.output} could not be written: {error.strerror or error}")
