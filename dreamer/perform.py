"""Carries out a Request: understand it, plan the dream, dream it, write it. Every user interface (the command line, a
page, another program) uses this file: it hands over a Request and listens to the events.

Everything here works from any thread, and many times at once. The caller also hands over the algorithm: `deepdream`,
`step` and `sizes` are dreamify.deepdream, make_step and octave_sizes, or functions with the same arguments."""

import contextlib
import dataclasses
import functools
import os
import random
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from dreamer import steps
from dreamer.arrays import Pixels
from dreamer.dispatch import GIANT, Dispatch, Reach
from dreamer.errors import Failure, Mistake, Stopped, Wrong
from dreamer.films import flow, sequence
from dreamer.jobs import events
from dreamer.jobs.checkpoint import Checkpoint
from dreamer.jobs.dream import Dream
from dreamer.jobs.elsewhere import Spread
from dreamer.jobs.events import Event, Listener, Log
from dreamer.jobs.film import Film
from dreamer.jobs.folder import Folder
from dreamer.jobs.job import Order
from dreamer.jobs.preview import Preview
from dreamer.jobs.reel import Reel
from dreamer.jobs.watch import Watch
from dreamer.machine import files, worker
from dreamer.machine.signals import Stop
from dreamer.nets import layers
from dreamer.nets.kept import Kept
from dreamer.nets.net import Net
from dreamer.options import places, record
from dreamer.options.outputs import check_events
from dreamer.options.request import Request
from dreamer.options.sizes import fitting_sizes, octave_count
from dreamer.options.understand import understand
from dreamer.options.understood import Sizes, Subject, Understood
from dreamer.pictures import inputs, reading
from dreamer.pictures.finish import Finish
from dreamer.pictures.recipe import check_length
from dreamer.state import State

Deepdream: TypeAlias = Callable[..., Pixels]
MakeStep: TypeAlias = Callable[..., float]


def one(request: Request, listen: Listener, *, deepdream: Deepdream, step: MakeStep, sizes: Sizes,
        stop: threading.Event | None = None, unknown: Iterable[str] = (), farm: Reach | None = None,
        kept: Kept | None = None) -> None:
    """Carry out the Request: dream a picture, a film, or all pictures of a folder.

    listen   called with each Event, in this thread; the last one is Finished, Stopped or Failed
    stop     setting it stops the dream, as Ctrl-C does in the main thread: the dream is saved, and the same Request
             resumes it
    unknown  errors found so far, one line each
    farm     function of the address of a farm that returns the machines; without it, every dream is dreamed here
    kept     where the net is found, and left for the next call. This process then holds it beside the dream, and
             --memory must be twice what the dream needs (default: the net is freed at the end)

    Raises Mistake, before any work, with everything that is wrong; Failure if something breaks; Stopped if a signal or
    `stop` ends it."""
    asked = Stop(stop)

    def looked(seconds: float, whole: float) -> None:
        listen(events.Counted(str(request.input), seconds, whole))
        if number := asked.asked():
            raise Stopped(number)

    with _listening(request, listen, asked) as heard:
        understood = understand(request, unknown=unknown, look=looked)
        performing = _Performing(heard(understood), deepdream, step, sizes, asked, farm, kept)
        if understood.subject and understood.farm and farm and not (understood.subject.moving or understood.zoom):
            performing.send(understood, understood.subject)
        elif understood.subject:
            performing.dream(understood, understood.subject)
            if kept:
                kept.prove()
        else:
            performing.folder(understood)


def atlas(request: Request, listen: Listener, *, deepdream: Deepdream, step: MakeStep, sizes: Sizes,
          command: Callable[[Request], str], stop: threading.Event | None = None, unknown: Iterable[str] = (),
          farm: Reach | None = None) -> None:
    """Dream the picture at all layers of an atlas, and write the atlas. Arguments and errors: as for `one`.

    command  function that returns the command line for the Request of one of its dreams"""
    asked = Stop(stop)
    with _listening(request, listen, asked) as heard:
        understood = understand(request, True, unknown)
        _Performing(heard(understood), deepdream, step, sizes, asked, farm).atlas(understood, command)


@contextlib.contextmanager
def _listening(request: Request, listen: Listener, stop: Stop) -> Iterator[Callable[[Understood], Listener]]:
    """Yields a function that returns the Listener for what was understood, which calls `listen` and writes to the event
    file, if there is one. The last event, on how the work ended, is sent here."""
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
        tell(events.Finished(request.output or str(request.input or os.curdir)))
    except Stopped as end:
        tell(events.Stopped(request.output or "", end.saved, str(end)))
        raise
    except (Mistake, Failure) as error:
        if log is None and request.events is not None:  # the event file gets errors too
            with contextlib.suppress(Mistake):
                check_events(request)
                log = Log(request.events, stop)
        tell(events.Failed(list(error.args), error.exit_code))
        raise
    except Exception as error:  # an unforeseen error: the listener gets it too
        tell(events.Failed([f"{type(error).__name__}: {error}"], Failure.exit_code))
        raise
    finally:
        if log:
            log.close()


class _Performing:
    """Carries out what was understood, with one algorithm and one listener."""

    def __init__(self, listen: Listener, deepdream: Deepdream, step: MakeStep, sizes: Sizes, stop: Stop,
                 farm: Reach | None = None, kept: Kept | None = None) -> None:
        self._deepdream, self._step, self._sizes, self._stop = deepdream, step, sizes, stop
        self._hears, self._told = listen, set[str]()
        self._dispatch = Dispatch(farm, _net, sizes, stop)
        self._warned_of_first = False
        self._kept, self._outlasts = kept or Kept(), kept is not None

    def _listen(self, event: Event) -> None:
        if isinstance(event, events.Warned):
            self._told.add(event.line)
        self._hears(event)

    def _listen_to_one(self, event: Event) -> None:
        """As _listen, for the only dream: its end is told when all is done."""
        if not isinstance(event, events.Finished):
            self._listen(event)

    def dream(self, understood: Understood, subject: Subject, spread: Spread | None = None) -> None:
        """Dream the subject, a picture or a video, and write the dream. `spread` computes a picture's tiles
        elsewhere."""
        self._warn(understood)
        image = subject.picture.pixels  # from nothing: black, because the seed may be in a saved state
        sizes = fitting_sizes(understood, self._sizes, *image.shape[:2])
        if len(sizes) < (asked := octave_count(understood, *image.shape[:2])):
            self._listen(events.Warned(f"only {len(sizes)} of {asked} octaves, because smaller ones would "
                                       f"be too small for {understood.layer}"))
        made = record.recipe(understood, sizes, subject)
        check_length(made)
        frames = understood.zoom or (len(subject.moving.ticks) if subject.moving else 0)  # of a zoom or video
        reel = Reel(understood.output, made, image, subject.rate, subject.moving, not understood.no_sound,
                    frames or len(sizes) * understood.iterations) if subject.film else None
        checkpoint = None
        if understood.output != inputs.STANDARD and not frames:
            checkpoint = Checkpoint(reel.folder / "dream" if reel else understood.output, made, image)
        state = checkpoint.load(understood.seed) if checkpoint and not understood.no_resume else None
        made["seed"] = _seed(understood, state, reel)
        subject = subject.seeded(made["seed"])
        divided = None
        if reel and frames:
            divided = self._dispatch.film(understood, subject, sizes, reel, made["seed"], self._told)
        if reel:
            reel.begin(made["seed"], understood.no_resume, lambda line: self._listen(events.Warned(line)))

        side = min(sizes[-1])
        order = Order(make_net=functools.partial(_net, understood, self._kept_net(understood, side), side),
                      model=understood.model, layer=understood.layer.text, picture=subject.picture, recipe=made,
                      sizes=sizes, iterations=understood.iterations, output=understood.output,
                      preview=Preview(understood.preview) if understood.preview else None,
                      mask=subject.where, finish=Finish(understood.keep_colours, understood.strength),
                      arrays=steps.PYRAMID * understood.pyramid, beside=steps.memory(understood.smooth, *sizes[-1]),
                      ahead=spread.ahead if spread else 0)
        dream = functools.partial(
            self._deepdream, iterations=understood.iterations, octaves=len(sizes), scale=understood.scale,
            step_size=understood.step_size, jitter=understood.jitter, clip=not understood.no_clip,
            guide=understood.leader, mask=subject.where, sizes=self._sizes, **self._rules(understood, spread))
        if reel and frames:
            moving = functools.partial(_moving(understood, subject, dream, frames, made["seed"]), finish=order.finish)
            Film(order, moving, reel, frames, divided).run(self._listen, self._stop)
        else:
            still = functools.partial(dream, image=subject.picture.pixels, seed=made["seed"])
            Dream(order, still, reel, checkpoint, state, spread).run(self._listen, self._stop)

    def _kept_net(self, understood: Understood, side: int) -> Net | None:
        """The net that an earlier dream left for this one, or None."""
        if (understood.memory is not None and not self._outlasts) or not worker.forks():
            return None
        return self._kept.get(understood.model, understood.layer, understood.weights, understood.threads, side)

    def _rules(self, understood: Understood, spread: Spread | None) -> dict[str, MakeStep]:
        """The arguments of `deepdream` that make it follow the rules that are asked for; none if none is."""
        change = steps.rule(understood.smooth, understood.pyramid)
        step = functools.partial(self._step, change=change) if change else self._step
        if spread:
            step = functools.partial(spread.step, step, change is not None)
        return {"step": step} if change or spread else {}

    def send(self, understood: Understood, subject: Subject) -> None:
        """Have the farm's workers share the subject's steps; or one of them dream it, and write what comes back."""
        if not (why := self._dispatch.undivided(understood, subject)):
            with self._dispatch.spread(understood, subject) as spread:
                self.dream(understood, subject, spread)
            return
        away, wrong = self._dispatch.away(understood, self._listen_to_one), list[str]()
        assert away  # noqa: S101
        self._warn(understood)
        height, width = subject.picture.pixels.shape[:2]
        if subject.film or height * width >= GIANT:  # nobody expects more of a small picture
            self._listen(events.Warned(f"{why}, so one worker dreams the whole"))
        left = self._dispatch.follow(understood, subject, away, self._listen)
        away.run(iter([True]), lambda _, lines: wrong.extend(lines))
        if wrong:
            raise Failure(*wrong)
        left.remove()

    def folder(self, understood: Understood) -> None:
        """Dream the pictures of a folder and, if it is watched, those that arrive later."""
        self._warn(understood)
        away = self._dispatch.away(understood, self._listen)

        def read(source: Path, output: Path) -> Callable[[], None]:
            wrong, warnings = Wrong(), list[str]()
            single = dataclasses.replace(understood, input=str(source), pictures=None, output=str(output), warnings=())
            subject = places.find_picture(single, wrong, warnings.append)
            wrong.tell()
            if reading.FIRST in warnings:
                warnings.remove(reading.FIRST)
                self._warn_of_first(os.path.relpath(source, understood.input) if understood.input else str(source))
            assert subject, "nothing was wrong"  # noqa: S101
            if away:
                name = os.path.relpath(source, understood.input) if understood.input else str(source)
                return lambda: away.send(*self._dispatch.unit(single, subject, name))
            return functools.partial(self._dream_one_of, dataclasses.replace(single, warnings=tuple(warnings)), subject)

        def wanted(source: Path, found: dict[str, Any]) -> bool:
            sides = reading.sides(source, understood.max_size, understood.max_pixels)
            return ([found.get("height"), found.get("width")] in (sides, sides[::-1])
                    and record.is_of(found, dataclasses.replace(understood, input=str(source)), self._sizes))

        new = not os.path.isdir(understood.output)
        try:
            files.make_folder(understood.output)
        except OSError as error:
            raise Failure(f"the folder {understood.output} cannot be created: {error.strerror}") from None
        found = Folder(understood.input, understood.output, read, wanted, understood.force, self._listen, self._stop,
                       understood.pictures, understood.recursive, away)
        if understood.watch:
            Watch(found, self._listen).run()
        try:
            found.dream_all()
        except Failure:
            with contextlib.suppress(OSError):  # some pictures have dreams in it
                if new:
                    os.rmdir(understood.output)
            raise

    def _warn_of_first(self, name: str) -> None:
        """Say once for all pictures of a folder that the first of several pages or frames is taken."""
        if not self._warned_of_first:
            self._listen(events.Warned(f"{name} has several pages or frames, of which the first is taken; this holds "
                                       "for all such pictures here"))
            self._warned_of_first = True

    def _dream_one_of(self, single: Understood, subject: Subject) -> None:
        self.dream(single, subject)
        self._kept.prove()
        self._listen(events.Finished(single.output))

    def atlas(self, understood: Understood, command: Callable[[Request], str]) -> None:
        """Dream the picture at all layers of an atlas, and write the atlas."""
        from dreamer.jobs.atlas import Atlas, names  # takes 3 ms, with Pillow's fonts
        assert understood.subject, "the input is a picture"  # noqa: S101
        self._warn(understood)
        picture = understood.subject.seeded(understood.seed or 0).picture.pixels
        parts = {name: layers.parse(name, understood.model)[0] for name in names(understood.layer)}
        octaves = {name: self._octaves(dataclasses.replace(understood, layer=layer)) for name, layer in parts.items()}

        def single(name: str) -> Understood:
            return dataclasses.replace(understood, layer=parts[name], octaves=octaves[name], warnings=())

        away = self._dispatch.away(understood, self._listen)
        deepest = single([*parts][-1])  # in the net, so that it needs the most

        def dream(name: str, output: Path) -> None:
            assert understood.subject  # noqa: S101
            if away:
                asked = dataclasses.replace(single(name), output=str(output))
                away.send(*self._dispatch.unit(asked, understood.subject, name,
                                               {"layer": parts[name].text, "octaves": octaves[name]}, deepest))
                return
            self.dream(dataclasses.replace(single(name), output=str(output)), understood.subject)
            self._kept.prove()

        def told(name: str) -> str:
            output = f"dream-{re.sub('[^a-zA-Z0-9_]+', '-', name)}.png"  # so that none replaces another
            return command(dataclasses.replace(understood.request, output=output, layer=parts[name].text,
                                               max_size=None))

        whole = Atlas(understood.output, self._large(understood, octaves))
        if not understood.force:
            whole.check(None if understood.subject.nothing else understood.input)
        whole.fill(dream, lambda name, found: not understood.no_resume and record.is_of(found, single(name),
                                                                                        self._sizes),
                   self._listen, self._stop, away)
        height, width = picture.shape[:2]
        sizes = self._sizes(height, width, octave_count(understood, height, width), understood.scale)
        whole.write(picture, os.path.basename(understood.input), told, _likes(understood),
                    record.recipe(understood, sizes) | {"seed": understood.seed}, full=understood.max_size is None)

    def _octaves(self, understood: Understood) -> int:
        """The number of octaves that are large enough for the layer."""
        assert understood.subject  # noqa: S101
        try:
            return len(fitting_sizes(understood, self._sizes, *understood.subject.picture.pixels.shape[:2]))
        except Mistake:
            return 0

    def _large(self, understood: Understood, octaves: dict[str, int]) -> list[str]:
        """Names of an atlas's dreams for which the picture is large enough; raises Mistake if there are none.

        octaves  {name: number of octaves that are large enough}"""
        small = [name for name in octaves if not octaves[name]]
        assert understood.subject  # noqa: S101
        wanted = octave_count(understood, *understood.subject.picture.pixels.shape[:2])
        few = [name for name in octaves if 0 < octaves[name] < wanted]
        if len(small) == len(octaves):
            raise Mistake("input: the picture is too small for all of these layers")
        if small:
            self._listen(events.Warned(f"the picture is too small for {len(small)} of the {len(octaves)} layers; they "
                                       f"are left out: {', '.join(small)}"))
        if few:
            self._listen(events.Warned(f"{len(few)} of the {len(octaves)} layers get fewer than {wanted} "
                                       "octaves, because the smallest would be too small for them"))
        return [name for name in octaves if octaves[name]]

    def _warn(self, understood: Understood) -> None:
        for line in understood.warnings:
            self._listen(events.Warned(line))


def _likes(understood: Understood) -> dict[str, str]:
    """{layer: what it likes}; empty if that cannot be read, because it is only used in captions."""
    try:
        return understood.model.likes()
    except Failure:
        return {}


def _seed(understood: Understood, state: State | None, reel: Reel | None) -> int:
    """The seed asked for, else that of an earlier run to resume, else a random one."""
    earlier = [state.seed if state else None, reel.seed() if reel and not understood.no_resume else None]
    return next((seed for seed in (understood.seed, *earlier) if seed is not None), random.randrange(2 ** 32))


def _net(understood: Understood, kept: Net | None, side: int, waiting: int | None) -> Net:
    """The Net, in the child process, whose end frees its memory: the one that was kept, unless that is closed, or one
    that is loaded now. `side`: of the largest picture, the shorter one."""
    if kept and kept.caffe:
        net = kept
        net.renew(understood.layer, understood.memory, understood.reproducible, waiting, side)
    else:
        net = Net(understood.model, understood.layer, understood.weights, understood.memory, understood.threads,
                  understood.reproducible, waiting, side)
    if understood.leader is not None:
        understood.leader.seen(net)  # before the memory is reported, because it takes some
    return net


def _moving(understood: Understood, subject: Subject, dream: Deepdream, frames: int,
            seed: int) -> Callable[..., Iterator[tuple[Pixels, Pixels]]]:
    """A function that yields the frames of a zoom or a video; see sequence.py."""
    if video := subject.moving:
        return functools.partial(sequence.following, dream, video=video, blend=subject.blend,
                                 carry=flow.carried if understood.flow else None, mask=subject.where, seed=seed)
    return functools.partial(sequence.zooming, dream, image=subject.picture.pixels, frames=frames,
                             zoom_step=understood.zoom_step, rotate=understood.rotate, pan=understood.pan, seed=seed)
