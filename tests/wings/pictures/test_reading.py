"""Pictures as input: what is read from every format."""

import zlib
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

import mutants
from dreamer.errors import Mistake
from dreamer.pictures import inputs, reading, writing


def save(path: Path, mode: str = "RGB", **options: Any) -> Path:
    mutants.pixels(mode).save(path, **options)
    return path


@pytest.mark.parametrize(("mode", "extension"), [
    ("1", "png"), ("L", "png"), ("LA", "png"), ("P", "png"), ("RGB", "png"), ("RGBA", "png"), ("I;16", "png"),
    ("RGB", "jpg"), ("L", "jpg"), ("CMYK", "jpg"), ("YCbCr", "jpg"), ("RGB", "webp"), ("RGBA", "webp"),
    ("1", "tif"), ("L", "tif"), ("LA", "tif"), ("P", "tif"), ("RGB", "tif"), ("RGBA", "tif"), ("CMYK", "tif"),
    ("LAB", "tif"), ("I;16", "tif"), ("I", "tif"), ("F", "tif"), ("1", "bmp"), ("L", "bmp"), ("P", "bmp"),
    ("RGB", "bmp"), ("P", "gif"), ("RGBA", "ico"), ("P", "pcx"), ("RGB", "ppm"), ("L", "pgm"), ("RGB", "tga"),
    ("RGB", "jp2"), ("RGB", "sgi")])
def test_every_format_and_mode_is_read(tmp_path: Path, mode: str, extension: str) -> None:
    path = save(tmp_path / f"a.{extension}", mode)
    said: list[str] = []
    picture = reading.read(path, warn=said.append)
    assert not said
    assert picture.pixels.dtype == np.uint8
    height, width = picture.pixels.shape[:2]
    if extension != "ico":  # an icon has fixed sizes
        assert (height, width) == (40, 50)
        grey = mode in ("L", "LA", "I", "F", "1", "I;16")
        original = np.asarray(mutants.pixels("L" if grey else "RGB").convert("RGB"))
        tolerance = {"1": 130, "P": 25, "I;16": 60}.get(mode, 5)
        assert np.abs(np.float32(picture.pixels) - original).mean() < tolerance
    assert (picture.alpha is not None) == (mode in ("LA", "RGBA"))


@pytest.mark.parametrize(("values", "options"), [
    (np.uint16(np.arange(256) * 257), {}), (np.float32(np.arange(256) / 255), {}), (np.float32(np.arange(256)), {}),
    (np.int32(np.arange(256)), {}), (np.int32(np.arange(256) * 257), {}), (np.float32(np.arange(256) * 40 - 999), {}),
    (np.int32(np.arange(256) * 9999 - 99999), {})], ids=["u16", "f 0..1", "f 0..255", "i8", "i16", "f", "i"])
def test_more_than_8_bits_keep_their_greys(tmp_path: Path, values: NDArray[Any], options: dict[str, Any]) -> None:
    Image.fromarray(np.tile(values, (2, 1))).save(tmp_path / "a.tif", **options)
    assert np.abs(reading.read(tmp_path / "a.tif").pixels[0, :, 0] - np.arange(256.)).max() <= 1


def test_a_dark_picture_of_16_bits_stays_dark(tmp_path: Path) -> None:
    for extension in ("png", "tif"):
        Image.fromarray(np.full((4, 4), 2570, np.uint16)).save(tmp_path / f"a.{extension}")
        assert (reading.read(tmp_path / f"a.{extension}").pixels == 10).all()


def test_values_that_are_no_numbers_are_black(tmp_path: Path) -> None:
    Image.fromarray(np.array([[np.nan, np.inf, -np.inf, 1, 0.5]], np.float32)).save(tmp_path / "a.tif")
    assert reading.read(tmp_path / "a.tif").pixels[0, :, 0].tolist() == [0, 0, 0, 255, 128]


@pytest.mark.parametrize(("mode", "transparency"), [("L", 40), ("RGB", (10, 50, 90)), ("I;16", 6000)])
def test_one_transparent_colour_is_alpha(tmp_path: Path, mode: str, transparency: int | tuple[int, int, int]) -> None:
    image = mutants.pixels(mode)
    if isinstance(transparency, int) and mode == "I;16":  # Pillow 9 cannot write this
        image.save(tmp_path / "a.png")
        png = (tmp_path / "a.png").read_bytes()
        chunk = b"tRNS" + transparency.to_bytes(2, "big")
        at = png.index(b"IDAT") - 4
        png = png[:at] + (2).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") + png[at:]
        (tmp_path / "a.png").write_bytes(png)
    else:
        save(tmp_path / "a.png", mode, transparency=transparency)
    alpha = reading.read(tmp_path / "a.png").alpha
    values = np.asarray(image).reshape(40, 50, -1)
    assert alpha is not None
    assert (alpha == 255 * (values != transparency).any(-1)).all()
    assert 0 < (alpha == 0).sum() < alpha.size


def test_a_palette_with_transparency_has_alpha(tmp_path: Path) -> None:
    save(tmp_path / "a.png", "P", transparency=bytes(range(256)))
    indices = np.asarray(Image.open(tmp_path / "a.png"))
    alpha = reading.read(tmp_path / "a.png").alpha
    assert alpha is not None
    assert (alpha == indices).all()


def test_the_first_frame_of_several(tmp_path: Path) -> None:
    first = mutants.pixels("P")
    later = [first.transpose(Image.FLIP_LEFT_RIGHT), Image.new("P", first.size)]
    for extension in ("gif", "webp", "tif", "png"):
        first.save(tmp_path / f"a.{extension}", save_all=True, append_images=later, duration=100)
        back = reading.read(tmp_path / f"a.{extension}").pixels
        frames = [np.abs(np.float32(back) - np.asarray(frame.convert("RGB"))).mean() for frame in (first, *later)]
        assert frames[0] < 16 < min(frames[1:])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright_once(tmp_path: Path, orientation: int) -> None:
    """For each orientation, from the standard: the sides of the scene at which its rows and columns begin."""
    scene = np.asarray(mutants.pixels("RGB"))
    stored = {1: scene, 2: scene[:, ::-1], 3: scene[::-1, ::-1], 4: scene[::-1], 5: scene.transpose(1, 0, 2),
              6: np.rot90(scene), 7: scene[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(scene, -1)}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.ascontiguousarray(stored))
    for extension, options in (("png", {"exif": exif}), ("jpg", {"exif": exif, "quality": 100, "subsampling": 0}),
                               ("webp", {"exif": exif, "lossless": True}), ("tif", {"tiffinfo": {0x0112: orientation}}),
                               ("tif", {"tiffinfo": {0x0112: orientation}, "compression": "tiff_lzw"})):
        picture.save(tmp_path / f"a.{extension}", **options)
        back = reading.read(tmp_path / f"a.{extension}")
        assert back.pixels.shape == scene.shape, extension
        assert np.abs(np.float32(back.pixels) - scene).max() <= (30 if extension == "jpg" else 0), extension
        writing.write(tmp_path / "b.jpg", back)
        assert 0x0112 not in Image.open(tmp_path / "b.jpg").getexif()


@pytest.mark.parametrize(("longest", "size"), [(25, (25, 20)), (50, (50, 40)), (500, (50, 40)), (1, (1, 1))])
def test_a_picture_is_shrunk_to_max_size_and_never_enlarged(tmp_path: Path, longest: int,
                                                            size: tuple[int, int]) -> None:
    save(tmp_path / "a.png", "RGBA")
    picture = reading.read(tmp_path / "a.png", max_size=longest)
    oracle = mutants.pixels("RGBA").resize(size, Image.LANCZOS)
    assert picture.alpha is not None
    assert (np.dstack([picture.pixels, picture.alpha]) == np.asarray(oracle)).all()


def test_a_turned_picture_is_shrunk_by_its_longest_side(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", exif=mutants.exif())
    assert reading.read(tmp_path / "a.jpg", max_size=25).pixels.shape == (25, 20, 3)


def test_max_pixels_is_pillows_and_can_be_raised_or_lowered(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    assert inputs.MAX_PIXELS == 89478485
    reading.read(tmp_path / "a.png", max_pixels=2000)
    with pytest.raises(Mistake, match="more than 1999 pixels; raise --max-pixels"):
        reading.read(tmp_path / "a.png", max_pixels=1999)
    assert Image.MAX_IMAGE_PIXELS == 89478485  # Pillow's own limit is unchanged


def test_every_format_cut_short_is_refused(tmp_path: Path) -> None:
    """Part of a file is not part of a picture. (Less than half, because a GIF's second frame may begin there.)"""
    for name, data in mutants.seeds().items():
        (tmp_path / "a").write_bytes(data[:len(data) * 2 // 5])
        with pytest.raises(Mistake, match="input: "):
            print(name, reading.read(tmp_path / "a").pixels.shape)


def test_a_file_that_the_system_does_not_let_us_read_is_not_called_damaged(tmp_path: Path,
                                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> NoReturn:
        raise OSError(5, "Input/output error")
    path = save(tmp_path / "in.png")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", broken)
    with pytest.raises(Mistake, match="in.png cannot be read: Input/output error"):
        reading.read(path)


def test_further_pages_and_frames_are_told_but_thumbnails_and_layers_are_not(tmp_path: Path) -> None:
    """A TIFF marks a smaller version of a page as such; a phone's second picture is part of the first."""
    first, second = mutants.pixels("RGB"), mutants.pixels("RGB").rotate(180)
    for name in ("a.gif", "a.png", "a.tif", "a.webp", "a.mpo"):
        first.save(tmp_path / name, save_all=True, append_images=[second])
    with TiffImagePlugin.AppendingTiffWriter(str(tmp_path / "thumbnail.tif"), True) as file:
        first.save(file, "TIFF")
        file.newFrame()
        second.resize((20, 16)).save(file, "TIFF", tiffinfo={254: 1})
    for name in ("a.gif", "a.png", "a.tif", "a.webp"):
        said: list[str] = []
        assert reading.read(tmp_path / name, warn=said.append).pixels.shape == (40, 50, 3)
        assert said == ["input: it has several pages or frames, of which the first is taken"], name
    for name in ("a.mpo", "thumbnail.tif"):
        with Image.open(tmp_path / name) as image:
            assert image.n_frames == 2
        reading.read(tmp_path / name, warn=pytest.fail)
