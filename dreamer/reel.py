"""A film in the making: its frames, kept in a hidden folder beside it, become the file (or files) asked for."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np

from dreamer import checkpoint, ffmpeg, files, flow, gif, inputs, pictures, recipe, webp
from dreamer.errors import Failure, Mistake
from dreamer.pictures import Picture
from dreamer.planes import Pixels
from dreamer.video import Moving, Video

NUMBER = re.compile(r"%(?:0\d{1,2})?d")  # in a name: where the number of a frame goes
FILMS = (".gif", ".mp4", ".webp")
RATE = 25  # frames a second
PIECE = 24  # frames that are encoded together


def numbered(path: str | os.PathLike[str]) -> bool:
    """Whether `path` names a file for each frame, such as frame-%04d.png."""
    return bool(NUMBER.search(Path(path).name))


def always_film(path: str | os.PathLike[str]) -> bool:
    """Whether `path` names a film, and not, as .webp may, a picture."""
    return numbered(path) or Path(path).suffix.lower() in (".gif", ".mp4")


def may_be_film(path: str | os.PathLike[str]) -> bool:
    """Whether `path` names a film, or what may be one."""
    return numbered(path) or Path(path).suffix.lower() in FILMS


def check_output(path: str | os.PathLike[str], source: str | os.PathLike[str] | None = None,
                 force: bool = False) -> None:
    """Raise Mistake unless a film can be written to `path`; see pictures.check_output."""
    extension = Path(path).suffix.lower()
    if numbered(path):
        if len(NUMBER.findall(Path(path).name)) > 1 or NUMBER.search(str(Path(path).parent)):
            raise Mistake(f"output: {path}: one number is enough")
        pictures.check_output(name(path, 0), source, force)
        sources: Iterable[str | os.PathLike[str]] = ()
        if source is not None and source != inputs.STANDARD:
            sources = Path(source).iterdir() if os.path.isdir(source) else [source]
        if not force and any(_one_of(path, each) for each in sources):
            raise Mistake(f"output: {path} would overwrite the input: name another file, or add --force")
    elif extension not in FILMS:
        raise Mistake(f"output: a film ends in one of {' '.join(FILMS)}, or has a number in its name, such as "
                      "frame-%04d.png")
    else:
        pictures.check_output(path, source, force, FILMS)
    if extension == ".mp4":
        try:
            ffmpeg.find()
        except Mistake as error:
            raise Mistake(f"output: {error}") from None


def check_fits(path: str | os.PathLike[str], picture: Picture, rate: Fraction, moves: bool,
               warn: Callable[[str], None]) -> None:
    """Raise Mistake where the film at `path` cannot have frames like `picture`, or `rate` of them a second; warn where
    it holds no alpha: none does that is one file, or that moves."""
    extension = Path(path).suffix.lower()
    height, width = picture.pixels.shape[:2]
    if picture.alpha is not None and picture.alpha.min() < 255 and (moves or not numbered(path)):
        warn("output: a film holds no transparency: it is lost")
    if moves or not numbered(path):
        picture.alpha = None
    if numbered(path):
        longest = pictures.FORMATS[extension][2]
    else:
        longest = {".gif": gif.LONGEST, ".webp": webp.LONGEST, ".mp4": 16384}[extension]
    if max(height, width) > longest:
        raise Mistake(f"output: a film in {extension} has at most {longest} pixels a side: add --max-size {longest}")
    if extension == ".mp4" and min(height, width) < 2:
        raise Mistake("output: a film in .mp4 has at least 2 pixels a side")
    if extension == ".gif" and rate > gif.FASTEST:
        raise Mistake(f"output: a film in .gif shows at most {gif.FASTEST} frames a second")


def name(path: str | os.PathLike[str], number: int) -> Path:
    """The file of frame `number`, from 0; in names they count from 1, as steps and frames do when they are told."""
    path = Path(path)
    return path.with_name(NUMBER.sub(lambda found: found[0] % (number + 1), path.name))


def _one_of(path: str | os.PathLike[str], source: str | os.PathLike[str]) -> bool:
    """Whether the file `source` has the name of a frame of `path`."""
    before, _, after = re.split(f"({NUMBER.pattern})", Path(path).name)
    where, source = Path(os.path.realpath(path)).parent, Path(os.path.realpath(source))
    return source.parent == where and bool(re.fullmatch(re.escape(before) + r"\d+" + re.escape(after), source.name))


class Reel:
    """Of the film at `output`.

    dream   all but the seed that decides what the film is, for JSON: what is kept is of one such film alone
    image   pixels that decide too
    rate    ticks a second
    video   what moves that it is made of: each frame is shown for its ticks, the sound of a Video is kept"""

    def __init__(self, output: str, dream: dict[str, Any], image: Pixels, rate: Fraction = Fraction(RATE),
                 video: Moving | None = None) -> None:
        self.output, self.rate, self._video = output, Fraction(rate), video
        self.ticks = video.ticks if video else None
        self._sounding = video if isinstance(video, Video) and video.sound else None
        self._dream, self._image = dream, image
        self._key = checkpoint.key(dream, image)
        self.folder = checkpoint.beside(output, "film")
        self._kind = "" if numbered(output) else Path(output).suffix.lower()

    @property
    def arrays(self) -> int:
        """Bytes a pixel that making the film takes, ffmpeg's own processes included."""
        return (ffmpeg.ENCODING * (self._kind == ".mp4") + ffmpeg.DECODING * bool(self._video)
                + flow.ARRAYS * bool(self._dream.get("flow")))

    @property
    def encoded(self) -> int:
        """How many frames are encoded together; 0 where none is."""
        return PIECE * (self._kind == ".mp4")

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
        self._seed = seed
        try:
            if afresh or self.seed() != seed:
                self.remove()
                self.folder.mkdir()
                files.give(self.folder, self.folder.parent)
                self._write("film", json.dumps({"key": self._key, "seed": seed}).encode())
            if self._kind == ".mp4" and self._sounding and not self._sound():
                with files.replacing(self.folder / "sound") as file:
                    self._sounding.extract_sound(file.name)
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
        if not self._kind:
            pictures.write(str(name(self.output, number)), picture)
            return
        try:
            if self._kind == ".mp4":
                self._keep_for_mp4(number, picture)
            else:
                self._write(number, _FORMATS[self._kind].piece(pictures.eight_bit(picture.pixels)))
        except OSError as error:
            raise self._failure(error) from None

    def finish(self, count: int, made: dict[str, Any]) -> None:
        """Write the film of the first `count` frames; `made` is its recipe. Raises Failure."""
        if not self._kind:
            return
        ticks = self.ticks[:count] if self.ticks else [1] * count
        try:
            with files.replacing(self.output, self.folder) as file:
                if self._kind == ".mp4":
                    self._join_mp4(file, count, made)
                    return
                pieces = ((self.folder / f"{number:06d}").read_bytes() for number in range(count))
                size = made["height"], made["width"]
                about = recipe.text(made).encode() if self._kind == ".gif" else recipe.packet(made)
                _FORMATS[self._kind].join(file, pieces, ticks, self.rate, size, about)
        except OSError as error:
            raise self._failure(error) from None

    def remove(self) -> None:
        """Forget what is kept."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, number: int | str, data: bytes | bytearray | memoryview) -> None:
        with files.replacing(self.folder / (number if isinstance(number, str) else f"{number:06d}")) as file:
            file.write(data)

    def _failure(self, error: OSError) -> Failure:
        return Failure(f"{self.output} could not be written: {error.strerror or error}")

    # .mp4: so many frames at a time become a piece of film, encoded; until then they are .png

    def _keep_for_mp4(self, number: int, picture: Picture) -> None:
        first = number - number % PIECE
        if (self.folder / f"{first:06d}.mp4").exists():  # steps are done again after a kill
            return
        self._write(f"{number:06d}.png", pictures.encode(pictures.Picture(picture.pixels), "PNG"))
        if number == first + PIECE - 1:
            self._encode(f"{first:06d}.mp4", first, number + 1)
            for old in range(first, number + 1):
                (self.folder / f"{old:06d}.png").unlink(missing_ok=True)

    def _encode(self, piece: str, first: int, end: int, hurry: bool = False) -> None:
        shown = ((self.folder / f"{number:06d}.png", self._ticks(number)) for number in range(first, end))
        with files.replacing(self.folder / piece) as file:
            ffmpeg.encode(file.name, (data for path, count in shown for data in [path.read_bytes()] * count),
                          self.rate, hurry)

    def _join_mp4(self, file: IO[bytes], count: int, made: dict[str, Any]) -> None:
        whole = count - count % PIECE
        pieces = [(f"{first:06d}.mp4", first, first + PIECE) for first in range(0, whole, PIECE)]
        if (self.folder / f"{whole:06d}.mp4").exists():  # steps after a kill again: there are more already
            pieces.append((f"{whole:06d}.mp4", whole, whole + PIECE))
        elif count > whole:
            self._encode("rest.mp4", whole, count, hurry="unfinished" in made)
            pieces.append(("rest.mp4", whole, count))
        ffmpeg.join(file.name, [(self.folder / piece, sum(map(self._ticks, range(first, end))))
                                for piece, first, end in pieces], self.rate, recipe.text(made),
                    self._sound(), self._sounding.delay if self._sounding else 0.0, whole="unfinished" not in made)

    def _sound(self) -> Path | None:
        """The path of the sound; None where there is none."""
        path = self.folder / "sound"
        return path if path.exists() else None

    def _ticks(self, number: int) -> int:
        return self.ticks[number] if self.ticks else 1


_FORMATS = {".gif": gif, ".webp": webp}
