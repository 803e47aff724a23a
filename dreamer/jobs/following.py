"""A dream that another machine carries out, followed here: its events are told as if it were dreamed on this machine,
and its preview is written here."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from dreamer.errors import Failure
from dreamer.jobs import events
from dreamer.jobs.events import Listener
from dreamer.jobs.preview import Preview
from dreamer.pictures.picture import Picture


class Following:
    """Follows the dream that will be written to `output`; a Follow.

    preview  the Preview, or None
    recipe   what its file records of the dream
    listen   called with each event"""

    def __init__(self, output: str, preview: Preview | None, recipe: dict[str, Any], listen: Listener) -> None:
        self._output, self._preview, self._recipe, self._listen = output, preview, dict(recipe), listen
        self._warned = False

    def __call__(self, told: Mapping[str, Any], picture: bytes = b"") -> None:
        """Tell an event, given as another program gets it; and show a picture of the dream so far, if there is one."""
        event = events.understood(told)
        if isinstance(event, events.Began):
            self._recipe["seed"] = event.seed
            self._listen(event._replace(output=self._output))
        elif isinstance(event, events.Stepped | events.Tiled):
            self._recipe["unfinished"] = {"octave": event.octave, "iteration": event.iteration}
            self._listen(event)
        elif isinstance(event, events.PreviewWritten) and self._preview:
            self._show(self._preview, picture)

    def _show(self, preview: Preview, picture: bytes) -> None:
        try:
            with Image.open(io.BytesIO(picture)) as image:
                seen = Picture(np.asarray(image.convert("RGB")), recipe=self._recipe)
            self._listen(preview.write(lambda: seen))
        except (OSError, Failure) as error:
            if not self._warned:
                self._listen(events.Warned(f"the preview cannot be written: {error}"))
            self._warned = True
