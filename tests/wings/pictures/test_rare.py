"""PCX, TGA, Photoshop and JPEG 2000 files that Pillow alone would decode wrong."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest

import mutants
from dreamer.errors import Mistake
from dreamer.pictures import reading


@pytest.mark.parametrize("planes", [2, 3, 4])
def test_pcx_of_planes(tmp_path: Path, planes: int) -> None:
    indices = np.arange(3 * 20).reshape(3, 20) % (1 << planes)
    palette = np.random.RandomState(0).randint(0, 256, (16, 3)).astype(np.uint8)
    head = bytearray(128)
    head[:4], head[65] = b"\n\5\1\1", planes
    head[4:12] = struct.pack("<4H", 0, 0, 19, 2)
    head[16:64], head[66:68] = palette.tobytes(), struct.pack("<H", 4)
    data = b""
    for row in indices:
        for plane in range(planes):
            line = np.packbits((row >> plane & 1).astype(np.uint8)).tobytes().ljust(4, b"\0")
            data += b"".join(bytes([0xC1, byte]) for byte in line)
    (tmp_path / "a.pcx").write_bytes(bytes(head) + data)
    assert (reading.read(tmp_path / "a.pcx").pixels == palette[indices]).all()


@pytest.mark.parametrize("bits", [15, 16])
def test_tga_with_a_palette_of_16_bits(tmp_path: Path, bits: int) -> None:
    head = struct.pack("<BBBHHBHHHHBB", 0, 1, 1, 0, 4, bits, 0, 0, 4, 1, 8, 0x20)
    table = struct.pack("<4H", 0x7C00, 0x03E0, 0x001F, 0x4210)
    (tmp_path / "a.tga").write_bytes(head + table + b"\0\1\2\3")
    assert reading.read(tmp_path / "a.tga").pixels[0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255],
                                                                   [132, 132, 132]]


def psd(mode: int, channels: int, bits: int = 8) -> bytes:
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", channels, 2, 3, bits, mode)
    planes = b"".join(bytes([10 * number] * 6 * (bits // 8)) for number in range(1, channels + 1))
    return head + bytes(12) + b"\0\0" + planes


@pytest.mark.parametrize(("mode", "channels", "bits", "read"), [
    (3, 3, 8, True), (1, 1, 8, True), (4, 4, 8, True), (3, 5, 8, False), (1, 2, 8, False), (4, 5, 8, False),
    (3, 3, 16, False), (7, 3, 8, False)])
def test_photoshops_extra_channels(tmp_path: Path, mode: int, channels: int, bits: int, read: bool) -> None:
    (tmp_path / "a.psd").write_bytes(psd(mode, channels, bits))
    if read:
        pixels = reading.read(tmp_path / "a.psd").pixels
        assert mode == 4 or pixels[0, 0].tolist() == ([10, 20, 30] if mode == 3 else [10] * 3)
    else:
        with pytest.raises(Mistake, match="a Photoshop picture .*of a kind that cannot be read"):
            reading.read(tmp_path / "a.psd")


def jp2(*, deep: bool = False, ycbcr: bool = False, palette: bool = False) -> bytes:
    file = io.BytesIO()
    mutants.pixels("RGB").save(file, "JPEG2000", irreversible=False)
    data = bytearray(file.getvalue())
    if ycbcr:
        at = data.index(b"colr") + 7
        assert data[at:at + 4] == b"\0\0\0\x10"
        data[at + 3] = 18
    if deep:
        data[data.index(b"\xff\x4f\xff\x51") + 42] = 11
    if palette:
        at = data.index(b"jp2h") - 4
        size = int.from_bytes(data[at:at + 4], "big")
        box = b"\0\0\0\x0apclr\0\0"
        data[at:at + size] = (size + len(box)).to_bytes(4, "big") + data[at + 4:at + size] + box
    return bytes(data)


def test_jpeg_2000(tmp_path: Path) -> None:
    (tmp_path / "a.jp2").write_bytes(jp2())
    assert np.abs(np.float32(reading.read(tmp_path / "a.jp2").pixels) - np.asarray(mutants.pixels("RGB"))).mean() < 1
    for options, why in (({"ycbcr": True}, "in YCbCr"), ({"palette": True}, "with a palette"),
                         ({"deep": True}, "of more than 8 bits")):
        (tmp_path / "a.jp2").write_bytes(jp2(**options))
        with pytest.raises(Mistake, match=f"a JPEG 2000 picture {why}.*, of a kind that cannot be read"):
            reading.read(tmp_path / "a.jp2")


@pytest.mark.parametrize("colours", [[(0, 0, 200), (250, 240, 0)], [(255, 255, 255), (0, 0, 0)], [(7, 7, 7)] * 2])
def test_pcx_of_one_bit_has_a_palette(tmp_path: Path, colours: list[tuple[int, int, int]]) -> None:
    image = mutants.pixels("1")
    image.save(tmp_path / "a.pcx")
    data = bytearray((tmp_path / "a.pcx").read_bytes())
    data[16:22] = bytes(colours[0] + colours[1])
    (tmp_path / "a.pcx").write_bytes(data)
    palette = np.array(colours if colours[0] != colours[1] else [(0, 0, 0), (255, 255, 255)], np.uint8)
    assert (reading.read(tmp_path / "a.pcx").pixels == palette[np.asarray(image).astype(int)]).all()


def test_an_icon_with_a_long_header_is_refused(tmp_path: Path) -> None:
    image = mutants.pixels("RGBA", 32, 32)
    image.save(tmp_path / "a.ico", sizes=[(32, 32)], bitmap_format="bmp")
    expected = np.asarray(image)
    back = reading.read(tmp_path / "a.ico")
    assert (back.pixels == expected[..., :3]).all()
    data = bytearray((tmp_path / "a.ico").read_bytes())
    data[22] = 124
    (tmp_path / "a.ico").write_bytes(data)
    with pytest.raises(Mistake, match="is an icon with a BMP header of 124 bytes, of a kind that cannot be read"):
        reading.read(tmp_path / "a.ico")


@pytest.mark.parametrize(("data", "words"), [
    (b"PF\n1 1\n-1.0\n" + bytes(12), "a PAM or PFM picture"),
    (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n0", "a PAM or PFM picture"),
    (b"MM\0+\0\x08\0\0" + bytes(7) + b"\x10" + bytes(8), "a big-endian BigTIFF picture")])
def test_what_pillow_does_not_know_is_not_called_damaged(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(Mistake, match=f"a is {words}, of a kind that cannot be read"):
        reading.read(tmp_path / "a")


@pytest.mark.parametrize("top", [255, 60000, 2 ** 32 - 1])
def test_grey_tiff_of_32_bits_without_sign(tmp_path: Path, top: int) -> None:
    values = np.rint(np.linspace(0, top, 256)).astype("<u4")
    tags = [(256, 256), (257, 1), (258, 32), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 1024), (339, 1)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    (tmp_path / "a.tif").write_bytes(struct.pack("<4sI", b"II*\0", 1032) + values.tobytes()
                                     + struct.pack("<H", len(tags)) + directory + bytes(4))
    white = 65535 if top == 60000 else top
    expected = np.linspace(0, 255 * top / white, 256)
    assert np.abs(reading.read(tmp_path / "a.tif").pixels[0, :, 0] - expected).max() <= 1
