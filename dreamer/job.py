"""One dream as a job: in a child process that may die, kept at checkpoints, shown on the way."""

import abc
import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from dreamer import budget, files, inputs, limits, pictures, unfinished, worker
from dreamer.checkpoint import Checkpoint, State, Step
from dreamer.errors import Failure, printable
from dreamer.model import Model
from dreamer.net import Net, mind_forks
from dreamer.pictures import Picture
from dreamer.planes import Light, Pixels
from dreamer.progress import Progress
from dreamer.reel import Reel
from dreamer.worker import Died, Stopped, Worker

CHECKPOINT_SECONDS = 30  # between two checkpoints in one octave; each octave but the last ends with one too
PREVIEW_SECONDS = 2


@dataclasses.dataclass
class Job(abc.ABC):
    """What to dream, and where to keep it: what the dream of a picture and that of a film have in common.

    dream       function of (net, each_step, …) that dreams
    make_net    gives what dreams
    model       whose net that is
    picture     to dream
    recipe      what is kept in the output
    sizes       of the octaves, the smallest first; iterations: the steps in each
    output      path of the finished picture or film; preview: of a picture that shows the dream so far, or None
    progress    where it is told
    reel        of a film, or None
    mask        where to dream, as dreamify.deepdream has it, or None"""

    dream: Callable[..., Any]
    make_net: Callable[[], Net]
    model: Model
    picture: Picture
    recipe: dict[str, Any]
    sizes: list[tuple[int, int]]
    iterations: int
    output: str
    preview: str | None
    progress: Progress
    reel: Reel | None
    mask: Light | None

    def run(self) -> None:
        """Dream and write the output. Raises Stopped or Died, with what was saved told in the message."""
        self._kept = self._shown = time.monotonic()
        self._warned: set[str] = set()
        for path in (self.output, self.preview):
            if path and path != inputs.STANDARD:
                files.sweep(os.path.dirname(os.path.realpath(path)))
        self._planes = budget.planes
        if "caffe" in sys.modules:  # used by whoever called us
            mind_forks()
        try:
            worker.run(self._work, lambda message: getattr(self.progress, message[0])(*message[1:]),
                       self.progress.tick)
            self.progress.finish()
        except Stopped as stop:
            saved = stop.saved or self._save_last()
            raise Stopped(stop.number, f"{printable(self.output)} is the dream so far; {self._goes_on()}" if saved
                          else f"nothing was written; {self._goes_on()}" if self._has_kept() else "nothing was written"
                          ) from None
        except Died as end:
            raise Died(f"{end}. {self._goes_on()}") from None
        finally:
            self.progress.close()
            if self.reel and not self._has_kept():
                self.reel.remove()

    @abc.abstractmethod
    def _work(self, child: Worker) -> None:
        """Dream, in the child process."""

    @abc.abstractmethod
    def _has_kept(self) -> bool:
        """Whether there is something to go on from."""

    @abc.abstractmethod
    def _save_last(self) -> bool:
        """Write the output from what was kept last; returns whether there was something."""

    def _goes_on(self) -> str:
        return "the same command goes on from there" if self._has_kept() else "nothing was kept"

    def _begin(self, child: Worker, told: str, arrays: int = 0) -> Net:
        """What dreams, for what is `told` in a line with all that it takes.

        arrays  bytes a pixel beside those of one dream"""
        net = self.make_net()
        height, width = self.sizes[-1]
        net.budget.arrays += arrays
        if self.reel:
            net.budget.base += self.reel.arrays * height * width
        need, overhead = net.budget.plan(height, width)
        self._planes = net.budget.planes
        tiled = f", in tiles: {overhead:.1f} times the work" if overhead > 1 else ""
        child.send(("tell", f"{told}{width}×{height} pixels, {len(self.sizes)} octaves, seed {self.recipe['seed']}, "
                            f"{limits.told(need)} of memory, {net.threads} threads{tiled}"))
        return net

    def _pixels(self, net: Net) -> list[int]:
        """That a step of each octave computes."""
        return [net.work(*size) for size in self.sizes]

    def _state(self, step: Step) -> State:
        """Where the dream is after a step."""
        return State(step.octave, step.iteration + 1, step.picture, step.random, self.recipe["seed"])

    def _stepped(self, child: Worker, step: Step, checkpoint: Checkpoint | None) -> int | None:
        """Tell a step and keep it where it is time; returns the signal that asks for the end, or None."""
        child.send(("step", step.octave, step.iteration))
        now, stop = time.monotonic(), child.asked()
        octave_ends = step.iteration + 1 == self.iterations and step.octave + 1 < len(self.sizes)
        if checkpoint and (stop or octave_ends or now - self._kept > CHECKPOINT_SECONDS):
            with self._done_without(child, "the dream so far cannot be kept"):
                checkpoint.save(self._state(step))
            self._kept = now
        return stop

    def _show(self, child: Worker, picture: Callable[[], Picture]) -> None:
        """Write the preview, a picture that is made for it, where there is to be one and it is time."""
        if self.preview and time.monotonic() - self._shown > PREVIEW_SECONDS:
            with self._done_without(child, "no preview can be written"):
                pictures.write(self.preview, picture())
            self._shown = time.monotonic()

    @contextlib.contextmanager
    def _done_without(self, child: Worker, words: str) -> Iterator[None]:
        """What goes wrong in this block, on a full disk say, ends no dream: it is told once, in these words."""
        try:
            yield
        except (OSError, Failure) as error:
            if words not in self._warned:
                child.send(("warn", f"{words}: {error.strerror if isinstance(error, OSError) else error}"))
            self._warned.add(words)

    def _picture(self, pixels: Pixels, more: dict[str, Any]) -> Picture:
        return dataclasses.replace(self.picture, pixels=pixels, recipe=self.recipe | more)


@dataclasses.dataclass
class Dream(Job):
    """Of one picture; with a reel its steps are the frames of a film.

    dream       function of (net, each_step, state), as dreamify.deepdream
    checkpoint  where it is kept, or None
    state       to go on from, or None"""

    dream: Callable[..., Pixels]
    checkpoint: Checkpoint | None = None
    state: State | None = None

    def _has_kept(self) -> bool:
        return bool(self.checkpoint and self.checkpoint.load())

    def _save_last(self) -> bool:
        """The output as it was at the last checkpoint."""
        state = self.checkpoint and self.checkpoint.load()
        if state:
            self._write_so_far(state)
        return bool(state)

    def _work(self, child: Worker) -> None:
        net = self._begin(child, f"{len(self.sizes) * self.iterations} frames, " if self.reel else "")
        if self.state:
            child.send(("tell", f"goes on from octave {self.state.octave + 1}, iteration {self.state.iteration}"))
        child.send(("begin", self._pixels(net), *(self.state[:2] if self.state else (0, 0))))

        def each_step(step: Step) -> None:
            state = self._state(step)
            if self.reel:
                self.reel.keep(step.octave * self.iterations + step.iteration, self._so_far(state))
            stop = self._stepped(child, step, self.checkpoint)
            if stop:
                self._write_so_far(state)
                raise Stopped(stop, saved=True)
            self._show(child, lambda: self._so_far(state))

        pixels = self.dream(net, each_step=each_step, state=self.state)
        net.close()  # a large picture on its way into a file takes as much again
        if self.reel:
            self.reel.finish(len(self.sizes) * self.iterations, self.recipe)
            self.reel.remove()
        else:
            pictures.write(self.output, self._picture(pixels, {}))
        if self.checkpoint:
            self.checkpoint.remove()

    def _so_far(self, state: State) -> Picture:
        """The picture as it is in that state."""
        pixels = unfinished.picture(self.model, self.picture.pixels, self.sizes, state.octave, state.picture,
                                    self._planes, self.mask)
        return self._picture(pixels, self._unfinished(state))

    def _write_so_far(self, state: State) -> None:
        if self.reel:
            self.reel.finish(state.octave * self.iterations + state.iteration, self.recipe | self._unfinished(state))
        else:
            pictures.write(self.output, self._so_far(state))

    def _unfinished(self, state: State) -> dict[str, dict[str, int]]:
        return {"unfinished": {"octave": state.octave + 1, "iteration": state.iteration}}
