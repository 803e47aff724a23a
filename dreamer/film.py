"""A film as a job: frame after frame by one child process, which may die between any two steps."""

import dataclasses
import functools
from collections.abc import Callable, Iterator

from dreamer.checkpoint import Step
from dreamer.errors import Failure
from dreamer.job import Job
from dreamer.planes import Pixels
from dreamer.reel import Reel
from dreamer.worker import Stopped, Worker

ARRAYS = 36  # bytes a pixel: the frame before, what it becomes, its 8-bit copy and file


@dataclasses.dataclass
class Film(Job):
    """Of `count` frames of the size of `picture`.

    dream  function of (net, each_step, first, before, state) that gives the frames from number `first` on, an iterator
           over float32 (h, w, 3), as dreamify.zooming; `before` is the frame before that, `state` one of its own"""

    dream: Callable[..., Iterator[Pixels]]
    reel: Reel
    count: int = 0

    def _has_kept(self) -> bool:
        number, _ = self.reel.done()
        return bool(number or self.reel.frame(number).load(self.recipe["seed"]))

    def _save_last(self) -> bool:
        """The film as far as it has come."""
        done, _ = self.reel.done()
        if done:
            self.reel.finish(done, self.recipe | {"unfinished": {"frame": done}})
        return done > 0

    def _work(self, child: Worker) -> None:
        number, before = self.reel.done()
        net = self._begin(child, f"{self.count} frames, {float(self.reel.rate):g} a second, ", ARRAYS)
        checkpoint = self.reel.frame(number)
        state = checkpoint.load(self.recipe["seed"])
        if number or state:
            child.send(("tell", f"goes on from frame {number + 1}"))
        child.send(("begin", self._pixels(net), *(state[:2] if state else (0, 0)), number))

        def each_step(step: Step) -> None:
            stop = self._stepped(child, step, checkpoint)
            if stop:
                raise Stopped(stop)

        if number < self.count:
            for pixels in self.dream(net, each_step=each_step, first=number, before=before, state=state):
                picture = self._picture(pixels, {"frame": number + 1})
                self.reel.add(number, picture)
                number += 1
                child.send(("frame", number))
                self._show(child, functools.partial(self._picture, pixels, {"frame": number}))
                checkpoint = self.reel.frame(number)
        if not number:
            raise Failure("there is no frame that could be decoded")
        if number < self.count:
            child.send(("warn", f"only {number} of {self.count} frames could be decoded"))
        self.reel.finish(number, self.recipe)
        self.reel.remove()
