"""How far a dream is: a bar with an honest ETA on a terminal, a line for each step (of a film: frame) elsewhere."""

import sys
import time


class Progress:
    """Of one dream, told to the stream `out`; silent where that is None.

    sizes       of the octaves, (height, width), the smallest first
    iterations  steps in each octave
    layer       the name to tell with each step
    frames      of the film that it is, each of which is dreamed so

    A step takes as long as it has pixels: an ETA that counted steps would be wrong by four times at first."""

    def __init__(self, out, sizes, iterations, layer, frames=1):
        self._out, self._sizes, self._iterations, self._layer, self._frames = out, sizes, iterations, layer, frames
        self._bar, self._frame = None, 0

    def tell(self, line):
        """Tell a line."""
        if self._out:
            print(line, file=self._out, flush=True)

    def warn(self, line):
        """Tell what is amiss, even where all else is silent."""
        print(f"dreamify: warning: {line}", file=sys.stderr, flush=True)

    def begin(self, octave, iteration, frame=0):
        """The next step will be this one; what is before it was done by an earlier run."""
        self._frame, self._first, self._began = frame, frame, time.monotonic()
        if self._out and self._out.isatty() and sys.stderr.isatty():
            from tqdm import tqdm
            pixels = sum(height * width for height, width in self._sizes) * self._iterations
            done = sum(height * width for height, width in self._sizes[:octave]) * self._iterations
            height, width = self._sizes[octave]
            self._bar = tqdm(total=pixels * self._frames,
                             initial=pixels * frame + done + iteration * height * width, dynamic_ncols=True,
                             bar_format="{percentage:3.0f} % |{bar}| {elapsed}, {remaining} to go  {desc}")

    def step(self, octave, iteration):
        """The step is done."""
        height, width = self._sizes[octave]
        line = (f"octave {octave + 1}/{len(self._sizes)}  iteration {iteration + 1}/{self._iterations}  "
                f"{self._layer}  {width}×{height}")
        if self._bar is not None:
            frame = f"frame {self._frame + 1}/{self._frames}  " if self._frames > 1 else ""
            self._bar.set_description_str(frame + line, refresh=False)
            self._bar.update(height * width)
        elif self._frames == 1:
            self.tell(line)

    def frame(self, number):
        """So many frames are done."""
        self._frame = number
        if self._bar is None:
            height, width = self._sizes[-1]
            took = (time.monotonic() - self._began) / (number - self._first)
            rest = round(took * (self._frames - number))
            self.tell(f"frame {number}/{self._frames}  {self._layer}  {width}×{height}  {took:.1f} s each"
                      + (f", {rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02} to go" if rest else ""))

    def close(self):
        """Leave the terminal as it should be."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
