"""Raw photos: a DNG whose first picture is a thumbnail."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import mutants
from dreamer.errors import Mistake
from dreamer.machine import decoders
from dreamer.pictures import reading

HEIGHT, WIDTH = 120, 160


@pytest.mark.skipif(not shutil.which("dcraw_emu"), reason="no dcraw_emu: ./provision.sh raw")
@pytest.mark.parametrize("name", ["a.dng", "a.tif", "-x; rm *\n.nef"])
def test_a_photo_is_developed_and_upright(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(mutants.dng())
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
    (tmp_path / "a.dng").write_bytes(mutants.dng())
    monkeypatch.setattr(decoders, "find", lambda *_: None)
    with pytest.raises(Mistake, match=r"a.dng is a raw photo; to have it developed, run .*provision.sh raw$"):
        reading.read(tmp_path / "a.dng")
    monkeypatch.setenv("DREAMER_PLACE", "container")
    with pytest.raises(Mistake, match="build the image again.*: docker build --build-arg EXTRA=raw"):
        reading.read(tmp_path / "a.dng")


@pytest.mark.skipif(not shutil.which("dcraw_emu"), reason="no dcraw_emu: ./provision.sh raw")
def test_what_libraw_does_not_know_is_refused(tmp_path: Path) -> None:
    """Its thumbnail is not dreamed instead."""
    for number, data in enumerate((b"FUJIFILMCCD-RAW " + bytes(500), mutants.dng()[:300] + bytes(100),
                                   b"IIU\0" + bytes(500))):
        (tmp_path / f"{number}.raw").write_bytes(data)
        with pytest.raises(Mistake, match=r"\d.raw is (a raw photo|a TIFF picture)"):
            reading.read(tmp_path / f"{number}.raw")
