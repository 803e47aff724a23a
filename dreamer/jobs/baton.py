"""The baton of a film that is dreamed in parts: the dream from which a part goes on. It is a file beside the output of
the part, which takes it at its start, and at its end leaves its own last dream there. Its first bytes say what it is,
because a user may have a file of that name."""

import json
import os
from pathlib import Path

import numpy as np

from dreamer.arrays import Pixels
from dreamer.errors import Failure
from dreamer.jobs import checkpoint

_KEY = "baton"
_MARK = {"image-dreamer": _KEY}  # in front of the header
_BEGIN = json.dumps(_MARK).removesuffix("}").encode()


def beside(output: str | os.PathLike[str]) -> Path:
    """The path of the baton for a film at `output`."""
    path = Path(output)
    return path.with_name(f"{path.name}.{_KEY}")


def save(path: str | os.PathLike[str], first: int, before: Pixels | None) -> None:
    """Write a baton. Raises OSError.

    first   number of the frame from which the part goes on, counted from 0: those before it are not dreamed
    before  the dream before, float32 (h, w, 3); None if nothing is carried into that frame"""
    planes = np.empty((3, 0, 0), np.float32) if before is None else np.ascontiguousarray(
        before.transpose(2, 0, 1), np.float32)
    checkpoint.save(path, _KEY, planes, **_MARK, frames=first)


def is_ours(path: str | os.PathLike[str]) -> bool:
    """Whether a file at `path` is a baton, whole or damaged."""
    try:
        if not os.path.isfile(path):  # to open a pipe would wait for its writer
            return False
        with open(path, "rb") as file:
            return file.read(len(_BEGIN)) == _BEGIN
    except OSError:
        return False


def load(path: str | os.PathLike[str]) -> tuple[int, Pixels | None] | None:
    """(first, before) as saved; None if there is no file at `path`. Raises Failure if it is damaged, or no baton."""
    if not os.path.exists(path):
        return None
    found = checkpoint.load(path, _KEY)
    if not found:
        raise Failure(f"{path} is damaged")
    header, planes = found
    return header["frames"], planes.transpose(1, 2, 0) if planes.size else None
