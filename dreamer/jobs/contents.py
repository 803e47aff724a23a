"""What is in a folder: pictures, and what is left alone.

A file is a picture if its name has the extension of a format that can be read. If it has no extension, or that of a
photo format that cannot be read (programs often keep it when they convert a photo), the first bytes decide. Other files
are left alone, even if they contain a picture: they are thumbnails of videos, other programs' backups, downloads that
are not finished."""

import contextlib
import errno
import io
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dreamer.errors import Failure, counted
from dreamer.films import video
from dreamer.films.containers import container
from dreamer.machine import ffmpeg
from dreamer.machine.files import natural
from dreamer.pictures import inputs, kinds, modern, ours, page

KINDS = 6  # so many extensions are listed at most
# Formats that cannot be mistaken by their first bytes. TIFF is not one of them, because most raw photos begin so too.
_SURE = ("JPEG", "PNG", "GIF", "WEBP", "PSD", "JPEG2000")
_LONGEST = 1 << 20  # bytes in which the recipe of a film is looked for


class Contents(NamedTuple):
    """What is in a folder, except hidden files: paths relative to it, sorted as people count.

    pictures  files to be dreamed, and dreams
    others    files that are not pictures, or not files
    folders   subfolders that are not looked into
    links     links to folders, which are never followed: they may lead in circles
    unread    {subfolder that cannot be read: why}
    hidden    whether there are hidden files"""

    pictures: list[str]
    others: list[str]
    folders: list[str]
    links: list[str]
    unread: dict[str, str]
    hidden: bool


class Lister:
    """Lists a folder as often as wanted.

    folder     the folder
    recursive  whether to look into subfolders
    without    a folder to leave out, wherever it is; None if there is none"""

    def __init__(self, folder: str | os.PathLike[str], recursive: bool = False,
                 without: str | os.PathLike[str] | None = None) -> None:
        self._folder, self._recursive = os.fspath(folder), recursive
        self._without = None if without is None else os.path.realpath(without)
        self._pictures: dict[str, tuple[tuple[int, int], bool]] = {}  # what the first bytes of a file said
        self._extensions = inputs.extensions()

    def look(self) -> Contents:
        """The Contents of the folder now. Raises Failure if it cannot be read."""
        found = Contents([], [], [], [], {}, False)
        waiting = [""]
        while waiting:
            inside = waiting.pop()
            try:
                with os.scandir(os.path.join(self._folder, inside)) as entries:
                    there = sorted(entries, key=lambda entry: natural(entry.name))
            except OSError as error:
                if not inside:
                    raise Failure(f"{self._folder} cannot be read: {error.strerror}") from None
                if error.errno != errno.ENOENT:  # otherwise it was removed in the meantime
                    found.unread[inside] = str(error.strerror)
                continue
            hidden = any(entry.name.startswith(".") for entry in there)
            found = found._replace(hidden=found.hidden or hidden)
            waiting += reversed([*self._sort(inside, there, found)])
        return found

    def _sort(self, inside: str, entries: Sequence["os.DirEntry[str]"], found: Contents) -> Iterator[str]:
        """Add the entries of the subfolder `inside` to `found`; yields the subfolders to look into."""
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = os.path.join(inside, entry.name)
            if not _is_folder(entry):
                (found.pictures if self._is_picture(name, entry) else found.others).append(name)
            elif self._without and os.path.realpath(entry.path) == self._without:
                continue
            elif entry.is_symlink():
                found.links.append(name)
            elif self._recursive:
                yield name
            else:
                found.folders.append(name)

    def _is_picture(self, name: str, entry: "os.DirEntry[str]") -> bool:
        extension = os.path.splitext(entry.name)[1].lower()
        try:
            if not entry.is_file():
                return False
            if extension in self._extensions:
                return True
            if extension and extension not in modern.EXTENSIONS:
                return False
            status = entry.stat()
            like = status.st_size, status.st_mtime_ns
            if self._pictures.get(name, (None,))[0] != like:
                self._pictures[name] = like, begins_as_picture(entry.path)
            return self._pictures[name][1]
        except OSError:  # a link in a circle, or the file is gone
            return False


def begins_as_picture(path: str | os.PathLike[str]) -> bool:
    """Whether the file has the first bytes of a picture in a common format, whatever its name."""
    return kinds.picture(_start(path, kinds.LONG)) in _SURE


def left_alone(folder: str | os.PathLike[str], others: Sequence[str], folders: Sequence[str],
               links: Sequence[str]) -> tuple[int, str]:
    """(how many of these things in `folder` are left alone, why: "" if none). Films and pages of this program do not
    count. Arguments as in Contents."""
    told = list[str]()
    others = [name for name in others if not _is_dream(os.path.join(folder, name))]
    pictures = [name for name in others if begins_as_picture(os.path.join(folder, name))]
    rest = [name for name in others if name not in set(pictures)]
    if rest:
        told.append(f"{_are(rest, 'is not a picture', 'are not pictures')} that can be read: {_kinds(rest)}")
    if pictures:
        told.append(_are(pictures, "is a picture with another kind of name", "are pictures with other kinds of names")
                    + f", so rename what you want to dream: {_kinds(pictures)}")
    if folders:
        told.append(f"{counted(len(folders), 'subfolder')} {'is' if len(folders) == 1 else 'are'} left out without "
                    "--recursive")
    if links:
        told.append(f"{len(links)} {'link to a folder is' if len(links) == 1 else 'links to folders are'} not followed")
    return len(others) + len(folders) + len(links), "; ".join(told)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _start(path: str | os.PathLike[str], count: int) -> bytes:
    """The first `count` bytes of a regular file; b"" if it cannot be read."""
    with contextlib.suppress(OSError):
        # without O_NONBLOCK, opening a pipe that nobody writes to would wait
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            return os.read(number, count)
        finally:
            os.close(number)
    return b""


def _is_dream(path: str) -> bool:
    """Whether a file that is not a picture is a film or a page of this program."""
    extension = os.path.splitext(path)[1].lower()
    if container(path):  # ffprobe would take 50 ms
        start = _start(path, _LONGEST)
        return ffmpeg.is_film(io.BytesIO(start)) and b'"weights_sha256"' in start
    try:
        return extension in page.PAGES and os.path.isfile(path) and ours.is_ours(path)
    except OSError:
        return False


def _are(names: Sequence[str], one: str, several: str) -> str:
    """Their number and a verb: "1 file is", "2 files are"."""
    return f"{counted(len(names), 'file')} {one if len(names) == 1 else several}"


def _kinds(names: Sequence[str]) -> str:
    """What kinds of files they are, the most frequent first, and videos last; the name of a single one."""
    if len(names) == 1:
        return names[0] + _of_videos(names)
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(os.path.splitext(name)[1].lower(), []).append(name)
    ordered = sorted(kinds.values(), key=lambda each: (video.named_so(each[0]), -len(each), natural(each[0])))
    told = [f"{len(each)} {os.path.splitext(each[0])[1] or 'without an extension'}" for each in ordered[:KINDS]]
    if rest := sum(map(len, ordered[KINDS:])):
        told.append(f"{rest} of other kinds")
    return ", ".join(told) + _of_videos(names)


def _of_videos(names: Sequence[str]) -> str:
    return " (videos are dreamed one by one)" if any(map(video.named_so, names)) else ""
