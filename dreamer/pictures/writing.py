"""Pictures out: from an array to a file, in each format that can be written."""

import io
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from dreamer.errors import Failure
from dreamer.machine import files
from dreamer.pictures import colour, inputs, recipe, tiff
from dreamer.pictures.picture import Picture, eight_bit

# extension -> Pillow's name of the format, options for saving, maximum pixels of a side
FORMATS: dict[str, tuple[str, dict[str, Any], int]] = {
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}, 65500),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}, 65500),
    ".png": ("PNG", {"compress_level": 1}, 2 ** 31 - 1),  # level 6 takes five times as long and saves a tenth
    ".tif": ("TIFF", {}, 2 ** 31 - 1),
    ".tiff": ("TIFF", {}, 2 ** 31 - 1),
    ".webp": ("WEBP", {"quality": 95, "method": 4}, 16383),
}
_SEGMENT = 65533  # maximum bytes of content in a JPEG's segment of metadata
EXIF = _SEGMENT - 6  # the same for EXIF, which has a heading


def write(path: str | os.PathLike[str], picture: Picture) -> None:
    """Write the Picture, clipped to 8 bits, to the file `path`, whole or not at all; "-" is standard output, as PNG.

    If root writes the file (in a container, say), it belongs to the owner of its folder. Raises Failure."""
    data = encode(picture, FORMATS[extension(path)][0])
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


def dream_name(name: str) -> str:
    """The name of the dream of the file `name`. No two files give the same name."""
    stem, extension = os.path.splitext(name)
    return f"{stem}-dream{extension}" + ("" if extension.lower() in FORMATS else ".png")


def extension(path: str | os.PathLike[str]) -> str:
    """The extension of `path`, in lower case; ".png" for standard output."""
    return ".png" if path == inputs.STANDARD else Path(path).suffix.lower()


def encode(picture: Picture, kind: str) -> bytes | bytearray | memoryview:
    """The bytes of a file with the Picture in the format `kind`, one of Pillow's names in FORMATS."""
    pixels = eight_bit(picture.pixels)
    height, width = pixels.shape[:2]
    if picture.alpha is not None and kind != "JPEG":
        pixels = np.dstack([pixels, picture.alpha])
    if kind == "TIFF":
        return _tiff(pixels, picture)
    options = next(options for format_, options, _ in FORMATS.values() if format_ == kind) | {
        "icc_profile": colour.SRGB}
    if picture.exif:
        block, _ = picture.exif.block(height, width, EXIF if kind == "JPEG" else None)
        options["exif"] = block if kind == "WEBP" else b"Exif\0\0" + block
    if picture.recipe is not None:
        if kind == "PNG":
            options["pnginfo"] = PngImagePlugin.PngInfo()
            options["pnginfo"].add_text(recipe.KEYWORD, recipe.text(picture.recipe))
        elif kind == "WEBP":
            options["xmp"] = recipe.packet(picture.recipe)
    file, image = io.BytesIO(), Image.fromarray(pixels)
    del pixels  # the image has a copy of them
    image.save(file, kind, **options)
    if kind == "JPEG" and picture.recipe is not None:
        return _with_packet(file.getvalue(), recipe.packet(picture.recipe))
    return file.getbuffer()


def _with_packet(jpeg: bytes, packet: bytes) -> bytes:
    """`jpeg` with an XMP packet added, after the segments that must come first."""
    at = 2
    while jpeg[at + 1] in (0xE0, 0xE1):
        at += 2 + int.from_bytes(jpeg[at + 2:at + 4], "big")
    content = recipe.XMP_IN_JPEG + packet
    return jpeg[:at] + struct.pack(">HH", 0xFFE1, len(content) + 2) + content + jpeg[at:]


def _tiff(pixels: NDArray[np.uint8], picture: Picture) -> bytearray:
    """A TIFF with all metadata: Pillow's writer would drop some of it and garble some."""
    tags = {tiff.ICC: (tiff.UNDEFINED, colour.SRGB)}
    if picture.recipe is not None:
        tags[tiff.XMP] = tiff.BYTE, recipe.packet(picture.recipe)
    if not picture.exif:
        return tiff.encode(pixels, tags)
    return tiff.encode(pixels, picture.exif.fitted(*pixels.shape[:2]) | tags, picture.exif.order, picture.exif.fixed)
