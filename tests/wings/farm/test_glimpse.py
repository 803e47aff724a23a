"""The small picture of a dream that travels while it is dreamed."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreamer.farm.glimpse import LONGEST, MOST, glimpse
from helpers import noise, psnr


def test_it_is_small_and_shows_the_same(tmp_path: Path) -> None:
    """Also of noise, which no JPEG holds well."""
    sky = np.asarray(Image.radial_gradient("L").resize((1280, 720)).convert("RGB"))
    detail = noise(720, 1280)
    for name, pixels, least in (("smooth", sky // 2 + detail // 8, 30), ("noise", detail, 10)):
        path = tmp_path / f"{name}.jpg"
        Image.fromarray(pixels).save(path, quality=95)
        assert path.stat().st_size > MOST
        made = glimpse(path)
        assert len(made) <= MOST
        with Image.open(io.BytesIO(made)) as image:
            assert (image.format, image.size) == ("JPEG", (LONGEST, 360))
            whole = Image.fromarray(pixels).resize(image.size, Image.Resampling.BOX)
            assert psnr(np.asarray(image), np.asarray(whole)) > least


def test_a_small_one_travels_as_it_is(tmp_path: Path) -> None:
    Image.new("RGB", (160, 90), "red").save(tmp_path / "small.jpg", quality=95)
    assert glimpse(tmp_path / "small.jpg") == (tmp_path / "small.jpg").read_bytes()


def test_one_that_is_gone_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        glimpse(tmp_path / "nothing.jpg")
