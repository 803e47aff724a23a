"""The dream so far, small enough to travel often: who follows a dream on another machine sees it grow."""

import io
from pathlib import Path

from PIL import Image

LONGEST = 640  # pixels of its longest side
MOST = 50_000  # bytes
SECONDS = 1.0  # from one to the next, at least
_QUALITIES = (85, 70, 50, 30, 10)


def glimpse(path: Path) -> bytes:
    """A JPEG of at most MOST bytes, as far as that is possible, of the picture at `path`. Raises OSError."""
    whole = path.read_bytes()
    if len(whole) <= MOST:
        return whole
    with Image.open(io.BytesIO(whole)) as image:
        image.draft(image.mode, (LONGEST, LONGEST))  # a JPEG is decoded at a smaller size
        image.thumbnail((LONGEST, LONGEST))
        for quality in _QUALITIES:
            made = io.BytesIO()
            image.save(made, "JPEG", quality=quality)  # sRGB, as all that we write
            if made.tell() <= MOST:
                break
        return made.getvalue()
