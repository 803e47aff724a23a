"""A dream's state on disk: a run that was stopped or killed goes on from there, to the same picture.

The file is hidden beside the output: a line of JSON, then the picture's floats. It is replaced whole, and
removed when the dream is done."""

import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Planes
from dreamer.machine import files
from dreamer.machine.sharing import shared
from dreamer.state import State


class Checkpoint:
    """Of the dream that will be written to `output`.

    dream  all but the seed that decides what the finished picture is, for JSON: a state is of one such dream alone
    image  the input's pixels, which decide too"""

    def __init__(self, output: str | os.PathLike[str], dream: dict[str, Any], image: NDArray[Any]) -> None:
        self.path = beside(output, "dreaming")
        self._key = key(dream, image)

    def save(self, state: State) -> None:
        """Keep it; raises OSError."""
        random = state.random | {"state": {"key": state.random["state"]["key"].tolist(),
                                           "pos": int(state.random["state"]["pos"])}}
        save(self.path, self._key, state.picture, octave=state.octave, iteration=state.iteration, seed=state.seed,
             random=random)

    def load(self, seed: int | None = None) -> State | None:
        """The State that was kept last; None where there is none of this dream (and `seed`, if one is named)."""
        found = load(self.path, self._key)
        if not found or seed not in (None, found[0]["seed"]):
            return None
        header, picture = found
        random = header["random"]
        random["state"]["key"] = np.array(random["state"]["key"], np.uint32)
        return State(header["octave"], header["iteration"], picture, random, header["seed"])

    def remove(self) -> None:
        """Forget the dream."""
        self.path.unlink(missing_ok=True)


def beside(output: str | os.PathLike[str], kind: str) -> Path:
    """The path of a hidden file beside `output`, of that kind."""
    path = Path(os.path.realpath(output))
    name = os.fsdecode(os.fsencode(path.name)[:200])  # a folder takes 255 bytes, whatever the alphabet
    return path.with_name(f".{name}.{kind}")


def key(dream: dict[str, Any], image: NDArray[Any]) -> str:
    """Text that stands for a dream, which is for JSON, of an image."""
    digest = hashlib.sha256(json.dumps(dream, sort_keys=True).encode())
    digest.update(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def save(path: str | os.PathLike[str], dream: str, planes: Planes, **header: Any) -> None:
    """Keep `planes` and what else there is, for JSON, of the dream with that key; raises OSError."""
    header |= {"dream": dream, "shape": planes.shape, "crc": zlib.crc32(planes.data)}
    line = json.dumps(header).encode()
    with files.replacing(path) as file:
        file.write(line + b" " * (-(len(line) + 1) % 64) + b"\n")  # floats that are mapped are best aligned
        file.write(planes.data)


def load(path: str | os.PathLike[str], dream: str) -> tuple[dict[str, Any], Planes] | None:
    """(header, planes) that were kept; None where the file is damaged, or there is none of that dream."""
    try:
        with open(path, "rb") as file:
            header = json.loads(file.readline())
            if header["dream"] != dream:
                return None
            planes = _floats(file, tuple(header["shape"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (header, planes) if zlib.crc32(planes.data) == header["crc"] else None


def _floats(file: BinaryIO, shape: tuple[int, ...]) -> Planes:
    """The floats from here to the end of an open file. Mapped, not read: there may be less memory left than they take.

    On a shared folder they are read, for not every one maps files, or replaces one that is mapped. Raises OSError,
    ValueError."""
    if shared(os.path.dirname(file.name)):
        return np.frombuffer(file.read(), np.float32).reshape(shape)
    return np.memmap(file, np.float32, "r", file.tell(), shape)
