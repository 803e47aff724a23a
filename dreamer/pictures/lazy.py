"""Pictures that Pillow does not decode itself, in the form of Pillow's own that are not decoded yet."""

from collections.abc import Callable
from typing import Any

from PIL import Image


def lazy(kind: str, size: tuple[int, int], decode: Callable[[], Image.Image], **info: Any) -> Image.Image:
    """An image of that format and size (width, height) with that `info`. Its load() calls decode(), and becomes the
    loaded image that this returns, as Pillow's StubImageFile does."""
    image: Any = Image.Image()
    image.format, image._size, image.info = kind, size, info

    def load() -> Any:
        decoded = decode()
        image.__class__, image.__dict__ = decoded.__class__, decoded.__dict__
        return image.load()
    image.load = load
    result: Image.Image = image
    return result
