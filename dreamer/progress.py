"""How far a dream is: a bar with an honest ETA on a terminal, a line for each step elsewhere."""

import sys


class Progress:
    """Of one dream, told to the stream `out`; silent where that is None.

    sizes       of the octaves, (height, width), the smallest first
    iterations  steps in each octave
    layer       the name to tell with each step

    A step takes as long as it has pixels: an ETA that counted steps would be wrong by four times at first."""

    def __init__(self, out, sizes, iterations, layer):
        self._out, self._sizes, self._iterations, self._layer = out, sizes, iterations, layer
        self._bar = None

    def tell(self, line):
        """Tell a line."""
        if self._out:
            print(line, file=self._out, flush=True)

    def begin(self, octave, iteration):
        """The next step will be this one; what is before it was done by an earlier run."""
        if self._out and self._out.isatty() and sys.stderr.isatty():
            from tqdm import tqdm
            pixels = sum(height * width for height, width in self._sizes) * self._iterations
            done = sum(height * width for height, width in self._sizes[:octave]) * self._iterations
            height, width = self._sizes[octave]
            self._bar = tqdm(total=pixels, initial=done + iteration * height * width, dynamic_ncols=True,
                             bar_format="{percentage:3.0f} % |{bar}| {elapsed}, {remaining} to go  {desc}")

    def step(self, octave, iteration):
        """The step is done."""
        height, width = self._sizes[octave]
        line = (f"octave {octave + 1}/{len(self._sizes)}  iteration {iteration + 1}/{self._iterations}  "
                f"{self._layer}  {width}×{height}")
        if self._bar is None:
            self.tell(line)
        else:
            self._bar.set_description_str(line, refresh=False)
            self._bar.update(height * width)

    def close(self):
        """Leave the terminal as it should be."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
