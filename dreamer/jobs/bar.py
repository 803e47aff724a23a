"""A listener that prints: in a terminal, a bar with an honest ETA; elsewhere, a line for each step, or for each frame
of a film."""

import os
import sys
import textwrap
import time
from typing import Any, TextIO

from dreamer.errors import counted, printable, tell
from dreamer.jobs import events
from dreamer.jobs.events import Event
from dreamer.machine import limits

TENTHS = 10  # below this many seconds to go, tenths are shown
LINES = 5  # seconds from one line to the next while a video's frames are counted
PARTS = 60  # seconds from one line to the next within a step
COLUMNS = 100  # width of the bar in a terminal of unknown width


class Bar:
    """Prints events to the stream `out`, and warnings to standard error. If `out` is None, it prints warnings only.

    of  "dream", or "atlas", which prints one line for each of its dreams"""

    def __init__(self, out: TextIO | None, of: str = "dream") -> None:
        self._out, self._of = out, of
        self._alone = True  # whether there is only one dream
        self._farmed = False  # whether other machines dream
        self._bar: Any = None  # a tqdm
        self._dream: events.Began | None = None
        self._line, self._shown, self._told_of, self._start, self._done = "", 0.0, 0.0, 0.0, 0

    def __call__(self, event: Event) -> None:
        """Print the event."""
        match event:
            case events.Began() | events.Stepped() | events.Tiled() | events.FrameDone() | events.Tick():
                if self._of == "dream":
                    self._go_on(event)
            case events.Counted(name, seconds, whole):
                if time.monotonic() - self._shown > LINES:
                    self._shown = time.monotonic()
                    self._tell(f"counting the frames of {printable(name)}: {seconds / 60:.1f}"
                               + (f" of {whole / 60:.1f}" if whole else "") + " min")
            case events.Warned(line):
                tell("warning: ", line)
            case events.MemoryShared(line):
                self._tell(line)
            case events.Skipped(_, line):
                self._tell(printable(line))
            case events.Watching(folder):
                self._tell(f"watching {folder}; press Ctrl-C to stop")
            case events.Missed(name):
                self._close()
                self._tell(f"{printable(name)}: failed")
            case events.Farmed():
                self._farm(event)
            case events.Taken() | events.Finished() if self._farmed:
                self._between(event)
            case events.Taken(number, count, name, left):
                self._alone = False
                self._tell((f"{number}/{count}  " if count else "") + printable(name)
                           + (f"  {_told(left)} to go" if left is not None else ""))
            case events.Finished(output):
                self._close(whole=True)
                self._tell(f"{printable(output)}: done")
            case events.Stopped() | events.Failed():
                self._close()

    def _farm(self, event: events.Farmed) -> None:
        """Show how far the farm is: one bar over the whole, or a line from time to time. A dream whose steps are told
        shows that itself."""
        self._farmed = not (self._dream and self._dream.threads)
        if not self._farmed:
            return
        ends = not event.running and event.done >= event.total
        line = f"{counted(event.running, 'dream')} on {counted(event.workers, 'worker')}"
        if self._bar is None and not ends:
            self._bar = self._new_bar(event.total, event.done)
        if self._bar is not None:
            self._line = line
            self._bar.total, self._bar.n = event.total, event.done
            self._show(event.left, 0.1)
            if ends:
                self._close()
        elif not ends and time.monotonic() - self._shown > LINES:
            self._shown = time.monotonic()
            self._tell(f"{event.done / max(1, event.total):.0%}  {line}"
                       + (f"  {_told(event.left)} to go" if event.left is not None else ""))

    def _between(self, event: Event) -> None:
        """Say that a dream of the farm is done, above the bar."""
        if isinstance(event, events.Finished):
            if self._bar is not None:
                self._bar.clear()
            self._tell(f"{printable(event.output)}: done")

    def _go_on(self, event: Event) -> None:
        match event:
            case events.Began():
                self._begin(event)
            case events.Stepped():
                self._step(event)
            case events.Tiled():
                self._tiles(event)
            case events.FrameDone():
                self._frame(event)
            case events.Tick(left):
                self._show(left, 0.2)

    def _tell(self, line: str) -> None:
        """Print a line. If the reader is gone (`| head`, say), the dream continues in silence."""
        if self._out:
            try:
                print(line, file=self._out, flush=True)
            except OSError:
                with open(os.devnull, "wb") as nothing:
                    os.dup2(nothing.fileno(), self._out.fileno())  # at exit, the rest of its buffer goes there
                self._out = None

    def _begin(self, dream: events.Began) -> None:
        self._close()
        self._dream, self._start, self._done = dream, time.monotonic(), dream.after[0]
        self._told_of = self._start
        if self._alone and self._out is not sys.stderr:
            line = "layers: " + " ".join(dream.layers)
            self._tell(textwrap.fill(line, 100, subsequent_indent="        ", break_on_hyphens=False)
                       if self._out and self._out.isatty() else line)
        height, width = dream.sizes[-1]
        film = f"{dream.frames} frames, " if dream.frames > 1 else ""
        film += f"{dream.rate:g} a second, " if film and not dream.of_steps else ""
        tiled = f", in tiles: {dream.overhead:.1f} times the work" if dream.overhead > 1 else ""
        self._tell(f"{film}{width}×{height} pixels, {counted(len(dream.sizes), 'octave')}, seed {dream.seed}, "
                   + (f"{limits.told(dream.memory)} of memory, {counted(dream.threads, 'thread')}{tiled}"
                      if dream.threads else "dreamed by other machines"))
        frames, octaves, iterations = dream.after
        if self._moves():
            if any(dream.after):
                self._tell(f"continues from frame {frames + 1}" if frames < dream.frames else
                           "all frames were dreamed before")
        elif octaves or iterations:
            steps = min(octaves * dream.iterations + iterations, len(dream.sizes) * dream.iterations - 1)
            octave, iteration = divmod(steps, dream.iterations)
            self._tell(f"continues from octave {octave + 1}, iteration {iteration + 1}")
        if dream.threads:  # otherwise Farmed tells how far it is
            self._bar = self._new_bar(dream.total, dream.done)
            self._show(None, 0)

    def _new_bar(self, total: float, done: float) -> Any:
        """A tqdm, if this is a terminal; else None."""
        if not (self._out and self._out.isatty() and sys.stderr.isatty()):
            return None
        from tqdm import tqdm

        # without tqdm's own thread, because a process with threads cannot fork safely
        still: Any = type("still", (tqdm,), {"monitor_interval": 0})
        wide = os.get_terminal_size(sys.stderr.fileno()).columns  # 0 if unknown
        return still(total=total, initial=done, dynamic_ncols=bool(wide), ncols=None if wide else COLUMNS,
                     bar_format="{percentage:3.0f} % |{bar}| {elapsed}, {desc}")

    def _moves(self) -> bool:
        """Whether the dream is a film of many dreams."""
        return bool(self._dream and self._dream.frames > 1 and not self._dream.of_steps)

    def _step(self, step: events.Stepped) -> None:
        line, self._told_of = self._line_of(step), time.monotonic()
        if self._bar is not None:
            self._draw(step, line)
        elif not self._moves():
            self._tell(line + (f"  {_told(step.left)} to go" if step.left and step.left >= 0.5 else ""))

    def _tiles(self, part: events.Tiled) -> None:
        """A step of many minutes: the bar moves on, or there is a line from time to time."""
        line = self._line_of(part, f": {part.share:.0%}")
        if self._bar is not None:
            self._draw(part, line)
        elif not self._moves() and time.monotonic() - self._told_of > PARTS:
            self._told_of = time.monotonic()
            self._tell(line + (f"  {_told(part.left)} to go" if part.left else ""))

    def _line_of(self, step: events.Stepped | events.Tiled, share: str = "") -> str:
        assert self._dream, "it began"  # noqa: S101
        height, width = self._dream.sizes[step.octave - 1]
        return (f"octave {step.octave}/{len(self._dream.sizes)}  iteration {step.iteration}/{self._dream.iterations}"
                f"{share}  {self._dream.layer}  {width}×{height}")

    def _draw(self, step: events.Stepped | events.Tiled, line: str) -> None:
        """Show on the bar how far the dream is."""
        assert self._dream, "it began"  # noqa: S101
        self._line = (f"frame {step.frame}/{self._dream.frames}  " if self._moves() else "") + line
        self._bar.n = step.done
        self._show(step.left, 0.1)

    def _frame(self, frame: events.FrameDone) -> None:
        assert self._dream, "it began"  # noqa: S101
        if self._bar is None:
            height, width = self._dream.sizes[-1]
            took = (time.monotonic() - self._start) / (frame.frame - self._done)
            rest = round(took * (frame.frames - frame.frame))
            line = f"frame {frame.frame}/{frame.frames}  {self._dream.layer}  {width}×{height}"
            if self._dream.threads:  # other machines' frames come many at once
                line += f"  {took:.1f} s each" + (
                    f", {rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02} to go" if rest else "")
            self._tell(line)

    def _show(self, left: float | None, interval: float) -> None:
        """Draw the bar, with `left` seconds to go, unless it was drawn less than `interval` seconds ago."""
        if self._bar is not None and time.monotonic() - self._shown >= interval:
            self._shown = time.monotonic()
            time_left = ("?" if left is None else f"{left:.1f} s" if left < TENTHS
                         else self._bar.format_interval(round(left)))
            self._bar.set_description_str(f"{time_left} to go  {self._line}")

    def _close(self, whole: bool = False) -> None:
        """Close the bar; fill it first if the `whole` is done."""
        if self._bar is not None:
            if whole:
                self._bar.n = self._bar.total
                self._show(0.0, 0)
            self._bar.close()
            self._bar = None


def _told(seconds: float) -> str:
    """A duration as text, in seconds or minutes."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
