"""The progress of a dream."""

from typing import Any, NamedTuple

from dreamer.arrays import Planes


class Step(NamedTuple):
    """What dreamify.deepdream reports after each step. Octave 0 is the smallest.

    picture  the dream so far, (3, h, w), in the net's format; it is overwritten afterwards
    random   the state of the generator, for the next step"""

    octave: int
    iteration: int
    objective: float
    picture: Planes
    random: dict[str, Any]


class State(NamedTuple):
    """A point from which a dream can resume. `iteration` steps of `octave` (0 is the smallest) are done."""

    octave: int
    iteration: int
    picture: Planes  # (3, h, w)
    random: dict[str, Any]  # numpy.random.RandomState.get_state(legacy=False)
    seed: int  # of the whole dream
