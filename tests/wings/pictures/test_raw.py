"""Raw photos: a DNG made here, whose first picture is a thumbnail."""

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from dreamer.errors import Mistake
from dreamer.machine import decoders
from dreamer.pictures import reading

HEIGHT, WIDTH = 120, 160


def dng(version: bytes = b"\1\4\0\0") -> bytes:
    """A photo of a grey wall, brighter on the right, with a red thumbnail; without `version`, it is not a DNG."""
    thumb = bytes([255, 0, 0]) * 16 * 12
    ramp = np.tile(np.linspace(3000, 30000, WIDTH), (HEIGHT, 1)).astype("<u2").tobytes()
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
    mosaic = [(254, *number(0)), (256, *number(WIDTH)), (257, *number(HEIGHT)), (258, *short(16)), (259, *short(1)),
              (262, *short(32803)), (273, *number(8 + len(thumb))), (277, *short(1)), (278, *number(HEIGHT)),
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


@pytest.mark.skipif(not shutil.which("dcraw_emu"), reason="no dcraw_emu: ./provision.sh raw")
@pytest.mark.parametrize("name", ["a.dng", "a.tif", "-x; rm *\n.nef"])
def test_a_photo_is_developed_and_upright(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(dng())
    picture = reading.read(tmp_path / name)
    height, width = picture.pixels.shape[:2]
    assert (height, width) == (WIDTH, HEIGHT)  # not 16×12, and turned
    assert reading.sides(tmp_path / name) == [HEIGHT, WIDTH]
    rows = picture.pixels.mean((1, 2))
    assert rows[-20:].mean() > rows[:20].mean() + 50
    assert np.abs(picture.pixels.mean((0, 1)) - picture.pixels.mean()).max() < 40  # not red
    assert picture.exif
    assert picture.exif.directory[271][1] == b"Maker\0"
    with pytest.raises(Mistake, match="--max-pixels"):
        reading.read(tmp_path / name, max_pixels=HEIGHT * WIDTH - 1)


def test_without_the_program_it_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.dng").write_bytes(dng())
    monkeypatch.setattr(decoders, "find", lambda *_: None)
    with pytest.raises(Mistake, match=r"a.dng is a raw photo; to have it developed, run .*provision.sh raw$"):
        reading.read(tmp_path / "a.dng")
    monkeypatch.setenv("DREAMER_PLACE", "container")
    with pytest.raises(Mistake, match="build the image again.*: docker build --build-arg EXTRA=raw"):
        reading.read(tmp_path / "a.dng")


@pytest.mark.skipif(not shutil.which("dcraw_emu"), reason="no dcraw_emu: ./provision.sh raw")
def test_what_libraw_does_not_know_is_refused(tmp_path: Path) -> None:
    """Its thumbnail is not dreamed instead."""
    for number, data in enumerate((b"FUJIFILMCCD-RAW " + bytes(500), dng()[:300] + bytes(100), b"IIU\0" + bytes(500))):
        (tmp_path / f"{number}.raw").write_bytes(data)
        with pytest.raises(Mistake, match=r"\d.raw is (a raw photo|a TIFF picture)"):
            reading.read(tmp_path / f"{number}.raw")
