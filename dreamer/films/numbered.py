"""A film as one picture per frame: frame-0001.png, frame-0002.png and so on."""

import os
import re
from pathlib import Path
from typing import Any

from dreamer.films.tracks import NOTHING, Tracks
from dreamer.pictures import writing
from dreamer.pictures.picture import Picture

# The place of a frame's number in a name. If a letter or digit follows, as in 100%dream.png, it is plain text.
NUMBER = re.compile(r"%(?:0[0-9]{1,2})?d(?![^\W_])")


def numbered(path: str | os.PathLike[str]) -> bool:
    """Whether `path` names a file for each frame, such as frame-%04d.png."""
    return bool(NUMBER.search(Path(path).name))


def name(path: str | os.PathLike[str], number: int) -> Path:
    """The file of frame `number`, counted from 0. In names, frames count from 1, as they do in messages."""
    path = Path(path)
    return path.with_name(NUMBER.sub(lambda found: found[0] % (number + 1), path.name))


def is_frame_of(path: str | os.PathLike[str], source: str | os.PathLike[str]) -> bool:
    """Whether the file `source` has the name of a frame of `path`."""
    before, _, after = re.split(f"({NUMBER.pattern})", Path(path).name)
    where, source = Path(os.path.realpath(path)).parent, Path(os.path.realpath(source))
    return source.parent == where and bool(re.fullmatch(re.escape(before) + r"\d+" + re.escape(after), source.name))


class Numbered:
    """The unfinished film `output`, a name with a number in it. Each frame is written as soon as it is done.

    beside  the Tracks of the video"""

    arrays = encoded = 0
    joined = 0.0

    def __init__(self, output: str, beside: Tracks = NOTHING) -> None:
        self._output, self._beside = output, beside
        self.kept = {"JPEG": 0.8, "PNG": 2.1, "TIFF": 2.3, "WEBP": 0.5}[writing.FORMATS[Path(output).suffix.lower()][0]]

    def begin(self) -> list[str]:
        """Returns what the film cannot keep: all that is not a picture."""
        return self._beside.named()

    def keep(self, number: int, picture: Picture) -> None:
        """Write frame `number`. Raises Failure."""
        writing.write(str(name(self._output, number)), picture)

    def finish(self, count: int, made: dict[str, Any]) -> None:
        """Does nothing: all frames are written."""
