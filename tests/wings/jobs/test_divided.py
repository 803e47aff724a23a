"""Films that other machines dream in parts are, byte for byte, the films that this machine dreams alone."""

import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dreamify
from dreamer import perform
from dreamer.errors import Failure, Stopped
from dreamer.jobs import events
from dreamer.jobs.elsewhere import Elsewhere
from dreamer.jobs.events import Event
from dreamer.nets.model import Model
from helpers import names, noise, saved
from nearby import Nearby

Film = Callable[..., dict[str, bytes]]


@pytest.fixture
def film(tiny: Model, tmp_path: Path) -> Film:
    """Function that dreams a film, alone or elsewhere, in the folder of that name, and returns {name: bytes} of what is
    then there. More arguments are those of dreamify."""
    def dreamed(folder: str, output: str, elsewhere: Elsewhere | None = None,
                listen: Callable[[Event], None] = lambda event: None, stop: threading.Event | None = None,
                **asked: Any) -> dict[str, bytes]:
        (tmp_path / folder).mkdir(exist_ok=True)
        request = dreamify.ask({"output": tmp_path / folder / output, "layer": "mix/output", "iterations": 2,
                                "octaves": 2, "seed": 5, "model": tiny.folder} | asked)
        perform.one(request, listen, deepdream=dreamify.deepdream, step=dreamify.make_step,
                    sizes=dreamify.octave_sizes, elsewhere=elsewhere, stop=stop)
        return {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}
    return dreamed


@pytest.mark.parametrize("output", ["f.gif", "f-%03d.png"])
def test_x(film: Film, frames: Path, output: str) -> None:
    nearby = Nearby()
    assert film("farm", output, nearby, input=frames) == film("alone", output, input=frames)
    assert len(nearby.units) == 2


@pytest.mark.parametrize("output", ["f.gif", "f-%03d.png"])
def test_z(film: Film, small: Path, output: str) -> None:
    nearby = Nearby()
    assert film("farm", output, nearby, input=small, zoom=30) == film("alone", output, input=small, zoom=30)
    assert len(nearby.units) == 2

@pytest.mark.parametrize("output", ["f.gif", "f-%03d.png"])
def test_b(film: Film, frames: Path, output: str) -> None:
    nearby = Nearby()
    assert film("farm", output, nearby, input=frames, blend=0.5) == film("alone", output, input=frames, blend=0.5)
    assert len(nearby.units) == 2
