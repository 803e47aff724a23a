"""Doing what is asked for: understand it, plan the dream, dream it, write it. Whatever face asks, a command line, a
page or another machine, stands on this file: it hands over a Request and listens to what happens.

All of it works from any thread, and many times at once. What dreams is handed over too: `deepdream` and `sizes` are
dreamify.deepdream and dreamify.octave_sizes, or others that take the same."""

import contextlib
import dataclasses
import functools
import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from dreamer.arrays import Pixels
from dreamer.errors import Failure, Mistake, Stopped, Wrong
from dreamer.films import flow, sequence
from dreamer.jobs import events
from dreamer.jobs.atlas import Atlas, names
from dreamer.jobs.checkpoint import Checkpoint
from dreamer.jobs.dream import Dream
from dreamer.jobs.events import Event, Listener, Log
from dreamer.jobs.film import Film
from dreamer.jobs.folder import Folder
from dreamer.jobs.job import Order
from dreamer.jobs.preview import Preview
from dreamer.jobs.reel import Reel
from dreamer.jobs.watch import Watch
from dreamer.machine import files
from dreamer.machine.signals import Stop
from dreamer.nets import layers
from dreamer.nets.net import Net
from dreamer.options import places, record
from dreamer.options.outputs import check_events
from dreamer.options.request import Request
from dreamer.options.sizes import fitting_sizes
from dreamer.options.understand import understand
from dreamer.options.understood import Sizes, Subject, Understood
from dreamer.pictures import inputs, reading
from dreamer.pictures.recipe import check_length
from dreamer.state import State

Deepdream: TypeAlias = Callable[..., Pixels]


def one(request: Request, listen: Listener, *, deepdream: Deepdream, sizes: Sizes,
        stop: threading.Event | None = None, unknown: Iterable[str] = ()) -> None:
    """Dream what the Request says: a picture, a film, or all pictures of a folder.

    listen   is called with what happens, in this thread; the last is that it is finished, stopped or failed
    stop     ends the dream when it is set, as Ctrl-C does in the main thread: it is saved, and the same Request goes on
             from there
    unknown  lines on what is wrong already

    Raises Mistake with all that is wrong before any work is done, Failure where something breaks, Stopped where a
    signal or `stop` ends it."""
    asked = Stop(stop)
    with _listening(request, listen, asked) as heard:
        understood = understand(request, unknown=unknown)
        performing = _Performing(heard(understood), deepdream, sizes, asked)
        if understood.subject:
            performing.dream(understood, understood.subject)
        else:
            performing.folder(understood)


def atlas(request: Request, listen: Listener, *, deepdream: Deepdream, sizes: Sizes, command: Callable[[Request], str],
          stop: threading.Event | None = None, unknown: Iterable[str] = ()) -> None:
    """Dream the picture at all layers of an atlas, and write that. Arguments and errors as those of `one`.

    command  function that gives the command line of one of its dreams"""
    asked = Stop(stop)
    with _listening(request, listen, asked) as heard:
        understood = understand(request, True, unknown)
        _Performing(heard(understood), deepdream, sizes, asked).atlas(understood, command)


@contextlib.contextmanager
def _listening(request: Request, listen: Listener, stop: Stop) -> Iterator[Callable[[Understood], Listener]]:
    """A function that gives who listens to what was understood: `listen`, and the file that it names for events. How
    it ends is told here."""
    log: Log | None = None

    def tell(event: Event) -> None:
        listen(event)
        if log:
            log(event)

    def heard(understood: Understood) -> Listener:
        nonlocal log
        log = Log(understood.events, stop) if understood.events else None
        return tell

    try:
        yield heard
        tell(events.Finished(request.output or request.input or os.curdir))
    except Stopped as end:
        tell(events.Stopped(request.output or "", end.saved, str(end)))
        raise
    except (Mistake, Failure) as error:
        if log is None and request.events is not None:  # what is wrong is told there too
            with contextlib.suppress(Mistake):
                check_events(request)
                log = Log(request.events, stop)
        tell(events.Failed(list(error.args), error.exit_code))
        raise
    except Exception as error:  # nobody foresaw it: who listens is told all the same
        tell(events.Failed([f"{type(error).__name__}: {error}"], Failure.exit_code))
        raise
    finally:
        if log:
            log.close()


class _Performing:
    """With what it is dreamed, and who listens."""

    def __init__(self, listen: Listener, deepdream: Deepdream, sizes: Sizes, stop: Stop) -> None:
        self._listen, self._deepdream, self._sizes, self._stop = listen, deepdream, sizes, stop

    def dream(self, understood: Understood, subject: Subject) -> None:
        """Dream the subject, a picture or what moves, and write the dream."""
        self._warn(understood)
        image = subject.picture.pixels
        sizes = fitting_sizes(understood, self._sizes, *image.shape[:2])
        if len(sizes) < understood.octaves:
            self._listen(events.Warned(f"only {len(sizes)} of {understood.octaves} octaves, because smaller ones would "
                                       f"be too small for {understood.layer}"))
        made = record.recipe(understood, sizes, subject)
        check_length(made)
        frames = understood.zoom or (len(subject.moving.ticks) if subject.moving else 0)  # of a film that moves
        reel = Reel(understood.output, made, image, subject.rate, subject.moving) if subject.film else None
        checkpoint = None
        if understood.output != inputs.STANDARD and not frames:
            checkpoint = Checkpoint(reel.folder / "dream" if reel else understood.output, made, image)
        state = checkpoint.load(understood.seed) if checkpoint and not understood.no_resume else None
        made["seed"] = _seed(understood, state, reel)
        if reel:
            reel.begin(made["seed"], understood.no_resume)

        order = Order(make_net=functools.partial(_net, understood), model=understood.model, layer=understood.layer.text,
                      picture=subject.picture, recipe=made, sizes=sizes, iterations=understood.iterations,
                      output=understood.output, preview=Preview(understood.preview) if understood.preview else None,
                      mask=subject.where)
        dream = functools.partial(
            self._deepdream, iterations=understood.iterations, octaves=len(sizes), scale=understood.scale,
            step_size=understood.step_size, jitter=understood.jitter, clip=not understood.no_clip,
            guide=understood.leader, mask=subject.where, sizes=self._sizes)
        if reel and frames:
            moving = _moving(understood, subject, dream, frames, made["seed"])
            Film(order, moving, reel, frames).run(self._listen, self._stop)
        else:
            still = functools.partial(dream, image=image, seed=made["seed"])
            Dream(order, still, reel, checkpoint, state).run(self._listen, self._stop)

    def folder(self, understood: Understood) -> None:
        """Dream the pictures of a folder and, where that is asked for, what comes into it."""
        self._warn(understood)

        def read(source: Path, output: Path) -> Callable[[], None]:
            wrong, warnings = Wrong(), list[str]()
            single = dataclasses.replace(understood, input=str(source), output=str(output), warnings=())
            subject = places.find_picture(single, wrong, warnings.append)
            wrong.tell()
            assert subject, "nothing was wrong"  # noqa: S101
            return functools.partial(self._dream_one_of, dataclasses.replace(single, warnings=tuple(warnings)), subject)

        def wanted(source: Path, found: dict[str, Any]) -> bool:
            sides = reading.sides(source, understood.max_size, understood.max_pixels)
            return ([found.get("height"), found.get("width")] in (sides, sides[::-1])
                    and record.is_of(found, dataclasses.replace(understood, input=str(source)), self._sizes))

        try:
            files.make_folder(understood.output)
        except OSError as error:
            raise Failure(f"the folder {understood.output} cannot be made: {error.strerror}") from None
        found = Folder(understood.input, understood.output, read, wanted, understood.force, self._listen, self._stop)
        if understood.watch:
            Watch(found, self._listen).run()
        found.dream_all()

    def _dream_one_of(self, single: Understood, subject: Subject) -> None:
        self.dream(single, subject)
        self._listen(events.Finished(single.output))

    def atlas(self, understood: Understood, command: Callable[[Request], str]) -> None:
        """Dream the picture at all layers of an atlas, and write that."""
        assert understood.subject, "the input is a picture"  # noqa: S101
        self._warn(understood)
        picture = understood.subject.picture.pixels
        parts = {name: layers.parse(name, understood.model)[0] for name in names(understood.layer)}
        octaves = {name: self._octaves(dataclasses.replace(understood, layer=layer)) for name, layer in parts.items()}

        def single(name: str) -> Understood:
            return dataclasses.replace(understood, layer=parts[name], octaves=octaves[name], warnings=())

        def dream(name: str, output: Path) -> None:
            assert understood.subject  # noqa: S101
            self.dream(dataclasses.replace(single(name), output=str(output)), understood.subject)

        def told(name: str) -> str:
            return command(dataclasses.replace(understood.request, output="dream.png", layer=parts[name].text,
                                               octaves=octaves[name]))

        whole = Atlas(understood.output, self._large(understood, octaves))
        whole.fill(dream, lambda name, found: not understood.no_resume and record.is_of(found, single(name),
                                                                                        self._sizes),
                   self._listen, self._stop)
        height, width = picture.shape[:2]
        sizes = self._sizes(height, width, understood.octaves, understood.scale)
        whole.write(picture, os.path.basename(understood.input), told, _likes(understood),
                    record.recipe(understood, sizes) | {"seed": understood.seed})

    def _octaves(self, understood: Understood) -> int:
        """How many octaves are large enough for the layer."""
        assert understood.subject  # noqa: S101
        try:
            return len(fitting_sizes(understood, self._sizes, *understood.subject.picture.pixels.shape[:2]))
        except Mistake:
            return 0

    def _large(self, understood: Understood, octaves: dict[str, int]) -> list[str]:
        """Names of the dreams of an atlas for which the picture is large enough; raises Mistake where there is none.

        octaves  how many each of them has"""
        small = [name for name in octaves if not octaves[name]]
        few = [name for name in octaves if 0 < octaves[name] < understood.octaves]
        if small:
            self._listen(events.Warned(f"the picture is too small for {len(small)} of the {len(octaves)} layers; they "
                                       f"are left out: {', '.join(small)}"))
        if few:
            self._listen(events.Warned(f"{len(few)} of the {len(octaves)} layers get fewer than {understood.octaves} "
                                       "octaves, because the smallest would be too small for them"))
        if len(small) == len(octaves):
            raise Mistake("input: the picture is too small for all of these layers")
        return [name for name in octaves if octaves[name]]

    def _warn(self, understood: Understood) -> None:
        for line in understood.warnings:
            self._listen(events.Warned(line))


def _likes(understood: Understood) -> dict[str, str]:
    """What each layer likes; nothing where that cannot be read: it is no more than a caption."""
    try:
        return understood.model.likes()
    except Failure:
        return {}


def _seed(understood: Understood, state: State | None, reel: Reel | None) -> int:
    """What was asked for, else that of an earlier run that goes on, else any."""
    earlier = [state.seed if state else None, reel.seed() if reel and not understood.no_resume else None]
    return next((seed for seed in (understood.seed, *earlier) if seed is not None), random.randrange(2 ** 32))


def _net(understood: Understood, waiting: int | None) -> Net:
    """In the child process: what is loaded there goes with it."""
    net = Net(understood.model, understood.layer, understood.weights, understood.memory, understood.threads,
              understood.reproducible, waiting)
    if understood.leader is not None:
        understood.leader.seen(net)  # before the memory is told, for it takes some
    return net


def _moving(understood: Understood, subject: Subject, dream: Deepdream, frames: int,
            seed: int) -> Callable[..., Iterator[Pixels]]:
    """A function that gives the frames of a film that moves; see sequence.py."""
    if video := subject.moving:
        return functools.partial(sequence.following, dream, video=video, blend=subject.blend,
                                 carry=flow.carried if understood.flow else None, mask=subject.where, seed=seed)
    return functools.partial(sequence.zooming, dream, image=subject.picture.pixels, frames=frames,
                             zoom_step=understood.zoom_step, rotate=understood.rotate, pan=understood.pan, seed=seed)
