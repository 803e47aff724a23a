"""A film as a job: one child process dreams frame after frame, and may die between any two steps; or other machines
dream the frames."""

import dataclasses
import functools
from collections.abc import Callable, Iterator

from dreamer.arrays import Pixels
from dreamer.errors import Failure, Stopped
from dreamer.jobs import events
from dreamer.jobs.divided import Divided, Undreamed
from dreamer.jobs.events import Listener
from dreamer.jobs.job import Job
from dreamer.jobs.preview import LONGEST
from dreamer.jobs.reel import Reel
from dreamer.machine.signals import Stop
from dreamer.machine.worker import Worker
from dreamer.pictures import reading
from dreamer.pictures.finish import COPY, Finish
from dreamer.scaling import reduced
from dreamer.state import Step

ARRAYS = 36  # bytes per pixel: the previous frame, the new one, its 8-bit copy and its file


def arrays_of(zooms: bool, finish: Finish) -> int:
    """Bytes per pixel that a film takes beside those of a dream."""
    return ARRAYS + (COPY if finish and not zooms else 0)


@dataclasses.dataclass
class Film(Job):
    """A film of `count` frames, of the size of the picture.

    dream    function of (net, each_step, first, before, state), such as dreamer.films.sequence.zooming, that returns an
             iterator over the frames from `first` on: (dream, frame as it is shown), both float32 (h, w, 3). `before`:
             the dream before, `state`: its State
    divided  dreams the frames elsewhere instead; None: they are dreamed here"""

    dream: Callable[..., Iterator[tuple[Pixels, Pixels]]]
    reel: Reel
    count: int = 0
    divided: Divided | None = None

    def _carry_out(self, hear: Listener, tick: Callable[[], None], stop: Stop) -> None:
        if self.divided is None:
            super()._carry_out(hear, tick, stop)
            return
        number, before = self.reel.done()
        self._announce(hear, number)
        with stop.heard():
            try:
                number = self.divided.dream(number, self.count, before, functools.partial(self._add, hear), hear, stop)
            except OSError as error:
                raise Undreamed(f"frames cannot be kept: {error.strerror or error}") from None
            self._end(number, hear)

    def _announce(self, hear: Listener, number: int) -> None:
        """Report the start of a film that is dreamed elsewhere, with this number of frames done."""
        order = self.order
        hear(events.Began(
            output=order.output, layer=order.layer, layers=order.model.keys, sizes=order.sizes,
            iterations=order.iterations, frames=self.count, rate=float(self.reel.rate), of_steps=False,
            seed=order.recipe["seed"], memory=0, threads=0, overhead=1.0,
            work=[height * width for height, width in order.sizes], done=0, total=0, after=(number, 0, 0)))

    def _add(self, hear: Listener, number: int, pixels: Pixels, dreamed: Pixels | None) -> None:
        """Put frame `number`, dreamed elsewhere, into the film."""
        picture = self._picture(pixels, {"frame": number + 1})
        if dreamed is None:
            self.reel.keep(number, picture)
        else:
            self.reel.add(number, picture, dreamed)
        hear(events.FrameDone(number + 1, self.count))
        self._show(hear, functools.partial(_small, pixels), {"frame": number + 1})

    def _has_kept(self) -> bool:
        number, _ = self.reel.done()
        return bool(number > self.reel.first or self.reel.frame(number).load(self.order.recipe["seed"])
                    or (self.divided and self.divided.has_kept()))

    def _save_last(self) -> bool:
        """Write the film so far; returns whether it has any frames."""
        done, _ = self.reel.done()
        if done > self.reel.first:
            self.reel.finish(done, self.order.recipe | {"unfinished": {"frame": done}})
        return done > self.reel.first

    def _work(self, child: Worker) -> None:
        number, before = self.reel.done()
        checkpoint = self.reel.frame(number)
        state = checkpoint.load(self.order.recipe["seed"])
        arrays = arrays_of(bool(self.order.recipe.get("zoom")), self.order.finish)
        net = self._begin(child, self.count, (number, *(state[:2] if state else (0, 0))), arrays)

        def each_step(step: Step) -> None:
            stop = self._stepped(child, number, step, checkpoint)
            if stop:
                raise Stopped(stop)

        if number < self.count:
            frames = self.dream(net, each_step=each_step, first=number, before=before, state=state)
            for dreamed, pixels in frames:
                self.reel.add(number, self._picture(pixels, {"frame": number + 1}), dreamed)
                number += 1
                child.send(events.FrameDone(number, self.count))
                self._show(child.send, functools.partial(_small, pixels), {"frame": number})
                checkpoint = self.reel.frame(number)
        self._end(number, child.send)

    def _end(self, number: int, send: Listener) -> None:
        """Write the film of this number of frames."""
        if not number:
            raise Failure("no frame of the video could be decoded")
        if number < self.count:
            send(events.Warned(f"only {number} of {self.count} frames could be decoded"))
        self.reel.finish(number, self.order.recipe)
        self.reel.pass_on()
        self.reel.remove()


def _small(pixels: Pixels) -> Pixels:
    """A frame (h, w, 3) at the size of a preview."""
    width, height = reading.shrunk((pixels.shape[1], pixels.shape[0]), LONGEST)
    return reduced(pixels.transpose(2, 0, 1), height, width).transpose(1, 2, 0)
