"""A contact sheet: many small pictures with their names."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

TILE = 256  # maximum pixels of a tile's side
GAP = 6
ASPECT = 4 / 3  # of the sheet, approximately: width to height
PAPER, INK = (24, 24, 24), (230, 230, 230)


def sheet(tiles: list[tuple[str, NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """The sheet, uint8 (h, w, 3), of tiles: [(name, uint8 (h, w, 3))]."""
    small = [Image.fromarray(pixels) for _, pixels in tiles]
    for image in small:
        image.thumbnail((TILE, TILE), Image.LANCZOS)
    labels = [label(name) for name, _ in tiles]
    wide = max(max(image.width for image in small), max(image.width for image in labels))
    pictures_tall, labels_tall = max(image.height for image in small), max(image.height for image in labels)
    wide, tall = wide + GAP, pictures_tall + labels_tall + GAP
    columns = max(1, min(len(tiles), round(math.sqrt(len(tiles) * tall / wide * ASPECT))))
    rows = math.ceil(len(tiles) / columns)
    whole = Image.new("RGB", (columns * wide + GAP, rows * tall + GAP), PAPER)
    for number, (image, text) in enumerate(zip(small, labels, strict=True)):
        left, top = GAP + number % columns * wide, GAP + number // columns * tall
        whole.paste(image, (left + (wide - GAP - image.width) // 2, top + pictures_tall - image.height))
        whole.paste(text, (left + (wide - GAP - text.width) // 2, top + pictures_tall))
    return np.asarray(whole)


def label(name: str) -> Image.Image:
    """The name as a picture, in Pillow's built-in font."""
    font = ImageFont.load_default()
    text = name.encode("latin-1", "replace").decode("latin-1")  # the font has no other letters
    try:
        left, top, right, bottom = font.getbbox(text)
    except AttributeError:  # Ubuntu 22.04's Pillow has a bitmap font without getbbox
        left, top, (right, bottom) = 0, 0, font.getmask(text).size
    image = Image.new("RGB", (right - left + 4, bottom - top + 4), PAPER)
    ImageDraw.Draw(image).text((2 - left, 2 - top), text, INK, font)
    return image
