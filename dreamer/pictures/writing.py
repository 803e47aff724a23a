"""Pictures out: from an array to a file, in each format that can be written."""

import dataclasses
import io
import os
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from dreamer.errors import Failure
from dreamer.machine import files
from dreamer.pictures import beside, colour, inputs, iptc, recipe, tiff, xmp
from dreamer.pictures.exif import Exif
from dreamer.pictures.picture import Picture, eight_bit
from dreamer.pictures.resolution import Resolution
from dreamer.pictures.xmp import Description, Xmp

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
    try:
        if in_strips(path):
            with files.replacing(path) as file:
                _save_tiff(file, picture)
            return
        data = encode(picture, FORMATS[extension(path)][0])
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


def in_strips(path: str | os.PathLike[str]) -> bool:
    """Whether a picture is written to `path` in strips, so that this takes hardly any memory."""
    return FORMATS[extension(path)][0] == "TIFF"


def dream_name(name: str) -> str:
    """The name of the dream of the file `name`. No two files give the same name."""
    stem, extension = os.path.splitext(name)
    return f"{stem}-dream{extension}" + ("" if extension.lower() in FORMATS else ".png")


def extension(path: str | os.PathLike[str]) -> str:
    """The extension of `path`, in lower case; ".png" for standard output."""
    return ".png" if path == inputs.STANDARD else Path(path).suffix.lower()


def encode(picture: Picture, kind: str) -> bytes | bytearray | memoryview:
    """The bytes of a file with the Picture in the format `kind`, one of Pillow's names in FORMATS."""
    if kind == "TIFF":
        whole = io.BytesIO()
        _save_tiff(whole, picture)
        return whole.getbuffer()
    pixels = eight_bit(picture.pixels)
    height, width = pixels.shape[:2]
    if picture.alpha is not None and kind != "JPEG":
        pixels = np.dstack([pixels, picture.alpha])
    options = next(options for format_, options, _ in FORMATS.values() if format_ == kind) | {
        "icc_profile": colour.SRGB}
    kept = _exif(picture, kind)
    if kept:
        block, _ = kept.block(height, width, EXIF if kind == "JPEG" else None)
        options["exif"] = block if kind == "WEBP" else b"Exif\0\0" + block
    if kind == "PNG":
        options["pnginfo"] = _texts(picture)
    elif kind == "WEBP" and (packet := _packet(picture)):
        options["xmp"] = packet
    file, image = io.BytesIO(), Image.fromarray(pixels)
    del pixels  # the image has a copy of them
    image.save(file, kind, **options)
    if kind == "JPEG":
        return _with_segments(file.getvalue(), picture)
    if kind == "PNG" and picture.beside.resolution:
        return _with_resolution(file.getvalue(), picture.beside.resolution)
    return file.getbuffer()


def _descriptions(picture: Picture) -> list[Description]:
    """The recipe for XMP."""
    return [] if picture.recipe is None else [recipe.described(picture.recipe)]


def _packet(picture: Picture) -> bytes:
    """The XMP packet with the recipe; b"" if there is neither."""
    if picture.recipe is None and not picture.beside.xmp:
        return b""
    return (picture.beside.xmp or Xmp()).packet(*_descriptions(picture))


def _exif(picture: Picture, kind: str) -> Exif | None:
    """The EXIF for a file in the format `kind`; a WebP has no other place for the resolution."""
    found, resolution = picture.exif, picture.beside.resolution
    if kind != "WEBP" or not resolution or not resolution.inches:
        return found
    if not found:
        return Exif("<", resolution.tags("<"))
    return dataclasses.replace(found, directory=resolution.tags(found.order) | found.directory)


def _texts(picture: Picture) -> PngImagePlugin.PngInfo:
    """All text for a PNG: the recipe, XMP and IPTC are text too."""
    info, others = PngImagePlugin.PngInfo(), picture.beside
    if picture.recipe is not None:
        info.add_text(recipe.KEYWORD, recipe.text(picture.recipe))
    if others.xmp:
        info.add_itxt(beside.XMP_IN_PNG, others.xmp.packet().decode())
    if others.iptc:
        info.add_text(beside.IPTC_IN_PNG, beside.hidden("iptc", iptc.block(others.iptc)), zip=True)
    for text in others.texts:
        long = len(text.text) > 1000
        try:
            text.text.encode("latin-1")
            plain = not text.language and not text.translated
        except ValueError:
            plain = False
        if plain:
            info.add_text(text.keyword, text.text, zip=long)
        else:
            info.add_itxt(text.keyword, text.text, text.language, text.translated, zip=long)
    return info


def _with_resolution(png: bytes, resolution: Resolution) -> bytes:
    """`png` with the chunk pHYs after its first chunk: Pillow would round it, and knows no ratio."""
    chunk = b"pHYs" + resolution.phys()
    return png[:33] + struct.pack(">I", 9) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]


def _with_segments(jpeg: bytes, picture: Picture) -> bytes:
    """`jpeg` with resolution, XMP, IPTC and comment, after the segments that must come first."""
    others, segments = picture.beside, []
    if picture.recipe is not None or others.xmp:
        packet, more = (others.xmp or Xmp()).split(_SEGMENT - len(xmp.IN_JPEG), *_descriptions(picture))
        segments += [(0xE1, xmp.IN_JPEG + packet), *((0xE1, part) for part in xmp.parts(more))]
    if others.iptc:
        segments.append((0xED, iptc.IN_JPEG + iptc.block(others.iptc)))
    if others.comment:
        segments.append((0xFE, others.comment))
    at = 2
    while jpeg[at + 1] in (0xE0, 0xE1):
        at += 2 + int.from_bytes(jpeg[at + 2:at + 4], "big")
    start = jpeg[:13] + others.resolution.jfif() + jpeg[18:at] if others.resolution else jpeg[:at]
    return start + b"".join(struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
                            for marker, content in segments if len(content) <= _SEGMENT) + jpeg[at:]


def _save_tiff(file: IO[bytes], picture: Picture) -> None:
    """Write a TIFF with all metadata: Pillow's writer would drop some of it and garble some, and holds the whole."""
    found, others, alpha = picture.exif, picture.beside, picture.alpha
    order = found.order if found else "<"
    tags = {tiff.ICC: (tiff.UNDEFINED, colour.SRGB)}
    if packet := _packet(picture):
        tags[tiff.XMP] = tiff.BYTE, packet
    if others.iptc:
        tags[tiff.IPTC] = tiff.UNDEFINED, others.iptc
    resolution = others.resolution.tags(order) if others.resolution else {}
    height, width = picture.pixels.shape[:2]

    def strip(rows: slice) -> NDArray[np.uint8]:
        pixels = eight_bit(picture.pixels[rows])
        return pixels if alpha is None else np.dstack([pixels, alpha[rows]])
    shape = height, width, 3 if alpha is None else 4
    if found:
        tiff.save(file, shape, strip, resolution | found.fitted(height, width) | tags, order, found.fixed)
    else:
        tiff.save(file, shape, strip, resolution | tags)
