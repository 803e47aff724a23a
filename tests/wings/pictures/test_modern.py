"""HEIC, AVIF and JPEG XL, made here by the programs of libheif, libavif and libjxl."""

import io
import os
import re
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

import mutants
from dreamer.errors import Mistake
from dreamer.machine import decoders, limits
from dreamer.pictures import boxes, colour, inputs, modern, profiles, reading
from helpers import made

KINDS = ("heic", "avif", "jxl")
EXTRA = {"heic": ["-q", "95", "-p", "chroma=444"], "avif": ["-l", "-s", "9"], "jxl": ["-e", "3"]}
# EXIF's orientation -> irot and imir of AVIF (anticlockwise quarters; 0: top to bottom, 1: left to right)
BOXES: dict[int, list[str]] = {
    1: [], 2: ["--imir", "1"], 3: ["--irot", "2"], 4: ["--imir", "0"], 5: ["--irot", "1", "--imir", "0"],
    6: ["--irot", "3"], 7: ["--irot", "3", "--imir", "0"], 8: ["--irot", "1"]}


def scene(mode: str = "RGB") -> Image.Image:
    return mutants.pixels(mode, 64, 96)


def stored(orientation: int) -> Image.Image:
    """The scene as a camera stores it if it is held in this orientation."""
    pixels = np.asarray(scene())
    turned = {1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1], 5: pixels.transpose(1, 0, 2),
              6: np.rot90(pixels), 7: pixels[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(pixels, -1)}[orientation]
    return Image.fromarray(np.ascontiguousarray(turned))


def needs_heic_encoder() -> None:
    """Skips the test if heif-enc is not installed, or has no encoder (a package of its own in Debian 13)."""
    if not shutil.which("heif-enc"):
        pytest.skip("no heif-enc")
    with tempfile.TemporaryDirectory() as folder:
        scene().save(f"{folder}/a.png")
        done = subprocess.run(["heif-enc", f"{folder}/a.png", "-o", f"{folder}/a.heic"], capture_output=True,
                              check=False)
    if done.returncode:
        pytest.skip("heif-enc has no encoder for HEIC: install libheif-plugin-x265")


def encode(source: Path, kind: str, *words: str) -> Path:
    """Encode `source` in this format, in a file beside it; skips the test if the encoder is not installed."""
    program = {"heic": "heif-enc", "avif": "avifenc", "jxl": "cjxl"}[kind]
    if not shutil.which(program):
        pytest.skip(f"no {program}")
    target = source.with_suffix(f".{kind}")
    if kind == "heic":
        needs_heic_encoder()
    made([program, *EXTRA[kind], *words, source, *(["-o"] if kind == "heic" else []), target])
    return target


def near(pixels: NDArray[np.uint8], expected: Image.Image, mean: float = 3) -> None:
    assert pixels.shape[:2] == expected.size[::-1]
    assert np.abs(np.float32(pixels) - np.asarray(expected.convert("RGB"))).mean() <= mean


def with_boxes(path: Path, orientation: int) -> None:
    """Add irot and imir boxes for this orientation to the only picture of a HEIC file from heif-enc."""
    data = bytearray(path.read_bytes())
    words = BOXES[orientation]
    new = [(b"irot" if name == "--irot" else b"imir", bytes([int(value)]))
           for name, value in zip(words[::2], words[1::2], strict=True)]
    added = b"".join(struct.pack(">I", 9) + kind + value for kind, value in new)
    with open(path, "rb") as file:
        meta = next(box for box in boxes.boxes(file) if box.kind == b"meta")
        inner = {box.kind: box for box in boxes.boxes(file, meta.start + 4, meta.end)}
        own = {box.kind: box for box in boxes.boxes(file, inner[b"iprp"].start, inner[b"iprp"].end)}
        count = len(list(boxes.boxes(file, own[b"ipco"].start, own[b"ipco"].end)))
        pieces = list(modern._extents(boxes.content(file, inner[b"iloc"]), 1))
        assert all(method == 0 for method, *_ in pieces)
    grown = len(added) + len(new)  # iloc is before it, and counts from the start of the file
    iloc = bytes(data[inner[b"iloc"].start:inner[b"iloc"].end])
    for number in (1, 2):
        for _, offset, _ in modern._extents(iloc, number):
            old = struct.pack(">I", offset)
            assert iloc.count(old) == 1
            iloc = iloc.replace(old, struct.pack(">I", offset + grown))
    data[inner[b"iloc"].start:inner[b"iloc"].end] = iloc
    for box, more in ((meta, grown), (inner[b"iprp"], grown), (own[b"ipco"], len(added)), (own[b"ipma"], len(new))):
        data[box.start - 8:box.start - 4] = struct.pack(">I", box.end - box.start + 8 + more)
    at = own[b"ipma"].start + 8  # the first entry: item, number of properties, properties
    assert data[own[b"ipma"].start:at] == bytes(7) + b"\1"
    end = at + 3 + data[at + 2]
    data[at + 2] += len(new)
    data[end:end] = bytes(0x80 | (count + 1 + number) for number in range(len(new)))
    data[own[b"ipco"].end:own[b"ipco"].end] = added
    path.write_bytes(data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_with_exif_is_turned_once(tmp_path: Path, kind: str, orientation: int) -> None:
    """Like phones, avifenc, cjxl and newer heif-enc convert the EXIF orientation to the format's own, and keep the
    EXIF."""
    exif = mutants.exif()
    exif[0x0112] = orientation
    stored(orientation).save(tmp_path / "a.jpg", quality=100, subsampling=0, exif=exif)
    path = encode(tmp_path / "a.jpg", kind)
    if kind == "heic" and not re.search(b"irot|imir", path.read_bytes()):
        with_boxes(path, orientation)
    said: list[str] = []
    back = reading.read(path, warn=said.append)
    assert [line for line in said if "cannot keep: maker notes" not in line] == []
    near(back.pixels, scene())
    assert back.exif is not None
    assert back.exif.directory[0x010F][1] == b"Camera\0"
    assert 0x8825 not in back.exif.directory  # the place
    assert reading.sides(path) == [64, 96]


@pytest.mark.parametrize("kind", ["heic", "avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_a_picture_without_exif(tmp_path: Path, kind: str, orientation: int) -> None:
    stored(orientation).save(tmp_path / "a.png")
    path = encode(tmp_path / "a.png", kind, *(BOXES[orientation] if kind == "avif" else ()))
    if kind == "heic":
        with_boxes(path, orientation)
    near(reading.read(path).pixels, scene())


def test_exif_alone_turns_no_heic(tmp_path: Path) -> None:
    """The standard says that its orientation has no effect."""
    scene().save(tmp_path / "a.jpg", quality=100, subsampling=0, exif=mutants.exif())
    path = encode(tmp_path / "a.jpg", "heic")
    path.write_bytes(path.read_bytes().replace(b"irot\3", b"irot\0"))
    near(reading.read(path).pixels, scene())


@pytest.mark.parametrize("kind", KINDS)
def test_alpha(tmp_path: Path, kind: str) -> None:
    scene("RGBA").save(tmp_path / "a.png")
    back = reading.read(encode(tmp_path / "a.png", kind))
    assert back.alpha is not None
    assert np.abs(np.float32(back.alpha) - np.asarray(scene("RGBA"))[..., 3]).mean() <= 2
    near(back.pixels, scene())


@pytest.mark.parametrize("depth", ["8", "10"])
@pytest.mark.parametrize("alpha", [False, True])
def test_grey_of_limited_range(tmp_path: Path, depth: str, alpha: bool) -> None:
    """libheif 1.15 would leave black at 16, and white at 235."""
    (scene("L").convert("RGBA") if alpha else scene("L")).save(tmp_path / "a.png")
    path = tmp_path / "a.avif"
    if not shutil.which("avifenc"):
        pytest.skip("no avifenc")
    made(["avifenc", "-s", "9", "--min", "0", "--max", "0", "-y", "400", "-r", "limited", "-d", depth,
          tmp_path / "a.png", path])
    near(reading.read(path).pixels, scene("L"))


def test_a_gain_map_is_reported(tmp_path: Path) -> None:
    scene("RGBA").save(tmp_path / "a.png")
    path = encode(tmp_path / "a.png", "avif")
    alpha, other = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:com:apple:photo:2020:aux:hdrgainmap"
    assert alpha in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(alpha, other.ljust(len(alpha), b"\0")))
    said: list[str] = []
    back = reading.read(path, warn=said.append)
    assert said == ["input: the dream cannot keep: gain map"]
    assert back.alpha is None
    near(back.pixels, scene("RGBA"))


@pytest.mark.parametrize("kind", KINDS)
def test_alpha_of_a_turned_photo(tmp_path: Path, kind: str) -> None:
    """avifenc turns only the colours; libheif 1.15 then loses the alpha."""
    turned = stored(6).convert("RGBA")
    turned.putalpha(turned.getchannel("R"))
    turned.save(tmp_path / "a.png", exif=mutants.exif())
    path = encode(tmp_path / "a.png", kind, *(BOXES[7] if kind == "avif" else ()))
    back = reading.read(path)
    expected = {"avif": stored(6).transpose(Image.ROTATE_270).transpose(Image.FLIP_TOP_BOTTOM), "heic": stored(6),
                "jxl": scene()}[kind]
    near(back.pixels, expected)
    assert back.alpha is not None
    assert np.abs(np.float32(back.alpha) - np.asarray(expected)[..., 0]).mean() <= 2


@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_a_profile_that_libpng_rejects(tmp_path: Path, kind: str) -> None:
    """The programs would write no picture, without saying so."""
    scene().save(tmp_path / "a.png", icc_profile=colour.SRGB[:24] + bytes([7, 208, 0, 1]) + colour.SRGB[28:])
    path = encode(tmp_path / "a.png", kind)
    data = bytearray(path.read_bytes())
    at = data.index(b"acsp") - 36
    data[at:at + 4] = (len(colour.SRGB) + 4).to_bytes(4, "big")
    path.write_bytes(data)
    near(reading.read(path).pixels, scene())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [8, 16])
def test_a_profile_is_applied(tmp_path: Path, kind: str, depth: int) -> None:
    """The encoders keep at least 10 of 16 bits."""
    wide = profiles.by_numbers(12, 4)
    assert wide
    pixels = np.asarray(scene())
    if depth == 16:  # Pillow cannot write these in colour
        if not shutil.which("convert", path="/usr/bin"):
            pytest.skip("no ImageMagick")
        scene().save(tmp_path / "b.png", icc_profile=wide)
        made(["/usr/bin/convert", tmp_path / "b.png", "-define", "png:bit-depth=16", "-define", "png:color-type=2",
              tmp_path / "a.png"])
    else:
        scene().save(tmp_path / "a.png", icc_profile=wide)
    words = ["-b", "10"] if kind == "heic" and depth == 16 else ["-d", "10"] if kind == "avif" and depth == 16 else []
    back = reading.read(encode(tmp_path / "a.png", kind, *words))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(wide))
    near(back.pixels, ImageCms.profileToProfile(Image.fromarray(pixels), profile, ImageCms.createProfile("sRGB"),
                                                renderingIntent=1, flags=0x2000))


def test_numbers_for_colours_are_applied(tmp_path: Path) -> None:
    """Display P3 without a profile; some phones write this."""
    scene().save(tmp_path / "a.png")
    plain = reading.read(encode(tmp_path / "a.png", "avif", "--cicp", "1/13/0")).pixels
    near(plain, scene(), 0)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(profiles.by_numbers(12, 13) or b""))
    near(reading.read(encode(tmp_path / "a.png", "avif", "--cicp", "12/13/0")).pixels, ImageCms.profileToProfile(
        scene(), profile, ImageCms.createProfile("sRGB"), renderingIntent=1, flags=0x2000))


def coded(light: NDArray[np.float64], transfer: int) -> NDArray[np.float64]:
    """The signal of PQ (16) or HLG (18) for light, of which 1 is white paper. Sources: BT.2100, BT.2408."""
    if transfer == 16:
        power = (light * 0.0203) ** 0.1593017578125
        return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)
    scene_ = light * 0.265
    bright = 0.17883277 * np.log(np.maximum(12 * scene_ - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene_ <= 1 / 12, np.sqrt(3 * scene_), bright)


@pytest.mark.parametrize("kind", ["avif", "jxl"])
@pytest.mark.parametrize("transfer", [16, 18])
def test_light_brighter_than_white_paper_is_squeezed(tmp_path: Path, kind: str, transfer: int) -> None:
    """HDR: what is darker than paper looks as in sRGB, and what is brighter still differs from white."""
    light = np.repeat(np.linspace(0.002, 3, 600), 2)
    rows = np.tile(np.rint(255 * coded(light, transfer)), (16, 1)).astype(np.uint8)
    Image.fromarray(np.dstack([rows] * 3)).save(tmp_path / "a.png")
    words = {"avif": ["--cicp", f"9/{transfer}/0"], "jxl": [
        "-d", "0", "-x", f"color_space=RGB_D65_202_Rel_{'PeQ' if transfer == 16 else 'HLG'}"]}[kind]
    found = reading.read(encode(tmp_path / "a.png", kind, *words)).pixels[8].astype(float)
    assert np.ptp(found, axis=1).max() <= 2
    srgb = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    dark = light < 0.6
    assert np.abs(found[dark, 0] - srgb[dark]).max() <= 5  # a level of the signal is worth as much
    assert (np.diff(found[:, 0]) >= -1).all()
    assert 215 < found[np.argmin(np.abs(light - 1)), 0] < 240 < found[-1, 0] < 255


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 57), (257, 66), (64, 64), (200, 250)])
def test_sizes_are_known_without_decoding(tmp_path: Path, kind: str, mode: str, height: int, width: int) -> None:
    mutants.pixels("RGB", max(height, 20), max(width, 20)).convert(mode).crop((0, 0, width, height)).save(
        tmp_path / "a.png")
    path = encode(tmp_path / "a.png", kind)
    with inputs.picture(path) as (image, _, _):
        assert image.size == (width, height)
    assert reading.read(path).pixels.shape == (height, width, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_content_counts_not_the_name(tmp_path: Path, kind: str) -> None:
    scene().save(tmp_path / "a.png")
    for name in ("a.jpg", "-rf $(touch x) `y` \n;'\" *.png", "no extension"):
        shutil.copy(encode(tmp_path / "a.png", kind), tmp_path / name)
        near(reading.read(tmp_path / name).pixels, scene())


@pytest.mark.parametrize("kind", KINDS)
def test_damage_and_limits(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene().save(tmp_path / "a.png")
    path = encode(tmp_path / "a.png", kind)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with pytest.raises(Mistake, match="more than 6143 pixels; raise --max-pixels"):
        reading.read(path, max_pixels=6143)
    for part in (0.3, 0.9):
        (tmp_path / "cut").write_bytes(path.read_bytes()[:int(path.stat().st_size * part)])
        with pytest.raises(Mistake, match=r"cut is an? (HEIC|AVIF|JPEG XL) (photo|picture), but damaged") as told:
            reading.read(tmp_path / "cut")
        assert len(str(told.value).splitlines()) == 1
    assert not os.listdir(tmp_path / "temporary")
    monkeypatch.setattr(decoders, "find", lambda *_: None)
    with pytest.raises(Mistake, match=r"but (heif-convert|djxl) is not installed: .*provision.sh"):
        reading.read(path)


@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, kind: str) -> None:
    scene().save(tmp_path / "a.png")
    path = encode(tmp_path / "a.png", kind)
    data = path.read_bytes()
    at = data.index(b"ispe") + 8
    path.write_bytes(data[:at] + struct.pack(">II", 60000, 60000) + data[at + 8:])
    with pytest.raises(Mistake, match="more than 89478485 pixels; raise --max-pixels"):
        reading.read(path)


@pytest.mark.parametrize("kind", KINDS)
def test_max_size_is_enough_for_a_large_picture(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = stored(6).resize((640, 960)).convert("RGBA")
    source.putalpha(source.getchannel("R"))
    source.save(tmp_path / "a.png", exif=mutants.exif(), icc_profile=profiles.by_numbers(12, 4))
    path = encode(tmp_path / "a.png", kind)
    monkeypatch.setattr(modern, "_DENSEST", 1 << 20)
    small, large = reading.read(path, max_size=57), reading.read(path, max_size=57, max_pixels=614399)
    assert large.pixels.shape == small.pixels.shape
    assert max(large.pixels.shape) == 57
    assert np.abs(np.float32(large.pixels) - small.pixels).mean() < 2
    assert large.alpha is not None
    assert small.alpha is not None
    assert np.abs(np.float32(large.alpha) - small.alpha).mean() < 2
    for size, limit in ((57, 100), (900, 614399), (None, 614399)):
        with pytest.raises(Mistake, match="--max-pixels"):
            reading.read(path, max_size=size, max_pixels=limit)
    monkeypatch.setattr(limits, "memory", lambda: 640 * 960 * 8 - 1)
    with pytest.raises(Mistake, match="--max-pixels"):
        reading.read(path, max_size=57, max_pixels=614399)
    monkeypatch.undo()
    monkeypatch.setattr(modern, "_DENSEST", 1)
    with pytest.raises(Mistake, match="--max-pixels"):
        reading.read(path, max_size=57, max_pixels=614399)


def test_too_much_memory_or_time_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mutants.pixels("RGB", 800, 1200).save(tmp_path / "a.png")
    path = encode(tmp_path / "a.png", "jxl")
    monkeypatch.setattr(decoders, "_BEGIN", 40 << 20)
    monkeypatch.setattr(decoders, "_PER_PIXEL", 0)
    with pytest.raises(Mistake, match="too large for this machine's memory|damaged"):
        reading.read(path)
    monkeypatch.undo()
    monkeypatch.setattr(decoders, "_SECONDS", 0)
    monkeypatch.setattr(decoders, "_PIXELS_PER_SECOND", 1 << 40)
    with pytest.raises(Mistake, match="takes too long"):
        reading.read(path)


def test_other_pictures_in_the_file_do_not_count(tmp_path: Path) -> None:
    """In a burst, only the main picture is decoded, wherever it is in the file."""
    scene().save(tmp_path / "a.png")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "b.png")
    needs_heic_encoder()
    made(["heif-enc", *EXTRA["heic"], tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "a.heic"])
    near(reading.read(tmp_path / "a.heic").pixels, scene())


@pytest.mark.parametrize(("kind", "brand"), [
    ("heic", b"msf1"), ("heic", b"heis"), ("heic", b"mif2"), ("avif", b"avis")])
def test_the_still_picture_of_a_film_is_taken(tmp_path: Path, kind: str, brand: bytes) -> None:
    """Whatever the file calls itself first; libheif would read none of these."""
    scene().save(tmp_path / "a.png")
    path, said = encode(tmp_path / "a.png", kind), list[str]()
    data = path.read_bytes()
    path.write_bytes(data[:8] + brand + data[12:])
    near(reading.read(path, warn=said.append).pixels, scene())
    assert said == []
    path.write_bytes(data[:8] + brand + data[12:] + struct.pack(">I4s", 8, b"moov"))
    near(reading.read(path, warn=said.append).pixels, scene())
    assert said == [reading.FIRST]


def test_properties_in_two_lists(tmp_path: Path) -> None:
    scene().save(tmp_path / "a.png")
    path = encode(tmp_path / "a.png", "avif")
    data = bytearray(path.read_bytes())
    with open(path, "rb") as file:
        meta = next(box for box in boxes.boxes(file) if box.kind == b"meta")
        inner = {box.kind: box for box in boxes.boxes(file, meta.start + 4, meta.end)}
    iloc = bytes(data[inner[b"iloc"].start:inner[b"iloc"].end])
    ((_, offset, _),) = modern._extents(iloc, 1)
    data[inner[b"iloc"].start:inner[b"iloc"].end] = iloc.replace(
        struct.pack(">I", offset), struct.pack(">I", offset + 16))
    for box in (meta, inner[b"iprp"]):
        data[box.start - 8:box.start - 4] = struct.pack(">I", box.end - box.start + 8 + 16)
    end = inner[b"iprp"].end
    data[end:end] = struct.pack(">I4sII", 16, b"ipma", 1 << 24, 0)
    path.write_bytes(data)
    near(reading.read(path).pixels, scene())


def test_exif_in_a_compressed_box(tmp_path: Path) -> None:
    """cjxl writes this for a JPEG; djxl 0.7 would lose the EXIF."""
    scene().save(tmp_path / "a.jpg", exif=mutants.exif())
    path = encode(tmp_path / "a.jpg", "jxl")
    with open(path, "rb") as file:
        assert b"brob" in [box.kind for box in boxes.boxes(file)]
    found = reading.read(path).exif
    assert found
    assert found.directory[0x010F][1] == b"Camera\0"


def test_an_extension_for_every_format() -> None:
    raw = {".dng"} if shutil.which("dcraw_emu") else set()
    modern_ones = {"heif-convert": (".heic", ".heif", ".hif", ".avif"), "djxl": (".jxl",)}
    there = {each for program, extensions in modern_ones.items() if shutil.which(program) for each in extensions}
    assert {".jpg", ".png", ".tif"} | raw | there <= inputs.extensions()
    assert set(modern.EXTENSIONS.values()) == {"HEIC", "AVIF", "JXL"}
    assert colour.SRGB[36:40] == b"acsp"
