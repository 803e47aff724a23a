"""The dream of one picture as a job; its steps may be the frames of a film."""

import contextlib
import dataclasses
from collections.abc import Callable

from dreamer.arrays import Pixels
from dreamer.errors import Failure, Stopped
from dreamer.jobs import unfinished
from dreamer.jobs.checkpoint import Checkpoint
from dreamer.jobs.elsewhere import Spread
from dreamer.jobs.job import Job
from dreamer.jobs.preview import LONGEST
from dreamer.machine.worker import PATIENCE, Worker
from dreamer.pictures import writing
from dreamer.pictures.picture import Picture
from dreamer.state import State, Step

SLOWEST = 10e6  # bytes per second of a network and a disk, for the patience with a picture that comes here
BRINGING = 20  # times what it takes to have the picture here pass, at least, between two checkpoints


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

    _bringing = 0.0  # seconds that it takes to have the picture here, if other machines keep it between two steps

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
        self._child, order = child, self.order
        steps = len(order.sizes) * order.iterations
        after = (0, self.state.octave, self.state.iteration) if self.state else (0, 0, 0)
        net = self._begin(child, steps if self.reel else 1, after, of_steps=bool(self.reel))
        small = unfinished.Small(order.model, order.picture.pixels, order.sizes, LONGEST, order.mask,
                                 order.finish)

        last: Step | None = None

        def each_step(step: Step) -> None:
            nonlocal last
            last = step
            if step.iteration + 1 == order.iterations:
                self._bring()  # the next octave begins with it, or it is the dream
            if self.reel:
                state, number = self._state(step), step.octave * order.iterations + step.iteration
                self.reel.keep(number, self._so_far(state))
                if number == steps - 1 and self.checkpoint:
                    with self._done_without(child.send, "the dream so far cannot be saved"):
                        self.checkpoint.save(state)  # if the film cannot be written, only that is repeated
            stop = self._stepped(child, 0, step, self.checkpoint)
            if stop:
                self._write_so_far(self._state(step))
                raise Stopped(stop, saved=True)
            if not self.spread or self.spread.is_here():
                self._show(child.send, lambda: small.picture(step.octave, step.picture),
                           _unfinished(step.octave, step.iteration + 1))

        try:
            pixels = self.dream(net, each_step=each_step, state=self.state)
        except Stopped as end:  # perhaps within a step, which has not changed the picture yet
            if self.checkpoint and last and not end.saved and last.iteration + 1 < order.iterations:
                with contextlib.suppress(Failure, Stopped):  # an earlier one counts if the picture cannot come
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
        return self._picture(order.finish(pixels, order.picture.pixels),
                             _unfinished(state.octave, state.iteration))

    def _write_so_far(self, state: State) -> None:
        if self.reel:
            self.reel.finish(state.octave * self.order.iterations + state.iteration,
                             self.order.recipe | _unfinished(state.octave, state.iteration))
        else:
            writing.write(self.order.output, self._so_far(state))

    def _state(self, step: Step) -> State:
        self._bring()
        return super()._state(step)

    def _bring(self) -> None:
        """Have the picture here after a step that other machines made."""
        if self.spread:
            if not self.spread.is_here():
                height, width = self.order.sizes[-1]
                self._child.saving(PATIENCE + 12 * height * width / SLOWEST)
            self._bringing = self.spread.bring()

    def _pause(self) -> float:
        return max(super()._pause(), BRINGING * self._bringing)


def _unfinished(octave: int, done: int) -> dict[str, dict[str, int]]:
    """What the recipe says of a dream that has `done` steps of `octave`, which is counted from 0."""
    return {"unfinished": {"octave": octave + 1, "iteration": done}}
