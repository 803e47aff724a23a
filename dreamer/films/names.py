"""Which names mean a film."""

import os
from pathlib import Path

from dreamer.films.numbered import numbered

FILMS = (".gif", ".mp4", ".webp")
RATE = 25  # frames a second


def always_film(path: str | os.PathLike[str]) -> bool:
    """Whether `path` names a film, and not, as .webp may, a picture."""
    return numbered(path) or Path(path).suffix.lower() in (".gif", ".mp4")


def may_be_film(path: str | os.PathLike[str]) -> bool:
    """Whether `path` names a film, or what may be one."""
    return numbered(path) or Path(path).suffix.lower() in FILMS
