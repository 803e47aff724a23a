"""JPEG files that lack their end or part of their EXIF, or are very large."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from dreamer.errors import Mistake
from dreamer.machine import limits
from dreamer.pictures import reading
from helpers import measured, noise

HEIGHT, WIDTH = 320, 400


def jpeg(**options: Any) -> bytes:
    file, busy = io.BytesIO(), Image.fromarray(noise(HEIGHT // 4, WIDTH // 4))
    busy.resize((WIDTH, HEIGHT), Image.BICUBIC).save(file, "JPEG", **{"quality": 90} | options)
    return file.getvalue()


def read(folder: Path, data: bytes, **options: Any) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], list[str]]:
    (folder / "a.jpg").write_bytes(data)
    said: list[str] = []
    return np.asarray(reading.read(folder / "a.jpg", warn=said.append, **options).pixels), said


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 2}], ids=str)
def test_without_its_end_mark_no_row_is_missing(tmp_path: Path, options: dict[str, Any]) -> None:
    data = jpeg(**options)
    whole, none = read(tmp_path, data)
    for cut in (1, 2):
        pixels, said = read(tmp_path, data[:-cut])
        assert (pixels == whole).all()
        assert said == ["input: the file is cut short: its end mark is missing, but no row"]
    assert not none
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize("options", [{"subsampling": 0}, {"subsampling": 2}, {"quality": 30}], ids=str)
def test_missing_rows_are_counted(tmp_path: Path, options: dict[str, Any]) -> None:
    """The rows before them equal the original's; of the rows reported as missing, at most one block exists."""
    data = jpeg(**options)
    whole, _ = read(tmp_path, data)
    counts = set()
    for cut in range(3, len(data) // 8, len(data) // 300):
        try:
            pixels, said = read(tmp_path, data[:-cut])
        except Mistake as error:
            assert str(error).endswith("a.jpg is a JPEG picture, but damaged or cut short")
            continue
        differ = (pixels != whole).reshape(HEIGHT, -1).any(1)
        missing = HEIGHT - int(differ.argmax()) if differ.any() else 0
        (line,) = said
        told = 0 if "no row" in line else int(line.split(" of ")[0].split()[-1])
        assert missing <= told <= missing + 17
        assert told <= HEIGHT / 10
        counts.add(told)
    assert counts


@pytest.mark.parametrize("part", [0.5, 0.8, 0.97])
def test_a_progressive_picture_must_be_whole(tmp_path: Path, part: float) -> None:
    data = jpeg(progressive=True)
    with pytest.raises(Mistake, match="cut short"):
        read(tmp_path, data[:int(len(data) * part)])


def test_a_progressive_picture_that_ends_between_scans_is_refused(tmp_path: Path) -> None:
    data = jpeg(progressive=True)
    scans = [at for at in range(len(data)) if data[at:at + 2] in (b"\xff\xda", b"\xff\xc4")]
    for at in scans:
        with pytest.raises(Mistake, match="cut short"):
            read(tmp_path, data[:at])


def test_a_cut_exif_block_is_told(tmp_path: Path) -> None:
    data = jpeg()
    for block in (b"Exif\0\0MM\0*\0\0\0", b"Exif\0\0MM\0*\0\0\0\x08\0\x03\x01", b"Exif\0\0II"):
        segment = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
        _, said = read(tmp_path, data[:2] + segment + data[20:])
        assert said == ["input: its EXIF is damaged and is ignored"], block


@pytest.mark.parametrize("kind", [1, 3, 4, 6, 8, 9])
def test_an_orientation_of_any_integer_type(tmp_path: Path, kind: int) -> None:
    size = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4}[kind]
    value = (6).to_bytes(size, "big").ljust(4, b"\0")
    block = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0" + bytes([kind]) + b"\0\0\0\x01" + value + bytes(4)
    data = jpeg()
    pixels, _ = read(tmp_path, data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + data[2:])
    assert pixels.shape == (WIDTH, HEIGHT, 3)


def test_max_size_is_enough_for_a_large_picture(tmp_path: Path) -> None:
    small, _ = read(tmp_path, jpeg(), max_size=50)
    for limit in (2000, HEIGHT * WIDTH - 1):
        reduced, _ = read(tmp_path, jpeg(), max_size=50, max_pixels=limit)
        assert reduced.shape == small.shape == (40, 50, 3)
        assert np.abs(np.float32(reduced) - small).mean() < 12
    for size, limit in ((50, 1999), (300, 127999), (None, 127999)):
        with pytest.raises(Mistake, match="--max-pixels"):
            read(tmp_path, jpeg(), max_size=size, max_pixels=limit)


def test_a_large_progressive_picture_needs_memory_for_its_coefficients(tmp_path: Path,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg(progressive=True, subsampling=2)
    small, _ = read(tmp_path, jpeg(subsampling=2), max_size=50, max_pixels=127999)
    reduced, _ = read(tmp_path, data, max_size=50, max_pixels=127999)
    assert np.abs(np.float32(reduced) - small).mean() < 2
    for memory in (WIDTH * HEIGHT * 3 - 1, WIDTH * HEIGHT * 3):  # 2 bytes for each of 1.5 values a pixel
        monkeypatch.setattr(limits, "memory", lambda memory=memory: memory)
        if memory % 10:
            with pytest.raises(Mistake, match="--max-pixels"):
                read(tmp_path, data, max_size=50, max_pixels=127999)
        else:
            read(tmp_path, data, max_size=50, max_pixels=127999)
    at = data.rindex(b"\xff\xda")
    with pytest.raises(Mistake, match="--max-pixels"):  # each scan would take time
        read(tmp_path, data[:at] + data[at:-2] * 60 + data[-2:], max_size=50, max_pixels=127999)


def test_a_bomb_is_refused_with_little_memory(tmp_path: Path) -> None:
    data = bytearray(jpeg())
    at = data.index(b"\xff\xc0") + 5
    data[at:at + 4] = b"\xff\xdc\xff\xdc"
    (tmp_path / "a.jpg").write_bytes(data)
    assert "--max-pixels" in measured(tmp_path / "a.jpg")


@pytest.mark.slow
def test_200_megapixels(tmp_path: Path) -> None:
    Image.effect_noise((2040, 1530), 60).resize((16320, 12240), Image.BILINEAR).save(tmp_path / "a.jpg", quality=80)
    assert "(750, 1000, 3)" in measured(tmp_path / "a.jpg")
