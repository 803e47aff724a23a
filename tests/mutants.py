"""Damaged pictures: real ones of every format and mode, mutated. The same seed gives the same pictures."""

import functools
import io
import random
import shutil
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from dreamer.pictures import colour

EXTREMES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def pixels(mode: str, height: int = 40, width: int = 50) -> Image.Image:
    """A picture with smooth and busy parts, in any of Pillow's modes."""
    ramp = np.add.outer(np.arange(height) * 3, np.arange(width) * 2)[..., None] + [0, 40, 80]
    ramp[10:20, 10:20] = np.random.RandomState(0).randint(0, 256, (10, 10, 3))
    image = Image.fromarray(np.uint8(np.clip(ramp, 0, 255)))
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(np.uint8(np.clip(ramp[..., 0] * 2, 0, 255))))
    if mode == "LAB":
        return ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"),
                                         outputMode="LAB")
    if mode == "I;16":
        return Image.fromarray(np.uint16(ramp[..., 1] * 150))
    return image.convert(mode)


def exif() -> Image.Exif:
    """An Exif with text, numbers, a GPS position, an orientation and maker notes."""
    found = Image.Exif()
    found[0x0112] = 6
    found[0x010F] = "Camera"
    found[0x011A] = 72.0
    found[0x8769] = {0x9003: "2015:06:17 12:00:00", 0x829A: 0.01, 0x927C: b"notes" * 30, 0xA001: 65535, 0xA002: 50}
    found[0x8825] = {1: "N", 2: (52.0, 22.0, 33.0), 3: "E", 4: (4.0, 53.0, 42.0)}
    return found


def seeds() -> dict[str, bytes]:
    """{name: bytes} of undamaged pictures."""
    other = bytearray(colour.SRGB)
    other[30] = 1  # its date; the profile stays as good as before
    rich = {"exif": exif().tobytes(), "icc_profile": bytes(other)}
    wanted = [("JPEG", mode, options) for mode in ("L", "RGB", "CMYK") for options in ({}, rich)]
    wanted += [("JPEG", "RGB", {"progressive": True, "quality": 30}), ("MPO", "RGB", {"append": True})]
    wanted += [("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")]
    wanted += [("PNG", "RGB", rich), ("PNG", "P", {"transparency": bytes(range(100))}),
               ("PNG", "L", {"transparency": 40}), ("PNG", "RGB", {"transparency": (9, 49, 89)})]
    wanted += [("WEBP", "RGB", rich), ("WEBP", "RGBA", {"lossless": True}), ("WEBP", "RGB", {"append": True}),
               ("WEBP", "RGBA", {})]
    wanted += [("TIFF", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16", "I", "F")]
    wanted += [("TIFF", mode, {"compression": kind}) for mode, kind in (
        ("1", "group4"), ("L", "tiff_lzw"), ("RGB", "tiff_lzw"), ("RGBA", "tiff_adobe_deflate"), ("RGB", "packbits"),
        ("RGB", "jpeg"), ("F", "tiff_lzw"))]
    wanted += [("TIFF", "RGB", {"tiffinfo": {0x0112: 6, 0x010F: "Camera"}, "icc_profile": bytes(other)})]
    wanted += [("GIF", "P", {}), ("GIF", "P", {"append": True}), ("GIF", "P", {"transparency": 3})]
    wanted += [("BMP", mode, {}) for mode in ("1", "L", "P", "RGB", "RGBA")]
    wanted += [("ICO", "RGBA", {}), ("PCX", "P", {}), ("PCX", "RGB", {}), ("PPM", "1", {}), ("PPM", "L", {}),
               ("PPM", "RGB", {}), ("SGI", "RGB", {}), ("TGA", "RGB", {}), ("TGA", "RGBA", {"compression": "tga_rle"}),
               ("JPEG2000", "RGB", {}), ("JPEG2000", "LA", {})]
    made = {}
    Image.init()
    for number, (kind, mode, options) in enumerate(wanted):
        if kind not in (Image.SAVE_ALL if "append" in options else Image.SAVE):  # if this Pillow is too old
            continue
        image, options = pixels(mode), dict(options)
        if options.pop("append", False):
            options |= {"save_all": True, "append_images": [image.transpose(Image.FLIP_LEFT_RIGHT)], "duration": 99}
        file = io.BytesIO()
        image.save(file, kind, **options)
        made[f"{number:02} {kind} {mode}"] = file.getvalue()
    return made


@functools.cache
def modern() -> dict[str, bytes]:
    """{name: bytes} of HEIC, AVIF and JPEG XL pictures, if their encoders are installed."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for mode, options in (("RGB", {"exif": exif()}), ("RGBA", {}), ("L", {})):
            source = Path(folder, f"{mode}.png")
            pixels(mode).save(source, **options)
            for kind, words in (("HEIC", ["heif-enc", str(source), "-o"]), ("JXL", ["cjxl", "-e", "3", str(source)]),
                                ("AVIF", ["avifenc", "-s", "10", str(source)])):
                target = Path(folder, f"{mode}.{kind.lower()}")
                if shutil.which(words[0]) and not subprocess.run([*words, target], capture_output=True,
                                                                 check=False).returncode:
                    found[f"{kind} {mode}"] = target.read_bytes()
    return found


def dng(version: bytes = b"\1\4\0\0", height: int = 120, width: int = 160) -> bytes:
    """A photo of a grey wall, brighter on the right, with a red thumbnail; without `version`, it is not a DNG."""
    thumb = bytes([255, 0, 0]) * 16 * 12
    ramp = np.tile(np.linspace(3000, 30000, width), (height, 1)).astype("<u2").tobytes()
    data = thumb + ramp
    long = bytearray()
    start = 8 + len(data)

    def directory(tags: list[tuple[int, int, bytes]], at: int) -> tuple[bytes, bytes]:
        size = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 10: 8}
        entries, values = struct.pack("<H", len(tags)), b""
        after = at + 6 + 12 * len(tags)
        for tag, kind, value in sorted(tags):
            count = len(value) // size[kind]
            if len(value) > 4:
                values += value
                value = struct.pack("<I", after + len(values) - len(value))
            entries += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
        return entries + bytes(4), values

    def short(*values: int) -> tuple[int, bytes]:
        return 3, struct.pack(f"<{len(values)}H", *values)

    def number(*values: int) -> tuple[int, bytes]:
        return 4, struct.pack(f"<{len(values)}I", *values)
    mosaic = [(254, *number(0)), (256, *number(width)), (257, *number(height)), (258, *short(16)), (259, *short(1)),
              (262, *short(32803)), (273, *number(8 + len(thumb))), (277, *short(1)), (278, *number(height)),
              (279, *number(len(ramp))), (33421, *short(2, 2)), (33422, 1, b"\0\1\1\2"), (50717, *number(65535))]
    entries, values = directory(mosaic, start)
    long += entries + values
    matrix = struct.pack("<18i", *[value for row in np.eye(3).ravel() for value in (int(row * 10000), 10000)])
    first = [(254, *number(1)), (256, *number(16)), (257, *number(12)), (258, *short(8, 8, 8)), (259, *short(1)),
             (262, *short(2)), (271, 2, b"Maker\0"), (272, 2, b"Camera\0"), (273, *number(8)), (274, *short(6)),
             (277, *short(3)), (278, *number(12)), (279, *number(len(thumb))), (330, *number(start)),
             (50706, 1, version), (50708, 2, b"Maker Camera\0"), (50721, 10, matrix),
             (50728, 5, struct.pack("<6I", *[1] * 6)), (50778, *short(21))]
    at = start + len(long)
    entries, values = directory([tag for tag in first if version or tag[0] < 50000], at)
    return b"II*\0" + struct.pack("<I", at) + data + bytes(long) + entries + values


def mutant(source: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """The bytes `source`, damaged in one to four ways. `chance` is a random.Random, `others` a list of other files."""
    data = bytearray(source)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        size = len(data)
        at = chance.randrange(size + 1) if chance.random() < 0.5 else chance.randrange(min(size, 200) + 1)
        way = chance.randrange(8)
        if way == 0:
            del data[at:]
        elif way == 1 and at < size:
            data[at] ^= 1 << chance.randrange(8)
        elif way == 2:
            data[at:at + chance.randrange(1, 20)] = chance.randbytes(chance.randrange(1, 20))
        elif way == 3:
            form = chance.choice(["<H", ">H", "<I", ">I"])
            value = struct.pack(form, chance.choice(EXTREMES) & (0xFFFF if form[1] == "H" else 0xFFFFFFFF))
            data[at:at + len(value)] = value
        elif way == 4:
            del data[at:at + chance.randrange(1, 60)]
        elif way == 5:
            data[at:at] = data[at:at + chance.randrange(1, 300)]
        elif way == 6:
            other = chance.choice(others)
            data[at:] = other[chance.randrange(len(other) + 1):]
        else:
            for place in range(at, min(at + 400, size), 7):
                data[place] = chance.randrange(256)
        if not data:
            break
    if data.startswith(b"\x89PNG") and chance.random() < 0.8:
        _mend(data)
    return bytes(data)


def _mend(png: bytearray) -> None:
    """Correct the checksum of every chunk of a PNG; otherwise decoders would not look at the damaged content."""
    at = 8
    while at + 12 <= len(png):
        size = int.from_bytes(png[at:at + 4], "big")
        end = at + 8 + size
        if end + 4 > len(png):
            break
        png[end:end + 4] = struct.pack(">I", zlib.crc32(png[at + 4:end]))
        at = end + 4


def others(kind: str) -> dict[str, bytes]:
    """{name: bytes} of pictures that other programs decode: of HEIC, AVIF, JXL or DNG, if they can be made here."""
    if kind == "DNG":
        return {"DNG": dng(), "DNG unmarked": dng(b"")} if shutil.which("dcraw_emu") else {}
    return {name: data for name, data in modern().items() if name.startswith(kind)}


def mutants(count: int, seed: object, kind: str = "") -> Iterator[tuple[str, bytes]]:
    """Yields (name, bytes) `count` times; if there is a `kind`, as of others(), only of that format."""
    sources = others(kind) if kind else seeds()
    files = list(sources.values())
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        name = chance.choice(sorted(sources))
        yield f"{number} of {name}", mutant(sources[name], files, chance)
