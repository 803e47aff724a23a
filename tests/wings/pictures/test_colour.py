"""Colour profiles, made here, and compared with the formulas of their standards."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from dreamer.pictures import colour, reading
from dreamer.pictures.picture import Picture

D50 = (0.9642, 1.0, 0.8249)

SRGB_COLORANTS = [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)]  # r, g, b


def fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def profile(space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr", pcs: bytes = b"XYZ ") -> bytes:
    """The bytes of an ICC profile of version 2."""
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78),
            b"wtpt": b"XYZ " + bytes(4) + fixed(*D50)} | tags
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4xI4s4s4s12x4s28x12s48x", 128 + len(table) + len(body), 0x02400000, kind, space, pcs,
                       b"acsp", fixed(*D50))
    return head + table + body


def curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def rgb(colorants: Sequence[tuple[float, float, float]], gamma: float) -> bytes:
    return profile(b"RGB ", {
        name + part: data for name, colorant in zip((b"r", b"g", b"b"), colorants, strict=True)
        for part, data in ((b"XYZ", b"XYZ " + bytes(4) + fixed(*colorant)), (b"TRC", curve(gamma)))})


def cmyk() -> bytes:
    """A CMYK profile in which only black, and the sum of the other inks, change the lightness."""
    corners = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    lut = b"mft2" + bytes(4) + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + struct.pack(">HH", 2, 2)
    lut += struct.pack(">8H", *[0, 65535] * 4)
    for c, m, y, k in corners:
        lut += struct.pack(">3H", round(0xFF00 * (1 - k) * (1 - (c + m + y) / 3)), 0x8000, 0x8000)
    lut += struct.pack(">6H", *[0, 65535] * 3)
    return profile(b"CMYK", {b"A2B0": lut}, b"prtr", b"Lab ")


def encoded(linear: ArrayLike) -> NDArray[np.float64]:
    """sRGB's curve (IEC 61966-2-1), 0..255."""
    light: NDArray[np.float64] = np.clip(np.asarray(linear, np.float64), 0, 1)
    return np.where(light <= 0.0031308, 255 * 12.92 * light, 255 * (1.055 * light ** (1 / 2.4) - 0.055))


def read(tmp_path: Path, image: Image.Image, data: bytes, extension: str = "png") -> tuple[Picture, list[str]]:
    said: list[str] = []
    image.save(tmp_path / f"a.{extension}", icc_profile=data)
    return reading.read(tmp_path / f"a.{extension}", warn=said.append), said


@pytest.mark.parametrize("extension", ["png", "tif", "webp"])
@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_an_rgb_profile_is_converted(tmp_path: Path, gamma: float, extension: str) -> None:
    pixels = np.uint8(np.random.RandomState(0).randint(0, 256, (30, 30, 3)))
    image = Image.fromarray(pixels)
    if extension == "webp":
        image.save(tmp_path / "a.webp", lossless=True, icc_profile=rgb(SRGB_COLORANTS[::-1], gamma))
        said: list[str] = []
        picture = reading.read(tmp_path / "a.webp", warn=said.append)
    else:
        picture, said = read(tmp_path, image, rgb(SRGB_COLORANTS[::-1], gamma), extension)
    assert not said
    expected = encoded((pixels / 255) ** gamma)[..., ::-1]  # its red is sRGB's blue
    assert np.abs(picture.pixels - expected).max() < 2.5


def test_a_wider_space_is_converted(tmp_path: Path) -> None:
    """Adobe RGB (1998), gamma 2.2, compared with its matrix, for colours within sRGB."""
    adobe = [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)]
    pixels = np.uint8(np.random.RandomState(0).randint(90, 160, (30, 30, 3)))
    picture, _ = read(tmp_path, Image.fromarray(pixels), rgb(adobe, 2.2))
    xyz = ((pixels / 255) ** (round(2.2 * 256) / 256)) @ np.array(adobe)
    expected = encoded(xyz @ np.linalg.inv(np.array(SRGB_COLORANTS)))
    assert np.abs(picture.pixels - expected).max() < 2.5


@pytest.mark.parametrize("mode", ["L", "LA", "1", "I;16"])
def test_a_grey_profile_is_converted(tmp_path: Path, mode: str) -> None:
    grey = np.uint8(np.arange(256)[None].repeat(2, 0))
    image = Image.fromarray(np.uint16(grey) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    picture, said = read(tmp_path, image, profile(b"GRAY", {b"kTRC": curve(1.0)}))
    assert not said
    values = np.asarray(image.convert("L")) if mode != "I;16" else grey
    assert np.abs(picture.pixels - encoded(values / 255)[..., None]).max() < 2.5
    assert (picture.alpha is not None) == (mode == "LA")


def test_a_grey_picture_with_an_rgb_profile_is_converted(tmp_path: Path) -> None:
    picture, said = read(tmp_path, Image.fromarray(np.array([[0, 64, 128, 255]], np.uint8)), rgb(SRGB_COLORANTS, 1.0))
    assert not said
    assert np.abs(picture.pixels[0, :, 0] - encoded(np.array([0, 64, 128, 255]) / 255)).max() < 2.5


def test_a_palette_with_a_profile_is_converted(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[[0, 64, 255], [200, 100, 50]]], np.uint8)).quantize(2)
    picture, _ = read(tmp_path, image, rgb(SRGB_COLORANTS, 1.0))
    assert np.abs(picture.pixels - encoded(np.array(image.convert("RGB")) / 255)).max() < 2.5


@pytest.mark.parametrize("extension", ["jpg", "tif"])
def test_a_cmyk_profile_is_converted(tmp_path: Path, extension: str) -> None:
    black = np.uint8(np.arange(0, 256, 5).repeat(8)[None].repeat(8, 0))
    ink = np.zeros_like(black)
    image = Image.merge("CMYK", [Image.fromarray(band) for band in (ink, ink, ink, black)])
    picture, said = read(tmp_path, image, cmyk(), extension)
    assert not said
    lightness = 100 * (1 - black / 255)
    light = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    assert np.abs(picture.pixels - encoded(light)[..., None]).max() < (3 if extension == "tif" else 12)


def test_alpha_is_no_colour(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[[64, 64, 64, 64], [128, 128, 128, 0]]], np.uint8))
    picture, _ = read(tmp_path, image, rgb(SRGB_COLORANTS, 1.0))
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[64, 0]]
    assert abs(picture.pixels[0, 0, 0] - encoded(64 / 255)) < 2.5


@pytest.mark.parametrize("data", [b"no profile", colour.SRGB[:200], colour.SRGB[:128] + bytes(400),
                                  rgb(SRGB_COLORANTS, 1.0).replace(b"RGB ", b"CMYK"), cmyk(),
                                  profile(b"GRAY", {b"kTRC": curve(1.0)})],
                         ids=["text", "cut", "zeros", "lies", "cmyk", "grey"])
def test_a_profile_of_no_use_is_ignored_with_a_warning(tmp_path: Path, data: bytes) -> None:
    image = Image.fromarray(np.uint8(np.random.RandomState(0).randint(0, 256, (9, 9, 3))))
    picture, said = read(tmp_path, image, data)
    assert (picture.pixels == np.asarray(image)).all()
    assert len(said) == 1
    assert "profile" in said[0]


def test_our_own_profile_is_srgb_and_changes_nothing(tmp_path: Path) -> None:
    pixels = np.uint8(np.random.RandomState(0).randint(0, 256, (99, 99, 3)))
    for data in (colour.SRGB, colour.SRGB[:30] + b"\x09" + colour.SRGB[31:]):
        picture, said = read(tmp_path, Image.fromarray(pixels), data)
        assert not said
        assert np.abs(np.float32(picture.pixels) - pixels).max() <= (0 if data == colour.SRGB else 1)
    with_formula, _ = read(tmp_path, Image.fromarray(np.array([[[10, 120, 240]]], np.uint8)), rgb(SRGB_COLORANTS, 1.0))
    assert np.abs(with_formula.pixels - encoded(np.array([10, 120, 240]) / 255)).max() < 2.5
