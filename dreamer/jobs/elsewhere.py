"""Dreams that other machines carry out: what they are given, what comes back, and who passes both on. The jobs that
have many dreams at once (a folder, an atlas, a film) use this and do not know how the machines are reached."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

from dreamer.arrays import Light, Pixels, Planes
from dreamer.jobs.events import Listener
from dreamer.machine.signals import Stop
from dreamer.nets.net import Net, Tile

Content: TypeAlias = bytes | Path  # of a file: its bytes, or where it is on this machine


class Follow(Protocol):
    """Follows a dream."""

    def __call__(self, told: Mapping[str, Any], picture: bytes = b"") -> None:
        """Hear an event as another program gets it. With a "preview" comes a small JPEG of the dream so far."""
        ...


@dataclass(frozen=True, eq=False)
class Unit:
    """One dream for another machine, which carries it out in an empty folder of its own.

    name     what people call it: photo.jpg
    request  the members of the Request as JSON has them; its paths are relative to that folder
    files    {relative path: its content}: the files that it reads. A Path is for what many units read, such as a mask:
             it travels to each machine once. Bytes travel with the unit
    outputs  relative path of the file that it writes; or of a folder, with / at its end, of which all files are results
    work     how much there is to do, in pixels times steps
    memory   bytes that it needs; a machine with less does not get it. None: any machine will do
    whole    whether a machine that would dream it in tiles, because its memory is short, must leave it to others
    weights  sha256 of the weights that a machine must have itself; None if it needs none, or they are among `files`
    follow   gets the events of the dream and, if it makes a preview, pictures; None: nobody follows it
    keeps    relative path of the file from which the dream can go on, if it is stopped; or, with / at its end, of the
             folder of such files; "" if there are none. Such files may be among `files`
    places   {relative path: where it is on this machine} of files, and of all results or none: machines that see the
             same folder can use them there"""

    name: str
    request: Mapping[str, Any]
    files: Mapping[str, Content]
    outputs: str
    work: float
    memory: int | None = None
    whole: bool = False
    weights: str | None = None
    follow: Follow | None = None
    keeps: str = ""
    places: Mapping[str, Path] = field(default_factory=dict)


class Result(NamedTuple):
    """How a Unit ended.

    files     {path relative to the Unit's folder: content} of its results; empty if it failed
    error     lines that say why it failed; empty if it did not
    warnings  lines that it told
    there     paths of results that are written in their places already"""

    files: Mapping[str, bytes]
    error: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    there: frozenset[str] = frozenset()


class Spread(Protocol):
    """Computes the tiles of a step on other machines, with the same sums. It can be handed over as a pickle.

    ahead  windows of tiles that should be on their way at once"""

    ahead: int

    def heard(self, listen: Listener, asked: Callable[[], int | None]) -> AbstractContextManager[None]:
        """Reach the machines, for as long as the block lasts. Raises Failure.

        listen  called with warnings
        asked   function that returns the signal that asks for the end, or None"""
        ...

    def __call__(self, function: Callable[..., Any], tiles: Sequence[Tile], *more: Any) -> Iterable[Any]:
        """As dreamer.nets.net.in_turn. Raises Failure, and Stopped within a step."""
        ...

    def step(self, make: Callable[..., float], whole: bool, net: Net, picture: Planes, rng: Any, step_size: float,
             jitter: int, clip: bool, objectives: list[Any], mask: Light | None = None) -> float:
        """A step, as make_step makes it. The machines may keep its picture until bring() is called; after the last step
        with a `picture` it must be called. Raises Failure and Stopped.

        make   dreamify.make_step, or a function with the same arguments
        whole  whether it needs the whole gradient"""
        ...

    def is_here(self) -> bool:
        """Whether the picture of the last step is that after this step, without bring()."""
        ...

    def bring(self) -> float:
        """Bring it here; returns the seconds that it usually takes. Raises Failure and Stopped."""
        ...


class Elsewhere(Protocol):
    """Other machines that carry out Units."""

    def divided(self, guide: Pixels | None, reproducible: bool, side: int) -> AbstractContextManager[Spread]:
        """Have the machines compute the tiles of one giant picture. Raises Mistake and Failure.

        guide         a picture, uint8 (h, w, 3), or None
        reproducible  as for Net
        side          pixels of the picture's shorter side"""
        ...

    def carry_out(self, units: Iterable[Unit | None], total: Callable[[], float], listen: Listener, stop: Stop,
                  folders: Iterable[Path] = ()) -> Iterator[tuple[Unit, Result]]:
        """Carry out the units; yields each with its Result as they end, in any order. A Unit that fails is a Result
        too. Raises Failure if the machines cannot be reached at all, and Stopped.

        units   they are taken one by one, a few more than the machines can begin, so that not all are in memory. None
                means that there is none now: the next is asked for when something ends, or after a moment
        total   function that returns the work of all units, also of those that are not taken yet, as far as known
        listen  called with an events.Farmed a few times a second, and with warnings
        stop    says when to stop: then the units that run are stopped everywhere. Before it raises Stopped, it yields
                those that bring what they keep: with an error, and their files
        folders where results belong, also those of units that are not needed any more: what a run that died left there
                is removed"""
        ...
