"""Events: what happens during a dream. User interfaces listen to them: a bar in a terminal, a page,
another program.

The page "From another program" of the manual lists them. Octaves, iterations and frames count from 1, octaves from the
smallest; sizes are (height, width) in pixels."""

import json
import os
import select
from collections.abc import Callable, Mapping
from typing import IO, Any, NamedTuple, TypeAlias

from dreamer.errors import Mistake
from dreamer.machine.signals import LOOK, Stop


class Counted(NamedTuple):
    """The frames of a video are counted, before anything is dreamed."""

    name: str
    seconds: float  # of the video, that are done
    whole: float  # all its seconds; 0 if unknown


class Began(NamedTuple):
    """A dream begins, or continues where an earlier run ended."""

    output: str
    layer: str
    layers: list[str]  # all layers of the model that can be dreamed
    sizes: list[tuple[int, int]]  # of the octaves
    iterations: int  # in each of them
    frames: int  # of a film; 1 for a picture
    rate: float | None  # frames per second; None for a picture
    of_steps: bool  # whether each step is a frame of the film
    seed: int
    memory: int  # maximum bytes that it takes
    threads: int
    overhead: float  # how often each pixel is computed on average: 1 unless dreamed in tiles
    work: list[int]  # pixels that a step of each octave computes
    done: float  # work done, in such pixels
    total: float
    after: tuple[int, int, int]  # (frames, octaves, iterations in the next octave) that an earlier run has done


class Stepped(NamedTuple):
    """A step of a dream is done."""

    frame: int
    octave: int
    iteration: int
    objective: float  # before the step
    done: float = 0  # work, as in Began
    total: float = 0
    left: float | None = None  # seconds to go; None if not known yet


class Tiled(NamedTuple):
    """A part of a step is done: of a picture that is dreamed in tiles, some are computed."""

    frame: int
    octave: int
    iteration: int  # the step that goes on
    share: float  # of the step, that is done
    done: float = 0  # work, as in Began
    total: float = 0
    left: float | None = None  # seconds to go; None if not known yet


class FrameDone(NamedTuple):
    """A frame of a film is done."""

    frame: int
    frames: int
    left: float | None = None  # seconds to go


class PreviewWritten(NamedTuple):
    """The preview shows the dream as it is now."""

    path: str
    width: int
    height: int
    took: float  # seconds


class Warned(NamedTuple):
    """Something is wrong, and the dream continues."""

    line: str


class MemoryShared(NamedTuple):
    """Another dream on this machine has reserved memory."""

    line: str
    waits: bool  # whether this dream waits until that one has ended; otherwise it uses the rest


class Taken(NamedTuple):
    """The next picture of a folder, or the next dream of an atlas, begins."""

    number: int
    of: int
    name: str
    left: float | None = None  # seconds to go


class Missed(NamedTuple):
    """A picture of a folder cannot be dreamed; the job continues with the others."""

    name: str
    lines: list[str]


class Skipped(NamedTuple):
    """Files of a folder are left alone: dreams that are up to date, or what cannot be dreamed."""

    number: int
    line: str  # what they are, and why


class Watching(NamedTuple):
    """A folder is watched: each picture that arrives is dreamed."""

    folder: str


class Farmed(NamedTuple):
    """Other machines dream: how far they are with the whole."""

    done: float  # work done, in pixels that steps compute; that of running dreams counts in part
    total: float  # work of all dreams, as far as known
    running: int  # dreams that run now
    workers: int  # machines that take part now
    left: float | None = None  # seconds to go
    places: int = 0  # dreams that these machines can carry out at once


class Finished(NamedTuple):
    """Everything is done and written."""

    output: str


class Stopped(NamedTuple):
    """The dream was stopped on request."""

    output: str
    saved: bool  # whether the output is the dream so far
    line: str


class Failed(NamedTuple):
    """The dream failed, or cannot be started."""

    lines: list[str]
    exit_code: int


class Tick(NamedTuple):
    """Some time has passed. Listeners get this a few times a second; a Log does not write it."""

    left: float | None  # seconds to go


Event: TypeAlias = (Counted | Began | Stepped | Tiled | FrameDone | PreviewWritten | Warned | MemoryShared | Taken
                    | Missed | Skipped | Watching | Farmed | Finished | Stopped | Failed | Tick)
Listener: TypeAlias = Callable[[Event], None]

# the name of each event in a line of JSON
KINDS: dict[type, str] = {
    Counted: "counted", Began: "began", Stepped: "step", Tiled: "tiled", FrameDone: "frame", PreviewWritten: "preview",
    Warned: "warning", MemoryShared: "memory", Taken: "taken", Missed: "missed", Skipped: "skipped",
    Watching: "watching", Farmed: "farmed", Finished: "finished", Stopped: "stopped", Failed: "failed"}


def line(event: Event) -> str:
    """The event as one line of JSON."""
    return json.dumps({"event": KINDS[type(event)]} | event._asdict())


def understood(told: Mapping[str, Any]) -> Event:
    """The event that `line` has made a line of, given as the object in it."""
    kind = next(kind for kind, name in KINDS.items() if name == told["event"])
    fields = {name: value for name, value in told.items() if name != "event"}
    if kind is Began:  # JSON has no tuples
        fields |= {"sizes": [tuple(size) for size in fields["sizes"]], "after": tuple(fields["after"])}
    found: Event = kind(**fields)
    return found


class Log:
    """A listener that writes each event as a line of JSON to a file, or to fd:N, an open file. Raises Mistake if it
    cannot be opened. If the reader is gone, or does not read during a stop, no more events are written.

    stop  says when to stop"""

    def __init__(self, where: str, stop: Stop) -> None:
        self._file: IO[bytes] | None = _opened(where)
        self._stop = stop

    def __call__(self, event: Event) -> None:
        """Write the event."""
        rest = b"" if isinstance(event, Tick) else line(event).encode() + b"\n"
        while rest and self._file:
            try:
                if self._may_write(self._file):
                    rest = rest[self._file.write(rest[:select.PIPE_BUF]) or 0:]
                elif self._stop.asked():
                    self.close()
            except OSError:
                self.close()

    def _may_write(self, file: IO[bytes]) -> bool:
        """Whether PIPE_BUF bytes can be written now or within LOOK seconds. A reader may be slow, and a stop must not
        wait for it."""
        waiting = select.poll()
        waiting.register(file, select.POLLOUT)
        return bool(waiting.poll(LOOK * 1000))

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None


def _opened(where: str) -> IO[bytes]:
    try:
        if where.startswith("fd:"):
            return open(os.dup(int(where[3:])), "wb", buffering=0)
        return open(where, "wb", buffering=0)
    except OSError as error:
        raise Mistake(f"events: {where}: {error.strerror}") from None
