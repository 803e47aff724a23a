"""HEIC, AVIF and JPEG XL, decoded by the programs of libheif and libjxl.

Those programs turn the picture upright. The orientation in its EXIF must then be ignored, as the standards say. They
get a copy of a HEIC or AVIF file without what they cannot handle: further pictures, colour profiles (libpng rejects
some), turns of a picture with alpha (libheif 1.15 would lose the alpha), the limited range of grey, and the mark of a
film (libheif reads none, not even its still picture).
Sources: ISO/IEC 23008-12 (HEIF), ISO/IEC 18181-1 and -2 (JPEG XL), AV1 Image File Format 1.1.
"""

import ctypes
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from PIL import Image

from dreamer.machine import decoders, here, limits
from dreamer.pictures import bands, boxes, kinds, png, profiles
from dreamer.pictures.boxes import Box
from dreamer.pictures.lazy import lazy

EXTENSIONS = {".heic": "HEIC", ".heif": "HEIC", ".hif": "HEIC", ".avif": "AVIF", ".jxl": "JXL"}
_PROGRAMS = {"HEIC": ("heif-dec", "heif-convert"), "AVIF": ("heif-dec", "heif-convert"), "JXL": ("djxl",)}
_BYTES = {"HEIC": 8, "AVIF": 8, "JXL": 20}  # of memory that the program needs for a pixel
_DENSEST = 200  # pixels per byte of a file that may have more of them than the limit: with more, it may be an attack
_STILLS = {"HEIC": b"heic", "AVIF": b"avif"}  # marks of files that libheif reads
_BRANDS = (b"heic", b"heix", b"mif1", b"avif")
_LOST = ((b"hdrgainmap", "gain map"), (b"auxid:2", "depth map"), (b"disparity", "depth map"))  # types of pictures
_NO_PICTURES = (b"Exif", b"mime", b"uri ")  # types of items
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width : height in JPEG XL


@dataclass
class Header:
    """What a file says before its pixels: size (width, height), the most pixels of any of its parts, metadata in
    Pillow's words.

    changed  {offset: bytes} of what the program must find there instead
    limited  black is 16, and white is 235
    turns    how the result must be turned, in this order
    longest  shrink the picture while the program's result is read, but not below this; None: do not"""

    size: tuple[int, int] = (0, 0)
    pixels: int = 0
    info: dict[str, Any] = field(default_factory=dict)
    changed: dict[int, bytes] = field(default_factory=dict)
    limited: bool = False
    turns: list[int] = field(default_factory=list)
    multiplied: bool = False  # the colours are multiplied by alpha
    longest: int | None = None
    moving: bool = False  # there is a film too


def opened(file: IO[bytes], kind: str) -> Image.Image:
    """An image like Pillow's, not decoded yet; its `pixels` are the most of any part of the file.

    Raises kinds.UnreadableError if the program is missing, SyntaxError if the header is damaged."""
    header = _of_jxl(file) if kind == "JXL" else _of_heif(file, kind)
    program = decoders.find(*_PROGRAMS[kind])
    if not program:
        raise kinds.UnreadableError(f"{kinds.PICTURE[kind]}, but {_PROGRAMS[kind][-1]} is not installed: " + (
            "Ubuntu 22.04 has none; elsewhere " if kind == "JXL" else "") + here.provision("runtime"))
    image: Any = lazy(kind, header.size, lambda: _decoded(file, kind, header, program), **header.info)
    image.pixels, image.header, image.is_animated = header.pixels, header, header.moving
    result: Image.Image = image
    return result


def reducible(image: Any, file: IO[bytes], max_size: int, max_pixels: int) -> bool:
    """Whether the picture can be shrunk so much that it has at most `max_pixels`, but is not smaller than `max_size`,
    and there is memory for the program, which decodes it whole."""
    if image.format not in _PROGRAMS:
        return False
    length = file.seek(0, io.SEEK_END)
    most = min(max_pixels * (max(image.size) // max_size) ** 2, _DENSEST * length)
    fits: bool = image.pixels <= most and image.pixels * _BYTES[image.format] <= limits.memory()
    return fits


def reduce(image: Any, max_size: int) -> None:
    """Let load() shrink the picture, as far as max_size allows."""
    image.header.longest = max_size


def _decoded(file: IO[bytes], kind: str, header: Header, program: str) -> Image.Image:
    data: IO[bytes] = file
    if header.changed:
        file.seek(0)
        copy = bytearray(file.read())
        for at, content in header.changed.items():
            copy[at:at + len(content)] = content
        data = io.BytesIO(copy)
    extension = ".jxl" if kind == "JXL" else ".heic"
    with decoders.decoded([program, decoders.IN, decoders.OUT], data, header.pixels, (extension, ".png")) as result:
        image = png.opened(result)  # not Image.open, which has a limit of its own
        if image.size[0] * image.size[1] > 2 * header.pixels:
            raise SyntaxError("it has more pixels than it says")
        if header.longest:
            image = png.opened(bands.shrunk(result, header.longest))
        image.load()
    kept = {"transparency"} | ({"icc_profile"} if kind == "JXL" else set())
    info = {name: value for name, value in image.info.items() if name in kept} | header.info
    if header.multiplied and image.mode == "RGBA":
        image = Image.frombytes("RGBa", image.size, image.tobytes()).convert("RGBA")
        image.format = "PNG"
    if header.limited:
        colours = [band.point([round((value - 16) * 255 / 219) for value in range(256)]) if name != "A" else band
                   for name, band in zip(image.getbands(), image.split(), strict=True)]
        image = Image.merge(image.mode, colours)
    for turn in header.turns:
        image = image.transpose(turn)
    image.info, image.format = info, "PNG"
    return image


def extensions() -> list[str]:
    """Those of the formats whose programs are installed."""
    return [extension for extension, kind in EXTENSIONS.items() if decoders.find(*_PROGRAMS[kind])]


# HEIC and AVIF -------------------------------------------------------------------------------------------

def _of_heif(file: IO[bytes], kind: str) -> Header:
    outer = list(boxes.boxes(file))
    meta = next((box for box in outer if box.kind == b"meta"), None)
    if not meta:
        raise kinds.cannot("a HEIC or AVIF film")
    parts = {box.kind: box for box in boxes.boxes(file, meta.start + 4, meta.end)}
    try:
        main = _number(file, parts[b"pitm"])
        items = dict(_items(file, parts[b"iinf"]))
        properties = list(boxes.boxes(file, parts[b"iprp"].start, parts[b"iprp"].end))
        every = [box for list_ in properties if list_.kind == b"ipco"
                 for box in boxes.boxes(file, list_.start, list_.end)]
        own = [every[at - 1] for list_ in properties if list_.kind == b"ipma"
               for at in _associated(boxes.content(file, list_), main) if 0 < at <= len(every)]
        sizes = [struct.unpack(">II", boxes.content(file, box)[4:12]) for box in every if box.kind == b"ispe"]
        size = _size(file, own)
    except (KeyError, StopIteration, struct.error):
        raise SyntaxError("it has no main picture") from None
    header = Header(size, max(a * b for a, b in sizes), _colours(file, own) or _colours(file, every))
    header.moving = any(box.kind == b"moov" for box in outer)
    file.seek(8)
    if file.read(4) not in _BRANDS:
        header.changed[8] = _STILLS[kind]
    for number, (sort, at, flags) in items.items():
        if sort not in _NO_PICTURES and number != main:
            header.changed[at] = bytes([flags | 1])  # hidden
    for box in every:
        if box.kind == b"colr" and boxes.content(file, box, 4) in (b"prof", b"rICC"):
            header.changed[box.start - 4] = b"skip"
    sorts = [boxes.content(file, box, 100) for box in every if box.kind == b"auxC"]
    lost = {words for sort in sorts for name, words in _LOST if name in sort}
    header.info["lost"] = lost | {"gain map" for sort, *_ in items.values() if sort == b"tmap"}
    if any(_is_grey(box.kind, boxes.content(file, box, 17)) for box in own):
        for box in own:
            content = boxes.content(file, box, 11)
            if box.kind == b"colr" and content[:4] == b"nclx" and content[10:] == b"\0":
                header.limited, header.changed[box.start + 10] = True, b"\x80"
    if b"iref" in parts:
        links = list(boxes.boxes(file, parts[b"iref"].start + 4, parts[b"iref"].end))
        header.multiplied = any(box.kind == b"prem" for box in links)
        if any(box.kind == b"auxl" for box in links):
            _turn_later(file, header, own, every)
    try:
        if exif := _exif(file, parts, items):
            header.info["exif"] = exif
    except (struct.error, ValueError):
        header.info["exif"] = b"damaged"
    return header


def _size(file: IO[bytes], own: list[Box]) -> tuple[int, int]:
    """(width, height) of the upright picture with these properties. Raises StopIteration or struct.error."""
    width, height = next(struct.unpack(">II", boxes.content(file, box)[4:12]) for box in own if box.kind == b"ispe")
    for box in own:
        if box.kind == b"clap":  # a part of it, whose sides are fractions
            across, part, down, of = struct.unpack(">4I", boxes.content(file, box)[:16])
            width, height = min(width, across // max(part, 1)), min(height, down // max(of, 1))
    if any(box.kind == b"irot" and boxes.content(file, box, 1) in (b"\1", b"\3") for box in own):
        width, height = height, width
    return width, height


def _is_grey(kind: bytes, content: bytes) -> bool:
    """Whether the box is the decoder's configuration for a picture without colours."""
    if kind == b"av1C":
        return len(content) > 2 and bool(content[2] & 0x10)
    return kind == b"hvcC" and len(content) > 16 and not content[16] & 3


def _turn_later(file: IO[bytes], header: Header, own: list[Box], every: list[Box]) -> None:
    """Let the program not turn anything, but the main picture, which has the properties `own`, be turned afterwards."""
    for box in own:
        value = boxes.content(file, box, 1) or b"\0"
        if box.kind == b"irot" and value[0] & 3:
            header.turns.append((Image.ROTATE_90, Image.ROTATE_180, Image.ROTATE_270)[(value[0] & 3) - 1])
        elif box.kind == b"imir":
            header.turns.append(Image.FLIP_LEFT_RIGHT if value[0] & 1 else Image.FLIP_TOP_BOTTOM)
    for box in every:
        if box.kind in (b"irot", b"imir"):
            header.changed[box.start - 4] = b"irot\0"  # by no angle


def _number(file: IO[bytes], box: Box) -> int:
    """The item that a pitm box names."""
    data = boxes.content(file, box, 8)
    return int.from_bytes(data[4:8] if data[0] else data[4:6], "big")


def _items(file: IO[bytes], iinf: Box) -> Iterator[tuple[int, tuple[bytes, int, int]]]:
    """(number, (type, offset of the byte whose lowest bit hides it, that byte)) of each item."""
    wide = boxes.content(file, iinf, 1) != b"\0"
    for box in boxes.boxes(file, iinf.start + (8 if wide else 6), iinf.end):
        data = boxes.content(file, box, 16)
        if box.kind == b"infe" and data[:1] in (b"\2", b"\3"):
            size = 2 if data[0] == 2 else 4
            yield int.from_bytes(data[4:4 + size], "big"), (data[6 + size:10 + size], box.start + 3, data[3])


def _associated(ipma: bytes, item: int) -> list[int]:
    """Numbers, from 1, of the properties of an item."""
    version, wide, (count,), at = ipma[0], ipma[3] & 1, struct.unpack(">I", ipma[4:8]), 8
    form = ">HB" if version == 0 else ">IB"
    for _ in range(count):
        number, length = struct.unpack_from(form, ipma, at)
        at += struct.calcsize(form)
        if number == item:
            values = struct.unpack_from(f">{length}{'H' if wide else 'B'}", ipma, at)
            return [value & (0x7FFF if wide else 0x7F) for value in values]
        at += length * (2 if wide else 1)
    return []


def _colours(file: IO[bytes], properties: list[Box]) -> dict[str, Any]:
    """What the properties say about colours, in Pillow's words."""
    found: dict[str, Any] = {}
    for data in (boxes.content(file, box) for box in properties if box.kind == b"colr"):
        if data[:4] in (b"prof", b"rICC"):
            found.setdefault("icc_profile", data[4:])
        elif data[:4] == b"nclx":
            found.setdefault("cicp", struct.unpack(">HH", data[4:8]))
    if "icc_profile" in found:
        found.pop("cicp", None)
    elif "cicp" in found and (profile := profiles.by_numbers(*found["cicp"])):
        found["icc_profile"] = profile
    return found


def _exif(file: IO[bytes], parts: dict[bytes, Box], items: dict[int, tuple[bytes, int, int]]) -> bytes | None:
    """The EXIF block, without a heading; None if there is none."""
    wanted = next((number for number, (kind, *_) in items.items() if kind == b"Exif"), None)
    if wanted is None or b"iloc" not in parts:
        return None
    base = parts[b"idat"].start if b"idat" in parts else 0
    block = b""
    for method, offset, length in _extents(boxes.content(file, parts[b"iloc"]), wanted):
        file.seek(offset + (base if method == 1 else 0))
        block += file.read(min(length, boxes.LARGEST))
    (skip,) = struct.unpack(">I", block[:4])
    return block[4 + skip:]


def _extents(iloc: bytes, item: int) -> Iterator[tuple[int, int, int]]:
    """(construction method, offset, length) of each piece of an item."""
    data = io.BytesIO(iloc)

    def number(size: int) -> int:
        value = data.read(size)
        if len(value) < size:
            raise ValueError("cut short")
        return int.from_bytes(value, "big")
    version = number(4) >> 24
    sizes = number(2)
    of_offset, of_length, of_base, of_index = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
    for _ in range(number(4 if version == 2 else 2)):
        mine = number(4 if version == 2 else 2) == item
        method = number(2) & 15 if version else 0
        number(2)
        base = number(of_base)
        for _ in range(number(2)):
            if version:
                number(of_index)
            offset, length = number(of_offset), number(of_length)
            if mine:
                yield method, base + offset, length


# JPEG XL -------------------------------------------------------------------------------------------------

def _of_jxl(file: IO[bytes]) -> Header:
    file.seek(0)
    start, info = file.read(32), {}
    if start[:2] != b"\xff\x0a":
        start = b""
        for box in boxes.boxes(file):
            if box.kind in (b"jxlc", b"jxlp") and not start:
                start = boxes.content(file, box, 36)[4 if box.kind == b"jxlp" else 0:]
            elif box.kind == b"Exif":
                info["exif"] = _after_offset(boxes.content(file, box))
            elif box.kind == b"brob" and boxes.content(file, box, 4) == b"Exif":
                info["exif"] = _after_offset(_brotli(boxes.content(file, box)[4:]))
    if start[:2] != b"\xff\x0a":
        raise SyntaxError("it has no codestream")
    size = _size_of_jxl(int.from_bytes(start[2:], "little"))
    return Header(size, size[0] * size[1], info)


def _after_offset(block: bytes) -> bytes:
    """The TIFF in the content of an Exif box."""
    return block[4 + int.from_bytes(block[:4], "big"):] or b"damaged"


def _size_of_jxl(bits: int) -> tuple[int, int]:
    """(width, height) as stored; `bits` is the codestream after its signature, as a number."""
    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    def side(small: int) -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1
    small = take(1)
    height = side(small)
    ratio = take(3)
    if not ratio:
        return side(small), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


def _brotli(data: bytes) -> bytes:
    """Decompressed bytes; b"" if they are damaged or too many. libjxl brings the library."""
    try:
        decompress = ctypes.CDLL("libbrotlidec.so.1").BrotliDecoderDecompress
    except OSError:
        return b""
    length, room = ctypes.c_size_t(boxes.LARGEST), ctypes.create_string_buffer(boxes.LARGEST)
    done = decompress(ctypes.c_size_t(len(data)), data, ctypes.byref(length), room)
    return room.raw[:length.value] if done == 1 else b""
