"""Raw photos, developed by dcraw_emu, LibRaw's program. Their thumbnails are never taken for the photo."""

import re
import struct
from typing import IO

from PIL import Image, PpmImagePlugin

from dreamer.machine import decoders, here
from dreamer.pictures import kinds, tiff
from dreamer.pictures.lazy import lazy

EXTENSIONS = (".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef",
              ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f")
_KIND, _PHOTOMETRIC, _DNG = 254, 262, 50706  # TIFF tags
_MOSAIC = (32803, 34892)  # values of the second
_SIZE = re.compile(rb"^Output size: *(\d+) x (\d+)", re.MULTILINE)
_UNKNOWN = 1 << 24  # pixels, for the limits before the size is known


def is_raw(file: IO[bytes]) -> bool:
    """Whether the TIFF in `file` has a first picture that is a sensor's data, or only a smaller copy."""
    try:
        order, directory, _ = tiff.read(file, {})
    except ValueError:
        return False

    def number(tag: int) -> int:
        kind, value = directory.get(tag, (tiff.LONG, b""))
        if kind == tiff.SHORT and len(value) >= 2:
            return int(struct.unpack(order + "H", value[:2])[0])
        return int(struct.unpack(order + "I", value[:4])[0]) if len(value) >= 4 else 0
    return _DNG in directory or bool(number(_KIND) & 1) or number(_PHOTOMETRIC) in _MOSAIC


def extensions() -> tuple[str, ...]:
    """Those of raw photos if they can be developed here."""
    return EXTENSIONS if decoders.find("dcraw_emu") and decoders.find("raw-identify") else ()


def opened(file: IO[bytes]) -> Image.Image:
    """An image like Pillow's, not developed yet: load() gives it upright, in sRGB, with the camera's white balance.

    Raises kinds.UnreadableError if dcraw_emu is missing, or does not know the camera."""
    if not decoders.find("dcraw_emu") or not decoders.find("raw-identify"):
        raise kinds.UnreadableError(f"a raw photo; to have it developed, {here.provision('raw')}")
    try:
        with decoders.decoded(["raw-identify", "-v", decoders.IN], file, _UNKNOWN, (".raw", "")) as said:
            found = _SIZE.search(said.read(1 << 16))
    except (decoders.DamagedError, decoders.UnsupportedError):
        found = None
    if not found or b"0" in found.groups():
        raise kinds.cannot("a raw photo, or a TIFF whose first picture is only a small copy")
    width, height = int(found[1]), int(found[2])

    def develop() -> Image.Image:
        file.seek(0)
        is_tiff = kinds.picture(file.read(kinds.LONG)) == "TIFF"
        command = ["dcraw_emu", "-w", "-o", "1", "-Z", "-", decoders.IN]
        with decoders.decoded(command, file, width * height, (".raw", "")) as result:
            image: Image.Image = PpmImagePlugin.PpmImageFile(result, "")
            image.load()
        image.format = "TIFF" if is_tiff else "PPM"  # as such, its EXIF is read from the file
        return image
    return lazy("RAW", (width, height), develop)
