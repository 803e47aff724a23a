"""Dreams from nothing on the page: noise, grey or one colour in the place of a photo. They are not files, so what they
are, and how they look, is answered here."""

import asyncio
import io
from pathlib import Path

from PIL import Image

from dreamer.errors import Mistake
from dreamer.pictures import inputs, nothing, reading
from dreamer.pictures.nothing import Nothing
from dreamer.studio.guard import Guarded

SAMPLE = "noise"  # beside the sample photos
_SEED = 0  # of the noise that is shown; that of the dream gets the dream's own


def found(name: str, folder: Path) -> Nothing | None:
    """What `name` stands for; None if it is a file of `folder`, or nothing that can be dreamed."""
    try:
        return nothing.find(name, inputs.MAX_PIXELS, folder)
    except Mistake:
        return None


async def shown(handler: Guarded, name: str, longest: int | None) -> bool:
    """Answer with a JPEG of what `name` stands for, of at most `longest` pixels a side; returns whether it stands for
    something."""
    seen = found(name, handler.studio.folder)
    if seen is None:
        return False
    small = Nothing(seen.word, *reading.shrunk((seen.width, seen.height), longest))
    handler.set_header("Content-Type", "image/jpeg")
    handler.may_be_kept()
    handler.finish(await asyncio.get_running_loop().run_in_executor(None, _jpeg, small))
    return True


def _jpeg(small: Nothing) -> bytes:
    file = io.BytesIO()
    Image.fromarray(small.pixels(_SEED)).save(file, "JPEG", quality=88)
    return file.getvalue()


class Blank(Guarded):
    """/blank/NAME: what noise, grey or a colour is, as the gallery says it of a photo; null for other names."""

    def get(self, name: str) -> None:  # noqa: D102 - Tornado's
        seen = found(name, self.studio.folder)
        self.answer(seen and {"name": str(seen), "kind": "photo", "width": seen.width, "height": seen.height})
