"""A dream's state on disk. After a stop or a kill, a run resumes from it and makes the same picture.

The file is hidden beside the output: a line of JSON, then the picture's floats. It is always replaced as a whole, and
removed when the dream is done."""

import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dreamer.arrays import Planes, let_go
from dreamer.machine import files
from dreamer.machine.sharing import shared
from dreamer.state import State

_AT_ONCE = 16 << 20  # bytes


class Checkpoint:
    """The saved state of the dream that will be written to `output`.

    dream  every setting that the finished picture depends on, except the seed, as data for JSON
    image  the input's pixels; a state that was saved for other pixels or settings is not loaded"""

    def __init__(self, output: str | os.PathLike[str], dream: dict[str, Any], image: NDArray[Any]) -> None:
        self.path = beside(output, "dreaming")
        self._key = key(dream, image)

    def save(self, state: State) -> None:
        """Save the state. Raises OSError."""
        random = state.random | {"state": {"key": state.random["state"]["key"].tolist(),
                                           "pos": int(state.random["state"]["pos"])}}
        save(self.path, self._key, state.picture, octave=state.octave, iteration=state.iteration, seed=state.seed,
             random=random)

    def load(self, seed: int | None = None) -> State | None:
        """The last State that was saved; None if there is none of this dream (with `seed`, if that is given)."""
        found = load(self.path, self._key)
        if not found or seed not in (None, found[0]["seed"]):
            return None
        header, picture = found
        random = header["random"]
        random["state"]["key"] = np.array(random["state"]["key"], np.uint32)
        return State(header["octave"], header["iteration"], picture, random, header["seed"])

    def remove(self) -> None:
        """Delete the saved state."""
        self.path.unlink(missing_ok=True)


def beside(output: str | os.PathLike[str], kind: str) -> Path:
    """The path of a hidden file beside `output`, with the extension `kind`."""
    path = Path(os.path.realpath(output))
    return path.with_name(hidden(path.name, kind))


def hidden(name: str, kind: str) -> str:
    """The name of that file, for an output called `name`."""
    raw = os.fsencode(name)
    if len(raw) > 200:  # a name has at most 255 bytes, in any alphabet
        raw = raw[:180] + hashlib.sha256(raw).hexdigest()[:20].encode()
    return f".{os.fsdecode(raw)}.{kind}"


def key(dream: dict[str, Any], image: NDArray[Any]) -> str:
    """A checksum that identifies a dream, given as data for JSON, of an image."""
    digest = hashlib.sha256(json.dumps(dream, sort_keys=True).encode())
    digest.update(repr(image.shape).encode())
    rows = max(1, _AT_ONCE // max(1, image[:1].nbytes))
    for top in range(0, len(image), rows):
        digest.update(np.ascontiguousarray(image[top:top + rows]).data)
        let_go(image)
    return digest.hexdigest()


def save(path: str | os.PathLike[str], dream: str, planes: Planes, **header: Any) -> None:
    """Save `planes` and `header`, data for JSON, for the dream with the key `dream`. Raises OSError."""
    header |= {"dream": dream, "shape": planes.shape, "crc": zlib.crc32(planes.data)}
    line = json.dumps(header).encode()
    with files.replacing(path) as file:
        file.write(line + b" " * (-(len(line) + 1) % 64) + b"\n")  # aligns the floats for mapping
        file.write(planes.data)


def load(path: str | os.PathLike[str], dream: str) -> tuple[dict[str, Any], Planes] | None:
    """(header, planes) as saved; None if the file is missing, damaged, or of a different dream."""
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
    """The floats from here to the end of an open file. They are mapped, not read, because they may not fit in memory.

    In a shared folder they are read, because not every such folder can map a file, or replace a mapped one. Raises
    OSError and ValueError."""
    if shared(os.path.dirname(file.name)):
        return np.frombuffer(file.read(), np.float32).reshape(shape)
    return np.memmap(file, np.float32, "r", file.tell(), shape)
