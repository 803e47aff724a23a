"""PCX, TGA, icons, Photoshop and JPEG 2000: what Pillow would decode wrong is mended, or refused."""

import io
import struct
from typing import IO

import numpy as np
from PIL import IcoImagePlugin, Image, ImagePalette, Jpeg2KImagePlugin, PcxImagePlugin, PsdImagePlugin, TgaImagePlugin

from dreamer.pictures import boxes, kinds
from dreamer.pictures.lazy import lazy

_PSD_CHANNELS = {0: 1, 1: 1, 2: 1, 3: 3, 4: 4, 9: 3}  # a Photoshop file's mode -> channels of colour
_SYCC = 18  # the number of YCbCr in a colr box


def opened_tga(file: IO[bytes]) -> Image.Image:
    """Pillow's image, not decoded yet."""
    head = file.read(18)
    file.seek(0)
    if len(head) == 18 and head[1] and head[7] == 15:  # which is the same as 16, but Pillow does not know it
        data = file.read()
        file = io.BytesIO(data[:7] + b"\x10" + data[8:])
    image: Image.Image = TgaImagePlugin.TgaImageFile(file, "")
    if image.mode == "P" and head[1] and head[7] in (15, 16):  # Pillow garbles these palettes
        first, count = struct.unpack_from("<HH", head, 3)
        at = file.tell()
        file.seek(18 + head[0])
        data = file.read(2 * count)
        file.seek(at)
        values = np.frombuffer(data[:len(data) // 2 * 2], "<u2")
        table = np.zeros((256, 3), np.uint8)
        for number, shift in enumerate((10, 5, 0)):
            part = np.rint((values >> shift & 31) * (255 / 31))[:max(0, 256 - first)]
            table[first:first + len(part), number] = part
        image.palette = ImagePalette.raw("RGB", table.tobytes())
    return image


def opened_ico(file: IO[bytes]) -> Image.Image:
    """Pillow's image, not decoded yet. Raises kinds.UnreadableError if a picture has another header than BMP's usual
    one: Pillow would look for its transparency at the wrong place."""
    head = file.read(6)
    entries = file.read(16 * int.from_bytes(head[4:], "little"))
    for (start,) in struct.iter_unpack("<12xI", entries[:len(entries) // 16 * 16]):
        file.seek(start)
        if (size := int.from_bytes(file.read(4), "little")) in (52, 56, 64, 108, 124):
            raise kinds.cannot(f"an icon with a BMP header of {size} bytes")
    file.seek(0)
    image: Image.Image = IcoImagePlugin.IcoImageFile(file, "")
    return image


def opened_psd(file: IO[bytes]) -> Image.Image:
    """Pillow's image, not decoded yet. Raises kinds.UnreadableError if there are channels besides the colours."""
    head = file.read(26)
    file.seek(0)
    channels, bits, mode = (int.from_bytes(head[at:at + 2], "big") for at in (12, 22, 24))
    if len(head) == 26 and bits not in (1, 8):
        raise kinds.cannot(f"a Photoshop picture of {bits} bits")
    if len(head) == 26 and mode not in _PSD_CHANNELS:
        raise kinds.cannot("a Photoshop picture of an unusual mode")
    if len(head) == 26 and channels > _PSD_CHANNELS[mode]:  # Pillow would begin at the wrong place
        raise kinds.cannot("a Photoshop picture with extra channels")
    try:
        image: Image.Image = PsdImagePlugin.PsdImageFile(file, "")
        if not image.tile:
            raise kinds.cannot("a Photoshop picture with ZIP compression")
    except KeyError:  # a depth that this mode cannot have
        raise SyntaxError("no mode") from None
    return image


def opened_jpeg2000(file: IO[bytes]) -> Image.Image:
    """Pillow's image, not decoded yet. Raises kinds.UnreadableError for a palette, YCbCr, or deep colours."""
    start = 0
    for box in boxes.boxes(file):
        for inner in boxes.boxes(file, box.start, box.end) if box.kind == b"jp2h" else ():
            if inner.kind == b"pclr":
                raise kinds.cannot("a JPEG 2000 picture with a palette")
            if inner.kind == b"colr" and boxes.content(file, inner, 7)[0:1] == b"\1" and (
                    boxes.content(file, inner, 7)[3:] == _SYCC.to_bytes(4, "big")):
                raise kinds.cannot("a JPEG 2000 picture in YCbCr")
        if box.kind == b"jp2c":
            start = box.start
            break
    file.seek(start)
    head = file.read(43)  # up to the depth of the first channel
    file.seek(0)
    image: Image.Image = Jpeg2KImagePlugin.Jpeg2KImageFile(file, "")
    if len(head) == 43 and head[42] & 0x7F > 7 and not image.mode.startswith("I"):  # white would become black
        raise kinds.cannot("a JPEG 2000 picture of more than 8 bits that is not grey")
    return image


def opened_pcx(file: IO[bytes]) -> Image.Image:
    """Pillow's image, or one like it, not decoded yet."""
    head = file.read(128)
    file.seek(0)
    if len(head) == 128 and head[2] == 1 and head[3] == 1 and head[65] in (1, 2, 3, 4):
        left, top, right, bottom = struct.unpack_from("<4H", head, 4)
        if right < left or bottom < top or (bottom - top + 1) * head[65] > 65535:
            raise SyntaxError("no size")
        size = right - left + 1, bottom - top + 1
        return lazy("PCX", size, lambda: _of_planes(file, bytearray(head), *size))
    if len(head) == 128 and head[2] != 1:
        raise kinds.cannot("a PCX picture without compression")
    image: Image.Image = PcxImagePlugin.PcxImageFile(file, "")
    return image


def _of_planes(file: IO[bytes], head: bytearray, width: int, height: int) -> Image.Image:
    """A PCX of up to 4 planes of 1 bit, decoded as a picture of 1 bit with as many rows more."""
    count, head[65] = head[65], 1
    palette = np.frombuffer(bytes(head[16:64]), np.uint8).reshape(16, 3)
    if count == 1 and (palette[0] == palette[1]).all():  # it is not set
        palette = np.array([[0] * 3, [255] * 3], np.uint8)
    head[4:12] = struct.pack("<4H", 0, 0, width - 1, height * count - 1)
    file.seek(128)
    single = PcxImagePlugin.PcxImageFile(io.BytesIO(bytes(head) + file.read()), "")
    bits = np.asarray(single.convert("L")).reshape(height, count, width) > 0
    return Image.fromarray(palette[(bits * (1 << np.arange(count))[:, None]).sum(1)])
