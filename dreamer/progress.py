"""How far a dream is: a bar with an honest ETA on a terminal, a line for each step (of a film: frame) elsewhere."""

import os
import sys
import time
from typing import Any, TextIO

from dreamer.estimate import Estimate

TENTHS = 10  # seconds, below which their tenths are told too
COLUMNS = 100  # of a terminal that does not know how wide it is


class Progress:
    """Of one dream, told to the stream `out`; silent where that is None.

    sizes       of the octaves, (height, width), the smallest first
    iterations  steps in each octave
    layer       the name to tell with each step
    frames      of the film that it is, each of which is dreamed so
    of_steps, encoded  as Estimate has them"""

    def __init__(self, out: TextIO | None, sizes: list[tuple[int, int]], iterations: int, layer: str,
                 frames: int = 1, of_steps: bool = False, encoded: int = 0) -> None:
        self._out, self._sizes, self._iterations, self._layer, self._frames = out, sizes, iterations, layer, frames
        self._of_steps, self._encoded = of_steps, encoded
        self._bar: Any = None  # a tqdm
        self._frame, self._line, self._shown = 0, "", 0.0

    def tell(self, line: str) -> None:
        """Tell a line; where nobody listens any more (`| head`, say), the dream goes on in silence."""
        if self._out:
            try:
                print(line, file=self._out, flush=True)
            except OSError:
                with open(os.devnull, "wb") as nothing:
                    os.dup2(nothing.fileno(), self._out.fileno())  # what is left in its buffer goes there at the end
                self._out = None

    def warn(self, line: str) -> None:
        """Tell what is amiss, even where all else is silent."""
        print(f"dreamify: warning: {line}", file=sys.stderr, flush=True)

    def begin(self, pixels: list[int], octave: int, iteration: int, frame: int = 0) -> None:
        """The next step will be this one; what is before it was done by an earlier run.

        pixels  that a step of each octave computes"""
        self._frame, self._first, self._began = frame, frame, time.monotonic()
        if self._out and self._out.isatty() and sys.stderr.isatty():
            from tqdm import tqdm
            self._estimate = Estimate(pixels, self._iterations, self._frames, (frame, octave, iteration),
                                      of_steps=self._of_steps, encoded=self._encoded)
            wide = os.get_terminal_size(sys.stderr.fileno()).columns  # 0 where it does not know
            self._bar = tqdm(total=self._estimate.total, initial=self._estimate.done,
                             dynamic_ncols=bool(wide), ncols=None if wide else COLUMNS,
                             bar_format="{percentage:3.0f} % |{bar}| {elapsed}, {desc}")
            self._show(0)

    def step(self, octave: int, iteration: int) -> None:
        """The step is done."""
        height, width = self._sizes[octave]
        line = (f"octave {octave + 1}/{len(self._sizes)}  iteration {iteration + 1}/{self._iterations}  "
                f"{self._layer}  {width}×{height}")
        if self._bar is not None:
            self._line = (f"frame {self._frame + 1}/{self._frames}  " if self._frames > 1 else "") + line
            self._estimate.step(self._frame, octave, iteration)
            self._bar.n = self._estimate.done
            self._show(0.1)
        elif self._frames == 1:
            self.tell(line)

    def tick(self) -> None:
        """To be called often: the clocks go on while a step takes long."""
        if self._bar is not None:
            self._show(0.2)

    def frame(self, number: int) -> None:
        """So many frames are done."""
        self._frame = number
        if self._bar is None:
            height, width = self._sizes[-1]
            took = (time.monotonic() - self._began) / (number - self._first)
            rest = round(took * (self._frames - number))
            self.tell(f"frame {number}/{self._frames}  {self._layer}  {width}×{height}  {took:.1f} s each"
                      + (f", {rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02} to go" if rest else ""))

    def finish(self) -> None:
        """All is done and written."""
        if self._bar is not None:
            self._estimate.finish()
            self._bar.n = self._estimate.done

    def close(self) -> None:
        """Leave the terminal as it should be."""
        if self._bar is not None:
            self._show(0)
            self._bar.close()
            self._bar = None

    def _show(self, interval: float) -> None:
        """Show the bar as it is now, if the last time is so many seconds ago."""
        if time.monotonic() - self._shown >= interval:
            self._shown, left = time.monotonic(), self._estimate.left()
            time_left = ("?" if left is None else f"{left:.1f} s" if left < TENTHS
                         else self._bar.format_interval(round(left)))
            self._bar.set_description_str(f"{time_left} to go  {self._line}")
