"""What is known of a file in the folder: its kind, its size, its recipe, and words for those who do not see it."""

import functools
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from dreamer.errors import Failure, Mistake, printable
from dreamer.nets import model

KINDS = ("photo", "dream", "film", "video", "sheet", "unreadable")
UNKNOWN = "application/octet-stream"
# Format as Pillow calls it, or extension of a video -> MIME type. No browser takes any of these for a page or a script
TYPES = {
    "AVIF": "image/avif", "BMP": "image/bmp", "DIB": "image/bmp", "GIF": "image/gif", "HEIC": "image/heic",
    "ICO": "image/x-icon", "JPEG": "image/jpeg", "JPEG2000": "image/jp2", "JXL": "image/jxl", "MPO": "image/jpeg",
    "PCX": "image/x-pcx", "PNG": "image/png", "PPM": "image/x-portable-anymap", "PSD": "image/vnd.adobe.photoshop",
    "QOI": "image/qoi", "RAW": "image/x-raw", "SGI": "image/sgi", "TGA": "image/x-tga", "TIFF": "image/tiff",
    "WEBP": "image/webp",
    ".avi": "video/x-msvideo", ".flv": "video/x-flv", ".m4v": "video/mp4", ".mkv": "video/x-matroska",
    ".mov": "video/quicktime", ".mp4": "video/mp4", ".mpeg": "video/mpeg", ".mpg": "video/mpeg", ".mts": "video/mp2t",
    ".ogv": "video/ogg", ".ts": "video/mp2t", ".webm": "video/webm", ".wmv": "video/x-ms-wmv"}
_LONGEST = 60_000  # characters of a recipe: we write none that is longer
_DREAM = re.compile(r"(.+)-dream(?:-\d+)?")  # the name of a dream, without its extension


class Seen(NamedTuple):
    """A file as the gallery shows it.

    kind           one of KINDS; a film is a dream that moves, a video is not dreamed yet, a sheet is an atlas
    width, height  of the upright picture in pixels; 0 if unknown
    recipe         how it was dreamed; None if it does not say so
    type           MIME type, always one of TYPES or UNKNOWN
    words          alternative text
    error          one line that says why it is unreadable; "" if it is not
    name           of the file; of an upload: the name with the extension that fits its content"""

    kind: str
    width: int = 0
    height: int = 0
    recipe: dict[str, Any] | None = None
    type: str = UNKNOWN
    words: str = ""
    error: str = ""
    name: str = ""

    def text(self) -> str:
        """All of it as JSON, for `parsed`."""
        return json.dumps(self._asdict())


def parsed(text: str) -> Seen | None:
    """The Seen with this text; None if the text is none, because a file was cut short, say."""
    try:
        found = Seen(**json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return None
    numbers, texts = (found.width, found.height), (found.type, found.words, found.error, found.name)
    good = (found.kind in KINDS and all(type(number) is int for number in numbers)
            and all(isinstance(each, str) for each in texts) and isinstance(found.recipe, dict | None))
    return found if good else None


def unreadable(name: str, error: Exception, path: str | os.PathLike[str] = "") -> Seen:
    """The Seen of the file `name` that cannot be read; messages of `error` may call it `path`."""
    return Seen("unreadable", error=told(name, error, path), words=f"{name}, which cannot be read", name=name)


def told(name: str, error: Exception, path: str | os.PathLike[str] = "") -> str:
    """The first line of an error about the file `name`, which it may call `path`."""
    line = str(error.args[0] if error.args else error)
    line = line.replace(os.fspath(path), printable(name)) if path else line
    return line.removeprefix("input: ").partition("; raise --max-pixels")[0]


def short(recipe: dict[str, Any] | None) -> dict[str, Any] | None:
    """The recipe, or None if it is longer than any that we write."""
    return recipe if recipe is None or len(json.dumps(recipe)) <= _LONGEST else None


def described(kind: str, name: str, recipe: dict[str, Any] | None) -> str:
    """The alternative text for the file `name`."""
    stem = Path(name).stem
    if recipe is None:
        return {"video": "Video ", "film": "Film ", "sheet": "Sheet "}.get(kind, "Photo ") + stem
    source = found[1] if (found := _DREAM.fullmatch(stem)) else stem
    layer, of = recipe.get("layer"), {"film": "Film of a dream of", "sheet": "Sheet of dreams of"}.get(kind, "Dream of")
    if kind == "sheet" or not isinstance(layer, str):
        return f"{of} {source}"
    likes = _likes(str(recipe.get("model"))).get(layer, "")
    return f"{of} {source} at {printable(layer[:80])}" + (f": {likes}" if likes else "")


@functools.cache
def _likes_of_known(name: str) -> dict[str, str]:
    try:
        return model.find(name).likes()
    except (Mistake, Failure):
        return {}


def _likes(name: str) -> dict[str, str]:
    """{layer: what it likes} of the model `name`, which comes from a file: anything but a known name has none."""
    return _likes_of_known(name) if name in model.names() else {}
