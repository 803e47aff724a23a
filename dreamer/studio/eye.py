"""Looks into files, and draws small copies of them. This runs in a child process with limits (see viewer.py): files are
of strangers, and a damaged one may crash a decoder."""

import contextlib
import os
import resource
import shutil
import stat
import warnings
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

from dreamer.arrays import Pixels
from dreamer.errors import Failure, Mistake
from dreamer.films import animated, video
from dreamer.machine import ffmpeg
from dreamer.pictures import exif, inputs, kinds, modern, raw, reading
from dreamer.pictures.recipe import read_recipe
from dreamer.studio import naming, seen
from dreamer.studio.seen import Seen

SECONDS = 60  # of processor time for one file and each program that decodes it: ends one that its parent has forgotten
_LARGEST = 1 << 31  # bytes of a temporary file
_BEHIND = (32, 32, 32)  # under transparent pixels: dark, as the page is in the dark, and not black, as shadows are
_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274  # TIFF tags
_ON_ITS_SIDE = (5, 6, 7, 8)  # values of the last
_TURNED = ("HEIC", "AVIF")  # these come upright, and say so before they are decoded
_UNSURE = ("TIFF", "RAW", "JXL")  # these come upright too, but only decoding shows their size
_LONGEST_SIDE = 65500  # pixels of a JPEG
_SHRUNK = 2048  # pixels: pictures larger than the limit may be read if their decoders can shrink them to this
_START = 1 << 20  # bytes in which the recipe of a film is looked for
_SAME = ({"JPEG", "MPO"}, {"TIFF", "RAW"}, {"BMP", "DIB"}, {"AVIF", "HEIC"})  # formats that share extensions
_USUAL = {"JPEG": ".jpg", "MPO": ".jpg", "JPEG2000": ".jp2", "TIFF": ".tif", "HEIC": ".heic", "RAW": ".raw",
          "DIB": ".bmp"}  # others have their own name as extension
_VIDEOS = ((b"\x1a\x45\xdf\xa3", 0, (".mkv", ".webm")), (b"AVI ", 8, (".avi",)), (b"OggS", 0, (".ogv",)),
           (b"FLV", 0, (".flv",)), (b"ftypqt", 4, (".mov", ".mp4", ".m4v")), (b"ftyp", 4, (".mp4", ".m4v", ".mov")))


class Look(NamedTuple):
    """Asks for the Seen of the file at `path`."""

    path: str


class Draw(NamedTuple):
    """Asks for a JPEG at `target` of the file at `path`, whose longest side has at most `side` pixels (0: its own)."""

    path: str
    target: str
    side: int
    quality: int = 88


class Check(NamedTuple):
    """Asks for the Seen of an upload at `path` that shall be named `name`; answered with Mistake if it is damaged, too
    large, or neither a picture nor a video."""

    path: str
    name: str


class Eye:
    """Answers these questions. `patient`: let other processes go first."""

    def __init__(self, patient: bool = False) -> None:
        self._patient, self._ready = patient, False

    def __call__(self, question: Look | Draw | Check) -> Seen | None:
        """The answer; None to Draw. Raises Mistake with one line, which names the file as a person knows it, or Failure
        if that is not the file's fault."""
        self._limit()
        name = question.name if isinstance(question, Check) else os.path.basename(question.path)
        with _held(question.path, name) as path:
            try:
                if isinstance(question, Look):
                    return look(path, name)
                if isinstance(question, Check):
                    return check(path, name)
                draw(path, name, question)
                return None
            except (Mistake, Failure) as error:
                raise Mistake(seen.told(name, error, path)) from None
            except (MemoryError, OSError) as error:  # of this machine, not of the file
                raise Failure(f"{name}: {getattr(error, 'strerror', None) or 'there is not enough memory'}") from None

    def _limit(self) -> None:
        """Limits for this process and for the programs that it runs, which begin to count at 0."""
        if not self._ready:
            _lower(resource.RLIMIT_CORE, 0)
            _lower(resource.RLIMIT_FSIZE, _LARGEST)
            warnings.simplefilter("ignore")  # Pillow's notes on damaged files
            os.nice(10 if self._patient else 0)
            self._ready = True
        used = resource.getrusage(resource.RUSAGE_SELF)
        _lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + SECONDS)


def _lower(which: int, limit: int) -> None:
    """Set a limit of this process, as far as it may."""
    most = resource.getrlimit(which)[1]
    resource.setrlimit(which, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


@contextlib.contextmanager
def _held(path: str, name: str) -> Iterator[str]:
    """Another path to the file at `path`, which stays the same file whatever happens to its name. Raises Mistake for
    links and whatever else is no regular file."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise Mistake(f"{name} cannot be opened: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise Mistake(f"{name} is not a file")
        yield f"/proc/{os.getpid()}/fd/{number}"
    finally:
        os.close(number)


def _start(path: str, count: int = kinds.LONG) -> bytes:
    with inputs.opened(path) as (file, _):
        return file.read(count)


def _is_video(path: str, name: str) -> bool:
    """Whether the file is no picture, and looks like a video by its first bytes or its name."""
    start = _start(path)
    return kinds.picture(start) is None and (kinds.words(start) == "a video" or video.named_so(name))


def look(path: str, name: str) -> Seen:
    """The Seen of the file at `path`, without decoding its pixels where that can be avoided. Raises Mistake."""
    return _look_at_video(path, name) if _is_video(path, name) else _look_at_picture(path, name)


def _look_at_picture(path: str, name: str) -> Seen:
    with inputs.picture(path, max_size=_SHRUNK) as (image, file, _):
        kind, (width, height) = str(image.format), image.size
        moves = kind in animated.KINDS and bool(getattr(image, "is_animated", False))
        if _is_turned(image, file, path):
            width, height = height, width
    recipe = _recipe(path)
    what = _kind(recipe) if recipe else "video" if moves else "photo"
    return Seen(what, width, height, recipe, seen.TYPES.get(kind, seen.UNKNOWN),
                seen.described(what, name, recipe), name=name)


def _is_turned(image: Any, file: IO[bytes], path: str) -> bool:
    """Whether the width of the image, which is not decoded, is the height of the upright picture."""
    tags = getattr(image, "tag_v2", {})
    if image.format == "TIFF" and tags:  # newer Pillows give the upright size
        return tags.get(_ORIENTATION) in _ON_ITS_SIDE and image.size == (tags.get(_WIDTH), tags.get(_HEIGHT))
    if image.format in _UNSURE:
        height, width = reading.read(path, 320).pixels.shape[:2]
        return bool((width - height) * (image.size[0] - image.size[1]) < 0)
    if image.format in _TURNED:
        return False
    try:
        found = exif.read(image, file, False)
    except ValueError:
        return False
    return found is not None and found.orientation in _ON_ITS_SIDE


def _look_at_video(path: str, name: str) -> Seen:
    extension = fitting(path, name)[len(os.path.splitext(fitting(path, name))[0]):].lower()
    type_ = seen.TYPES.get(extension, seen.UNKNOWN)
    if not shutil.which("ffmpeg") or not shutil.which("ffprobe"):
        ours = b'"weights_sha256"' in _start(path, _START)
        what = "film" if ours else "video"
        return Seen(what, type=type_, words=seen.described(what, name, None), name=name)
    height, width = video.first(path, inputs.MAX_PIXELS).shape[:2]
    recipe = _recipe(path)
    what = "film" if recipe else "video"
    return Seen(what, width, height, recipe, type_, seen.described(what, name, recipe), name=name)


def _recipe(path: str) -> dict[str, object] | None:
    try:
        return seen.short(read_recipe(path))
    except Mistake:
        return None


def _kind(recipe: dict[str, object]) -> str:
    return "sheet" if "atlas" in recipe else "film" if "fps" in recipe else "dream"


def draw(path: str, name: str, asked: Draw) -> None:
    """Draw what a Draw asks for. Raises Mistake, Failure or OSError."""
    image = Image.fromarray(_pixels(path, name, asked.side))
    if asked.side and max(image.size) > asked.side:
        image = image.resize(reading.shrunk(image.size, asked.side), Image.LANCZOS)
    part = f"{asked.target}.part"
    try:
        # a JPEG, because every browser shows one at once, and WebP takes five times as long to write
        image.save(part, "JPEG", quality=asked.quality, subsampling=0 if not asked.side else -1)
        os.replace(part, asked.target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise


def _pixels(path: str, name: str, side: int) -> Pixels:
    """The picture or first frame, uint8 (h, w, 3), upright, perhaps still larger than `side`."""
    if _is_video(path, name):
        return video.first(path, inputs.MAX_PIXELS)
    most = inputs.MAX_PIXELS
    with inputs.picture(path, max_size=side or _SHRUNK) as (image, _, _):
        if not side:
            side = _LONGEST_SIDE if image.size[0] * image.size[1] <= most else _SHRUNK
        if image.format in ("JPEG", "MPO") and max(image.size) // 2 >= side:
            most = min(most, image.size[0] * image.size[1] // 4 + 1)  # let its decoder shrink it: many times as fast
    try:
        picture = reading.read(path, side, most)
    except Mistake:
        if most == inputs.MAX_PIXELS:
            raise
        picture = reading.read(path, side)
    if picture.alpha is None:
        return picture.pixels
    whole = Image.new("RGB", picture.pixels.shape[1::-1], _BEHIND)
    whole.paste(Image.fromarray(picture.pixels), mask=Image.fromarray(picture.alpha))
    return np.asarray(whole)


def check(path: str, name: str) -> Seen:
    """Decode an upload, and return its Seen. Raises Mistake or Failure, as Check says."""
    if _is_video(path, name):
        try:
            ffmpeg.find("ffprobe")
        except Mistake as error:
            raise Mistake(f"{name} is a video, and {error}") from None
    else:
        reading.sides(path)  # says so if it has too many pixels
        _pixels(path, name, 320)
    name = fitting(path, name)
    return look(path, name)


def fitting(path: str, name: str) -> str:
    """`name`, with the extension that fits the content of the file."""
    stem, extension = os.path.splitext(name)
    if _is_video(path, name):
        start = _start(path)
        fit: tuple[str, ...] = next((extensions for mark, at, extensions in _VIDEOS
                                     if start[at:at + len(mark)] == mark), ())
        if extension.lower() in fit or (not fit and video.named_so(name)):
            return name
        wanted = fit[0] if fit else ".mpg"
    else:
        with inputs.picture(path) as (image, _, _):
            kind = str(image.format)
        same = next((each for each in _SAME if kind in each), {kind})
        if _format(extension.lower()) in same:
            return name
        wanted = _USUAL.get(kind, f".{kind.lower()}")
    known = naming.kind(f"x{extension}") is not None
    return (stem if known else name) + wanted


def _format(extension: str) -> str | None:
    """The format that an extension, in lower case, stands for."""
    if extension in raw.EXTENSIONS:
        return "RAW"
    return modern.EXTENSIONS.get(extension) or Image.registered_extensions().get(extension)
