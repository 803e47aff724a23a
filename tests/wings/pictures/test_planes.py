"""TIFF with separate planes or floating-point colours, written here byte by byte."""

import struct
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

import mutants
from dreamer.errors import Mistake
from dreamer.pictures import reading


def tiff(values: NDArray[Any], order: Literal["<", ">"], *, planar: bool, deflate: bool = False, rows: int = 7,
         **more: int) -> bytes:
    """A TIFF of the values (h, w, channels), in strips."""
    height, width, channels = values.shape
    kind = values.dtype.kind
    values = values.astype(values.dtype.newbyteorder(order))
    parts = [values[..., number] for number in range(channels)] if planar else [values]
    strips = [part[top:top + rows].tobytes() for part in parts for top in range(0, height, rows)]
    strips = [zlib.compress(strip) if deflate else strip for strip in strips]
    data, offsets = b"", []
    for strip in strips:
        offsets.append(8 + len(data))
        data += strip + bytes(len(strip) % 2)
    tags = {256: [width], 257: [height], 258: [8 * values.itemsize] * channels, 259: [8 if deflate else 1], 262: [2],
            273: offsets, 277: [channels], 278: [rows], 279: [len(strip) for strip in strips],
            284: [2 if planar else 1], 339: [{"u": 1, "f": 3}[kind]] * channels}
    if channels == 4:
        tags[338] = [2]
    tags |= {int(tag[1:]): [value] for tag, value in more.items()}
    entries, at = struct.pack(order + "H", len(tags)), 8 + len(data) + 6 + 12 * len(tags)
    long = b""
    for tag, numbers in sorted(tags.items()):
        form, number = ("I", 4) if tag in (273, 279) else ("H", 3)
        value = struct.pack(f"{order}{len(numbers)}{form}", *numbers)
        if len(value) > 4:
            long += value
            value = struct.pack(order + "I", at + len(long) - len(value))
        entries += struct.pack(order + "HHI", tag, number, len(numbers)) + value.ljust(4, b"\0")
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8 + len(data))
    return head + data + entries + bytes(4) + long


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize(("dtype", "planar"), [("u2", True), ("f4", True), ("f4", False)])
def test_planes_and_floats(tmp_path: Path, order: Literal["<", ">"], deflate: bool, mode: str, dtype: str,
                           planar: bool) -> None:
    original = np.asarray(mutants.pixels(mode))
    values: NDArray[Any] = original.astype(np.uint16) * 257 if dtype == "u2" else (original / 255).astype(np.float32)
    (tmp_path / "a.tif").write_bytes(tiff(values, order, planar=planar, deflate=deflate))
    if dtype == "f4" and order == ">" and deflate:
        with pytest.raises(Mistake, match="a compressed big-endian TIFF picture of 32 bits, of a kind"):
            reading.read(tmp_path / "a.tif")
        return
    back = reading.read(tmp_path / "a.tif")
    assert (back.pixels == original[..., :3]).all()
    assert (back.alpha is None) == (mode == "RGB")
    if back.alpha is not None:
        assert (back.alpha == original[..., 3]).all()


def test_floats_are_scaled_as_grey_ones_are(tmp_path: Path) -> None:
    for low, high, scale in ((0, 255, 1), (-1, 1, 127.5)):
        values = np.linspace(low, high, 30).reshape(2, 5, 3).astype(np.float32)
        (tmp_path / "a.tif").write_bytes(tiff(values, "<", planar=False))
        expected = (values - low) * scale
        assert np.abs(reading.read(tmp_path / "a.tif").pixels - expected).max() <= 0.51
    values[0, 0] = np.nan
    (tmp_path / "a.tif").write_bytes(tiff(values, "<", planar=False))
    reading.read(tmp_path / "a.tif")


def test_the_orientation_counts(tmp_path: Path) -> None:
    values = np.asarray(mutants.pixels("RGB")).astype(np.uint16) * 257
    (tmp_path / "a.tif").write_bytes(tiff(values, "<", planar=True, t274=6))
    assert (reading.read(tmp_path / "a.tif").pixels == np.rot90(values >> 8, -1)).all()


@pytest.mark.parametrize(("dtype", "more"), [
    ("f4", {"t262": 6}), ("f4", {"t317": 3}), ("f2", {}), ("u1", {"t262": 6, "planar": True}), ("u1", {"t262": 6}),
    ("u2", {"t262": 1, "planar": True})])
def test_what_is_refused(tmp_path: Path, dtype: str, more: dict[str, int]) -> None:
    values = np.zeros((10, 10, 3), dtype)
    data = tiff(values, "<", **{"planar": False} | more)  # type: ignore[arg-type]
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(Mistake, match="a TIFF picture.*, of a kind that cannot be read"):
        reading.read(tmp_path / "a.tif")
