"""What a dream that another machine carries out leaves on this one if it is stopped, and goes on from: the file, or for
a film of a picture's steps the folder, that it would leave if it were dreamed here."""

import os
from typing import Any

from dreamer.arrays import Pixels
from dreamer.errors import Failure
from dreamer.jobs.checkpoint import Checkpoint, hidden
from dreamer.jobs.reel import Reel


class Left:
    """What the dream that will be written to `output` leaves. The other arguments are as for Checkpoint and Reel.

    is_film  whether it is a film of the picture's steps
    path     where that is here
    name     what it is called on the other machine, beside the output; with / at its end if it is a folder"""

    def __init__(self, output: str, dream: dict[str, Any], image: Pixels, is_film: bool) -> None:
        name = os.path.basename(output)
        self._reel = Reel(output, dream, image) if is_film else None
        if self._reel:
            self.path, self.name = self._reel.folder, f"{hidden(name, 'film')}/"
            self._state = Checkpoint(self.path / "dream", dream, image)
        else:
            self._state = Checkpoint(output, dream, image)
            self.path, self.name = self._state.path, hidden(name, "dreaming")

    def found(self, seed: int | None) -> dict[str, bytes]:
        """{name on the other machine, beside the output: content} of the files from which the dream can go on, with
        `seed` if that is given; none if there are none. Raises Failure if they cannot be read."""
        state = self._state.load(seed)
        if not state or (self._reel and self._reel.seed() != state.seed):
            return {}
        try:
            if not self._reel:
                return {self.name: self.path.read_bytes()}
            return {f"{self.name}{path.name}": path.read_bytes() for path in sorted(self.path.iterdir())}
        except OSError as error:
            raise Failure(f"{error.filename} cannot be read: {error.strerror}") from None

    def clear(self) -> None:
        """Delete what another film left here."""
        if self._reel:
            self._reel.remove()

    def remove(self) -> None:
        """Delete it."""
        (self._reel or self._state).remove()
