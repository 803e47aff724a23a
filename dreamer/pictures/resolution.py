"""The resolution: how large a picture is on paper, or how wide its pixels are."""

import struct
from dataclasses import dataclass
from typing import Any

from PIL import Image

from dreamer.pictures import tiff

_MOST = 65535  # a JPEG's limit
_PSD = 1005  # number of Photoshop's block
_ACROSS, _DOWN, _UNIT = 282, 283, 296  # tags


@dataclass(frozen=True)
class Resolution:
    """Dots per inch, across and down; if not `inches`, only their ratio counts."""

    across: float
    down: float
    inches: bool = True

    def jfif(self) -> bytes:
        """The five bytes in a JPEG's first segment."""
        return struct.pack(">BHH", self.inches, max(1, round(self.across)), max(1, round(self.down)))

    def phys(self) -> bytes:
        """The content of a PNG's chunk pHYs."""
        scale = 1 / 0.0254 if self.inches else 1
        return struct.pack(">IIB", max(1, round(self.across * scale)), max(1, round(self.down * scale)), self.inches)

    def tags(self, order: str) -> tiff.Directory:
        """The tags of a TIFF."""
        def ratio(value: float) -> tuple[int, bytes]:
            return tiff.RATIONAL, struct.pack(order + "II", max(1, round(value * 1000)), 1000)
        return {_ACROSS: ratio(self.across), _DOWN: ratio(self.down),
                _UNIT: (tiff.SHORT, struct.pack(order + "H", 2 if self.inches else 1))}


def read(image: Image.Image) -> Resolution | None:
    """The Resolution in the picture's format itself, not in its EXIF; None if it has none that makes sense."""
    info: dict[str, Any] = image.info
    if image.format in ("JPEG", "MPO"):
        if "jfif_density" not in info:
            return None
        scale = 2.54 if info.get("jfif_unit") == 2 else 1
        across, down = (scale * value for value in info["jfif_density"])
        return _sensible(across, down, info.get("jfif_unit") in (1, 2))
    if image.format == "PNG" and "aspect" in info:
        across, down = info["aspect"]
        return _sensible(across, down, inches=False)
    if image.format == "PSD":
        for number, _, data in getattr(image, "resources", []):
            if number == _PSD and len(data) >= 12:
                across, down = struct.unpack(">I4xI", data[:12])
                return _sensible(across / 65536, down / 65536)
    dpi = info.get("dpi")
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return None
    found = _sensible(*dpi)
    return Resolution(_whole(found.across), _whole(found.down)) if found else None


def _whole(value: float) -> float:
    """The whole number that a PNG or a BMP, which count dots per metre, cannot express."""
    return float(round(value)) if abs(value - round(value)) < 0.013 else value


def _sensible(across: float, down: float, inches: bool = True) -> Resolution | None:
    try:
        across, down = float(across), float(down)
    except (ArithmeticError, TypeError, ValueError):  # a TIFF's ratio with zero
        return None
    square = across == down and not inches
    return Resolution(across, down, inches) if 0 < across <= _MOST and 0 < down <= _MOST and not square else None
