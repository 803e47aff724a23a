"""Converts the colours of any picture to 8-bit sRGB, which the nets were trained on."""

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from dreamer.pictures import profiles

# lcms's own numbers, because Pillow's names for them come and go
_RELATIVE_COLORIMETRIC, _BLACK_POINT_COMPENSATION, _EXACTLY = 1, 0x2000, 0x100
_BITS, _FORMAT = 258, 339  # the TIFF tags BitsPerSample and SampleFormat
# EXIF's orientation -> what turns the picture upright
UPRIGHT = {2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE,
           6: Image.ROTATE_270, 7: Image.TRANSVERSE, 8: Image.ROTATE_90}
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # colour space of a profile -> the Pillow mode that it needs


def _srgb() -> bytes:
    """The sRGB profile, with a fixed date of creation, so that the same dream gives the same file."""
    profile: bytes = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + struct.pack(">6H", 2015, 7, 1, 0, 0, 0) + profile[36:]


SRGB = _srgb()


def to_srgb(image: Image.Image, warn: Callable[[str], None]) -> Image.Image:
    """`image` (loaded, of any mode) in mode RGB, or in RGBA if it has transparency.

    `warn` is called with a line if its colour profile cannot be used."""
    colours, alpha = _plain(image)
    profile = image.info.get("icc_profile")
    if colours.mode == "LAB":  # LAB defines its colours without a profile
        colours = _transformed(colours, ImageCms.createProfile("LAB"))
    elif profile and profile != SRGB:
        try:
            colours = _by_profile(colours, profile)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError, KeyError):
            warn("input: its colour profile is damaged or does not fit its colours, so it is ignored")
    colours = colours.convert("RGB")
    if alpha:
        colours.putalpha(alpha)
    return colours


def _by_profile(colours: Image.Image, data: bytes) -> Image.Image:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(profiles.without_glare(data)))
    wanted = _MODES[profile.profile.xcolor_space.strip()]
    if colours.mode == "L" and wanted == "RGB":  # a photo turned grey may still have its RGB profile
        colours = colours.convert("RGB")
    elif colours.mode == "RGB" and wanted == "L":  # Pillow reads some grey pictures with alpha as RGBA
        red, *others = colours.split()
        colours = red if all(other.tobytes() == red.tobytes() for other in others) else colours
    if colours.mode != wanted:
        raise ValueError(f"the profile is for {wanted}, but the picture is {colours.mode}")
    return _transformed(colours, profile)


def _transformed(colours: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    if colours.mode == "L" and colours.size != (256, 1):  # convert only the 256 greys
        greys = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        return Image.fromarray(np.asarray(_transformed(greys, profile))[0][np.asarray(colours)])
    flags = _BLACK_POINT_COMPENSATION | (_EXACTLY if colours.mode == "L" else 0)
    return ImageCms.profileToProfile(colours, profile, ImageCms.ImageCmsProfile(io.BytesIO(SRGB)), outputMode="RGB",
                                     renderingIntent=_RELATIVE_COLORIMETRIC, flags=flags)


def _plain(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """(image in mode L, RGB, CMYK or LAB, its alpha in mode L or None)."""
    if image.mode.startswith(("I", "F")):
        return _grey(image)
    alpha = None
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        alpha = rgba.getchannel("A")
        if image.mode in ("PA", "RGBa"):  # Pillow converts these to RGB only through RGBA
            image = rgba
    mode = {"1": "L", "LA": "L", "La": "L"}.get(image.mode, image.mode)
    if mode not in _MODES.values() and mode != "LAB":
        mode = "RGB"
    return image.convert(mode) if image.mode != mode else image, alpha


def _grey(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """_plain for one channel of more than 8 bits. Neither the file nor Pillow says which value is white."""
    values = np.asarray(image)
    if image.mode == "I" and image.format == "TIFF" and image.tag_v2.get(_FORMAT, (1,))[0] == 1:
        values = values.view(np.uint32)  # Pillow makes those above 2^31 negative
    alpha = None
    if isinstance(nothing := image.info.get("transparency"), int):
        alpha = Image.fromarray(np.uint8(255 * (values != nothing)))
    if image.mode == "F":
        whites = [1, 255]
    elif image.mode != "I" and image.format == "TIFF":
        whites = [2 ** image.tag_v2.get(_BITS, (16,))[0] - 1]
    elif image.mode != "I" or image.format in ("PNG", "PPM"):
        whites = [65535]
    else:
        whites = [255, 65535]
    return Image.fromarray(scaled(values, whites)), alpha


def scaled(values: NDArray[Any], whites: list[int]) -> NDArray[np.uint8]:
    """Real values as 0..255. White is the first of `whites` that none exceeds; if there is none, or if values are below
    0, they are probably measurements: then the lowest becomes 0 and the highest 255."""
    if values.dtype.kind == "f":
        values = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)
    black: float = 0
    white: float = next((white for white in whites if values.max() <= white), values.max())
    if values.min() < 0 or white not in whites:
        black, white = float(values.min()), float(values.max())
    scale = 255 / max(white - black, 1e-30)
    return np.rint(np.clip((values - black) * scale, 0, 255)).astype(np.uint8)
