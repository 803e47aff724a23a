"""Which file names mean a film."""

import os
from pathlib import Path

from dreamer.films.containers import CONTAINERS
from dreamer.films.numbered import numbered

FILMS = tuple(sorted((".gif", ".webp", *CONTAINERS)))
RATE = 25  # frames per second
FASTEST = 120  # frames per second that may be asked for


def always_film(path: str | os.PathLike[str]) -> bool:
    """Whether `path` can only name a film (.webp can be a picture too)."""
    return numbered(path) or Path(path).suffix.lower() in set(FILMS) - {".webp"}


def may_be_film(path: str | os.PathLike[str]) -> bool:
    """Whether `path` names a film, or may name one."""
    return numbered(path) or Path(path).suffix.lower() in FILMS
