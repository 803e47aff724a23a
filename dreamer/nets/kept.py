"""A net that stays loaded, for a process that starts a child for each of many dreams. A child that is a fork finds the
net in its memory, with its weights in the kernels' format, and the memory counts once. Each child can die, and only its
dream is lost, because this process takes no step with the net except the first small one.

On a busy machine, a dream of 96×64 pixels and one step then takes 90 ms instead of 220."""

import os

from dreamer.errors import Failure, Mistake
from dreamer.machine import limits
from dreamer.nets import binding, checksum
from dreamer.nets.layers import Layers
from dreamer.nets.model import Model
from dreamer.nets.net import Net

PLENTY = 20  # times the size of the weights: with less free memory, each child loads its own net, and frees it


class Kept:
    """The net of the dreams so far; none at first.

    This process loads a net only after a child has dreamed with it: Caffe would abort the process if something is
    wrong with it."""

    def __init__(self) -> None:
        self._net: Net | None = None
        self._wanted: tuple[object, ...] = ()
        self._proved = False

    def get(self, model: Model, layer: Layers, weights: str | os.PathLike[str] | None = None,
            threads: int | None = None, side: int | None = None) -> Net | None:
        """The Net for these arguments, which are as for Net, if the dream before had the same and went well; else None.
        A child that uses it calls its renew()."""
        try:
            path = model.weights_path(weights)
            wanted = (model, tuple(layer.names), os.fspath(path), checksum.sha256(path), threads)
            if wanted != self._wanted:
                self._net, self._wanted, self._proved = None, wanted, False
            elif self._proved and not self._net and limits.memory() > PLENTY * os.path.getsize(path):
                self._net = Net(model, layer, weights, threads=threads, side=side)
        except (Mistake, Failure, OSError):  # the child will say it
            return None
        return self._net

    def prove(self) -> None:
        """A child has dreamed with the net that was asked for last, if one was."""
        if self._wanted:
            self._proved = True
            binding.mind_forks()  # the next child need not import Caffe, which takes 20 ms
