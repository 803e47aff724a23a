"""BMP: headers of every size, bit fields and run lengths. The files are written here byte by byte."""

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dreamer.errors import Mistake
from dreamer.pictures import colour, reading


def bmp(size: int, width: int, height: int, bits: int, data: bytes, compression: int = 0,
        masks: tuple[int, ...] = (), palette: bytes = b"") -> bytes:
    """A file with a header of this size."""
    if size == 12:
        head = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        head = struct.pack("<IiiHHIIiiII", size, width, height, 1, bits, compression, len(data), 0, 0,
                           len(palette) // 4, 0)
        head += struct.pack(f"<{len(masks)}I", *masks)
        head = head[:16] if size == 16 else head.ljust(size, b"\0")
    start = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + palette + data


def read(folder: Path, data: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    (folder / "a.bmp").write_bytes(data)
    picture = reading.read(folder / "a.bmp")
    return np.asarray(picture.pixels), picture.alpha


@pytest.mark.parametrize("size", [12, 16, 40, 52, 56, 64, 108, 124])
@pytest.mark.parametrize("bits", [1, 4, 8, 24])
def test_headers(tmp_path: Path, size: int, bits: int) -> None:
    indices = np.arange(6).reshape(2, 3) % 2
    entry = 3 if size == 12 else 4
    palette = (bytes([10, 20, 30, 0][:entry]) + bytes([40, 50, 60, 0][:entry])) if bits <= 8 else b""
    rows = []
    for row in indices[::-1]:
        text = "".join(f"{index:0{bits}b}" for index in row)
        line = bytes(int(text.ljust(-(-len(text) // 8) * 8, "0")[at:at + 8], 2) for at in range(0, len(text), 8))
        if bits == 24:
            line = b"".join(bytes(([10, 20, 30], [40, 50, 60])[index]) for index in row)
        rows.append(line.ljust(-(-len(line) // 4) * 4, b"\0"))
    pixels, alpha = read(tmp_path, bmp(size, 3, 2, bits, b"".join(rows), palette=palette))
    assert (pixels == np.array([[30, 20, 10], [60, 50, 40]])[indices]).all()
    assert alpha is None


@pytest.mark.parametrize(("masks", "bits"), [
    ((0x7, 0x1F8, 0x3E00), 16), ((0xF800, 0x7E0, 0x1F), 16), ((0xF00, 0xF0, 0xF, 0xF000), 16),
    ((0x3FF00000, 0xFFC00, 0x3FF), 32), ((0xFF, 0xFF00, 0xFF0000, 0xFF000000), 32), ((0xE0, 0x1C, 0x3), 32),
    ((0xFF000000, 0xFF0000, 0xFF00), 32), ((0x7C00, 0x3E0, 0x1F, 0x8000), 16)], ids=str)
@pytest.mark.parametrize("size", [40, 52, 56, 108, 124])
def test_bit_fields(tmp_path: Path, masks: tuple[int, ...], bits: int, size: int) -> None:
    values = np.random.RandomState(1).randint(0, 1 << bits, (3, 5), np.uint64).astype(np.uint64)
    lines = values.astype("<u2" if bits == 16 else "<u4")
    data = b"".join(row.tobytes().ljust(-(-len(row.tobytes()) // 4) * 4, b"\0") for row in lines[::-1])
    pixels, alpha = read(tmp_path, bmp(size, 5, 3, bits, data, 3, masks))
    for number, mask in enumerate(masks):
        shift = (mask & -mask).bit_length() - 1
        expected = ((values & np.uint64(mask)) >> np.uint64(shift)).astype(float) * 255 / (mask >> shift)
        if number < 3:
            assert np.abs(pixels[..., number] - expected).max() <= 0.5
        elif size >= 56:
            assert alpha is not None
            assert np.abs(alpha - expected).max() <= 0.5
    assert (alpha is not None) == (len(masks) == 4 and size >= 56)


PALETTE = b"".join(bytes([number, number, number, 0]) for number in range(16))


@pytest.mark.parametrize(("bits", "data", "rows"), [
    (8, b"\3\1\2\2\0\0" b"\0\5\1\2\3\4\5\0\0\0" b"\5\7\0\1", [[7] * 5, [1, 2, 3, 4, 5], [1, 1, 1, 2, 2]]),
    (4, b"\5\x12\0\0" b"\0\5\x12\x34\x50\0\0\0" b"\5\x77\0\1", [[7] * 5, [1, 2, 3, 4, 5], [1, 2, 1, 2, 1]]),
    (8, b"\2\1\0\2\2\1\1\3\0\1", [[0] * 5, [0, 0, 0, 0, 3], [1, 1, 0, 0, 0]]),  # it skips pixels and ends early
    (8, b"\xff\1\0\0\xff\2\0\0\xff\3", [[3] * 5, [2] * 5, [1] * 5])], ids=["8", "4", "skip", "too long"])
def test_run_lengths(tmp_path: Path, bits: int, data: bytes, rows: list[list[int]]) -> None:
    pixels, _ = read(tmp_path, bmp(40, 5, 3, bits, data, 2 if bits == 4 else 1, palette=PALETTE))
    assert pixels[..., 0].tolist() == rows


def test_the_first_row_may_be_the_top(tmp_path: Path) -> None:
    pixels, _ = read(tmp_path, bmp(40, 1, -2, 24, b"\1\1\1\0\2\2\2\0"))
    assert pixels[:, 0, 0].tolist() == [1, 2]


def test_a_profile_is_kept(tmp_path: Path) -> None:
    data = bytearray(bmp(124, 1, 1, 24, b"\1\1\1\0"))
    data[14 + 56:14 + 60] = b"DEBM"
    data[14 + 112:14 + 120] = struct.pack("<II", len(data) - 14, len(colour.SRGB))
    pixels, _ = read(tmp_path, bytes(data) + colour.SRGB)
    assert pixels.tolist() == [[[1, 1, 1]]]


@pytest.mark.parametrize(("data", "why"), [
    (bmp(40, 5, 3, 24, bytes(46)), "damaged or cut short"), (bmp(40, 5, 3, 8, b"\5\1\0\0", 1), "damaged or cut short"),
    (bmp(40, 5, 3, 24, bytes(48), 4), "of a kind that cannot be read"),
    (bmp(40, 5, 3, 7, bytes(48)), "damaged"), (bmp(60, 5, 3, 24, bytes(48)), "header of 60 bytes, of a kind"),
    (bmp(40, 1 << 20, 1 << 20, 24, bytes(48)), "--max-pixels")])
def test_what_is_refused(tmp_path: Path, data: bytes, why: str) -> None:
    with pytest.raises(Mistake, match=why):
        read(tmp_path, data)
