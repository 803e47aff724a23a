"""TIFF and BigTIFF, as other programs read them, and written in strips."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from numpy.typing import NDArray

from dreamer.pictures import exif, reading, recipe, tiff, writing
from dreamer.pictures.picture import Picture
from helpers import ROOT, made

PIXELS = np.random.RandomState(0).randint(0, 256, (150, 90, 3)).astype(np.uint8)
ALPHA = np.random.RandomState(1).randint(0, 256, (150, 90)).astype(np.uint8)
CONVERT = "/usr/bin/convert"
new_pillow = pytest.mark.skipif(PIL.__version__.startswith("9.0."), reason="Pillow 9.0 cannot read it")


def metadata(order: str) -> exif.Exif:
    """EXIF with values of all places: in the entry, elsewhere, in other directories."""
    return exif.Exif(order, {0x010F: (tiff.ASCII, b"Camera\0"), 0x0131: (tiff.ASCII, b"S\0"),
                             0x8769: {0x9003: (tiff.ASCII, b"2020:01:02 03:04:05\0"), 0xA002: (tiff.LONG, bytes(4))}})


def as_imagemagick_reads(path: Path, channels: str) -> NDArray[np.uint8]:
    """The pixels (h, w, channels) of a TIFF, as libtiff decodes them."""
    if not os.access(CONVERT, os.X_OK):
        pytest.skip("no ImageMagick")
    done = subprocess.run([CONVERT, path, "-depth", "8", f"{channels.lower()}:-"], capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(150, 90, len(channels))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("alpha", [None, ALPHA], ids=["rgb", "rgba"])
@pytest.mark.parametrize("big", [False, True], ids=["tiff", "bigtiff"])
def test_others_read_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, big: bool, alpha: Any,
                                     order: str) -> None:
    if big:
        monkeypatch.setattr(tiff, "_LONGEST", 0)
    path = tmp_path / "a.tif"
    writing.write(path, Picture(PIXELS, alpha, metadata(order), {"seed": 5}))
    assert path.read_bytes()[:4] == {("<", 0): b"II*\0", (">", 0): b"MM\0*", ("<", 1): b"II+\0",
                                     (">", 1): b"MM\0+"}[order, big]
    seen = as_imagemagick_reads(path, "RGB" if alpha is None else "RGBA")
    assert (seen[..., :3] == PIXELS).all()
    if alpha is not None:
        assert (seen[..., 3] == alpha).all()
    if not shutil.which("exiftool"):
        pytest.skip("no exiftool (libimage-exiftool-perl)")
    told = made(["exiftool", "-s", "-Make", "-DateTimeOriginal", "-ExifImageWidth",
                 "-Orientation", "-Warning", path]).stdout
    assert [line.split(":", 1)[1].strip() for line in told.splitlines()] == ["Camera", "2020:01:02 03:04:05", "90"]


@new_pillow
@pytest.mark.parametrize("big", [False, True], ids=["tiff", "bigtiff"])
def test_what_is_written_is_read_with_all_that_is_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                            big: bool) -> None:
    if big:
        monkeypatch.setattr(tiff, "_LONGEST", 0)
    writing.write(tmp_path / "a.tif", Picture(PIXELS, ALPHA, metadata("<"), {"seed": 5}))
    back = reading.read(tmp_path / "a.tif")
    assert (back.pixels == PIXELS).all()
    assert back.alpha is not None
    assert (back.alpha == ALPHA).all()
    assert back.exif
    assert back.exif.directory[0x010F] == (tiff.ASCII, b"Camera\0")
    assert back.exif.directory[0x8769][0x9003] == (tiff.ASCII, b"2020:01:02 03:04:05\0")
    assert recipe.read_recipe(tmp_path / "a.tif") == {"seed": 5}
    writing.write(tmp_path / "b.tif", back)  # EXIF of a BigTIFF goes into any other format
    writing.write(tmp_path / "b.jpg", back)
    for name in ("b.tif", "b.jpg"):
        again = reading.read(tmp_path / name).exif
        assert again
        assert again.directory[0x8769][0x9003] == (tiff.ASCII, b"2020:01:02 03:04:05\0")


def test_strips_may_lie_beyond_4_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has a hole before its second strip, so it takes no room on the disk."""
    monkeypatch.setattr(tiff, "_LONGEST", 0)
    put, path = tiff.Writer.put, tmp_path / "a.tif"

    def far(self: tiff.Writer, value: bytes) -> int:
        at = put(self, value)
        self._length = max(self._length, 5 << 30)
        return at
    monkeypatch.setattr(tiff.Writer, "put", far)
    writing.write(path, Picture(PIXELS, exif=metadata("<")))
    assert path.stat().st_size > 5 << 30
    assert path.stat().st_blocks * 512 < 1 << 20
    assert (as_imagemagick_reads(path, "RGB") == PIXELS).all()
    with open(path, "rb") as file:
        order, directory, _ = tiff.read(file, {0x8769: {}}, big=True)
    assert directory[0x8769][0x9003] == (tiff.ASCII, b"2020:01:02 03:04:05\0")


@pytest.mark.parametrize(("shape", "big"), [((30_000, 40_000, 3), False), ((30_000, 40_000, 4), True),
                                            ((40_000, 40_000, 3), True)])
def test_a_tiff_is_a_bigtiff_only_if_it_might_not_have_the_room(shape: tuple[int, ...], big: bool) -> None:
    assert tiff.must_be_big(shape) == big


def test_vips_makes_a_deep_zoom_pyramid_of_a_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/pictures.md says."""
    if not shutil.which("vips"):
        pytest.skip("no vips (libvips-tools)")
    monkeypatch.setattr(tiff, "_LONGEST", 0)
    writing.write(tmp_path / "dream.tif", Picture(PIXELS.repeat(4, 0).repeat(4, 1)))
    subprocess.run(["vips", "dzsave", "dream.tif", "dream"], cwd=tmp_path, check=True)
    assert 'Height="600"' in (tmp_path / "dream.dzi").read_text()
    assert {path.name for path in (tmp_path / "dream_files/10").iterdir()} == {
        f"{column}_{row}.jpeg" for row in range(3) for column in range(2)}


_WRITTEN = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from dreamer.pictures import writing
from dreamer.pictures.picture import Picture

def most():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) >> 10

writing.write(sys.argv[2] + "/warm.tif", Picture(np.zeros((100, 100, 3), np.float32)))
before = most()
writing.write(sys.argv[2] + "/a.tif", Picture(np.broadcast_to(np.float32(99), (5000, 20000, 3))))
print(most() - before)
"""


def test_writing_takes_the_memory_of_a_strip(tmp_path: Path) -> None:
    """100 megapixels, which would be 300 MB; a strip is 4."""
    done = subprocess.run([sys.executable, "-c", _WRITTEN, ROOT, tmp_path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 60
    assert os.path.getsize(tmp_path / "a.tif") < 20 << 20
    assert reading.sides(tmp_path / "a.tif", max_pixels=10 ** 8) == [5000, 20000]


@pytest.mark.parametrize("data", [
    b"II+\0", b"II+\0\x08\0\0\0", b"II+\0\x08\0\0\0" + b"\xff" * 8, b"MM\0+\0\x08\0\0" + bytes(8),
    b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + b"\xff" * 100, b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0abc"])
def test_a_damaged_bigtiff_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="directory|TIFF"):
        tiff.read(io.BytesIO(data), {}, big=True)
    with pytest.raises(ValueError, match="not a TIFF"):
        tiff.read(io.BytesIO(data), {})
