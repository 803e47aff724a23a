"""Recognises images inside other data: a preview in metadata would show the original beside its dream."""

import re

# JPEG, PNG, TIFF, BigTIFF, DNG's and Panasonic's TIFF, GIF, WebP, JPEG XR, PSD, JPEG 2000, JPEG XL, HEIC and AVIF
_STARTS = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n|II\*\0|MM\0\*|II\+\0|MM\0\+|IIU\0|GIF8[79]a|RIFF....WEBP|II\xbc\x01"
                     rb"|8BPS"
                     rb"|\0\0\0\x0cjP  |\xff\x4f\xff\x51|\0\0\0\x0cJXL |ftyp(?:heic|heix|mif1|avif|msf1)",
                     re.DOTALL)
# the same as text: base64 or hexadecimal
_WRITTEN = re.compile(rb"(?:/9j/|iVBORw0KGgo|R0lGOD[dl]h|UklGR|SUkqA|TU0AK|(?i:ffd8ff[0-9a-f]|89504e470d0a))"
                      rb"[A-Za-z0-9+/\s]{60}")
_LONG_RUN = re.compile(rb"[A-Za-z0-9+/=\s]{2000,}")  # base64 of anything
_LINE = 40  # letters between two spaces, at least, in base64; words are shorter


def in_bytes(data: bytes) -> bool:
    """Whether an image begins somewhere in `data`, as bytes or as base64 or hexadecimal text."""
    return bool(_STARTS.search(data)) or in_text(data)


def in_text(data: bytes) -> bool:
    """Whether the text `data` holds an image as base64 or hexadecimal, or so much base64 that it could be one."""
    return bool(_WRITTEN.search(data)) or any(
        len(run[0].split()) * _LINE <= len(run[0]) for run in _LONG_RUN.finditer(data))
