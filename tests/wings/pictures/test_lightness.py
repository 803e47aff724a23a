"""The lightness of one picture in the colours of another, compared with scalar code written from the definitions."""

import math

import numpy as np
import pytest
from PIL import Image, ImageCms

from dreamer.pictures.lightness import with_lightness_of
from helpers import ROOT, noise

Colour = tuple[float, ...]


def lab(colour: Colour) -> Colour:
    """OKLab of sRGB, 0..255."""
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (each / 255 for each in colour))
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
            1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
            0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short)


def rgb(light: float, a: float, b: float) -> Colour:
    """Linear sRGB of OKLab, with the published inverse."""
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short)


def expected(dream: Colour, image: Colour) -> tuple[Colour, float]:
    """(sRGB, 0..255; the share of the chroma that is left): the largest of which sRGB has the colour."""
    (light, _, _), (_, a, b) = lab(dream), lab(image)

    def has(share: float) -> bool:
        return all(-1e-6 <= c <= 1 + 1e-6 for c in rgb(light, share * a, share * b))
    low, high = (1.0, 1.0) if has(1) else (0.0, 1.0)
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if has(middle) else (low, middle)
    linear = (min(1.0, max(0.0, c)) for c in rgb(light, low * a, low * b))
    red, green, blue = (255 * (12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055) for c in linear)
    return (red, green, blue), low


def test_agrees_with_scalar_code() -> None:
    dream, image = noise(40, 50, 1), noise(40, 50, 2)
    dream[0, :9] = [[0, 0, 0], [255, 255, 255], [1, 1, 1], [254, 255, 255], [128, 128, 128], [0, 0, 255], [255, 255, 0],
                    [255, 0, 0], [0, 255, 0]]
    image[1, :9], dream[1, :9], image[0, :9] = dream[0, :9], dream[0, :9], dream[0, 8::-1]
    found = with_lightness_of(dream.astype(np.float32), image)
    weaker = 0
    for row in range(40):
        for column in range(50):
            colour, share = expected(tuple(map(float, dream[row, column])), tuple(map(float, image[row, column])))
            weaker += share < 1
            assert np.allclose(found[row, column], colour, rtol=0, atol=0.02), (dream[row, column], image[row, column])
    assert 400 < weaker < 1900  # both kinds are tested


def test_hue_and_lightness_stay_where_the_chroma_cannot() -> None:
    dream, image = noise(20, 30, 3), noise(20, 30, 4)
    found = with_lightness_of(dream, image)
    assert found.min() >= 0
    assert found.max() <= 255
    for ours, dreamed, own in zip(*(each.reshape(-1, 3).tolist() for each in (found, dream, image)), strict=True):
        (light, a, b), (wanted, _, _), (_, own_a, own_b) = lab(ours), lab(dreamed), lab(own)
        assert light == pytest.approx(wanted, abs=2e-4)
        assert math.hypot(a, b) <= math.hypot(own_a, own_b) + 2e-4
        assert a * own_b - b * own_a == pytest.approx(0, abs=2e-5)  # the same direction
        assert a * own_a + b * own_b > -1e-5


def test_its_own_lightness_changes_nothing_and_greys_stay_grey() -> None:
    image = noise(60, 70)
    assert np.allclose(with_lightness_of(image, image), image, rtol=0, atol=0.01)
    greys = np.repeat(np.arange(256.0)[None, :, None], 3, 2)
    found = with_lightness_of(greys[:, ::-1], greys)
    assert np.allclose(found, greys[:, ::-1], rtol=0, atol=0.01)
    assert np.ptp(found, axis=2).max() < 0.01
    assert np.array_equal(with_lightness_of(greys - 400, greys), with_lightness_of(0 * greys, greys))  # it is clipped


def test_the_hue_is_nearly_that_of_another_space() -> None:
    """Pillow's CIELAB, an older space: for a photo, hues differ little, except for blue."""
    image = np.asarray(Image.open(ROOT / "tests/pictures/dandelions.jpg").resize((90, 60)))
    darker = np.rint(with_lightness_of(image * 0.6, image)).astype(np.uint8)
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")

    def hues(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        found = ImageCms.applyTransform(Image.fromarray(pixels), to_lab)
        assert found
        a, b = (np.asarray(found.getchannel(channel)).view(np.int8).astype(float) for channel in "AB")
        return np.arctan2(b, a), np.hypot(a, b)
    before, strong = hues(image)
    after, still = hues(darker)
    clear = (strong > 25) & (still > 15)
    turned = np.abs((after - before + np.pi) % (2 * np.pi) - np.pi)[clear]
    assert clear.sum() > 500
    assert np.degrees(np.median(turned)) < 6
