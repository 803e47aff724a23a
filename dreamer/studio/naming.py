"""Names of files in the studio's folder: which are allowed, which are free, and how such a file is opened and kept."""

import contextlib
import functools
import os
import stat
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import IO

from dreamer.errors import Mistake
from dreamer.films import names, numbered, video
from dreamer.machine import files
from dreamer.pictures import inputs, modern, nothing, raw, writing

CHARACTERS, BYTES = 150, 230  # a name has at most so many; file systems allow 255 bytes, and "-dream-2.png" must fit
_JOINERS = "\u200c\u200d"  # inside emoji and words of some languages


def check(name: object) -> str:
    """The name, if a file in the folder may have it. Raises Mistake, which says what is wrong."""
    if not isinstance(name, str) or not name:
        raise Mistake("a file needs a name")
    if wrong := _wrong(name):
        raise Mistake(f"{name[:60]}: the name of a file {wrong}")
    return name


def _wrong(name: str) -> str:
    """What is wrong with the name; "" if nothing."""
    if "/" in name or "\\" in name:
        return "cannot have a slash"
    if name[0] in ".-":
        return f"cannot begin with {name[0]}"
    if not all(c.isprintable() or c in _JOINERS or unicodedata.category(c) == "Zs" for c in name):
        return "cannot have control characters"
    if not name.strip(" .") or not any(map(str.isprintable, name.strip())):
        return "needs letters or digits"
    if len(name) > CHARACTERS or len(name.encode()) > BYTES:
        return f"has at most {CHARACTERS} characters and {BYTES} bytes"
    if numbered.numbered(name):
        return "cannot have %d, which means the number of a frame"
    return ""


@functools.cache
def picture_extensions() -> frozenset[str]:
    """Extensions, in lower case, of the pictures that the program reads, here or with more programs installed."""
    return frozenset({*inputs.extensions(), *modern.EXTENSIONS, *raw.EXTENSIONS})


def kind(name: str) -> str | None:
    """What the extension says: "picture" (also of .gif and .webp, which may be films) or "film"; None for files that do
    not belong to the studio, such as web pages and drawings."""
    if Path(name).suffix.lower() in picture_extensions():
        return "picture"
    return "film" if video.named_so(name) or names.always_film(name) else None


def free_name(folder: str | os.PathLike[str], name: str, taken: Collection[str] = ()) -> str:
    """The name, or if a file in `folder` has it, the first free one of photo-2.jpg, photo-3.jpg and so on.

    taken  names that will be given to files, and so are not free"""
    stem, extension = os.path.splitext(check(name))
    return _first(folder, stem, "", extension, taken)


def dream_name(folder: str | os.PathLike[str], photo: str, extension: str | None = None,
               taken: Collection[str] = ()) -> str:
    """A free name for a dream of the file `photo`: photo-dream.jpg, photo-dream-2.jpg and so on. A dream of
    noise:448x448 is called noise-dream.png, because not every disk allows colons in names.

    extension  of the dream (".mp4"); None for the one that the dreams of a folder get
    taken      as for free_name"""
    stem, own = os.path.splitext(check(photo))
    stem = stem.partition(":")[0] if nothing.named(photo, folder) else stem
    if extension is None:
        extension = writing.dream_name(f"x{own}").removeprefix("x-dream")
    return _first(folder, stem, "-dream", extension, taken)


def _first(folder: str | os.PathLike[str], stem: str, word: str, extension: str, taken: Collection[str]) -> str:
    """The first free name of those that consist of the stem, the word, a number (from the second on) and the
    extension."""
    busy, number, tail = {each.casefold() for each in taken}, 1, word + extension
    while (chosen := _fitted(stem, tail)).casefold() in busy or os.path.lexists(Path(folder, chosen)):
        number += 1
        tail = f"{word}-{number}{extension}"
    return chosen


def _fitted(stem: str, tail: str) -> str:
    """`stem` and `tail`, with as much of the stem as a name has room for."""
    while len(stem) > 1 and (len(stem + tail) > CHARACTERS or len((stem + tail).encode()) > BYTES):
        stem = stem[:-1]
    return stem + tail


def opened(folder: str | os.PathLike[str], name: str) -> IO[bytes]:
    """The file `name` of `folder`, open for reading. Raises Mistake if there is no such regular file: links are not
    followed, and pipes are not waited for."""
    path = Path(folder, check(name))
    try:
        file = open(path, "rb", opener=lambda path, flags: os.open(  # noqa: SIM115 - the caller closes it
            path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY))
    except OSError:
        raise Mistake(f"{name}: there is no such file") from None
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise Mistake(f"{name}: there is no such file")


def keep(part: str | os.PathLike[str], folder: str | os.PathLike[str], name: str,
         taken: Collection[str] = ()) -> str:
    """Give the finished file `part` the name `name` in `folder`, or the next free one; returns the name. Nothing is
    ever overwritten. The file gets the folder's owner. Raises OSError; then `part` is still there.

    taken  as for free_name"""
    files.give(part, folder)
    while True:
        chosen = free_name(folder, name, taken)
        with contextlib.suppress(FileExistsError):  # somebody was quicker
            move(part, Path(folder, chosen))
            return chosen


def move(part: str | os.PathLike[str], target: Path) -> None:
    """Move the file `part` to `target`, on the same disk. Raises FileExistsError if that is there, and OSErrors."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # many shared folders have no links
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))  # now the name is ours
        try:
            files.move(part, target)
        except OSError:
            os.unlink(target)
            raise
    else:
        os.unlink(part)
