"""TIFF pictures whose channels Pillow mixes up or cannot mix: of 16 bits in separate planes, and of floating-point
colours. libtiff decodes them as grey pictures: each plane by itself, or all channels as one picture that is wider."""

import io
import struct
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from dreamer.pictures import colour, kinds, strips, tiff
from dreamer.pictures.lazy import lazy

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _STRIPS, _SAMPLES, _LENGTHS = 256, 257, 258, 259, 262, 273, 277, 279
_PLANAR, _PREDICTOR, _TILE_WIDTH, _TILES, _TILE_LENGTHS, _FORMAT = 284, 317, 322, 324, 325, 339
_EXTRA, _ICC, _ORIENTATION = 338, 34675, 274
_NO_ALPHA, _MULTIPLIED = 0, 1  # values of _EXTRA
_COPIED = (_WIDTH, _HEIGHT, _COMPRESSION, _STRIPS, 278, _LENGTHS, _PREDICTOR, _TILE_WIDTH, 323, _TILES, _TILE_LENGTHS)
_FLOAT = 3  # value of _FORMAT
_Numbers: TypeAlias = dict[int, list[int]]  # of tags


def opened(file: IO[bytes]) -> Image.Image:
    """Pillow's image, not decoded yet, or one like it. Raises kinds.UnreadableError, and the same errors as Pillow."""
    try:
        order, tags, _ = tiff.read(file, {})
        numbers = {tag: _numbers(order, value) for tag, value in tags.items() if value[0] in (tiff.SHORT, tiff.LONG)}
    except ValueError:  # BigTIFF, perhaps
        order, tags, numbers = "<", {}, {}
    numbers = {tag: values for tag, values in numbers.items() if values}
    file.seek(0)
    samples, planar = numbers.get(_SAMPLES, [1])[0], numbers.get(_PLANAR, [1])[0] == 2
    bits = set(numbers.get(_BITS, [1]))
    photometric, float_ = numbers.get(_PHOTOMETRIC, [1])[0], _FLOAT in numbers.get(_FORMAT, [])
    if bits == {32} and order == ">" and numbers.get(_COMPRESSION, [1])[0] != 1:  # Pillow may swap their bytes twice
        raise kinds.cannot("a compressed big-endian TIFF picture of 32 bits")
    if samples in (3, 4) and photometric == 2 and ((float_ and bits == {32}) or (bits == {16} and planar)):
        return _mixed(file, order, tags, numbers)
    if float_ and (samples > 1 or bits != {32}):
        raise kinds.cannot("a TIFF picture of floating-point numbers that are not RGB or grey of 32 bits")
    try:
        image: Image.Image = TiffImagePlugin.TiffImageFile(file, "")
    except SyntaxError:
        file.seek(0)
        if file.read(4) != b"MM\0+":  # old Pillows read only the other order
            raise
        return _big_endian(file)
    _check(image)
    return image


def _big_endian(file: IO[bytes]) -> Image.Image:
    """The image of a big-endian BigTIFF, not decoded yet, by way of a TIFF with the same strips. Raises
    kinds.UnreadableError."""
    try:
        found = strips.Strips(file)
    except ValueError:
        raise kinds.cannot("a big-endian BigTIFF picture") from None
    profile = found.value(tiff.ICC)

    def decode() -> Image.Image:
        image = opened(found.part(0, found.count))
        image.load()
        return image
    image: Any = lazy("TIFF", (found.width, found.height), decode, **({"icc_profile": profile} if profile else {}))
    image.tag_v2 = {tiff.XMP: found.value(tiff.XMP)}
    result: Image.Image = image
    return result


def _check(image: Any) -> None:
    """Raise kinds.UnreadableError for what Pillow decodes wrong."""
    tags = image.tag_v2
    planar = tags.get(_PLANAR, 1) == 2 and tags.get(_SAMPLES, 1) > 1
    bits = tags.get(_BITS, (1,))
    if planar and (max(bits) > 8 or tags.get(_PHOTOMETRIC) == 6):
        raise kinds.cannot("a TIFF picture of separate planes" + (" in YCbCr" if max(bits) == 8 else " of 16 bits"))
    if tags.get(_PHOTOMETRIC) == 6 and tags.get(_COMPRESSION, 1) == 1:
        raise kinds.cannot("a TIFF picture in YCbCr without compression")
    if len(set(bits)) > 1:
        raise kinds.cannot("a TIFF picture whose channels differ in depth")


def _numbers(order: str, value: tuple[int, bytes]) -> list[int]:
    form, size = ("H", 2) if value[0] == tiff.SHORT else ("I", 4)
    count = len(value[1]) // size
    return list(struct.unpack_from(f"{order}{count}{form}", value[1]))


def _mixed(file: IO[bytes], order: str, tags: tiff.Directory, numbers: _Numbers) -> Image.Image:
    """An image like Pillow's, not decoded yet. Raises kinds.UnreadableError or SyntaxError."""
    try:
        size = numbers[_WIDTH][0], numbers[_HEIGHT][0]
    except LookupError:
        raise SyntaxError("no size") from None
    planar, is_float = numbers.get(_PLANAR, [1])[0] == 2, _FLOAT in numbers.get(_FORMAT, [])
    if not planar and numbers.get(_PREDICTOR, [1])[0] != 1:
        raise kinds.cannot("a TIFF picture of floating-point colours with a predictor")
    info = {"icc_profile": tags[_ICC][1]} if _ICC in tags else {}
    channels = numbers[_SAMPLES][0]

    def decode() -> Image.Image:
        if planar:
            values = np.stack([_grey(file, order, numbers, plane) for plane in range(channels)], -1)
        else:
            values = _grey(file, order, numbers, None).reshape(size[1], size[0], channels)
        if channels == 4 and numbers.get(_EXTRA, [2])[0] == _NO_ALPHA:
            values = values[..., :3]
        image = _image(values, is_float, numbers.get(_EXTRA) == [_MULTIPLIED])
        orientation = numbers.get(_ORIENTATION, [1])[0]
        if orientation in colour.UPRIGHT:
            image = image.transpose(colour.UPRIGHT[orientation])
        image.info, image.format = dict(info), "TIFF"
        return image
    return lazy("TIFF", size, decode, **info)


def _grey(file: IO[bytes], order: str, numbers: _Numbers, plane: int | None) -> NDArray[Any]:
    """The values of one plane; if None, of all channels, as one picture."""
    own = {tag: numbers[tag] for tag in _COPIED if tag in numbers}
    channels, is_float = numbers[_SAMPLES][0], _FLOAT in numbers.get(_FORMAT, [])
    for tag in (_WIDTH, _TILE_WIDTH) if plane is None else ():
        if tag in own:
            own[tag] = [own[tag][0] * channels]
    for tag in (_STRIPS, _LENGTHS, _TILES, _TILE_LENGTHS) if plane is not None else ():
        if tag in own and plane is not None:
            count = len(own[tag]) // channels
            own[tag] = own[tag][plane * count:(plane + 1) * count]
    own |= {_BITS: [32 if is_float else 16], _PHOTOMETRIC: [1], _SAMPLES: [1], _FORMAT: [_FLOAT if is_float else 1]}
    file.seek(0)
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(_with_directory(file.read(), order, own)), "")
    image.load()
    return np.asarray(image)


def _image(values: NDArray[Any], is_float: bool, multiplied: bool) -> Image.Image:
    """The picture (h, w, 3 or 4), of which channel 3 is alpha, with which the others may be multiplied."""
    if multiplied:
        most = 1 if is_float else 65535
        factor = most / np.maximum(np.nan_to_num(values[..., 3:].astype(np.float32)), 1e-6)
        plain = (values[..., :3] * factor).clip(0, None if is_float else most)
        values = np.concatenate([plain, values[..., 3:]], -1).astype(values.dtype)
    if not is_float:
        return Image.fromarray(np.uint8(values >> 8))
    colours = colour.scaled(values[..., :3], [1, 255])
    if values.shape[2] == 3:
        return Image.fromarray(colours)
    alpha = np.uint8(np.rint(np.clip(np.nan_to_num(values[..., 3:]), 0, 1) * 255))
    return Image.fromarray(np.concatenate([colours, alpha], -1))


def _with_directory(data: bytes, order: str, numbers: _Numbers) -> bytes:
    """The TIFF `data` with another first directory."""
    long = bytearray(len(data) % 2)
    start = len(data)
    entries = struct.pack(order + "H", len(numbers))
    for tag, values in sorted(numbers.items()):
        short = tag in (_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PREDICTOR, _FORMAT)
        value = struct.pack(f"{order}{len(values)}{'H' if short else 'I'}", *values)
        if len(value) > 4:
            long += value
            value = struct.pack(order + "I", start + len(long) - len(value))
        kind = tiff.SHORT if short else tiff.LONG
        entries += struct.pack(order + "HHI", tag, kind, len(values)) + value.ljust(4, b"\0")
    at = struct.pack(order + "I", start + len(long))
    return data[:4] + at + data[8:] + long + entries + bytes(4)
