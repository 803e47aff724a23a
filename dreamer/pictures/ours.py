"""Whether an existing file was made by this program, so that it may be overwritten: such files carry a mark."""

import os
from pathlib import Path

from dreamer.errors import Mistake
from dreamer.pictures import page
from dreamer.pictures.recipe import read_recipe


def is_ours(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is a picture, film, frame, preview or atlas page of this program, or is empty.

    Raises OSError if it cannot be read."""
    if os.stat(path).st_size == 0:
        return True
    if Path(path).suffix.lower() in page.PAGES:
        with open(path, "rb") as file:
            return page.MARK.encode() in file.read(4096)
    try:
        return bool(read_recipe(path))
    except Mistake:
        return False
