"""Every format × mode × depth × compression: decoded as ImageMagick decodes it, or refused in one line."""

import collections
import functools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import mutants
from dreamer.errors import Mistake
from dreamer.pictures import reading
from helpers import search

CONVERT = "/usr/bin/convert"
HEIGHT, WIDTH = 45, 61  # odd, so that the rows of 1-bit pictures end within a byte
LEVELS = 2  # maximum mean difference
SOURCES = {  # ImageMagick's words for the content of a picture
    "bilevel": ["rgb.png", "-colorspace", "Gray", "-threshold", "50%", "-type", "Bilevel"],
    "grey": ["rgb.png", "-colorspace", "Gray", "-type", "Grayscale"],
    "grey-alpha": ["rgba.png", "-colorspace", "Gray", "-type", "GrayscaleMatte"],
    "palette": ["rgb.png", "+dither", "-colors", "200", "-type", "Palette"],
    "palette16": ["rgb.png", "+dither", "-colors", "14", "-type", "Palette"],
    "palette2": ["rgb.png", "+dither", "-colors", "2", "-type", "Palette"],
    "rgb": ["rgb.png", "-type", "TrueColor"],
    "rgba": ["rgba.png", "-type", "TrueColorMatte"],
    "cmyk": ["rgb.png", "-colorspace", "CMYK", "-type", "ColorSeparation"],
    "ycbcr": ["rgb.png", "-colorspace", "YCbCr"],
    "lab": ["rgb.png", "-colorspace", "Lab"]}
MODES = list(SOURCES)


def recipes() -> Iterator[tuple[str, str, list[str]]]:
    """(source, extension, options) of each file."""
    for mode in MODES:
        for kind in ("None", "LZW", "Zip", "RLE"):
            for planar in ("none", "plane"):
                for depth in ("8", "16"):
                    for endian in ("LSB", "MSB"):
                        yield mode, "tif", ["-compress", kind, "-interlace", planar, "-depth", depth, "-endian", endian]
    for mode in ("grey", "rgb", "grey-alpha", "rgba"):
        for planar in ("none", "plane"):
            for kind in ("None", "LZW"):
                yield mode, "tif", ["-compress", kind, "-interlace", planar, "-depth", "32", "-define",
                                    "quantum:format=floating-point"]
            yield mode, "tif", ["-define", "tiff:tile-geometry=32x32", "-interlace", planar, "-compress", "Zip"]
        if mode != "rgba":  # because ImageMagick itself changes their colours
            yield mode, "tif", ["-compress", "JPEG"]
        yield mode, "tiff64", []
    for planar in ("none", "plane"):
        for depth in ("8", "16"):
            for alpha in ("associated", "unassociated"):
                yield "rgba", "tif", ["-interlace", planar, "-depth", depth, "-define", f"tiff:alpha={alpha}"]
    for kind in ("Group4", "Fax", "LZW"):
        for order in ("msb", "lsb"):
            yield "bilevel", "tif", ["-compress", kind, "-define", f"tiff:fill-order={order}"]
    for mode in ("bilevel", "grey", "grey-alpha", "palette", "palette16", "palette2", "rgb", "rgba"):
        for interlaced in ("none", "line"):
            for depth in ("1", "2", "4", "8", "16"):
                yield mode, "png", ["-interlace", interlaced, "-depth", depth]
        for kind in ("None", "RLE"):
            for extension in ("bmp", "bmp2", "bmp3", "tga", "sgi", "psd", "pcx"):
                if (mode, extension) != ("bilevel", "pcx"):  # ImageMagick 7 writes a palette and ignores it
                    yield mode, extension, ["-compress", kind]
        for depth in ("8", "16"):
            for kind in ("ppm", "pgm", "pbm", "pnm", "sgi", "psd", "jp2", "j2k"):
                if (mode, kind) == ("bilevel", "sgi") or (kind == "j2k" and mode in ("grey-alpha", "rgba")):
                    continue  # ImageMagick reads black; a bare codestream does not say which channel is alpha
                for plain in ("None", "Zip"):
                    yield mode, kind, ["-depth", depth, "-compress", plain]
        yield mode, "gif", []
        yield mode, "gif", ["-interlace", "line"]
        yield mode, "webp", ["-define", "webp:lossless=true"]
        yield mode, "ico", []
    for mode in ("grey", "rgb", "cmyk", "ycbcr"):
        for interlaced in ("none", "plane"):
            for sampling in ("1x1", "2x1", "2x2", "4x1"):
                yield mode, "jpg", ["-interlace", interlaced, "-sampling-factor", sampling, "-quality", "95"]
    yield "cmyk", "psd", []
    yield "rgb", "bmp", ["-define", "bmp:subtype=RGB565"]
    yield "rgb", "bmp", ["-define", "bmp:subtype=RGB555"]


@functools.cache
def version() -> int:
    """ImageMagick's."""
    return int(search(r"ImageMagick (\d)", subprocess.run([CONVERT, "-version"], capture_output=True, text=True,
                                                          check=False).stdout)[1])


def decoded(path: Path) -> NDArray[np.uint8] | None:
    """The first picture in the file (h, w, 4), decoded by ImageMagick; None if it cannot read the file."""
    flip = ["-flip"] if path.suffix == ".tga" and version() == 6 else []  # it reads these upside down
    words = [f"{path}[0]", *flip, "-alpha", "on", "-colorspace", "sRGB", "-depth", "8", "rgba:-"]
    done = subprocess.run([CONVERT, *words], capture_output=True, check=False)
    if done.returncode or len(done.stdout) != HEIGHT * WIDTH * 4:
        return None
    return np.frombuffer(done.stdout, np.uint8).reshape(HEIGHT, WIDTH, 4)


def difference(path: Path, other: NDArray[np.uint8]) -> float:
    """The mean difference of our pixels from the other's, in levels; transparent ones count less."""
    picture = reading.read(path)
    alpha = picture.alpha if picture.alpha is not None else np.full((HEIGHT, WIDTH), 255, np.uint8)
    mine = np.float32(np.dstack([picture.pixels * (alpha[..., None] / 255), alpha]))
    theirs = np.float32(np.dstack([other[..., :3] * (other[..., 3:] / 255), other[..., 3]]))
    return float(np.abs(mine - theirs).mean())


@pytest.mark.slow
def test_every_kind_is_read_right_or_refused(tmp_path: Path) -> None:
    if not os.access(CONVERT, os.X_OK):
        pytest.skip("no ImageMagick")
    mutants.pixels("RGB", HEIGHT, WIDTH).save(tmp_path / "rgb.png")
    mutants.pixels("RGBA", HEIGHT, WIDTH).save(tmp_path / "rgba.png")
    counts: collections.Counter[str] = collections.Counter()
    wrong = []
    for number, (source, extension, options) in enumerate(recipes()):
        what = f"{number} {source} {extension} {' '.join(options)}"
        path = tmp_path / f"{number}.{extension}"
        subprocess.run([CONVERT, *SOURCES[source], *options, f"{extension}:{path.name}"], cwd=tmp_path,
                       capture_output=True, check=False)
        other = decoded(path) if path.exists() else None
        if other is None:  # ImageMagick cannot write or read this kind
            counts["not made"] += 1
            continue
        try:
            far = difference(path, other)
        except Mistake as error:
            counts["refused"] += 1
            if not str(error).endswith("of a kind that cannot be read"):
                wrong.append(f"{what}: {error}")
            else:
                print(f"{what}: {error}")
        else:
            counts["read"] += 1
            if far > LEVELS:
                wrong.append(f"{what}: {far:.1f} levels")
    print(dict(counts))
    print("\n".join(wrong))
    assert wrong == []
    assert counts["read"] + counts["refused"] >= 300
    assert counts["read"] > 5 * counts["refused"]
