"""The recipe: how a dream was made, as JSON in the picture's own file.

A PNG stores it as text under the keyword image-dreamer; JPEG, WebP and TIFF store it in an XMP packet (ISO 16684-1) as
the property dreamer:recipe; GIF, MP4, MOV, MKV and WebM store it as a comment.
"""

import html
import json
import os
import re
from collections.abc import Callable
from typing import Any

from PIL import Image

from dreamer.errors import Mistake
from dreamer.machine import ffmpeg
from dreamer.pictures import inputs, tiff, xmp
from dreamer.pictures.xmp import Description, Xmp

KEYWORD = "image-dreamer"
_LONGEST = 60_000  # characters; a JPEG has room for 65,000 bytes
# an element, as we write it, or an attribute, as some tools rewrite it
_IN_PACKET = re.compile(r"""dreamer:recipe(?:>([^<]*)<|="([^"]*)"|='([^']*)')""")


def text(recipe: dict[str, Any]) -> str:
    """The JSON of `recipe` in ASCII on one line; raises ValueError if it is too long for a picture."""
    written = json.dumps(recipe, allow_nan=False)
    if len(html.escape(written)) > _LONGEST:
        raise ValueError(f"a recipe of {len(written)} characters is too long for a picture")
    return written


def check_length(recipe: dict[str, Any]) -> None:
    """Raise Mistake if `recipe`, with a note on how far the dream is, would be too long for a picture."""
    try:
        text(recipe | {"more": 1000 * " "})
    except ValueError as error:
        raise Mistake(f"recipe: {error}") from None


def described(recipe: dict[str, Any]) -> Description:
    """The `recipe` as a part of an XMP packet."""
    written = html.escape(text(recipe))
    return Description({"dreamer": "urn:image-dreamer:"}, [f"<dreamer:recipe>{written}</dreamer:recipe>"])


def packet(recipe: dict[str, Any]) -> bytes:
    """An XMP packet with nothing but the `recipe`."""
    return Xmp().packet(described(recipe))


def read_recipe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The recipe in the picture at `path` ("-" is standard input); raises Mistake if it has none."""
    with inputs.opened(path) as (file, name):
        written = ffmpeg.comment(path) if ffmpeg.is_film(file) else None
        if written is None:
            with inputs.decoding(name), inputs.identified(file) as image:
                written = _written(image)
    try:
        found = json.loads(written)
        json.dumps(found, allow_nan=False)  # Python reads NaN and Infinity, which are not JSON
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Mistake(f"{name} has no recipe" if written == "" else f"the recipe in {name} is damaged")
    return found


def _written(image: Image.Image) -> str:
    """The recipe's JSON in a picture; "" if there is none."""
    if image.format == "PNG":
        if KEYWORD not in image.info:
            image.load()  # a tool may have moved the text after the pixels
        found = image.info.get(KEYWORD, "")
        return found if isinstance(found, str) else ""
    if image.format == "GIF":
        comment: bytes = image.info.get("comment", b"")
        return comment.decode("utf-8", "replace")
    packets: dict[str, Callable[[], Any]] = {
        "JPEG": lambda: b"".join(data for marker, data in image.applist
                                 if marker == "APP1" and data.startswith(xmp.IN_JPEG)),
        "WEBP": lambda: image.info.get("xmp", b""),
        "TIFF": lambda: getattr(image, "tag_v2", {}).get(tiff.XMP, b""),
    }
    packet = packets.get(image.format, lambda: b"")()
    match = _IN_PACKET.search(packet.decode("utf-8", "replace")) if isinstance(packet, bytes) else None
    return html.unescape(next(filter(None, match.groups()), "")) if match else ""
