"""Large PNGs, shrunk band by band."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import mutants
from dreamer.errors import Mistake
from dreamer.pictures import bands, profiles, reading
from helpers import measured

DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # type of colour -> bits
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
KINDS = [(kind, bits, clear) for kind, depths in DEPTHS.items() for bits in depths
         for clear in ((False, True) if kind < 4 and bits < 16 else (False,))]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(kind: int, bits: int, width: int, height: int, data: bytes, *more: bytes) -> bytes:
    """A PNG of already compressed data, with chunks before it."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    pixels = [chunk(b"IDAT", data[at:at + 5000]) for at in range(0, len(data), 5000)]
    return b"\x89PNG\r\n\x1a\n" + b"".join([head, *more, *pixels, chunk(b"IEND", b"")])


def noise(kind: int, bits: int, clear: bool, width: int, height: int) -> bytes:
    """A PNG of noise: whatever bytes come after a filter, they are valid."""
    random = np.random.RandomState(bits)
    row = -(-width * bits * CHANNELS[kind] // 8)
    rows = random.randint(0, 256, (height, row + 1)).astype(np.uint8)
    rows[:, 0] = random.randint(0, 5, height)
    more = [chunk(b"PLTE", random.bytes(3 * 2 ** bits))] if kind == 3 else []
    if clear:
        more += [chunk(b"tRNS", random.bytes(2 ** bits) if kind == 3 else bytes(2 * CHANNELS[kind]))]
    return png(kind, bits, width, height, zlib.compress(rows.tobytes()), *more)


@pytest.mark.parametrize(("kind", "bits", "clear"), KINDS)
@pytest.mark.parametrize(("width", "height", "factor"), [(101, 150, 3), (400, 64, 7), (65, 200, 2)])
def test_every_kind_is_decoded_like_the_whole(kind: int, bits: int, clear: bool, width: int, height: int,
                                              factor: int) -> None:
    data = noise(kind, bits, clear, width, height)
    with Image.open(io.BytesIO(data)) as whole:
        whole.load()
    if whole.mode.startswith("I"):
        whole = Image.fromarray(np.uint8(np.asarray(whole) >> 8))
    if "transparency" in whole.info:
        if kind == 0:
            whole.info["transparency"] = 0
        whole = whole.convert("RGBA").convert("LA" if kind == 0 else "RGBA")
    if kind == 4:  # Pillow reads 16 bits as RGBA
        whole = whole.convert("LA")
    whole = whole.convert({"1": "L", "P": "RGB"}.get(whole.mode, whole.mode))
    with Image.open(bands.shrunk(io.BytesIO(data), max(width, height) // factor)) as small:
        assert small.mode == whole.mode
        assert (np.asarray(small) == np.asarray(whole.reduce(factor))).all()


def test_a_transparent_colour_of_16_bits(tmp_path: Path) -> None:
    values = np.random.RandomState(0).randint(0x8000, 0x10000, (300, 300)).astype(">u2")
    values[:, :150] = 0x1234
    rows = np.pad(values.view(np.uint8), ((0, 0), (1, 0)))
    (tmp_path / "a.png").write_bytes(png(0, 16, 300, 300, zlib.compress(rows.tobytes()), chunk(b"tRNS", b"\x12\x34")))
    picture = reading.read(tmp_path / "a.png", 30, 89999)
    assert picture.alpha is not None
    assert (picture.alpha[:, [0, -1]] == [0, 255]).all()
    assert np.abs(picture.pixels[:, -1] - 191.0).mean() < 9


def test_max_size_is_enough_and_metadata_stays(tmp_path: Path) -> None:
    image, path = mutants.pixels("RGB", 300, 400), tmp_path / "a.png"
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "a test")
    image.save(path, dpi=(300, 300), exif=mutants.exif(), icc_profile=profiles.by_numbers(12, 4), pnginfo=text)
    data = path.read_bytes()
    path.write_bytes(data[:-12] + chunk(b"tEXt", b"Author\0me") + data[-12:])  # behind the pixels
    small, large = reading.read(path, max_size=57), reading.read(path, max_size=57, max_pixels=119999)
    assert large.pixels.shape == small.pixels.shape == (57, 43, 3)  # its EXIF turns it
    assert np.abs(np.float32(large.pixels) - small.pixels).mean() < 2
    assert (large.exif, large.beside) == (small.exif, small.beside)
    assert [each.keyword for each in large.beside.texts] == ["Title", "Author"]
    assert large.beside.resolution
    for size, limit in ((57, 100), (201, 119999), (None, 119999)):
        with pytest.raises(Mistake, match="--max-pixels"):
            reading.read(path, max_size=size, max_pixels=limit)
    path.write_bytes(data[:len(data) // 2])
    with pytest.raises(Mistake, match="is a PNG picture, but damaged or cut short"):
        reading.read(path, max_size=57, max_pixels=119999)


@pytest.mark.parametrize("honest", [True, False])
def test_a_bomb_is_refused_with_little_memory(tmp_path: Path, honest: bool) -> None:
    """50000×50000 pixels of one colour in 300 kB; or fewer pixels than the file says."""
    deflate = zlib.compressobj(9)
    data = b"".join([*(deflate.compress(bytes(6251 * 100)) for _ in range(500 if honest else 1)), deflate.flush()])
    (tmp_path / "a.png").write_bytes(png(0, 1, 50000, 50000, data))
    assert "--max-pixels" in measured(tmp_path / "a.png")


@pytest.mark.slow
def test_200_megapixels(tmp_path: Path) -> None:
    Image.effect_noise((2040, 1530), 60).resize((16320, 12240), Image.BILINEAR).save(tmp_path / "a.png",
                                                                                     compress_level=1)
    assert "(750, 1000, 3)" in measured(tmp_path / "a.png")
