"""A dream as a job: it runs in a child process that may die, is saved at checkpoints, and shows a preview."""

import abc
import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from dreamer.arrays import Light, Pixels
from dreamer.errors import Failure, Stopped, printable
from dreamer.jobs import events
from dreamer.jobs.checkpoint import Checkpoint
from dreamer.jobs.divided import Undreamed
from dreamer.jobs.estimate import Estimate
from dreamer.jobs.events import Event, Listener
from dreamer.jobs.preview import Preview
from dreamer.jobs.reel import Reel, Unwritten
from dreamer.machine import files, limits, reservations, worker
from dreamer.machine.reservations import Reservation
from dreamer.machine.signals import Stop
from dreamer.machine.worker import Died, Worker
from dreamer.nets import binding, budget
from dreamer.nets.budget import TooLittle
from dreamer.nets.model import Model
from dreamer.nets.net import Net
from dreamer.pictures import inputs, writing
from dreamer.pictures.finish import Finish
from dreamer.pictures.mask import resized
from dreamer.pictures.picture import Picture
from dreamer.state import State, Step

CHECKPOINT_SECONDS = 30  # between two checkpoints in one octave; every octave except the last ends with one too


@dataclasses.dataclass(frozen=True)
class Order:
    """What to dream, and where to save it: the part that pictures and films have in common.

    make_net    function of the number of a process that waits for this one, or None; returns the Net
    model       the model of that Net
    layer       the layers to dream, as text
    picture     the picture to dream
    recipe      the settings that the output records
    sizes       (height, width) of the octaves, the smallest first; iterations: the steps in each
    output      path of the finished picture or film
    preview     the Preview of the dream so far, or None
    mask        where to dream, as for dreamify.deepdream, or None
    finish      how a dream is finished, and shown before
    arrays      bytes per pixel that the rules of a step take beside those of a dream, and
    beside      bytes that they take beside these
    ahead       as Spread says; 0 if the dream's tiles are computed here"""

    make_net: Callable[[int | None], Net]
    model: Model
    layer: str
    picture: Picture
    recipe: dict[str, Any]
    sizes: list[tuple[int, int]]
    iterations: int
    output: str
    preview: Preview | None
    mask: Light | None
    finish: Finish
    arrays: int
    beside: int
    ahead: int


@dataclasses.dataclass
class Job(abc.ABC):
    """Carries out an order.

    dream  function of (net, each_step, …) that dreams
    reel   the Reel of a film, or None"""

    order: Order
    dream: Callable[..., Any]
    reel: Reel | None

    def run(self, listen: Listener, stop: Stop) -> None:
        """Dream and write the output. Raises Stopped or Died; the message says what was saved.

        listen  called with each event
        stop    says when to stop"""
        self._kept, self._warned = time.monotonic(), set[str]()
        for path in (self.order.output, self.order.preview.path if self.order.preview else None):
            if path and path != inputs.STANDARD:
                files.sweep(os.path.dirname(os.path.realpath(path)))
        self._allocate = budget.allocate
        if "caffe" in sys.modules:  # the calling program uses it
            binding.mind_forks()
        listening = _Listening(listen, self.reel.encoded if self.reel else 0)
        try:
            try:
                self._carry_out(listening.hear, listening.tick, stop)
            except Stopped as end:
                saved = end.saved or self._save_last()
                raise Stopped(end.number, f"{printable(self.order.output)} is the dream so far; {self._goes_on()}"
                              if saved else f"nothing was written; {self._goes_on()}" if self._has_kept()
                              else "nothing was written", saved) from None
        except (Died, Undreamed, Unwritten) as end:
            kept = self.reel.kept() if self.reel and self._has_kept() else self._goes_on()
            raise type(end)(f"{end}; {kept}") from None
        finally:
            if self.reel and not self._has_kept():
                self.reel.remove()

    def _carry_out(self, hear: Listener, tick: Callable[[], None], stop: Stop) -> None:
        """Dream, in a child process. `tick` is called often. Raises Stopped and Died."""
        worker.run(self._work, hear, stop, tick)

    @abc.abstractmethod
    def _work(self, child: Worker) -> None:
        """Dream, in the child process."""

    @abc.abstractmethod
    def _has_kept(self) -> bool:
        """Whether there is something to resume from."""

    @abc.abstractmethod
    def _save_last(self) -> bool:
        """Write the output from the last saved state; returns whether there was one."""

    def _goes_on(self) -> str:
        return "run the same command to continue" if self._has_kept() else "nothing was saved"

    def _begin(self, child: Worker, frames: int, after: tuple[int, int, int], arrays: int = 0,
               of_steps: bool = False) -> Net:
        """Report the start of the dream, and return its Net.

        frames, after, of_steps  as in events.Began
        arrays                   bytes per pixel in addition to those of one dream"""
        order = self.order
        net, need, overhead = self._planned(child, arrays)
        self._allocate = net.budget.allocate
        self._going = self._next(*after)
        net.watch = lambda share: child.send(events.Tiled(*self._going, share))
        child.send(events.Began(
            output=order.output, layer=order.layer, layers=order.model.keys, sizes=order.sizes,
            iterations=order.iterations, frames=frames, rate=float(self.reel.rate) if self.reel else None,
            of_steps=of_steps, seed=order.recipe["seed"], memory=need, threads=net.threads, overhead=overhead,
            work=[net.work(*size) for size in order.sizes], done=0, total=0, after=after))
        return net

    def _planned(self, child: Worker, arrays: int) -> tuple[Net, int, float]:
        """(Net, bytes that it needs, overhead as in Budget.fit). It uses the memory that other dreams leave; if that is
        too little, it waits until they end."""
        self._reservation, told = Reservation(), False  # held until this process ends
        while True:
            with self._reservation.planning(child.asked) as others:
                try:
                    net, need, overhead = self._fitted(child.parent, arrays, bool(others))
                    self._reservation.make(need, *[child.parent] if child.parent else [])
                    if others and overhead > 1 and not told:
                        child.send(events.MemoryShared(f"another dream has reserved {limits.told(others)} of memory; "
                                                       "this one uses the rest", False))
                    return net, need, overhead
                except TooLittle as error:
                    if not others or error.lacks > others:  # even their end would not help
                        raise
            if not told:
                child.send(events.MemoryShared(f"waiting for memory: another dream has reserved {limits.told(others)}",
                                               True))
                told = True
            while not reservations.changed(others):
                if number := child.asked():
                    raise Stopped(number)

    def _fitted(self, waiting: int | None, arrays: int, shared: bool) -> tuple[Net, int, float]:
        """Like _planned, but raises TooLittle if the memory that is left now is too little.

        shared  whether other dreams run, so that less memory may be left than --memory allows"""
        net = self.order.make_net(waiting)
        try:
            height, width = self.order.sizes[-1]
            net.budget.arrays += arrays + self.order.arrays
            net.budget.base += self.order.beside
            net.budget.ahead = self.order.ahead
            if self.reel:
                net.budget.base += self.reel.arrays * height * width
            elif writing.in_strips(self.order.output):
                net.budget.writing = 0
            need, overhead = net.budget.fit(height, width)
            if shared and need - net.budget.base > limits.memory():
                told = TooLittle(f"only {limits.told(limits.memory())} of memory is left")
                told.lacks = 0
                raise told
        except TooLittle:
            net.close()
            raise
        return net, need, overhead

    def _next(self, frame: int, octave: int, done: int) -> tuple[int, int, int]:
        """(frame, octave, iteration) of the step after the first `done` steps of that octave; counts from 1, though
        frame and octave are counted from 0."""
        octave, done = (octave + 1, 0) if done == self.order.iterations else (octave, done)
        frame, octave = (frame + 1, 0) if octave == len(self.order.sizes) else (frame, octave)
        return frame + 1, octave + 1, done + 1

    def _state(self, step: Step) -> State:
        """The State of the dream after a step."""
        return State(step.octave, step.iteration + 1, step.picture, step.random, self.order.recipe["seed"])

    def _stepped(self, child: Worker, frame: int, step: Step, checkpoint: Checkpoint | None) -> int | None:
        """Report a step of `frame`, counted from 0, and save a checkpoint if it is time. Returns the signal that asks
        for a stop, or None."""
        child.send(events.Stepped(frame + 1, step.octave + 1, step.iteration + 1, step.objective))
        self._going = self._next(frame, step.octave, step.iteration + 1)
        now, stop = time.monotonic(), child.asked()
        octave_ends = step.iteration + 1 == self.order.iterations and step.octave + 1 < len(self.order.sizes)
        if checkpoint and (stop or octave_ends or now - self._kept > self._pause()):
            with self._done_without(child.send, "the dream so far cannot be saved"):
                checkpoint.save(self._state(step))
            self._kept = now
        return stop

    def _pause(self) -> float:
        """Seconds between two checkpoints in one octave."""
        return CHECKPOINT_SECONDS

    def _show(self, send: Listener, pixels: Callable[[], Pixels], more: dict[str, Any]) -> None:
        """Write the preview if there is one and it is time. `pixels` returns its small pixels; `more` is added to the
        recipe."""
        def picture() -> Picture:
            small, alpha = pixels(), self.order.picture.alpha
            return dataclasses.replace(self._picture(small, more),
                                       alpha=None if alpha is None else resized(alpha, *small.shape[:2]))

        if self.order.preview and self.order.preview.is_due():
            with self._done_without(send, "the preview cannot be written"):
                send(self.order.preview.write(picture))

    @contextlib.contextmanager
    def _done_without(self, send: Listener, words: str) -> Iterator[None]:
        """An error in this block (a full disk, say) does not end the dream. It is reported once, after `words`."""
        try:
            yield
        except (OSError, Failure) as error:
            if words not in self._warned:
                send(events.Warned(f"{words}: {error.strerror if isinstance(error, OSError) else error}"))
            self._warned.add(words)

    def _picture(self, pixels: Pixels, more: dict[str, Any]) -> Picture:
        return dataclasses.replace(self.order.picture, pixels=pixels, recipe=self.order.recipe | more)


class _Listening:
    """In the parent: passes the child's events on to a listener, with the estimated time to go.

    encoded  as for Estimate"""

    def __init__(self, listen: Listener, encoded: int) -> None:
        self._listen, self._encoded = listen, encoded
        self._estimate: Estimate | None = None

    def hear(self, event: Event) -> None:
        """Pass on an event of the child."""
        if isinstance(event, events.Began):
            frames = 1 if event.of_steps else event.frames
            self._estimate = Estimate(event.work, event.iterations, frames, event.after, of_steps=event.of_steps,
                                      encoded=self._encoded)
            event = event._replace(done=self._estimate.done, total=self._estimate.total)
        elif self._estimate and isinstance(event, events.Stepped):
            self._estimate.step(event.frame - 1, event.octave - 1, event.iteration - 1)
            event = event._replace(done=self._estimate.done, total=self._estimate.total, left=self._estimate.left())
        elif self._estimate and isinstance(event, events.Tiled):
            self._estimate.part(event.frame - 1, event.octave - 1, event.iteration - 1, event.share)
            event = event._replace(done=self._estimate.done, total=self._estimate.total, left=self._estimate.left())
        elif self._estimate and isinstance(event, events.FrameDone):
            event = event._replace(left=self._estimate.left())
        self._listen(event)

    def tick(self) -> None:
        """Tell the listener that some time has passed."""
        self._listen(events.Tick(self._estimate.left() if self._estimate else None))
