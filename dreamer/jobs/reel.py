"""An unfinished film, saved in a hidden folder beside the output, so that a stopped or killed run can continue."""

import json
import os
import shutil
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from dreamer.arrays import Pixels
from dreamer.errors import Failure, Mistake
from dreamer.films import flow
from dreamer.films.containers import container
from dreamer.films.moving import Moving
from dreamer.films.muxed import Muxed
from dreamer.films.names import RATE
from dreamer.films.numbered import Numbered, name, numbered
from dreamer.films.pieces import Pieces
from dreamer.films.tracks import NOTHING
from dreamer.films.video import Video
from dreamer.jobs import baton, checkpoint
from dreamer.machine import ffmpeg, files, limits
from dreamer.pictures.picture import Picture

_ONCE = 100  # bytes per pixel of a frame, beside the frames: the latest ones, and the state of the dream, old and new
_SURE = 4  # so many times too little room is too little, though the estimate is rough


class Unwritten(Failure):
    """A frame or the film could not be written."""


class Form(Protocol):
    """The form in which frames are stored. All methods raise OSError or Failure.

    arrays   bytes per pixel that it takes, including its own processes
    encoded  number of frames that are encoded together; 0 if none are
    kept     bytes on disk per pixel of a stored frame, as measured with dreams
    joined   the same for a frame of the film"""

    arrays: int
    encoded: int
    kept: float
    joined: float

    def begin(self) -> list[str]:
        """Prepare for frames, and try what finish() needs; returns what of the video the film cannot keep."""

    def keep(self, number: int, picture: Picture) -> None:
        """Store frame `number`, counted from 0."""

    def finish(self, count: int, made: dict[str, Any]) -> None:
        """Write the film of the first `count` frames; `made` is its recipe."""


class Reel:
    """The saved state of the film at `output`.

    dream   every setting that the film depends on, except the seed, as data for JSON
    image   pixels that it depends on too; what was saved for other pixels or settings is not used
    rate    ticks per second
    video   the moving input, or None: each frame keeps its ticks, and the film gets what else is in a Video
    sound   whether that includes its sound
    count   number of frames

    If there is a baton beside `output`, this is a part of a film, and goes on from there. Raises Failure if that is
    damaged. `first` is the number of the first frame that is dreamed here."""

    def __init__(self, output: str, dream: dict[str, Any], image: Pixels, rate: Fraction = Fraction(RATE),
                 video: Moving | None = None, sound: bool = True, count: int = 1) -> None:
        self.output, self.rate = output, Fraction(rate)
        self._dream, self._image, self._count = dream, image, count
        self._key = checkpoint.key(dream, image)
        self.folder = checkpoint.beside(output, "film")
        beside = video.tracks if isinstance(video, Video) else NOTHING
        self._beside = beside if sound else beside.silent()
        self._form = self._formed(video)
        self.arrays = (self._form.arrays + ffmpeg.DECODING * bool(video)  # bytes per pixel
                       + flow.ARRAYS * bool(dream.get("flow")))
        self.encoded = self._form.encoded
        near = baton.beside(output)
        self._start = (baton.load(near) if baton.is_ours(near) else None) or (0, None)
        self.first = self._start[0]

    def _formed(self, video: Moving | None) -> Form:
        ticks = video.ticks if video else None
        if numbered(self.output):
            return Numbered(self.output, self._beside)
        if holds := container(self.output):
            height, width = self._image.shape[:2]
            return Muxed(self.output, holds, self.folder, self.rate, ticks, (height, width),
                         video if isinstance(video, Video) else None, self._beside)
        return Pieces(self.output, self.folder, self.rate, ticks, self._beside)

    def seed(self) -> int | None:
        """The seed of an earlier run of this film, to resume with; None if there is none."""
        try:
            kept = json.loads((self.folder / "film").read_text())
            return int(kept["seed"]) if kept["key"] == self._key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def begin(self, seed: int, afresh: bool = False, warn: Callable[[str], None] = lambda line: None) -> None:
        """Prepare for frames of the film with this seed, and try all that its end needs. What was saved for a different
        film is deleted; with `afresh`, so is what was saved for this one. Raises Mistake if the disk has too little
        room, and Failure.

        warn  called with a line about what the film will lack, and about the room on the disk"""
        new = afresh or self.seed() != seed
        try:
            if new:
                self.remove()
                self.folder.mkdir()
                files.give(self.folder, self.folder.parent)
                with files.replacing(self.folder / "film") as file:
                    file.write(json.dumps({"key": self._key, "seed": seed}).encode())
            for number in (0, self._count - 1):
                files.check_name(name(self.output, number))
            self._check_room(warn)
            if os.path.lexists(near := baton.beside(self.output)) and not baton.is_ours(near):
                warn(f"{near} is another file of yours: the film does not use it, and it stays as it is")
            if lost := self._form.begin():
                instead = "; a .mkv keeps them" if not self._beside.nowhere().intersection(lost) else ""
                warn(f"the film cannot keep: {', '.join(lost)}{instead}")
        except BaseException as error:
            if new:
                self.remove()
            if isinstance(error, OSError | Failure):
                told = self._unwritten(error)
                raise told if new else Unwritten(f"{told}; {self.kept()}") from None
            raise

    def kept(self) -> str:
        """Where the saved state is, for people."""
        return f"what is dreamed is kept in {self.folder}; run the same command to continue"

    def _check_room(self, warn: Callable[[str], None]) -> None:
        """Warn if the disk has less room than the rest of the film is estimated to need; raise Mistake if far less."""
        there = os.statvfs(self.folder)
        pixels = self._image.shape[0] * self._image.shape[1]
        left = self._count - self.done()[0]
        need = round(pixels * (left * self._form.kept + self._count * self._form.joined + _ONCE))
        free = there.f_bavail * there.f_frsize
        if there.f_blocks and free < need:
            line = f"the film needs about {limits.told(need)} in {self.folder.parent}, and {limits.told(free)} are free"
            if free * _SURE < need:
                raise Mistake(f"output: {line}; make room, or add --max-size")
            warn(line)

    def frame(self, number: int) -> checkpoint.Checkpoint:
        """The Checkpoint of frame `number` while it is dreamed."""
        return checkpoint.Checkpoint(self.folder / "frame", self._dream | {"frame": number}, self._image)

    def done(self) -> tuple[int, Pixels | None]:
        """(number of frames done, the last one's dream, float32 (h, w, 3)); (0, None) if there are none."""
        found = checkpoint.load(self.folder / "last", self._key)
        if not found:
            return self._start
        header, planes = found
        return header["frames"], planes.transpose(1, 2, 0)

    def add(self, number: int, picture: Picture, dreamed: Pixels) -> None:
        """Store frame `number`, and record that all frames up to it are done. Raises Failure.

        dreamed  its dream before it was finished, float32 (h, w, 3), from which the next frame goes on"""
        self.keep(number, picture)
        planes = np.ascontiguousarray(dreamed.transpose(2, 0, 1), np.float32)
        try:
            checkpoint.save(self.folder / "last", self._key, planes, frames=number + 1)
        except OSError as error:
            raise self._unwritten(error) from None

    def keep(self, number: int, picture: Picture) -> None:
        """Store frame `number`. Raises Failure."""
        try:
            self._form.keep(number, picture)
        except (OSError, Failure) as error:
            raise self._unwritten(error) from None

    def finish(self, count: int, made: dict[str, Any]) -> None:
        """Write the film of the first `count` frames; `made` is its recipe. Raises Failure."""
        try:
            self._form.finish(count, made)
        except (OSError, Failure) as error:
            raise self._unwritten(error) from None

    def pass_on(self) -> None:
        """If this is a part of a film, leave its last dream for the next part. Raises Failure."""
        path = baton.beside(self.output)
        try:
            if baton.is_ours(path):
                baton.save(path, *self.done())
        except OSError as error:
            raise self._unwritten(error) from None

    def remove(self) -> None:
        """Delete the saved state."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _unwritten(self, error: OSError | Failure) -> Unwritten:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        return Unwritten(f"{self.output} could not be written: {why}")
