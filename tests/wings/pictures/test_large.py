"""TIFFs that are decoded in bands: the same pixels as in one piece, for all that Pillow, vips and ImageMagick write."""

import io
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, TiffImagePlugin

import mutants
from dreamer.errors import Failure, Mistake
from dreamer.pictures import large, reading, strips, tiff, writing
from dreamer.pictures.picture import Picture
from helpers import ROOT

CONVERT = "/usr/bin/convert"
PIXELS = np.asarray(mutants.pixels("RGBA", 300, 170))


@pytest.fixture
def in_bands(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Has every TIFF decoded in bands of about 60 rows; returns a list to which the first row of each is added."""
    tops = list[int]()
    add = large._Upright.add

    def noted(self: Any, top: int, band: Image.Image) -> None:
        tops.append(top)
        add(self, top, band)
    monkeypatch.setattr(large._Upright, "add", noted)
    monkeypatch.setattr(large, "LARGE", 0)
    monkeypatch.setattr(large, "BAND", 170 * 60)
    return tops


def whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Picture, list[str]]:
    """(the picture as it is read in one piece, the warnings)"""
    told = list[str]()
    with monkeypatch.context() as patched:
        patched.setattr(large, "LARGE", 10 ** 9)
        return reading.read(path, warn=told.append), told


def assert_same(path: Path, in_bands: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads the TIFF in bands and in one piece."""
    expected, lines = whole(path, monkeypatch)
    assert in_bands == []
    told = list[str]()
    found = reading.read(path, warn=told.append)
    assert len(in_bands) > 1
    assert found.pixels.shape == expected.pixels.shape
    assert np.array_equal(found.pixels, expected.pixels)
    assert (found.alpha is None) == (expected.alpha is None)
    if found.alpha is not None and expected.alpha is not None:
        assert np.array_equal(found.alpha, expected.alpha)
    assert told == lines


@pytest.mark.parametrize(("mode", "compression"), [
    *((mode, compression) for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16")
      for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits")),
    ("L", "jpeg"), ("RGB", "jpeg"), ("CMYK", "jpeg"), ("1", "group4"), ("1", "group3")])
def test_what_pillow_writes(tmp_path: Path, in_bands: list[int], monkeypatch: pytest.MonkeyPatch, mode: str,
                            compression: str | None) -> None:
    if PIL.__version__.startswith("9.0."):
        pytest.skip("Pillow 9.0 writes one strip")
    monkeypatch.setattr(TiffImagePlugin, "STRIP_SIZE", 2048)
    mutants.pixels(mode, 300, 170).save(tmp_path / "a.tif", compression=compression)
    assert_same(tmp_path / "a.tif", in_bands, monkeypatch)


@pytest.mark.parametrize(("kind", "options"), [
    *((kind, options) for kind in ("RGB", "RGBA", "16 bits", "grey") for options in (
        "compression=none", "compression=lzw,predictor=horizontal", "compression=deflate,bigtiff",
        "compression=deflate,tile,tile-width=64,tile-height=32", "tile,bigtiff",
        "tile,pyramid,tile-width=32,tile-height=32,compression=deflate")),
    ("RGB", "compression=jpeg,tile,tile-width=64,tile-height=64"), ("RGB", "bigtiff,compression=jpeg,Q=90"),
    ("RGB", "compression=zstd"), ("RGB", "compression=webp,tile"), ("grey", "compression=ccittfax4,bitdepth=1")])
def test_what_vips_writes(tmp_path: Path, in_bands: list[int], monkeypatch: pytest.MonkeyPatch, options: str,
                          kind: str) -> None:
    """Among them what docs/pictures.md says."""
    if not shutil.which("vips"):
        pytest.skip("no vips (libvips-tools)")
    source = tmp_path / ("a.ppm" if kind == "16 bits" else "a.png")
    if kind == "RGBA":
        Image.fromarray(PIXELS).save(source)
    elif kind == "16 bits":
        source.write_bytes(b"P6 170 300 65535\n" + (PIXELS[..., :3].astype(">u2") * 257).tobytes())
    else:
        Image.fromarray(PIXELS[..., :3]).convert("RGB" if kind == "RGB" else "L").save(source)
    subprocess.run(["vips", "copy", source, f"{tmp_path}/a.tif[{options}]"], check=True, capture_output=True)
    assert_same(tmp_path / "a.tif", in_bands, monkeypatch)


@pytest.mark.parametrize("options", [
    ["-interlace", "plane"], ["-depth", "16", "-interlace", "plane"], ["-endian", "msb"],
    ["-endian", "msb", "-depth", "16"], ["-depth", "16", "-compress", "zip"], ["-colorspace", "gray", "-depth", "16"],
    ["-colorspace", "cmyk"], ["-colors", "9", "-type", "palette"],
    ["-alpha", "off", "-depth", "4", "-type", "grayscale"], ["-define", "tiff:rows-per-strip=1"],
    ["-define", "tiff:fill-order=lsb", "-monochrome", "-compress", "lzw"],
    ["-define", "tiff:alpha=associated"]], ids=" ".join)
def test_what_imagemagick_writes(tmp_path: Path, in_bands: list[int], monkeypatch: pytest.MonkeyPatch,
                                 options: list[str]) -> None:
    if not os.access(CONVERT, os.X_OK):
        pytest.skip("no ImageMagick")
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    rows = [] if any("rows-per-strip" in option for option in options) else ["-define", "tiff:rows-per-strip=16"]
    subprocess.run([CONVERT, tmp_path / "a.png", *rows, *options, tmp_path / "a.tif"], check=True)
    try:
        whole(tmp_path / "a.tif", monkeypatch)
    except Mistake as refused:
        with pytest.raises(Mistake) as again:
            reading.read(tmp_path / "a.tif")
        assert str(again.value) == str(refused)
        return
    assert_same(tmp_path / "a.tif", in_bands, monkeypatch)


@pytest.mark.parametrize("in_file", [False, True])
@pytest.mark.parametrize("orientation", range(9))
def test_every_orientation(tmp_path: Path, in_bands: list[int], monkeypatch: pytest.MonkeyPatch, orientation: int,
                           in_file: bool) -> None:
    if in_file:
        monkeypatch.setattr(large, "_WORKING", 10 ** 12)
    Image.fromarray(PIXELS).save(tmp_path / "a.tif", tiffinfo={274: orientation}, compression=None)
    assert_same(tmp_path / "a.tif", in_bands, monkeypatch)
    assert isinstance(reading.read(tmp_path / "a.tif").pixels, np.memmap) == in_file


def test_the_colour_profile_counts(tmp_path: Path, in_bands: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    grey = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    grey[16:20] = b"GRAY"
    for profile in (other_profile(), lab, b"no profile"):
        in_bands.clear()
        Image.fromarray(PIXELS).save(tmp_path / "a.tif", icc_profile=profile)
        assert_same(tmp_path / "a.tif", in_bands, monkeypatch)
    in_bands.clear()
    Image.fromarray(PIXELS).save(tmp_path / "a.tif", icc_profile=bytes(grey))
    reading.read(tmp_path / "a.tif")
    assert not in_bands, "whether all are grey is seen only in the whole"


def other_profile() -> bytes:
    """sRGB with a green that is red."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", data, 128)[0]
    at = {bytes(data[132 + 12 * n:136 + 12 * n]): struct.unpack_from(">I", data, 136 + 12 * n)[0] for n in range(count)}
    red = bytes(data[at[b"rXYZ"] + 8:at[b"rXYZ"] + 20])
    data[at[b"rXYZ"] + 8:at[b"rXYZ"] + 20] = data[at[b"gXYZ"] + 8:at[b"gXYZ"] + 20]
    data[at[b"gXYZ"] + 8:at[b"gXYZ"] + 20] = red
    return bytes(data)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # Pillow 9 says so before it gives up a big-endian BigTIFF
@pytest.mark.parametrize("big", [False, True], ids=["tiff", "bigtiff"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_dream_is_read_again_with_all_that_is_beside_it(tmp_path: Path, in_bands: list[int], big: bool, order: str,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    if big:
        monkeypatch.setattr(tiff, "_LONGEST", 0)
    made = io.BytesIO()
    tiff.save(made, PIXELS.shape, lambda rows: PIXELS[rows], {0x010F: (tiff.ASCII, b"Camera\0")}, order)
    (tmp_path / "a.tif").write_bytes(made.getvalue())
    back = reading.read(tmp_path / "a.tif")
    assert in_bands == [0, 64, 128, 192, 256]
    assert (back.pixels == PIXELS[..., :3]).all()
    assert back.alpha is not None
    assert np.array_equal(back.alpha, PIXELS[..., 3])
    assert back.exif
    assert back.exif.directory[0x010F] == (tiff.ASCII, b"Camera\0")


@pytest.mark.parametrize("damage", ["cut", "bytes", "offsets"])
def test_damage_is_reported_as_it_is_elsewhere(tmp_path: Path, in_bands: list[int], monkeypatch: pytest.MonkeyPatch,
                                               damage: str) -> None:
    writing.write(tmp_path / "a.tif", Picture(PIXELS[..., :3]))
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with open(tmp_path / "a.tif", "rb") as file:
        offsets = strips.Strips(file).numbers(273)
    if damage == "bytes":
        data[offsets[2] + 2:offsets[2] + 400] = bytes(398)
    elif damage == "offsets":
        at = data.index(struct.pack("<5I", *offsets))
        data[at + 8:at + 12] = b"\xff\xff\xff\x7f"
    else:  # the directory first, as in a file whose end is lost
        made = io.BytesIO()
        Image.fromarray(PIXELS[..., :3]).save(made, "TIFF", compression=None)
        data = bytearray(made.getvalue()[:100_000])
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(Mistake, match="a TIFF picture, but damaged or cut short"):
        reading.read(tmp_path / "a.tif")
    with pytest.raises(Mistake, match="a TIFF picture, but damaged or cut short"):
        whole(tmp_path / "a.tif", monkeypatch)


def test_a_full_disk_is_reported(tmp_path: Path, in_bands: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "_WORKING", 10 ** 12)
    monkeypatch.setenv("TMPDIR", "/proc")
    writing.write(tmp_path / "a.tif", Picture(PIXELS[..., :3]))
    with pytest.raises(Failure, match="/proc has no room for .* set TMPDIR"):
        reading.read(tmp_path / "a.tif")


def test_floats_and_one_long_strip_are_read_whole(tmp_path: Path, in_bands: list[int],
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """The scale of floats depends on all of them."""
    Image.fromarray(PIXELS[..., 0].astype(np.float32) * 7).save(tmp_path / "a.tif")
    reading.read(tmp_path / "a.tif")
    monkeypatch.setattr(large, "_LONGEST", 1000)
    writing.write(tmp_path / "a.tif", Picture(PIXELS[..., :3]))
    assert (reading.read(tmp_path / "a.tif").pixels == PIXELS[..., :3]).all()
    assert in_bands == []


_READ = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from dreamer.jobs import checkpoint
from dreamer.pictures import large, reading

def most():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) >> 10

large._WORKING = 10 ** 12
reading.read(sys.argv[2] + "/small.tif")
before = most()
pixels = reading.read(sys.argv[2] + "/a.tif", max_pixels=10 ** 9).pixels
checkpoint.key({}, pixels)
print(most() - before, pixels.shape, *pixels[-1, -1])
"""


def test_reading_takes_the_memory_of_a_few_bands(tmp_path: Path) -> None:
    """100 megapixels, which Pillow would read in 700 MB."""
    row: NDArray[np.uint8] = np.uint8(np.arange(3 * 20000) % 251).reshape(1, 20000, 3)
    writing.write(tmp_path / "small.tif", Picture(row.repeat(20, 0)))
    writing.write(tmp_path / "a.tif", Picture(np.broadcast_to(row, (5000, 20000, 3))))
    done = subprocess.run([sys.executable, "-c", _READ, ROOT, tmp_path], capture_output=True, text=True, check=True)
    megabytes, rest = done.stdout.strip().split(" ", 1)
    assert rest == f"(5000, 20000, 3) {' '.join(map(str, row[0, -1]))}"
    assert int(megabytes) < 250
