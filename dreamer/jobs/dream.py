"""The dream of one picture as a job; its steps may be the frames of a film."""

import contextlib
import dataclasses
from collections.abc import Callable

from dreamer.arrays import Pixels
from dreamer.errors import Stopped
from dreamer.jobs import unfinished
from dreamer.jobs.checkpoint import Checkpoint
from dreamer.jobs.elsewhere import Spread
from dreamer.jobs.job import Job
from dreamer.jobs.preview import LONGEST
from dreamer.machine.worker import Worker
from dreamer.pictures import writing
from dreamer.pictures.picture import Picture
from dreamer.state import State, Step


@dataclasses.dataclass
class Dream(Job):
    """The dream of one picture. With a reel, its steps are the frames of a film.

    dream       function of (net, each_step, state), such as dreamify.deepdream
    checkpoint  where its state is saved, or None
    state       the State to resume from, or None
    spread      computes the tiles of its steps elsewhere; `dream` has it too"""

    dream: Callable[..., Pixels]
    checkpoint: Checkpoint | None = None
    state: State | None = None
    spread: Spread | None = None

    def _has_kept(self) -> bool:
        return bool(self.checkpoint and self.checkpoint.load())

    def _save_last(self) -> bool:
        """Write the output from the last checkpoint; returns whether there was one."""
        state = self.checkpoint and self.checkpoint.load()
        if state:
            self._write_so_far(state)
        return bool(state)

    def _work(self, child: Worker) -> None:
        with self.spread.heard(child.send, child.asked) if self.spread else contextlib.nullcontext():
            self._dream(child)

    def _dream(self, child: Worker) -> None:
        order = self.order
        steps = len(order.sizes) * order.iterations
        after = (0, self.state.octave, self.state.iteration) if self.state else (0, 0, 0)
        net = self._begin(child, steps if self.reel else 1, after, of_steps=bool(self.reel))
        small = unfinished.Small(order.model, order.picture.pixels, order.sizes, LONGEST, order.mask,
                                 order.finish)

        last: Step | None = None

        def each_step(step: Step) -> None:
            nonlocal last
            last, state = step, self._state(step)
            if self.reel:
                number = step.octave * order.iterations + step.iteration
                self.reel.keep(number, self._so_far(state))
                if number == steps - 1 and self.checkpoint:
                    with self._done_without(child.send, "the dream so far cannot be saved"):
                        self.checkpoint.save(state)  # if the film cannot be written, only that is repeated
            stop = self._stepped(child, 0, step, self.checkpoint)
            if stop:
                self._write_so_far(state)
                raise Stopped(stop, saved=True)
            self._show(child.send, lambda: small.picture(step.octave, step.picture), self._unfinished(state))

        try:
            pixels = self.dream(net, each_step=each_step, state=self.state)
        except Stopped as end:  # perhaps within a step, which has not changed the picture yet
            if self.checkpoint and last and not end.saved and last.iteration + 1 < order.iterations:
                self.checkpoint.save(self._state(last))
            raise
        net.close()  # writing a large picture takes as much memory again
        if self.reel:
            self.reel.finish(steps, order.recipe)
            self.reel.remove()
        else:
            writing.write(order.output, self._picture(order.finish(pixels, order.picture.pixels), {}))
        if self.checkpoint:
            self.checkpoint.remove()

    def _so_far(self, state: State) -> Picture:
        """The Picture in this state of the dream."""
        order = self.order
        pixels = unfinished.picture(order.model, order.picture.pixels, order.sizes, state.octave, state.picture,
                                    self._allocate, order.mask)
        return self._picture(order.finish(pixels, order.picture.pixels), self._unfinished(state))

    def _write_so_far(self, state: State) -> None:
        if self.reel:
            self.reel.finish(state.octave * self.order.iterations + state.iteration,
                             self.order.recipe | self._unfinished(state))
        else:
            writing.write(self.order.output, self._so_far(state))

    def _unfinished(self, state: State) -> dict[str, dict[str, int]]:
        return {"unfinished": {"octave": state.octave + 1, "iteration": state.iteration}}
