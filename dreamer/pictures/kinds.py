"""What a file is, by its first bytes, in words for messages."""

import re

LONG = 64  # bytes that are enough
PICTURE = {  # format as Pillow calls it -> words
    "AVIF": "an AVIF picture", "BMP": "a BMP picture", "DIB": "a BMP picture", "GIF": "a GIF picture",
    "HEIC": "a HEIC photo", "ICO": "an icon", "JPEG": "a JPEG picture", "JPEG2000": "a JPEG 2000 picture",
    "JXL": "a JPEG XL picture", "MPO": "a JPEG picture", "PCX": "a PCX picture", "PNG": "a PNG picture",
    "PPM": "a PNM picture", "PSD": "a Photoshop picture", "QOI": "a QOI picture", "RAW": "a raw photo",
    "SGI": "an SGI picture", "TGA": "a TGA picture", "TIFF": "a TIFF picture", "WEBP": "a WebP picture"}

_PICTURES = (
    ("JPEG", rb"\xff\xd8\xff"), ("PNG", rb"\x89PNG\r\n\x1a\n"), ("GIF", rb"GIF8[79]a"), ("WEBP", rb"RIFF....WEBP"),
    ("RAW", rb"FUJIFILMCCD-RAW|FOVb|\0MRM|II.\0\0\0HEAP|IIR[OS]|MMOR|IIU\0|(?:II\*\0|MM\0\*)....CR|....ftypcrx "),
    ("TIFF", rb"II[*+]\0|MM\0[*+]"), ("BMP", rb"BM....\0\0\0\0"), ("PSD", rb"8BPS"), ("QOI", rb"qoif"),
    ("SGI", rb"\x01\xda[\x00\x01][\x01\x02]"), ("JPEG2000", rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    ("PCX", rb"\n[\x00\x02\x03\x04\x05][\x00\x01][\x01\x02\x04\x08]"), ("PPM", rb"P[1-7fFy]\s"),
    ("JXL", rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"), ("ICO", rb"\0\0\x01\0.\0"),
    ("AVIF", rb"....ftyp(?:avi[fs]|.{8}(?:.{4})*?avi[fs])"),
    ("HEIC", rb"....ftyp(?:hei[cxms]|hev[cx]|mif[12]|msf1)"))
_OTHERS = (
    ("a PDF document", rb"%PDF"), ("a PostScript document", rb"%!PS|\xc5\xd0\xd3\xc6"),
    ("an SVG drawing", rb"\s*(?:<\?xml.{0,40}\?>\s*)?<svg"),
    ("a video", rb"....(?:ftyp|moov|mdat|wide)|\x1a\x45\xdf\xa3|RIFF....AVI |\0\0\x01[\xb3\xba]|OggS|FLV\x01"),
    ("a GIMP picture", rb"gimp xcf"), ("an OpenEXR picture", rb"\x76\x2f\x31\x01"), ("a DDS texture", rb"DDS "),
    ("a Radiance HDR picture", rb"#\?RADIANCE|#\?RGBE"), ("a FITS file", rb"SIMPLE  ="),
    ("a ZIP archive", rb"PK\x03\x04"),
    ("a gzip archive", rb"\x1f\x8b"), ("a sound", rb"RIFF....WAVE|ID3|fLaC"),
    ("a web page", rb"(?i:\s*<!doctype html|\s*<html)"))


class UnreadableError(Exception):
    """A file that is sound, as far as one can see, but cannot be read. The text continues "NAME is ..."."""


def cannot(what: str) -> UnreadableError:
    """The error for a picture of a sub-format that no decoder here reads right; `what` begins with an article."""
    return UnreadableError(f"{what}, of a kind that cannot be read")


def picture(start: bytes) -> str | None:
    """The format, as in PICTURE, of a file that starts so; None if no format is sure."""
    return next((kind for kind, form in _PICTURES if re.match(form, start, re.DOTALL)), None)


def words(start: bytes) -> str | None:
    """What a file that starts so is, with an article: "a PNG picture", "a PDF document"; None if that is not known."""
    if kind := picture(start):
        return PICTURE[kind]
    return next((what for what, form in _OTHERS if re.match(form, start, re.DOTALL)), None)
