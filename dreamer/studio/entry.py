"""One job of the queue: what was asked for and how far it is, as the page shows it and as the file keeps it."""

import dataclasses
import os
import re
import time
import typing
from collections.abc import Mapping
from typing import Any

from dreamer.jobs import atlas
from dreamer.studio import naming

WAITING, DREAMING, STOPPING, STOPPED, FAILED, DONE = STATES = (
    "waiting", "dreaming", "stopping", "stopped", "failed", "done")
RUNNING = (DREAMING, STOPPING)
KINDS = ("dream", "film", "try")
TRIES = ".studio/tries"
_WAITS = ("waiting for memory", "waiting for workers")  # begin lines that are over when the dream begins
_LINES, _LONG = 20, 500  # at most so many warnings of so many characters


@dataclasses.dataclass
class Entry:
    """A job. Times are seconds since 1970; octaves, iterations and frames count from 1, and are 0 if unknown.

    id         its number, which no other job of this folder ever has
    output     relative to the folder: a file's name; a folder in TRIES, for a try
    form       what was asked for, as form.checked returns it
    model      the model's name
    layer      the layers as text; "" until the model's own is known
    done       share of the work that is done, 0..1
    left       seconds to go; None if unknown
    size       [height, width] of the dream; [] if unknown
    memory     bytes that it takes at most; 0 if unknown
    preview    version of its live picture, larger for each new one; 0 if there is none
    counting   share of a video's frames that are counted; None if none are counted now
    lines      warnings; error: why it failed, one line
    resumed    whether it goes on from what an earlier run has done
    took       seconds that it has been dreamed, in all its runs
    tried      layers of a try that are ready; key: the name of its folder
    command    the command line that makes the same dream"""

    id: int
    kind: str
    photo: str
    output: str
    form: dict[str, Any]
    model: str
    seed: int
    asked: float
    state: str = WAITING
    layer: str = ""
    done: float = 0.0
    left: float | None = None
    octave: int = 0
    octaves: int = 0
    iteration: int = 0
    iterations: int = 0
    frame: int = 0
    frames: int = 0
    size: list[int] = dataclasses.field(default_factory=list)
    memory: int = 0
    preview: int = 0
    counting: float | None = None
    lines: list[str] = dataclasses.field(default_factory=list)
    error: str = ""
    resumed: bool = False
    began: float | None = None
    ended: float | None = None
    took: float = 0.0
    tried: int = 0
    key: str = ""
    command: str = ""

    def __post_init__(self) -> None:
        self._since = 0.0  # when this run began
        self._first: tuple[float, dict[str, Any]] | None = None  # the event `began` of this run, and when it came
        self._part = (0, 1)  # of a try: layers before this one, all layers
        self._farmed = False  # whether other machines dream
        self._sent: dict[str, int] = {}  # of a try that they dream: numbers of layers that are not back yet, by file
        self._last = 0  # number of the layer that was sent last
        self.again = False  # whether there was a run before this one

    def asks(self) -> dict[str, Any]:
        """The form that asks for exactly this dream."""
        return self.form | {"photo": self.photo, "model": self.model, "seed": self.seed}

    def shown(self) -> dict[str, Any]:
        """What the page gets."""
        return dataclasses.asdict(self) | {"size": self.size or None, "memory": self.memory or None,
                                           "error": self.error or None}

    def begin(self) -> None:
        """A run begins."""
        self._since, self._first, self.again = time.monotonic(), None, self.began is not None
        self._farmed, self._sent = False, {}
        self.state, self.began, self.error, self.left, self.ended = DREAMING, self.began or time.time(), "", None, None

    def end(self, state: str, lines: typing.Sequence[str] = (), saved: bool = False) -> None:
        """The run has ended in this state.

        lines  what went wrong
        saved  whether the dream so far was written"""
        self.state, self.left, self.counting, self.ended = state, None, None, time.time()
        self.took += time.monotonic() - self._since
        if self._is_away() and self.kind != "try" and not saved:  # what other machines have done is lost
            self.done = 0.0
        if state == DONE:
            self.done = 1.0
        if lines:
            self.error = lines[0].removesuffix("; run the same command to continue")
            for line in lines[1:]:
                self.warn(line)

    def warn(self, line: str) -> None:
        """Add a warning, once."""
        short = line if len(line) <= _LONG else f"{line[:_LONG]}…"
        if short not in self.lines and len(self.lines) < _LINES:
            self.lines.append(short)

    def hear(self, event: Mapping[str, Any]) -> None:
        """Note an event of the dream, {"event": its kind, its fields}; see jobs/events.py."""
        kind = event["event"]
        if kind == "counted":
            self.counting = min(1.0, event["seconds"] / event["whole"]) if event["whole"] else 0.0
        elif kind == "began":
            self._note_began(event)
        elif kind in ("step", "tiled"):
            self.octave, self.iteration, self.frame = event["octave"], event["iteration"], event["frame"]
            self._note_done(event["done"], event["total"])
            self.left = self.left if self.kind == "try" else event["left"]
        elif kind == "frame":
            self.frame, self.left = event["frame"], self.left if self._farmed else event["left"]
        elif kind == "preview":
            self.preview = int(time.time() * 1000)  # larger also than those before a restart
        elif kind == "taken":
            self._note_taken(event)
        elif kind == "farmed":
            self._note_farmed(event)
        elif kind == "finished" and self._sent:
            self._sent.pop(os.path.basename(event["output"]), None)
            self.tried = min(self._sent.values(), default=self._last + 1) - 1
        elif kind in ("warning", "memory"):
            self.warn(str(event["line"]))

    def _note_taken(self, event: Mapping[str, Any]) -> None:
        """A layer of a try begins; on other machines, some do so at once."""
        if self._farmed:
            self._part = (0, event["of"])
            self._sent[atlas.tile_name(event["name"])] = self._last = event["number"]
            return
        self._part, self.tried, self.left = (event["number"] - 1, event["of"]), event["number"] - 1, event["left"]
        self._note_done(0, 1)

    def _note_farmed(self, event: Mapping[str, Any]) -> None:
        """Other machines dream. A dream whose steps are told says more than this event."""
        self._farmed = True
        if event["running"]:
            self.lines = [line for line in self.lines if not line.startswith(_WAITS)]
        if event["total"] and not (self._is_away() and self._first):
            self.done, self.left = min(1.0, event["done"] / event["total"]), event["left"]

    def _is_away(self) -> bool:
        """Whether another machine dreams the whole, as far as is known: of a film that several dream, the frames that
        come back stay here."""
        return self._farmed and (self._first is None or self._first[1]["threads"] > 0)

    def _note_began(self, event: Mapping[str, Any]) -> None:
        self._first = self._first or (time.monotonic(), dict(event))
        self.counting, self.lines = None, [line for line in self.lines if not line.startswith(_WAITS)]
        self.octaves, self.iterations, self.frames = len(event["sizes"]), event["iterations"], event["frames"]
        self.size, self.memory, self.layer = list(event["sizes"][-1]), event["memory"], event["layer"]
        frames, octaves, iterations = event["after"]
        self.frame, self.octave, self.iteration = frames, octaves + 1, iterations
        self.resumed = self.resumed or any(event["after"])
        self._note_done(event["done"], event["total"])

    def _note_done(self, done: float, total: float) -> None:
        before, parts = self._part
        self.done = min(1.0, (before + (done / total if total else 0.0)) / parts)

    def figures(self) -> dict[str, Any] | None:
        """What this run shows of the machine's speed: its layer and model; the work that it did, in pixels as the
        events count it; the seconds that this took; `work`, the pixels of a step of each octave, sizes, iterations,
        frames, memory, threads, overhead. None if it says nothing."""
        if self._first is None or self.kind == "try":
            return None
        at, began = self._first
        wanted = ("layer", "sizes", "iterations", "frames", "work", "memory", "threads", "overhead")
        return {name: began[name] for name in wanted} | {
            "model": self.model, "total": began["total"] - began["done"], "seconds": time.monotonic() - at}


def read(kept: object) -> Entry:
    """The entry that the queue's file keeps; its form is checked later. Raises ValueError, TypeError or Mistake
    if it is none."""
    if not isinstance(kept, dict):
        raise TypeError("a job must be an object")
    entry = Entry(**kept)
    for field in dataclasses.fields(Entry):
        kinds = [typing.get_origin(each) or each for each in typing.get_args(field.type) or (field.type,)]
        if typing.get_origin(field.type) in (dict, list):
            kinds = [typing.get_origin(field.type)]
        value = getattr(entry, field.name)
        if not any(type(value) is each or (each is float and type(value) is int) for each in kinds):
            raise ValueError(f"{field.name} has the wrong type")
    naming.check(entry.photo)
    if entry.kind == "try":
        if not re.fullmatch("[0-9a-f]{20}", entry.key) or entry.output != f"{TRIES}/{entry.key}/":
            raise ValueError("this is not the folder of a try")
    else:
        naming.check(entry.output)
    if entry.state not in STATES or entry.kind not in KINDS or not all(type(line) is str for line in entry.lines):
        raise ValueError("an unknown state or kind")
    return entry
