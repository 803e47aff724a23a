"""One dream as a job: in a child process that may die, kept at checkpoints, shown on the way."""

import dataclasses
import time

from dreamer import limits, pictures, unfinished, worker
from dreamer.checkpoint import State
from dreamer.errors import printable
from dreamer.worker import Died, Stopped

CHECKPOINT_SECONDS = 30  # between two checkpoints in one octave; each octave but the last ends with one too
PREVIEW_SECONDS = 2


@dataclasses.dataclass
class Job:
    """What to dream, and where to keep it.

    dream       function of (net, each_step, state) that dreams, as dreamify.deepdream
    make_net    function of no arguments that gives the Net
    model       the dreamer.model.Model
    picture     the pictures.Picture to dream
    recipe      what is kept in the output
    sizes       of the octaves, the smallest first; iterations: the steps in each
    output      path of the finished picture; preview: of one that shows the dream so far, or None
    checkpoint  a checkpoint.Checkpoint, or None
    state       the State to go on from, or None
    progress    a progress.Progress"""

    dream: callable
    make_net: callable
    model: object
    picture: object
    recipe: dict
    sizes: list
    iterations: int
    output: str
    preview: str | None
    checkpoint: object
    state: object
    progress: object

    def run(self):
        """Dream and write the picture. Raises Stopped or Died, with what was saved told in the message."""
        try:
            worker.run(self._work, lambda message: getattr(self.progress, message[0])(*message[1:]))
        except Stopped as stop:
            saved = stop.saved or self._save_last()
            raise Stopped(stop.number, f"{printable(self.output)} is the dream so far; {self._goes_on()}" if saved
                          else "nothing was written") from None
        except Died as end:
            raise Died(f"{end}. {self._goes_on()}") from None
        finally:
            self.progress.close()

    def _goes_on(self):
        kept = self.checkpoint and self.checkpoint.load()
        return "the same command goes on from there" if kept else "nothing was kept"

    def _save_last(self):
        """Write the output as it was at the last checkpoint; returns whether there was one."""
        state = self.checkpoint and self.checkpoint.load()
        if state:
            self._write_unfinished(self.output, state)
        return bool(state)

    def _work(self, child):
        """In the child process."""
        net = self.make_net()
        height, width = self.sizes[-1]
        need, overhead = net.budget.plan(height, width)
        tiled = f", in tiles: {overhead:.1f} times the work" if overhead > 1 else ""
        child.send(("tell", f"{width}×{height} pixels, {len(self.sizes)} octaves, seed {self.recipe['seed']}, "
                            f"{limits.told(need)} of memory, {net.threads} threads{tiled}"))
        if self.state:
            child.send(("tell", f"goes on from octave {self.state.octave + 1}, iteration {self.state.iteration}"))
        child.send(("begin", *(self.state[:2] if self.state else (0, 0))))
        kept = shown = time.monotonic()

        def each_step(step):
            nonlocal kept, shown
            child.send(("step", step.octave, step.iteration))
            now, stop = time.monotonic(), child.asked()
            state = State(step.octave, step.iteration + 1, step.picture, step.random, self.recipe["seed"])
            octave_ends = step.iteration + 1 == self.iterations and step.octave + 1 < len(self.sizes)
            if self.checkpoint and (stop or octave_ends or now - kept > CHECKPOINT_SECONDS):
                self.checkpoint.save(state)
                kept = time.monotonic()
            if stop:
                self._write_unfinished(self.output, state)
                raise Stopped(stop, saved=True)
            if self.preview and now - shown > PREVIEW_SECONDS:
                self._write_unfinished(self.preview, state)
                shown = time.monotonic()

        pixels = self.dream(net, each_step=each_step, state=self.state)
        self._write(self.output, pixels, {})
        if self.checkpoint:
            self.checkpoint.remove()

    def _write_unfinished(self, path, state):
        pixels = unfinished.picture(self.model, self.picture.pixels, self.sizes, state.octave, state.picture)
        self._write(path, pixels, {"unfinished": {"octave": state.octave + 1, "iteration": state.iteration}})

    def _write(self, path, pixels, more):
        pictures.write(path, dataclasses.replace(self.picture, pixels=pixels, recipe=self.recipe | more))
