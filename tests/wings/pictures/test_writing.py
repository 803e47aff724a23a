"""Pictures as output: what is written, and where."""

import dataclasses
import io
import os
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dreamer.arrays import Pixels
from dreamer.errors import Failure, Mistake
from dreamer.options import outputs
from dreamer.pictures import colour, exif, reading, writing
from dreamer.pictures.picture import Picture

LOSSLESS = (".png", ".tif", ".tiff")


@pytest.fixture
def image() -> NDArray[np.float32]:
    return np.random.RandomState(0).randint(0, 256, (20, 30, 3)).astype(np.float32)


def smooth(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.repeat(np.repeat(image[::10, ::10], 10, 0), 10, 1)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("extension", sorted(writing.FORMATS))
def test_what_is_written_is_read(tmp_path: Path, image: Pixels, extension: str, alpha: bool) -> None:
    shape = smooth(image)
    path = tmp_path / f"a b{extension.upper()}"
    mask = (np.arange(600).reshape(20, 30) % 256).astype(np.uint8) if alpha else None
    writing.write(path, Picture(shape, mask))
    back = reading.read(path)
    assert back.pixels.shape == shape.shape
    all_is_kept = mask is None or extension in LOSSLESS
    seen = shape if mask is None or all_is_kept else shape * (mask >= 128)[..., None]
    known = np.full((20, 30), True) if mask is None or all_is_kept else mask >= 128  # WebP drops invisible pixels
    assert np.abs(back.pixels - seen)[known].mean() < (0.01 if extension in LOSSLESS else 12)
    if alpha and not extension.startswith(".j"):
        assert back.alpha is not None
        assert (back.alpha == mask).all()
    else:
        assert back.alpha is None
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_pixels_are_cut_not_wrapped(tmp_path: Path) -> None:
    writing.write(tmp_path / "a.png", Picture(np.array([[[-5, 255.9, 300], [0.9, 1.1, 254.99]]], np.float32)))
    assert reading.read(tmp_path / "a.png").pixels.tolist() == [[[0, 255, 255], [0, 1, 254]]]


@pytest.mark.parametrize("extension", sorted(writing.FORMATS))
def test_how_it_is_written(tmp_path: Path, image: Pixels, extension: str) -> None:
    """As Pillow sees it: quality, sampling, the sRGB profile. The bytes are the same each time."""
    path = tmp_path / f"a{extension}"
    writing.write(path, Picture(image, np.full((20, 30), 9, np.uint8)))
    with Image.open(path) as written:
        written.load()
        assert written.info["icc_profile"] == colour.SRGB
        assert written.mode == ("RGB" if written.format == "JPEG" else "RGBA")
        if written.format == "JPEG":
            assert [component[1:3] for component in written.layer] == [(1, 1)] * 3
            like = io.BytesIO()
            written.save(like, "JPEG", quality=95)
            assert written.quantization == Image.open(like).quantization
    first = path.read_bytes()
    writing.write(path, Picture(image, np.full((20, 30), 9, np.uint8)))
    assert path.read_bytes() == first


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, image: Pixels,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failure, match="No space left"):
        writing.write(path, Picture(image))
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_a_link_stays_a_link(tmp_path: Path, image: Pixels) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "a.png").symlink_to("there/b.png")
    for _ in range(2):  # first, its target does not exist
        outputs.check_picture(tmp_path / "a.png")
        writing.write(tmp_path / "a.png", Picture(image, recipe={"seed": 1}))
        assert (tmp_path / "a.png").is_symlink()
        assert (reading.read(tmp_path / "there/b.png").pixels == image).all()


def test_the_longest_name_can_be_written(tmp_path: Path, image: Pixels) -> None:
    path = tmp_path / ("n" * 251 + ".png")
    outputs.check_picture(path)
    writing.write(path, Picture(image))
    assert path.exists()
    with pytest.raises(Mistake, match="too long"):
        outputs.check_picture(tmp_path / ("n" * 252 + ".png"))


def test_modes_follow_the_umask(tmp_path: Path, image: Pixels) -> None:
    before = os.umask(0o027)
    try:
        writing.write(tmp_path / "a.png", Picture(image))
    finally:
        os.umask(before)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_roots_file_is_given_to_the_folders_owner(tmp_path: Path, image: Pixels) -> None:
    os.chown(tmp_path, 1234, 4321)
    writing.write(tmp_path / "a.png", Picture(image))
    made = (tmp_path / "a.png").stat()
    assert (made.st_uid, made.st_gid) == (1234, 4321)


def test_a_picture_can_have_new_pixels(image: Pixels) -> None:
    kept = exif.Exif("<", {})
    assert dataclasses.replace(Picture(image, exif=kept), pixels=image + 1).exif is kept
