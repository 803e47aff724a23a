"""The parts of a film that other machines dream: which frames are dreamed together, and the Unit of each part.

A Unit is a Request for numbered frames, so that the other machine neither decodes nor encodes a film. Its frames are
as exact as those of the film, which are always written with 8 bits."""

import abc
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dreamer.arrays import Pixels
from dreamer.errors import Failure
from dreamer.films import cuts
from dreamer.films.moving import Moving
from dreamer.films.muxed import PIECE
from dreamer.films.numbered import name
from dreamer.jobs import baton
from dreamer.jobs.elsewhere import Content, Result, Unit
from dreamer.jobs.spool import Spool
from dreamer.pictures import writing
from dreamer.pictures.picture import Picture

OUTPUT = "out/%06d.png"  # of a Unit
_BATON = str(baton.beside(OUTPUT))


@dataclass(frozen=True)
class Part:
    """Frames of a film that are dreamed together, counted from 0.

    first   the first one
    end     the one after the last
    begins  whether nothing is carried into the first one
    kept    whether an earlier run has dreamed them all"""

    first: int
    end: int
    begins: bool
    kept: bool = False

    def __str__(self) -> str:
        """As people count frames."""
        return f"frame {self.end}" if self.end - self.first == 1 else f"frames {self.first + 1} to {self.end}"


class Parts(abc.ABC):
    """The parts of a film.

    frame    a Unit with what they have in common; its work is that of one frame
    chained  whether a part may go on from the last dream of the part before it
    carried  number of frames before a part that its dream looks at"""

    def __init__(self, frame: Unit, chained: bool, carried: int) -> None:
        self.frame, self.chained, self.carried = frame, chained, carried

    @abc.abstractmethod
    def each(self, first: int, spool: Spool) -> Iterator[Part]:
        """The parts from frame `first` on, in order, whose frames are then in the spool. Raises Failure and OSError."""

    @abc.abstractmethod
    def _reads(self, part: Part, spool: Spool) -> tuple[dict[str, Any], dict[str, Content]]:
        """(members of the Request, files) of a part's Unit, in addition to those that all have."""

    @abc.abstractmethod
    def _place(self, number: int) -> int:
        """What frame `number` is called in the Unit of the part that it begins; both count from 0."""

    def unit(self, part: Part, spool: Spool) -> Unit:
        """The Unit of a part. Raises OSError."""
        request, reads = self._reads(part, spool)
        if self.chained:
            path = spool.before(part.first)
            if part.begins:  # whatever the part before has left
                path = spool.nothing
                baton.save(path, self._place(part.first), None)
            reads[_BATON] = path.read_bytes()
        return dataclasses.replace(
            self.frame, name=str(part), request={**self.frame.request, **request, "output": OUTPUT},
            files={**self.frame.files, **reads}, outputs="out/", work=self.frame.work * (part.end - part.first))

    def take(self, part: Part, result: Result, spool: Spool) -> None:
        """Put what came back into the spool. Raises Failure if something is missing, and OSError."""
        place = self._place(part.first) - part.first
        try:
            if self.chained:
                spool.pass_on(part.end, self._place(part.end), result.files[_BATON])
            spool.keep({number: result.files[str(name(OUTPUT, place + number))]
                        for number in range(part.first, part.end)})
        except KeyError as error:
            raise Failure(f"{error.args[0]} did not come back") from None

    def go_on(self, number: int, before: Pixels | None, spool: Spool) -> None:
        """Prepare to go on with frame `number`; `before` is the dream before. Raises OSError."""
        if self.chained and before is not None:
            baton.save(spool.before(number), self._place(number), before)


class OfVideo(Parts):
    """The parts of the dream of a video: up to PIECE frames; if a share is carried over, all of one shot.

    video  the frames
    blend  the share of a frame's dream that the next one takes over"""

    def __init__(self, frame: Unit, video: Moving, blend: float) -> None:
        super().__init__(frame, bool(blend), cuts.BEFORE if blend else 0)
        self._video = video

    def each(self, first: int, spool: Spool) -> Iterator[Part]:
        """The parts from frame `first` on."""
        start, part, number = max(0, first - self.carried), None, 0
        frames = cuts.marked(self._video.frames(start)) if self.chained else (
            (frame, True) for frame in self._video.frames(start))
        for number, (frame, _) in zip(range(start, first), frames, strict=False):
            spool.put(number, frame)
        broken: Failure | None = None
        try:
            for number, (frame, begins) in enumerate(frames, first):
                if part and begins and self.chained:
                    yield dataclasses.replace(part, end=number)
                    part = None
                if part is None:
                    kept, count = spool.stretch(number, PIECE, self.chained)
                    part = Part(number, number + count, begins, kept)
                if self.chained or not part.kept:
                    spool.put(number, frame)
                if part.end == number + 1:
                    yield part
                    part = None
        except Failure as error:  # the frames before can be dreamed
            broken = error
        if part:
            yield dataclasses.replace(part, end=number + 1)
        if broken:
            raise broken

    def _reads(self, part: Part, spool: Spool) -> tuple[dict[str, Any], dict[str, Content]]:
        numbers = range(max(0, part.first - self.carried), part.end)
        return {"input": "frames"}, {f"frames/{place:06d}.png": spool.source(number)
                                     for place, number in enumerate(numbers)}

    def _place(self, number: int) -> int:
        return min(number, self.carried)


class OfZoom(Parts):
    """The parts of an endless zoom, each of which goes on from the one before it.

    image   what is dreamed first, uint8 (h, w, 3)
    frames  number of frames of the whole"""

    def __init__(self, frame: Unit, image: Pixels, frames: int) -> None:
        super().__init__(frame, True, 0)
        self._image, self._frames = writing.encode(Picture(image), "PNG"), frames

    def each(self, first: int, spool: Spool) -> Iterator[Part]:
        """The parts from frame `first` on."""
        while first < self._frames:
            kept, count = spool.stretch(first, PIECE, True)
            part = Part(first, min(self._frames, first + count), not first, kept)
            yield part
            first = part.end

    def _reads(self, part: Part, spool: Spool) -> tuple[dict[str, Any], dict[str, Content]]:
        return {"input": "picture.png", "zoom": part.end}, {"picture.png": bytes(self._image)}

    def _place(self, number: int) -> int:
        return number
