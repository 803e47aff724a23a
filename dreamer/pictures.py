"""Pictures in and out: files to arrays and back."""

import io
import os
import stat
import struct
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from dreamer import colour, exif, files, inputs, recipe, tiff
from dreamer.errors import Failure, Mistake
from dreamer.exif import Exif
from dreamer.planes import Light, Pixels

# extension -> Pillow's format, how to save it, and the most pixels that a side may have
FORMATS: dict[str, tuple[str, dict[str, Any], int]] = {
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}, 65500),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}, 65500),
    ".png": ("PNG", {"compress_level": 1}, 2 ** 31 - 1),  # level 6 takes five times as long for a tenth less
    ".tif": ("TIFF", {}, 2 ** 31 - 1),
    ".tiff": ("TIFF", {}, 2 ** 31 - 1),
    ".webp": ("WEBP", {"quality": 95, "method": 4}, 16383),
}
_SEGMENT = 65533  # bytes that a piece of a JPEG's metadata can have
_EXIF = _SEGMENT - 6  # of it that are EXIF's, behind its heading
_UPRIGHT = {2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM,
            5: Image.TRANSPOSE, 6: Image.ROTATE_270, 7: Image.TRANSVERSE,
            8: Image.ROTATE_90}


@dataclass
class Picture:
    """A picture, upright.

    pixels  (h, w, 3), sRGB, 0..255; uint8 as read, any real dtype to write
    alpha   uint8 (h, w), 255 opaque; None where the picture has no transparency
    exif    what the camera wrote beside it
    recipe  how it was dreamed, for JSON; write() keeps it in the file"""

    pixels: Pixels
    alpha: Light | None = None
    exif: Exif | None = None
    recipe: dict[str, Any] | None = None


def read(path: str | os.PathLike[str], max_size: int | None = None, max_pixels: int = inputs.MAX_PIXELS,
         keep_location: bool = False, warn: Callable[[str], None] = lambda line: None) -> Picture:
    """The Picture at `path`; "-" is standard input. Raises Mistake where it is none.

    max_size       the longest side, in pixels, to which a larger picture is shrunk
    max_pixels     more than this many pixels in the file are a Mistake: they may be an attack on the memory
    keep_location  keep the GPS position in the EXIF
    warn           function that is called with a line on what of the file is of no use"""
    with inputs.opened(path) as (file, name), inputs.decoding(name, max_pixels):
        with Image.open(file, formats=inputs.formats()) as image:
            with inputs.silence():
                image.load()
            if not min(image.size):
                raise Mistake(f"input: {name} has no pixels")
            try:
                found = exif.read(image, file, keep_location)
            except ValueError:
                warn("input: its EXIF is damaged and is ignored")
                found = None
            upright = image.format == "TIFF"  # which Pillow turns by itself
            image = colour.to_srgb(image, warn)
        if shrunk(image.size, max_size) != image.size:
            image = image.resize(shrunk(image.size, max_size), Image.LANCZOS)
        if found and not upright and found.orientation in _UPRIGHT:
            image = image.transpose(_UPRIGHT[found.orientation])
        pixels = np.asarray(image)
    return Picture(np.ascontiguousarray(pixels[..., :3]),
                   np.ascontiguousarray(pixels[..., 3]) if image.mode == "RGBA" else None, found)


def shrunk(size: tuple[int, int], max_size: int | None) -> tuple[int, int]:
    """The (width, height) that a picture of that `size` is brought to."""
    if not max_size or max(size) <= max_size:
        return size
    width, height = (max(1, round(side * max_size / max(size))) for side in size)
    return width, height


def sides(path: str | os.PathLike[str], max_size: int | None = None,
          max_pixels: int = inputs.MAX_PIXELS) -> list[int]:
    """The sides of what `read` would make of the picture at `path`, the shorter first; it is not decoded for that.
    Raises Mistake."""
    with inputs.opened(path) as (file, name), inputs.decoding(name, max_pixels), \
            Image.open(file, formats=inputs.formats()) as image:
        return sorted(shrunk(image.size, max_size))


def beside(name: str, path: str | os.PathLike[str], max_pixels: int, warn: Callable[[str], None],
           max_size: int | None = None) -> Picture:
    """The Picture at `path` that is there for the input's sake: a mask, say, which is the `name` that errors begin
    with. The rest is as for `read`. Raises Mistake."""
    def mine(line: str) -> str:
        return f"{name}: {line.removeprefix('input: ')}"

    if path == inputs.STANDARD:
        raise Mistake(f"{name}: only INPUT can be standard input: name a file")
    try:
        return read(path, max_size, max_pixels, warn=lambda line: warn(mine(line)))
    except Mistake as error:
        raise Mistake(*map(mine, error.args)) from None


def check_output(path: str | os.PathLike[str], source: str | os.PathLike[str] | None = None, force: bool = False,
                 extensions: Collection[str] = tuple(FORMATS)) -> None:
    """Raise Mistake unless a picture can be written to `path` ("-" is standard output).

    source      the picture that must not be overwritten, unless `force`
    extensions  of the files that will do"""
    if path == inputs.STANDARD:
        _check_standard_output()
        return
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
            raise Mistake(f"output: {path} is not a file but a device or a pipe (- writes standard output)")
        if source is not None and not force and _is(source, there):
            raise Mistake(f"output: {path} is the input itself: name another file, or add --force")
        if not os.access(path, os.W_OK):
            raise Mistake(f"output: {path} may not be written: it is protected")
    if not there and not folder.is_dir():
        raise Mistake(f"output: there is no folder {folder}")
    check_folder(folder)


def check_folder(folder: str | os.PathLike[str]) -> None:
    """Raise Mistake unless files can be made in `folder`."""
    try:
        files.check(folder)
    except OSError as error:
        raise Mistake(f"output: cannot write into {folder}: {error.strerror}") from None


def _check_standard_output() -> None:
    if sys.__stdout__ is None:
        raise Mistake("output: standard output is closed")
    if sys.stdout.isatty():
        raise Mistake("output: - writes standard output, which is a terminal: send it into a file with > or |")


def _is(source: str | os.PathLike[str], status: os.stat_result) -> bool:
    """Whether the input `source` is the file of that os.stat, by whatever name or link."""
    try:
        return os.path.samestat(os.fstat(0) if source == inputs.STANDARD else os.stat(source), status)
    except (OSError, ValueError):
        return False


def check_fits(path: str | os.PathLike[str], picture: Picture, warn: Callable[[str], None]) -> None:
    """Raise Mistake where the format of `path` cannot hold a Picture of this size; warn of what it cannot
    hold of it: alpha, too much EXIF."""
    kind, _, longest = FORMATS[_extension(path)]
    height, width = picture.pixels.shape[:2]
    if max(height, width) > longest:
        raise Mistake(f"output: a {kind} holds at most {longest} pixels a side: use .png, or --max-size {longest}")
    if kind == "JPEG" and picture.alpha is not None and picture.alpha.min() < 255:
        warn("output: a JPEG holds no transparency: it is lost; a .png keeps it")
    if kind == "JPEG" and picture.exif and (lacks := picture.exif.block(height, width, _EXIF)[1]):
        warn(f"output: a JPEG holds 64 kB of EXIF: the longest values in it are lost ({lacks}); a .png keeps all")


def write(path: str | os.PathLike[str], picture: Picture) -> None:
    """Write the Picture, cut to 8 bits, to `path`, all of it or nothing; "-" is standard output, as PNG.

    A file that root makes (in a container, say) is given to the owner of the folder. Raises Failure."""
    data = encode(picture, FORMATS[_extension(path)][0])
    try:
        if path == inputs.STANDARD:
            with open(1, "wb", buffering=0, closefd=False) as file:
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest):]
        else:
            with files.replacing(path) as file:
                file.write(data)
    except OSError as error:
        name = "standard output" if path == inputs.STANDARD else path
        raise Failure(f"{name} could not be written: {error.strerror or error}") from None


def _extension(path: str | os.PathLike[str]) -> str:
    return ".png" if path == inputs.STANDARD else Path(path).suffix.lower()


def encode(picture: Picture, kind: str) -> bytes | bytearray | memoryview:
    """The bytes of the Picture's file in the format `kind`, one of those in FORMATS."""
    pixels = eight_bit(picture.pixels)
    height, width = pixels.shape[:2]
    if picture.alpha is not None and kind != "JPEG":
        pixels = np.dstack([pixels, picture.alpha])
    if kind == "TIFF":
        return _tiff(pixels, picture)
    options = next(options for format_, options, _ in FORMATS.values() if format_ == kind) | {
        "icc_profile": colour.SRGB}
    if picture.exif:
        block, _ = picture.exif.block(height, width, _EXIF if kind == "JPEG" else None)
        options["exif"] = block if kind == "WEBP" else b"Exif\0\0" + block
    if picture.recipe is not None:
        if kind == "PNG":
            options["pnginfo"] = PngImagePlugin.PngInfo()
            options["pnginfo"].add_text(recipe.KEYWORD, recipe.text(picture.recipe))
        elif kind == "WEBP":
            options["xmp"] = recipe.packet(picture.recipe)
    file, image = io.BytesIO(), Image.fromarray(pixels)
    del pixels  # the image is a copy
    image.save(file, kind, **options)
    if kind == "JPEG" and picture.recipe is not None:
        return _with_packet(file.getvalue(), recipe.packet(picture.recipe))
    return file.getbuffer()


def eight_bit(pixels: Pixels) -> NDArray[np.uint8]:
    """`pixels` (h, w, 3), of any real dtype, as a new uint8 array: cut to 0..255 and to whole numbers."""
    cut = np.empty(pixels.shape, np.uint8)
    for top in range(0, len(cut), 64):  # a copy of all as floats would be four times the file's own pixels
        cut[top:top + 64] = np.clip(pixels[top:top + 64], 0, 255)
    return cut


def _with_packet(jpeg: bytes, packet: bytes) -> bytes:
    """`jpeg` with an XMP packet, behind the segments that must come first."""
    at = 2
    while jpeg[at + 1] in (0xE0, 0xE1):
        at += 2 + int.from_bytes(jpeg[at + 2:at + 4], "big")
    content = recipe.XMP_IN_JPEG + packet
    return jpeg[:at] + struct.pack(">HH", 0xFFE1, len(content) + 2) + content + jpeg[at:]


def _tiff(pixels: NDArray[np.uint8], picture: Picture) -> bytearray:
    """A TIFF with all its metadata; Pillow's writer drops some and garbles some."""
    tags = {tiff.ICC: (tiff.UNDEFINED, colour.SRGB)}
    if picture.recipe is not None:
        tags[tiff.XMP] = tiff.BYTE, recipe.packet(picture.recipe)
    if not picture.exif:
        return tiff.encode(pixels, tags)
    return tiff.encode(pixels, picture.exif.fitted(*pixels.shape[:2]) | tags, picture.exif.order, picture.exif.fixed)
