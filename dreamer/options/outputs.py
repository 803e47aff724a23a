"""Checks, before any work is done, whether a dream can be written to OUTPUT: a picture, film, atlas or folder."""

import os
import stat
import sys
from collections.abc import Callable, Collection, Iterable
from fractions import Fraction
from pathlib import Path

from dreamer.errors import Mistake
from dreamer.films import gif, muxed, webp
from dreamer.films.containers import container
from dreamer.films.names import FILMS
from dreamer.films.numbered import NUMBER, is_frame_of, name, numbered
from dreamer.machine import ffmpeg, files, here
from dreamer.options.request import Request
from dreamer.pictures import inputs, page, writing
from dreamer.pictures.ours import is_ours
from dreamer.pictures.picture import Picture
from dreamer.pictures.recipe import read_recipe


def check_picture(path: str | os.PathLike[str], source: str | os.PathLike[str] | None = None, force: bool = False,
                  extensions: Collection[str] = tuple(writing.FORMATS)) -> None:
    """Raise Mistake unless a picture can be written to `path` ("-" is standard output).

    source      the picture that must not be overwritten, unless `force`
    extensions  those that `path` may have"""
    if path == inputs.STANDARD:
        _check_standard_output()
        return
    check_path(path)
    path = Path(path)
    if path.suffix.lower() not in extensions:
        raise Mistake(f"output: {path.name} must end in one of {' '.join(sorted(extensions))}")
    folder = Path(os.path.realpath(path)).parent
    try:
        there = os.stat(path)
    except FileNotFoundError:
        there = None
    except (OSError, ValueError) as error:
        raise Mistake(f"output: {path}: {getattr(error, 'strerror', None) or error}") from None
    if there:
        if stat.S_ISDIR(there.st_mode):
            raise Mistake(f"output: {path} is a folder")
        if not stat.S_ISREG(there.st_mode):
            raise Mistake(f"output: {path} is a device or a pipe, not a file (- writes standard output)")
        if source is not None and not force and _is(source, there):
            raise Mistake(f"output: {path} is the input itself; name another file, or add --force")
        if not os.access(path, os.W_OK):
            raise Mistake(f"output: {path} is write-protected")
        if not force:
            check_ours(path)
    if not there and not folder.is_dir():
        raise Mistake(f"output: the folder {folder} does not exist{here.not_mounted(folder)}")
    check_folder(folder)
    check_stays(path, force)


def check_ours(path: str | os.PathLike[str]) -> None:
    """Raise Mistake if the file at `path` was not made by this program: it would be lost."""
    if not is_ours(path):
        raise Mistake(f"output: {path} exists and is not a dream; name another file (or a folder, for the dreams of "
                      "several pictures), or add --force")


def check_stays(path: str | os.PathLike[str], force: bool) -> None:
    """Raise Mistake if a file at `path` would disappear with our container, unless `force`."""
    if not force and (why := here.lost(path)):
        raise Mistake(f"output: {why}" + ("; use --force to dream anyway" if here.mounted() else ""))


def check_folder(folder: str | os.PathLike[str], force: bool = True) -> None:
    """Raise Mistake unless files can be created in `folder`; without `force`, they must also outlast our container."""
    try:
        files.check(folder)
    except OSError as error:
        raise Mistake(f"output: cannot write into {folder}: {error.strerror}") from None
    check_stays(folder, force)


def _check_standard_output() -> None:
    if sys.__stdout__ is None:
        raise Mistake("output: standard output is closed")
    if sys.stdout.isatty():
        raise Mistake("output: standard output is a terminal; redirect it with > or |")


def _is(source: str | os.PathLike[str], status: os.stat_result) -> bool:
    """Whether the input `source` is the file with this os.stat, under any name or link."""
    try:
        return os.path.samestat(os.fstat(0) if source == inputs.STANDARD else os.stat(source), status)
    except (OSError, ValueError):
        return False


def check_no_picture_of(folder: str, path: str, recursive: bool = False) -> None:
    """Raise Mistake if `path` is a picture in `folder`, which is to be dreamed. Files with a recipe are dreams.

    recursive  whether pictures in subfolders are to be dreamed too"""
    whole, inside = Path(os.path.realpath(folder)), Path(os.path.realpath(path)).parent
    if os.path.isfile(path) and (inside == whole or (recursive and whole in inside.parents)):
        try:
            read_recipe(path)
        except Mistake:
            raise Mistake(f"{path} is one of the pictures in {folder}; name another file") from None


def check_none_of(pictures: Collection[str], path: str) -> None:
    """Raise Mistake if `path` is one of the `pictures`, which are to be dreamed, and no dream itself."""
    there = os.stat(path)
    if any(_is(each, there) for each in pictures) and not is_ours(path):
        raise Mistake(f"output: {path} is one of the pictures; name another folder")


def check_path(path: str | os.PathLike[str]) -> None:
    """Raise Mistake if this is a URL or a Windows path."""
    if files.is_url(path):
        raise Mistake(f"output: {path} is a URL; name a file")
    if instead := files.foreign(path):
        raise Mistake(f"output: {path} is a Windows path: {instead}")


def check_film(path: str | os.PathLike[str], source: str | os.PathLike[str] | None = None,
               force: bool = False) -> None:
    """Raise Mistake unless a film can be written to `path`; arguments as for check_picture."""
    extension = Path(path).suffix.lower()
    if numbered(path):
        if len(NUMBER.findall(Path(path).name)) > 1 or (
                NUMBER.search(str(Path(path).parent)) and not Path(path).parent.is_dir()):
            raise Mistake(f"output: {path}: use %d only once, and only in the file's name")
        sources: Iterable[str | os.PathLike[str]] = ()
        if source is not None and source != inputs.STANDARD:
            sources = files.entries(source) if os.path.isdir(source) else [source]
        if any(is_frame_of(path, each) for each in sources):
            raise Mistake(f"output: {path} would overwrite the input; name other files")
        check_picture(name(path, 0), source, force)
        if not force:
            for each in files.entries(Path(os.path.realpath(path)).parent):
                if is_frame_of(path, each):
                    check_ours(each)
    elif extension not in FILMS:
        raise Mistake(f"output: a film must end in one of {' '.join(FILMS)}, or have a number in its name, such as "
                      "frame-%04d.png")
    else:
        check_picture(path, source, force, FILMS)
    if not numbered(path) and container(path):
        try:
            ffmpeg.find()
        except Mistake as error:
            raise Mistake(f"output: {error}") from None


def check_atlas(path: str, source: str | None, force: bool) -> None:
    """Raise Mistake unless an atlas can be written to `path`, which may be a folder; arguments as for check_picture."""
    if path.endswith("/") or os.path.isdir(path):
        check_path(path)
        if os.path.lexists(path.rstrip("/")) and not os.path.isdir(path):
            raise Mistake(f"output: {path} is not a folder")
        inside = os.path.realpath(path)
        check_folder(inside if os.path.isdir(path) else os.path.dirname(inside), force)
        return
    check_picture(path, source, force, (*writing.FORMATS, *page.PAGES))


def check_picture_fits(path: str | os.PathLike[str], picture: Picture, warn: Callable[[str], None]) -> None:
    """Raise Mistake if the format of `path` cannot hold a Picture of this size. Warn if it loses transparency or
    EXIF."""
    kind, _, longest = writing.FORMATS[writing.extension(path)]
    height, width = picture.pixels.shape[:2]
    if max(height, width) > longest:
        raise Mistake(f"output: a {kind} has at most {longest} pixels per side; use .png, or --max-size {longest}")
    if kind == "JPEG" and picture.alpha is not None and picture.alpha.min() < 255:
        warn("output: a JPEG cannot be transparent, so the transparency is lost; a .png keeps it")
    if kind == "JPEG" and picture.exif and (lacks := picture.exif.block(height, width, writing.EXIF)[1]):
        warn(f"output: a JPEG holds at most 64 kB of EXIF, so some values are lost ({lacks}); a .png keeps all")
    if gone := picture.beside.without_room(kind):
        warn(f"output: a {kind} has no room for the picture's {' and '.join(gone)}; a .png keeps all")


def check_film_fits(path: str | os.PathLike[str], picture: Picture, rate: Fraction, moves: bool,
                    warn: Callable[[str], None]) -> None:
    """Raise Mistake if the film at `path` cannot have frames of this size, or `rate` frames per second. Warn if
    transparency is lost: only the numbered steps of one picture's dream keep it."""
    extension = Path(path).suffix.lower()
    height, width = picture.pixels.shape[:2]
    if picture.alpha is not None and picture.alpha.min() < 255 and (moves or not numbered(path)):
        warn("output: this film cannot be transparent, so the transparency is lost")
    if moves or not numbered(path):
        picture.alpha = None
    if numbered(path):
        longest = writing.FORMATS[extension][2]
    else:
        longest = {".gif": gif.LONGEST, ".webp": webp.LONGEST}.get(extension, muxed.LONGEST)
    if max(height, width) > longest:
        raise Mistake(f"output: a film in {extension} has at most {longest} pixels per side; add --max-size {longest}")
    if container(path) and min(height, width) < 2:
        raise Mistake(f"output: a film in {extension} needs at least 2 pixels on each side")
    fastest = {".gif": gif.FASTEST, ".webp": webp.FASTEST}.get(extension, rate)
    if rate > fastest:
        raise Mistake(f"output: a film in {extension} can show at most {fastest} frames a second; add --fps {fastest}")


def check_events(request: Request) -> None:
    """Raise Mistake unless events can be written to `request.events`. Writes nothing."""
    where = str(request.events)
    if where == inputs.STANDARD:
        raise Mistake("events: name a file, or fd:1 for standard output")
    if where.startswith("fd:"):
        if not where[3:].isdecimal() or not where[3:].isascii():
            raise Mistake(f"events: {where}: fd: must be followed by the number of an open file descriptor")
        try:
            os.fstat(int(where[3:]))
        except (OSError, OverflowError):
            raise Mistake(f"events: {where} is not open") from None
        return
    for field in ("input", "output", "preview", "guide", "mask", "like", "weights"):
        other = getattr(request, field)
        for each in other if isinstance(other, tuple) else (other,):
            if each is not None and os.path.realpath(each) == os.path.realpath(where):
                raise Mistake(f"events: this dream uses {where} for something else; name another file")
    if request.output and numbered(request.output) and is_frame_of(request.output, where):
        raise Mistake(f"events: {where} is a frame of the film; name another file")
    try:
        with open(where, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode) and not (file.read(10) or b'{"event": ').startswith(
                    b'{"event": '):
                raise Mistake(f"events: {where} exists and does not contain events; name another file")
    except FileNotFoundError:
        if not os.path.isdir(os.path.dirname(os.path.realpath(where))):
            raise Mistake(f"events: {where} is in a folder that does not exist") from None
    except (OSError, ValueError) as error:
        raise Mistake(f"events: {where}: {getattr(error, 'strerror', None) or error}") from None
