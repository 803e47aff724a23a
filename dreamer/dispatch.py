"""Decides what other machines dream of what was understood, and makes Units of it. perform.py asks it."""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from dreamer import steps
from dreamer.errors import Failure
from dreamer.films import numbered
from dreamer.jobs.away import Away, Kept
from dreamer.jobs.divided import Divided
from dreamer.jobs.elsewhere import Elsewhere, Spread, Unit
from dreamer.jobs.events import Listener
from dreamer.jobs.film import arrays_of
from dreamer.jobs.following import Following
from dreamer.jobs.left import Left
from dreamer.jobs.needed import Needed, Needs
from dreamer.jobs.parts import OfVideo, OfZoom, Parts
from dreamer.jobs.preview import Preview
from dreamer.jobs.reel import Reel
from dreamer.jobs.spool import Spool
from dreamer.machine.signals import Stop
from dreamer.nets.budget import TooLittle
from dreamer.nets.model import MODELS
from dreamer.nets.net import Net
from dreamer.options import record
from dreamer.options.packed import packed
from dreamer.options.sizes import fitting_sizes
from dreamer.options.understood import Sizes, Subject, Understood
from dreamer.pictures import reading
from dreamer.pictures.finish import Finish

# options that say how a film is read or written: what other machines dream of it are pictures
_OF_FILM = ("start", "end", "fps", "no_deinterlace", "no_sound", "max_size", "zoom")

Reach: TypeAlias = Callable[[str], Elsewhere]
Load: TypeAlias = Callable[[Understood, Net | None, int, int | None], Net]
GIANT = 8_000_000  # pixels from which a farm's workers share the tiles of a picture; below, moving them takes longer


class Dispatch:
    """What goes to a farm.

    farm   function of the address of a farm that returns the machines; None: every dream is dreamed here
    load   function that returns the net for what was understood: (understood, the net that was kept, the shorter side
           of the largest picture, the process that waits)
    sizes  as for perform.one
    stop   says when to stop"""

    def __init__(self, farm: Reach | None, load: Load, sizes: Sizes, stop: Stop) -> None:
        self._farm, self._load, self._sizes, self._stop = farm, load, sizes, stop
        self._needs = Needs(stop)

    def reached(self, understood: Understood) -> Elsewhere | None:
        """The machines of the farm, if the user named one."""
        return self._farm(understood.farm) if understood.farm and self._farm else None

    def away(self, understood: Understood, listen: Listener) -> Away | None:
        """Who gets the dreams of a job, if the user named a farm."""
        if not (farm := self.reached(understood)):
            return None
        return Away(farm, [*understood.warnings, reading.FIRST], listen, self._stop)

    def undivided(self, understood: Understood, subject: Subject) -> str:
        """Why a farm's workers do not share the tiles of each step; "" if they do."""
        height, width = subject.picture.pixels.shape[:2]
        if subject.film or height * width < GIANT:
            return "each step needs the one before"
        if understood.model.folder.parent != MODELS or understood.weights is not None:
            return "the workers know only the weights of models/"
        with contextlib.suppress(TooLittle):
            if self._needed(understood, fitting_sizes(understood, self._sizes, height, width)).tiles:
                return ""
            return "this machine would not divide it (--reproducible divides it)"
        return "this machine's memory is too small"

    def spread(self, understood: Understood, subject: Subject) -> contextlib.AbstractContextManager[Spread]:
        """Have the farm's workers share the tiles of each step, as long as the block lasts."""
        farm = self.reached(understood)
        assert farm  # noqa: S101
        guide = understood.leader.image if understood.leader else None
        return farm.divided(guide, understood.reproducible, min(subject.picture.pixels.shape[:2]))

    def film(self, understood: Understood, subject: Subject, sizes: list[tuple[int, int]], reel: Reel, seed: int,
             told: set[str]) -> Divided | None:
        """A film's division among other machines; None if it is dreamed here. Raises Failure.

        told  lines that a warning need not repeat"""
        if not (understood.farm and self._farm):
            return None
        height, width = sizes[-1]
        finish = Finish(understood.keep_colours, understood.strength)
        need, whole = self._need(understood, sizes, arrays_of(bool(understood.zoom), finish),
                                 reel.arrays * height * width)
        sent = packed(understood, "", "")
        request = {name: value for name, value in sent.request.items() if name not in _OF_FILM}
        frame = Unit("", request | {"seed": seed}, sent.files, "", _work(understood, sizes), need, whole, sent.weights)
        if subject.moving:
            parts: Parts = OfVideo(frame, subject.moving, subject.blend)
        else:
            assert understood.zoom  # noqa: S101
            parts = OfZoom(frame, subject.picture.pixels, understood.zoom)
        spool = Spool(reel.folder / "parts", height * width)
        return Divided(parts, spool, self._farm(understood.farm), told)

    def unit(self, understood: Understood, subject: Subject, name: str,
             more: Mapping[str, Any] = MappingProxyType({}),
             like: Understood | None = None) -> tuple[Unit, str, dict[str, Path]]:
        """A dream for another machine, its name, and where its results belong.

        name  of the dream, for people
        more  members of its request that differ from what the user asked for
        like  a dream that needs at least as much memory, and is planned instead"""
        sizes = fitting_sizes(understood, self._sizes, *subject.picture.pixels.shape[:2])
        need, whole = self._need(like or understood, sizes)
        files_of, source = dict[str, Path | bytes](), understood.input
        if subject.nothing is None:
            source = f"in/{os.path.basename(understood.input)}"
            try:
                files_of[source] = Path(understood.input).read_bytes()
            except OSError as error:  # it was there a moment ago
                raise Failure(f"{understood.input} cannot be read: {error.strerror}") from None
        many = numbered.numbered(understood.output)
        output = f"out/{os.path.basename(understood.output)}"
        sent = packed(understood, source, output)
        kept = {} if whole or understood.reproducible else {"memory": understood.memory}
        here = Path(understood.output)
        places = {} if many else {output: here} | ({source: Path(understood.input)} if files_of else {})
        unit = Unit(name, {**sent.request, **kept, **more}, files_of | sent.files, "out/" if many else output,
                    _work(understood, sizes), need, whole, sent.weights, places=places)
        return unit, name, {"out/": here.parent} if many else {output: here}

    def follow(self, understood: Understood, subject: Subject, away: Away, listen: Listener) -> Left:
        """Send a dream whose events and preview come here. Returns what it leaves if it is stopped, and goes on
        from."""
        unit, name, targets = self.unit(understood, subject, os.path.basename(understood.input))
        made = record.recipe(understood, fitting_sizes(understood, self._sizes, *subject.picture.pixels.shape[:2]),
                             subject)
        preview = Preview(understood.preview) if understood.preview else None
        left = Left(understood.output, made, subject.picture.pixels, subject.film)
        earlier = {} if understood.no_resume else left.found(understood.seed)
        if not earlier:
            left.clear()
        unit = dataclasses.replace(
            unit, request={**unit.request, "preview": "preview.jpg" if preview else None},
            files={**unit.files, **{f"out/{file}": data for file, data in earlier.items()}},
            follow=Following(understood.output, preview, made, listen), keeps=f"out/{left.name}",
            places={})  # what it leaves if it is stopped travels, and so does all the rest
        away.send(unit, name, targets, Kept(understood.output, unit.keeps, left.path))
        return left

    def _need(self, understood: Understood, sizes: list[tuple[int, int]], arrays: int = 0,
              beside: int = 0) -> tuple[int | None, bool]:
        """(bytes that another machine needs for the dream, None if unknown; whether it must dream it in one piece, as
        this one would). Raises Failure if this machine would dream it in tiles that no other would choose.

        arrays, beside  what a film takes in addition to a picture: bytes per pixel, and bytes"""
        try:
            need = self._needed(understood, sizes, arrays, beside)
        except TooLittle as error:
            if understood.reproducible:
                return None, False
            raise Failure(f"{error}; with --reproducible, the workers' memory counts") from None
        if understood.reproducible or not need.tiles:
            return need.memory, not understood.reproducible
        if arrays:
            raise Failure("the film would be dreamed in tiles here, which depend on this machine's memory: add "
                          "--reproducible")
        if understood.memory is None:
            raise Failure("it would be dreamed in tiles here, which depend on this machine's memory: add "
                          "--reproducible, or --memory 2g or another limit, for tiles that are the same elsewhere")
        return understood.memory, False

    def _needed(self, understood: Understood, sizes: list[tuple[int, int]], arrays: int = 0,
                beside: int = 0) -> Needed:
        """What the dream would need on this machine; `arrays` and `beside` as in _need. Raises Mistake, Failure and
        Stopped."""
        side = min(sizes[-1])
        what = understood.model.folder, understood.layer.text, understood.pyramid, understood.smooth, arrays
        return self._needs.find(what, functools.partial(self._load, understood, None, side),
                                arrays + steps.PYRAMID * understood.pyramid,
                                beside + steps.memory(understood.smooth, *sizes[-1]), *sizes[-1])


def _work(understood: Understood, sizes: list[tuple[int, int]]) -> float:
    """How much there is to do, in pixels times steps."""
    return float(sum(height * width for height, width in sizes) * understood.iterations)
