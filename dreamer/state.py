"""Where a dream is."""

from typing import Any, NamedTuple

from dreamer.arrays import Planes


class Step(NamedTuple):
    """What dreamify.deepdream tells after each step; octaves count from the smallest.

    picture  the dream so far, (3, h, w) as the net has it; its memory is used again afterwards
    random   the state of the generator, from which the next step goes on"""

    octave: int
    iteration: int
    objective: float
    picture: Planes
    random: dict[str, Any]


class State(NamedTuple):
    """Where a dream is: the octave (0 is the smallest), the steps done in it, what they made, the generator."""

    octave: int
    iteration: int
    picture: Planes  # (3, h, w)
    random: dict[str, Any]  # numpy.random.RandomState.get_state(legacy=False)
    seed: int  # that it began with
