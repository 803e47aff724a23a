"""Pictures in and out: what is read, and what is written."""

import dataclasses
import io
import os
import zlib

import numpy as np
import pytest
from PIL import Image

import mutants
from dreamer import colour, pictures
from dreamer.errors import Failure, Mistake
from dreamer.pictures import Picture

LOSSLESS = (".png", ".tif", ".tiff")


@pytest.fixture
def image():
    return np.random.RandomState(0).randint(0, 256, (20, 30, 3)).astype(np.float32)


def smooth(image):
    return np.repeat(np.repeat(image[::10, ::10], 10, 0), 10, 1)


def save(path, mode="RGB", **options):
    mutants.pixels(mode).save(path, **options)
    return path


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("extension", sorted(pictures.FORMATS))
def test_what_is_written_is_read(tmp_path, image, extension, alpha):
    shape = smooth(image)
    path = tmp_path / f"a b{extension.upper()}"
    mask = np.uint8(np.arange(600).reshape(20, 30) % 256) if alpha else None
    pictures.write(path, Picture(shape, mask))
    back = pictures.read(path)
    assert back.pixels.shape == shape.shape
    seen = shape if mask is None or extension in LOSSLESS else shape * (mask >= 128)[..., None]
    known = slice(None) if mask is None or extension in LOSSLESS else mask >= 128  # WebP drops what nobody can see
    assert np.abs(back.pixels - seen)[known].mean() < (0.01 if extension in LOSSLESS else 12)
    if alpha and not extension.startswith(".j"):
        assert (back.alpha == mask).all()
    else:
        assert back.alpha is None
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_pixels_are_cut_not_wrapped(tmp_path):
    pictures.write(tmp_path / "a.png", Picture(np.float32([[[-5, 255.9, 300], [0.9, 1.1, 254.99]]])))
    assert pictures.read(tmp_path / "a.png").pixels.tolist() == [[[0, 255, 255], [0, 1, 254]]]


@pytest.mark.parametrize("extension", sorted(pictures.FORMATS))
def test_how_it_is_written(tmp_path, image, extension):
    """By Pillow's eyes: quality, sampling, the sRGB profile; the same bytes each time."""
    path = tmp_path / f"a{extension}"
    pictures.write(path, Picture(image, np.full((20, 30), 9, np.uint8)))
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
    pictures.write(path, Picture(image, np.full((20, 30), 9, np.uint8)))
    assert path.read_bytes() == first


@pytest.mark.parametrize(("mode", "extension"), [
    ("1", "png"), ("L", "png"), ("LA", "png"), ("P", "png"), ("RGB", "png"), ("RGBA", "png"), ("I;16", "png"),
    ("RGB", "jpg"), ("L", "jpg"), ("CMYK", "jpg"), ("YCbCr", "jpg"), ("RGB", "webp"), ("RGBA", "webp"),
    ("1", "tif"), ("L", "tif"), ("LA", "tif"), ("P", "tif"), ("RGB", "tif"), ("RGBA", "tif"), ("CMYK", "tif"),
    ("LAB", "tif"), ("I;16", "tif"), ("I", "tif"), ("F", "tif"), ("1", "bmp"), ("L", "bmp"), ("P", "bmp"),
    ("RGB", "bmp"), ("P", "gif"), ("RGBA", "ico"), ("P", "pcx"), ("RGB", "ppm"), ("L", "pgm"), ("RGB", "tga"),
    ("RGB", "jp2"), ("RGB", "sgi")])
def test_every_format_and_mode_is_read(tmp_path, mode, extension):
    path = save(tmp_path / f"a.{extension}", mode)
    said = []
    picture = pictures.read(path, warn=said.append)
    assert not said
    assert picture.pixels.dtype == np.uint8
    height, width = picture.pixels.shape[:2]
    if extension != "ico":  # which has sizes of its own
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
def test_more_than_8_bits_keep_their_greys(tmp_path, values, options):
    Image.fromarray(np.tile(values, (2, 1))).save(tmp_path / "a.tif", **options)
    assert np.abs(pictures.read(tmp_path / "a.tif").pixels[0, :, 0] - np.arange(256.)).max() <= 1


def test_a_dark_picture_of_16_bits_stays_dark(tmp_path):
    for extension in ("png", "tif"):
        Image.fromarray(np.full((4, 4), 2570, np.uint16)).save(tmp_path / f"a.{extension}")
        assert (pictures.read(tmp_path / f"a.{extension}").pixels == 10).all()


def test_values_that_are_no_numbers_are_black(tmp_path):
    Image.fromarray(np.float32([[np.nan, np.inf, -np.inf, 1, 0.5]])).save(tmp_path / "a.tif")
    assert pictures.read(tmp_path / "a.tif").pixels[0, :, 0].tolist() == [0, 0, 0, 255, 128]


@pytest.mark.parametrize(("mode", "transparency"), [("L", 40), ("RGB", (10, 50, 90)), ("I;16", 6000)])
def test_one_transparent_colour_is_alpha(tmp_path, mode, transparency):
    image = mutants.pixels(mode)
    if mode == "I;16":  # which Pillow 9 cannot write
        image.save(tmp_path / "a.png")
        png = (tmp_path / "a.png").read_bytes()
        chunk = b"tRNS" + transparency.to_bytes(2, "big")
        at = png.index(b"IDAT") - 4
        png = png[:at] + (2).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") + png[at:]
        (tmp_path / "a.png").write_bytes(png)
    else:
        save(tmp_path / "a.png", mode, transparency=transparency)
    alpha = pictures.read(tmp_path / "a.png").alpha
    values = np.asarray(image).reshape(40, 50, -1)
    assert (alpha == 255 * (values != transparency).any(-1)).all()
    assert 0 < (alpha == 0).sum() < alpha.size


def test_a_palette_with_transparency_has_alpha(tmp_path):
    save(tmp_path / "a.png", "P", transparency=bytes(range(256)))
    indices = np.asarray(Image.open(tmp_path / "a.png"))
    assert (pictures.read(tmp_path / "a.png").alpha == indices).all()


def test_the_first_frame_of_several(tmp_path):
    first = mutants.pixels("P")
    later = [first.transpose(Image.FLIP_LEFT_RIGHT), Image.new("P", first.size)]
    for extension in ("gif", "webp", "tif", "png"):
        first.save(tmp_path / f"a.{extension}", save_all=True, append_images=later, duration=100)
        back = pictures.read(tmp_path / f"a.{extension}").pixels
        frames = [np.abs(np.float32(back) - np.asarray(frame.convert("RGB"))).mean() for frame in (first, *later)]
        assert frames[0] < 16 < min(frames[1:])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright_once(tmp_path, orientation):
    """For each orientation as the standard defines it: which side of the scene rows and columns begin at."""
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
        back = pictures.read(tmp_path / f"a.{extension}")
        assert back.pixels.shape == scene.shape, extension
        assert np.abs(np.float32(back.pixels) - scene).max() <= (30 if extension == "jpg" else 0), extension
        pictures.write(tmp_path / "b.jpg", back)
        assert 0x0112 not in Image.open(tmp_path / "b.jpg").getexif()


@pytest.mark.parametrize(("longest", "size"), [(25, (25, 20)), (50, (50, 40)), (500, (50, 40)), (1, (1, 1))])
def test_a_picture_is_shrunk_to_max_size_and_never_enlarged(tmp_path, longest, size):
    save(tmp_path / "a.png", "RGBA")
    picture = pictures.read(tmp_path / "a.png", max_size=longest)
    oracle = mutants.pixels("RGBA").resize(size, Image.LANCZOS)
    assert (np.dstack([picture.pixels, picture.alpha]) == np.asarray(oracle)).all()


def test_a_turned_picture_is_shrunk_by_its_longest_side(tmp_path):
    save(tmp_path / "a.jpg", exif=mutants.exif())
    assert pictures.read(tmp_path / "a.jpg", max_size=25).pixels.shape == (25, 20, 3)


def test_max_pixels_is_pillows_and_can_be_raised_or_lowered(tmp_path):
    save(tmp_path / "a.png")
    assert pictures.inputs.MAX_PIXELS == 89478485
    pictures.read(tmp_path / "a.png", max_pixels=2000)
    with pytest.raises(Mistake, match="more pixels than 1999: a larger --max-pixels"):
        pictures.read(tmp_path / "a.png", max_pixels=1999)
    assert Image.MAX_IMAGE_PIXELS == 89478485  # Pillow's own is as it was


@pytest.mark.parametrize(("extension", "side", "fits"), [
    (".webp", 16383, True), (".webp", 16384, False), (".jpg", 65500, True), (".jpg", 65501, False),
    (".png", 70000, True)])
def test_what_a_format_cannot_hold_is_told_before_the_work(tmp_path, extension, side, fits):
    picture = Picture(np.zeros((1, side, 3), np.uint8))
    if fits:
        pictures.check_fits(f"a{extension}", picture, None)
        pictures.write(tmp_path / f"a{extension}", picture)
        assert Image.open(tmp_path / f"a{extension}").size == (side, 1)
    else:
        with pytest.raises(Mistake, match="pixels a side"):
            pictures.check_fits(f"a{extension}", picture, None)


def test_alpha_that_is_lost_is_told():
    said = []
    clear, opaque = (Picture(np.zeros((9, 9, 3)), np.full((9, 9), alpha, np.uint8)) for alpha in (9, 255))
    for path, picture in (("a.png", clear), ("-", clear), ("a.jpg", opaque), ("a.jpg", Picture(clear.pixels))):
        pictures.check_fits(path, picture, said.append)
    assert not said
    pictures.check_fits("a.jpg", clear, said.append)
    assert len(said) == 1


def test_every_format_cut_short_is_refused(tmp_path):
    """Part of a file is not part of a picture. (Not half of it: a GIF's second frame may begin before.)"""
    for name, data in mutants.seeds().items():
        (tmp_path / "a").write_bytes(data[:len(data) * 2 // 5])
        with pytest.raises(Mistake, match="input: "):
            print(name, pictures.read(tmp_path / "a").pixels.shape)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, image, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failure, match="No space left"):
        pictures.write(path, Picture(image))
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_a_link_stays_a_link(tmp_path, image):
    (tmp_path / "there").mkdir()
    (tmp_path / "a.png").symlink_to("there/b.png")
    for _ in range(2):  # first it leads nowhere
        pictures.check_output(tmp_path / "a.png")
        pictures.write(tmp_path / "a.png", Picture(image))
        assert (tmp_path / "a.png").is_symlink()
        assert (pictures.read(tmp_path / "there/b.png").pixels == image).all()


def test_the_longest_name_can_be_written(tmp_path, image):
    path = tmp_path / ("n" * 251 + ".png")
    pictures.check_output(path)
    pictures.write(path, Picture(image))
    assert path.exists()
    with pytest.raises(Mistake, match="too long"):
        pictures.check_output(tmp_path / ("n" * 252 + ".png"))


def test_modes_follow_the_umask(tmp_path, image):
    before = os.umask(0o027)
    try:
        pictures.write(tmp_path / "a.png", Picture(image))
    finally:
        os.umask(before)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_roots_file_is_given_to_the_folders_owner(tmp_path, image):
    os.chown(tmp_path, 1234, 4321)
    pictures.write(tmp_path / "a.png", Picture(image))
    made = (tmp_path / "a.png").stat()
    assert (made.st_uid, made.st_gid) == (1234, 4321)


def test_a_picture_can_have_new_pixels(image):
    picture = Picture(image, exif="kept")
    assert dataclasses.replace(picture, pixels=image + 1).exif == "kept"
