"""A dream's state on disk: a run that was stopped or killed goes on from there, to the same picture.

The file is hidden beside the output: a line of JSON, then the picture's floats. It is replaced whole, and
removed when the dream is done."""

import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dreamer import files


class State(NamedTuple):
    """Where a dream is: the octave (0 is the smallest), the steps done in it, what they made, the generator."""

    octave: int
    iteration: int
    picture: np.ndarray  # float32 (3, h, w)
    random: dict  # numpy.random.RandomState.get_state(legacy=False)
    seed: int  # that it began with


class Checkpoint:
    """Of the dream that will be written to `output`.

    dream  all but the seed that decides what the finished picture is, for JSON: a state is of one such dream alone
    image  the input's pixels, which decide too"""

    def __init__(self, output, dream, image):
        output = Path(os.path.realpath(output))
        name = os.fsdecode(os.fsencode(output.name)[:200])  # a folder takes 255 bytes, whatever the alphabet
        self.path = output.with_name(f".{name}.dreaming")
        digest = hashlib.sha256(json.dumps(dream, sort_keys=True).encode())
        digest.update(repr(image.shape).encode())
        digest.update(np.ascontiguousarray(image).data)
        self._key = digest.hexdigest()

    def save(self, state):
        """Keep the State; raises OSError."""
        random = state.random | {"state": {"key": state.random["state"]["key"].tolist(),
                                           "pos": int(state.random["state"]["pos"])}}
        header = {"dream": self._key, "octave": state.octave, "iteration": state.iteration, "seed": state.seed,
                  "shape": state.picture.shape, "random": random, "crc": zlib.crc32(state.picture)}
        with files.replacing(self.path) as file:
            file.write(json.dumps(header).encode() + b"\n")
            file.write(state.picture.data)

    def load(self, seed=None):
        """The State that was kept last; None where there is none of this dream (and `seed`, if one is named)."""
        try:
            with open(self.path, "rb") as file:
                header = json.loads(file.readline())
                if header["dream"] != self._key or seed not in (None, header["seed"]):
                    return None
                picture = np.frombuffer(file.read(), np.float32).reshape(header["shape"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if zlib.crc32(picture) != header["crc"]:
            return None
        random = header["random"]
        random["state"]["key"] = np.array(random["state"]["key"], np.uint32)
        return State(header["octave"], header["iteration"], picture, random, header["seed"])

    def remove(self):
        """Forget the dream."""
        self.path.unlink(missing_ok=True)
