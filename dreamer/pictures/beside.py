"""What is beside the picture in its file, except EXIF and the colour profile: resolution, XMP, IPTC, text."""

import contextlib
import struct
from dataclasses import dataclass, field
from typing import IO, Any

from PIL import Image

from dreamer.pictures import embedded, iptc, resolution, tiff, xmp
from dreamer.pictures.resolution import Resolution
from dreamer.pictures.xmp import Xmp

COMMENT = "Comment"  # the keyword in a PNG of what is a JPEG's comment
XMP_IN_PNG = "XML:com.adobe.xmp"
IPTC_IN_PNG = "Raw profile type iptc"  # ImageMagick's, which ExifTool reads too
_OURS = "image-dreamer"
_PSD_XMP, _PSD_IPTC = 1060, 1028  # numbers of Photoshop's blocks
_SEGMENT = 65533  # maximum bytes of content in a JPEG's segment
_SAMSUNG = {0x0100: "audio note", 0x0201: "video", 0x0A30: "video", 0x0AB1: "depth map"}  # in a trailer


@dataclass(frozen=True)
class Text:
    """A text of a PNG: its keyword, the text, its language and the keyword in this language."""

    keyword: str
    text: str
    language: str = ""
    translated: str = ""


@dataclass
class Beside:
    """The metadata. `iptc`: entries as iptc.py describes them; `lost`: what of the file cannot be kept, in words."""

    resolution: Resolution | None = None
    xmp: Xmp | None = None
    iptc: bytes = b""
    texts: list[Text] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)

    @property
    def comment(self) -> bytes:
        """The comment for a JPEG."""
        return next((each.text.encode() for each in self.texts if each.keyword == COMMENT), b"")

    def without_room(self, kind: str) -> list[str]:
        """What a file in the format `kind` (Pillow's name) has no room for, in words."""
        if kind == "PNG":
            return []
        gone = [each.keyword for each in self.texts
                if kind != "JPEG" or each.keyword != COMMENT or len(self.comment) > _SEGMENT]
        long = kind == "JPEG" and len(iptc.IN_JPEG + iptc.block(self.iptc)) > _SEGMENT
        return [f"text ({', '.join(gone)})"] * bool(gone) + ["IPTC"] * (bool(self.iptc) and (kind == "WEBP" or long))


def read(image: Image.Image, file: IO[bytes], keep_location: bool = False) -> Beside:
    """The Beside of `image` (loaded), which was read from `file`. What says where the picture was taken is left out
    unless `keep_location`."""
    found = Beside(resolution.read(image), iptc=iptc.cleaned(_iptc(image, file), keep_location),
                   texts=_texts(image, keep_location), lost=set(image.info.get("lost", ())))
    packet = _packet(image)
    if packet.strip(b"\0 \r\n\t"):
        try:
            found.xmp = xmp.read(packet, keep_location)
        except ValueError:
            found.lost.add("damaged XMP")
    if found.xmp:
        if found.xmp.more:
            with contextlib.suppress(ValueError):
                more = xmp.read(xmp.joined(_segments(image, "APP1"), found.xmp.more), keep_location)
                found.xmp.descriptions += more.descriptions
                found.xmp.lost |= more.lost
        found.lost |= found.xmp.lost
        if not found.xmp.descriptions:
            found.xmp = None
    with contextlib.suppress(OSError, ValueError, struct.error, KeyError, TypeError):  # of damaged trailers
        found.lost |= _behind(image, file)
    return found


def _segments(image: Image.Image, marker: str) -> list[bytes]:
    """The contents of a JPEG's segments with this marker."""
    return [data for found, data in getattr(image, "applist", []) if found == marker]


def _packet(image: Image.Image) -> bytes:
    """The XMP packet in the file; b"" if there is none."""
    if image.format in ("JPEG", "MPO"):
        return next((data.removeprefix(xmp.IN_JPEG) for data in _segments(image, "APP1")
                     if data.startswith(xmp.IN_JPEG)), b"")
    if image.format == "TIFF":
        found: Any = getattr(image, "tag_v2", {}).get(tiff.XMP, b"")
    elif image.format == "PSD":
        found = next((data for number, _, data in getattr(image, "resources", []) if number == _PSD_XMP), b"")
    else:
        found = image.info.get("xmp") or image.info.get(XMP_IN_PNG) or _hidden(image, "xmp")
    return found.encode("utf-8", "replace") if isinstance(found, str) else found if isinstance(found, bytes) else b""


def _iptc(image: Image.Image, file: IO[bytes]) -> bytes:
    """The IPTC in the file; b"" if there is none."""
    if image.format in ("JPEG", "MPO"):
        return iptc.found(b"".join(data.removeprefix(iptc.IN_JPEG) for data in _segments(image, "APP13")
                                   if data.startswith(iptc.IN_JPEG)))
    if image.format == "PSD":
        return next((data for number, _, data in getattr(image, "resources", []) if number == _PSD_IPTC), b"")
    if image.format != "TIFF":
        hidden = _hidden(image, "iptc")
        return iptc.found(hidden) or hidden
    try:  # not with Pillow, which takes the IPTC for one number
        order, tags, _ = tiff.read(file, {}, only=(tiff.IPTC, tiff.PHOTOSHOP), big=True)
    except ValueError:
        return b""
    kind, found = tags.get(tiff.IPTC, (tiff.UNDEFINED, b""))
    if kind == tiff.LONG and found[:1] != b"\x1c":  # bytes that were turned round as if they were numbers
        found = struct.pack(f"{'<' if order == '>' else '>'}{len(found) // 4}I",
                            *struct.unpack(f"{order}{len(found) // 4}I", found))
    return found or iptc.found(tags.get(tiff.PHOTOSHOP, (0, b""))[1])


def _hidden(image: Image.Image, kind: str) -> bytes:
    """What ImageMagick stores in a PNG's text: three lines of heading, then hexadecimal."""
    text = image.info.get(f"Raw profile type {kind}")
    try:
        return bytes.fromhex("".join(text.split("\n")[3:])) if isinstance(text, str) else b""
    except ValueError:
        return b""


def hidden(kind: str, data: bytes) -> str:
    """The text in which ImageMagick stores `data` in a PNG."""
    digits = data.hex()
    lines = [digits[at:at + 72] for at in range(0, len(digits), 72)]
    return f"\n{kind}\n{len(data):8}\n" + "\n".join(lines) + "\n"


def _texts(image: Image.Image, keep_location: bool) -> list[Text]:
    """The texts of a PNG and the comment of a JPEG, without images."""
    if image.format == "PNG":
        found = [Text(keyword, str(text), getattr(text, "lang", None) or "", getattr(text, "tkey", None) or "")
                 for keyword, text in getattr(image, "text", {}).items()]
    else:
        comment = image.info.get("comment", b"") if image.format in ("JPEG", "MPO") else b""
        found = [Text(COMMENT, _decoded(comment))] if comment else []
    return [each for each in found
            if each.keyword not in (_OURS, XMP_IN_PNG) and not each.keyword.startswith("Raw profile type")
            and not embedded.in_bytes(each.text.encode("utf-8", "replace"))
            and (keep_location or not xmp.PLACE.search(each.keyword.rpartition(":")[2]))]


def _decoded(comment: bytes) -> str:
    try:
        return comment.decode().rstrip("\0")
    except ValueError:
        return comment.decode("latin-1").rstrip("\0")


def _behind(image: Image.Image, file: IO[bytes]) -> set[str]:
    """What a JPEG has behind its picture, in words."""
    lost = set()
    if any(data.startswith(b"urn:iso:std:iso:ts:21496") for data in _segments(image, "APP2")):
        lost.add("gain map")
    file.seek(0)
    base = file.read(1 << 20).find(b"MPF\0") + 4  # Pillow does not keep this
    for each in (getattr(image, "mpinfo", None) or {}).get(0xB002, [])[1:]:
        file.seek(each["DataOffset"] + base)
        start = file.read(1 << 16)
        if b"HDRGainMap" in start or b"hdr-gain-map" in start or b"iso:ts:21496" in start:
            lost.add("gain map")
    if image.format in ("JPEG", "MPO"):
        file.seek(-8, 2)
        length, mark = struct.unpack("<I4s", file.read())
        if mark == b"SEFT":
            file.seek(-8 - length, 2)
            entries = file.read(min(length, 1 << 16))
            kinds = struct.iter_unpack("<HHII", entries[12:12 + (len(entries) - 12) // 12 * 12])
            lost |= {_SAMSUNG[kind] for _, kind, _, _ in kinds if kind in _SAMSUNG}
    return lost
