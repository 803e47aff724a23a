"""PNG: colours in numbers, transparency of every depth, long profiles, damaged animations."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

import mutants
from dreamer.pictures import colour, profiles, reading


def chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def grey(rows: NDArray[np.uint8], bits: int, kind: int = 0, *more: bytes) -> bytes:
    """A PNG of rows that are already packed, with chunks before its pixels."""
    samples = {0: 1, 2: 3, 4: 2}[kind]
    width = rows.shape[1] * 8 // (bits * samples)
    head = width.to_bytes(4, "big") + len(rows).to_bytes(4, "big") + bytes([bits, kind, 0, 0, 0])
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(more) + chunk(
        b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def with_chunks(image: Image.Image, *more: bytes) -> bytes:
    """A PNG of the image, with chunks after its header."""
    file = io.BytesIO()
    image.save(file, "PNG")
    data = file.getvalue()
    return data[:33] + b"".join(more) + data[33:]


def read(folder: Path, data: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    (folder / "a.png").write_bytes(data)
    said: list[str] = []
    picture = reading.read(folder / "a.png", warn=said.append)
    assert not said
    return np.asarray(picture.pixels), picture.alpha


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_one_transparent_grey_of_few_bits(tmp_path: Path, bits: int) -> None:
    most = 2 ** bits - 1
    values = np.arange(64).reshape(4, 16) % (most + 1)
    packed = np.packbits((values[..., None] >> np.arange(bits - 1, -1, -1) & 1).astype(np.uint8).reshape(4, -1), axis=1)
    pixels, alpha = read(tmp_path, grey(packed, bits, 0, chunk(b"tRNS", (most - 1).to_bytes(2, "big"))))
    assert (pixels[..., 0] == values * 255 // most).all()
    assert alpha is not None
    assert (alpha == 255 * (values != most - 1)).all()


def test_one_transparent_colour_of_16_bits(tmp_path: Path) -> None:
    values = np.arange(0, 48 * 1000, 1000, dtype=">u2").reshape(2, 8, 3)
    nothing = values[1, 2].tobytes()
    pixels, alpha = read(tmp_path, grey(values.reshape(2, -1).view(np.uint8), 16, 2, chunk(b"tRNS", nothing)))
    assert (pixels == values >> 8).all()
    assert alpha is not None
    assert np.argwhere(alpha == 0).tolist() == [[1, 2]]


@pytest.mark.parametrize("gamma", [0.35, 0.45455, 0.7, 1.0, 2.5])
@pytest.mark.parametrize("mode", ["L", "RGB", "P", "RGBA", "I;16"])
def test_gamma_is_applied(tmp_path: Path, gamma: float, mode: str) -> None:
    image = mutants.pixels(mode)
    plain, _ = read(tmp_path, with_chunks(image))
    pixels, _ = read(tmp_path, with_chunks(image, chunk(b"gAMA", round(gamma * 100_000).to_bytes(4, "big"))))
    light = (plain / 255) ** (1 / gamma)
    curve = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    expected = plain.astype(np.float64) if gamma == 0.45455 else np.asarray(curve, np.float64)
    assert np.abs(pixels - expected).mean() < 1.5
    for stronger in (chunk(b"sRGB", b"\0"), chunk(b"iCCP", b"a\0\0" + zlib.compress(colour.SRGB))):
        if mode != "L" or stronger[4:8] == b"sRGB":
            pixels, _ = read(tmp_path, with_chunks(image, stronger, chunk(b"gAMA", (100_000).to_bytes(4, "big"))))
            assert (pixels == plain).all()


@pytest.mark.parametrize(("primaries", "transfer"), [(1, 13), (12, 13), (9, 8), (12, 4), (1, 1), (9, 16), (9, 18)])
def test_cicp_is_applied_before_all_else(tmp_path: Path, primaries: int, transfer: int) -> None:
    image = mutants.pixels("RGB")
    pixels, _ = read(tmp_path, with_chunks(image, chunk(b"cICP", bytes([primaries, transfer, 0, 1])),
                                           chunk(b"gAMA", (100_000).to_bytes(4, "big"))))
    profile = profiles.by_numbers(primaries, transfer)
    assert (profile is None) == (primaries == 1)
    expected = image if profile is None else ImageCms.profileToProfile(
        image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), renderingIntent=1,
        flags=0x2000)
    assert np.abs(np.float32(pixels) - np.asarray(expected)).mean() < 1


def grey_profile() -> bytes:
    """A grey profile with gamma 1, made from the colour profile."""
    data = profiles.profile(profiles.SRGB, np.linspace(0, 1, 64)).replace(b"RGB XYZ ", b"GRAYXYZ ")
    return data.replace(b"rTRC", b"kTRC")


def test_a_grey_profile_fits_16_bits_with_alpha(tmp_path: Path) -> None:
    values = np.stack([np.arange(0, 65536, 257), np.full(256, 40000)], -1).astype(">u2").reshape(1, -1)
    pixels, alpha = read(tmp_path, grey(values.view(np.uint8), 16, 4, chunk(
        b"iCCP", b"a\0\0" + zlib.compress(grey_profile()))))
    light = np.arange(256) / 255
    expected = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(pixels[0, :, 0] - expected).mean() < 1
    assert alpha is not None
    assert (alpha == 40000 >> 8).all()


def test_a_profile_of_more_than_a_mebibyte(tmp_path: Path) -> None:
    profile = profiles.by_numbers(12, 4) or b""
    image = mutants.pixels("RGB")
    small, _ = read(tmp_path, with_chunks(image, chunk(b"iCCP", b"a\0\0" + zlib.compress(profile))))
    long = profile.ljust(1_500_000, b"\0")
    long = len(long).to_bytes(4, "big") + long[4:]
    pixels, _ = read(tmp_path, with_chunks(image, chunk(b"iCCP", b"a\0\0" + zlib.compress(long))))
    assert (pixels == small).all()
    assert np.abs(np.float32(pixels) - np.asarray(image)).mean() > 1


def test_an_animation_whose_first_frame_is_whole(tmp_path: Path) -> None:
    """Frames without a number, or with a wrong one, after a whole picture."""
    image = mutants.pixels("RGB")
    data = with_chunks(image, chunk(b"acTL", bytes([0, 0, 0, 2, 0, 0, 0, 0])))
    for wrong in (chunk(b"fdAT", bytes(4) + b"rubbish"), chunk(b"fcTL", b"\0\0\0\7" + bytes(22)), chunk(b"fcTL", b"")):
        pixels, _ = read(tmp_path, data[:-12] + wrong + data[-12:])
        assert (pixels == np.asarray(image)).all()
        at = data.index(b"IDAT") - 4
        pixels, _ = read(tmp_path, data[:at] + wrong + data[at:])
        assert (pixels == np.asarray(image)).all()
