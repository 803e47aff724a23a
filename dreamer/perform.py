"""Doing what was asked for, when all is read and understood: plan the dream, dream it, write it."""

import functools
import os
import random
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dreamer import atlas as atlases
from dreamer import files, flow, inputs, layers, pictures, places, plan, sequence
from dreamer import recipe as recipes
from dreamer.atlas import Atlas
from dreamer.checkpoint import Checkpoint, State
from dreamer.errors import Failure, Mistake, Wrong, printable, tell
from dreamer.film import Film
from dreamer.job import Dream
from dreamer.many import Many
from dreamer.net import Net
from dreamer.planes import Pixels
from dreamer.progress import Progress
from dreamer.reel import Reel
from dreamer.settings import Settings


def one(settings: Settings, alone: bool = True) -> None:
    """Dream the picture or the video, and write the dream. Raises Mistake, Failure and Stopped.

    alone  list the layers too"""
    tell("warning: ", *settings.warnings)
    image = settings.picture.pixels
    sizes = plan.fitting_sizes(settings, *image.shape[:2])
    if len(sizes) < settings.octaves:
        tell("warning: ", f"only {len(sizes)} of {settings.octaves} octaves: a smaller one would be too small for "
                          f"{settings.layer}")
    made = plan.recipe(settings, sizes)
    recipes.check(made)
    frames = settings.zoom or (len(settings.video.ticks) if settings.video else 0)  # of a film that moves
    reel = Reel(settings.output, made, image, settings.rate, settings.video) if settings.film else None
    checkpoint = None
    if settings.output != inputs.STANDARD and not frames:
        checkpoint = Checkpoint(reel.folder / "dream" if reel else settings.output, made, image)
    state = checkpoint.load(settings.seed) if checkpoint and not settings.no_resume else None
    made["seed"] = _seed(settings, state, reel)
    if reel:
        reel.begin(made["seed"], settings.no_resume)

    progress = _progress(settings, sizes, frames, reel, alone)
    job: dict[str, Any] = {
        "make_net": functools.partial(_net, settings), "model": settings.chosen, "picture": settings.picture,
        "recipe": made, "sizes": sizes, "iterations": settings.iterations, "output": settings.output,
        "preview": settings.preview, "progress": progress, "reel": reel, "mask": settings.where}
    dream = functools.partial(
        settings.algorithm.deepdream, iterations=settings.iterations, octaves=len(sizes), scale=settings.scale,
        step_size=settings.step_size, jitter=settings.jitter, clip=not settings.no_clip, guide=settings.leader,
        mask=settings.where)
    if frames:
        Film(dream=_moving(settings, dream, frames, made["seed"]), count=frames, **job).run()
    else:
        Dream(dream=functools.partial(dream, image=image, seed=made["seed"]), checkpoint=checkpoint, state=state,
              **job).run()
    progress.tell(f"{printable(settings.output)}: done")


def _seed(settings: Settings, state: State | None, reel: Reel | None) -> int:
    """What was asked for, else that of an earlier run that goes on, else any."""
    kept = [state.seed if state else None, reel.seed() if reel and not settings.no_resume else None]
    return next((seed for seed in (settings.seed, *kept) if seed is not None), random.randrange(2 ** 32))


def _progress(settings: Settings, sizes: list[tuple[int, int]], frames: int, reel: Reel | None,
              alone: bool) -> Progress:
    out = sys.stderr if settings.output == inputs.STANDARD else sys.stdout  # where the picture itself does not go
    progress = Progress(None if settings.quiet else out, sizes, settings.iterations, settings.layer.text, frames or 1,
                        of_steps=bool(reel and not frames), encoded=reel.encoded if reel else 0)
    if alone:
        progress.tell(textwrap.fill("layers: " + " ".join(settings.chosen.keys), 100, subsequent_indent="        ",
                                    break_on_hyphens=False))
    return progress


def _net(settings: Settings) -> Net:
    """In the child process: what is loaded there goes with it."""
    net = Net(settings.chosen, settings.layer, settings.weights, settings.memory, settings.threads,
              settings.reproducible)
    if settings.leader is not None:
        settings.leader.seen(net)  # before the memory is told, for it takes some
    return net


def _moving(settings: Settings, dream: Callable[..., Pixels], frames: int,
            seed: int) -> Callable[..., Iterator[Pixels]]:
    """A function that gives the frames of a film that moves; see sequence.py."""
    if settings.video:
        return functools.partial(sequence.following, dream, video=settings.video, blend=settings.blend,
                                 carry=flow.carried if settings.flow else None, mask=settings.where, seed=seed)
    return functools.partial(sequence.zooming, dream, image=settings.picture.pixels, frames=frames,
                             zoom_step=settings.zoom_step, rotate=settings.rotate, pan=settings.pan, seed=seed)


def many(settings: Settings) -> None:
    """Dream the pictures of a folder and, where that is asked for, what comes into it. Raises as `one`."""
    tell("warning: ", *settings.warnings)

    def read(source: Path, output: Path) -> Callable[[], None]:
        single, wrong = settings.but(input=str(source), output=str(output)), Wrong()
        places.find_picture(single, wrong)
        wrong.tell()
        return functools.partial(one, single, alone=False)

    def wanted(source: Path, found: dict[str, Any]) -> bool:
        return (sorted(found.get(side, 0) for side in ("height", "width"))
                == pictures.sides(source, settings.max_size, settings.max_pixels)
                and plan.is_recipe(found, settings.but(input=str(source))))

    try:
        files.make_folder(settings.output)
    except OSError as error:
        raise Failure(f"{settings.output} cannot be made: {error.strerror}") from None
    found = Many(settings.input, settings.output, read, wanted, settings.force, _teller(settings))
    if settings.watch:
        found.watch(lambda line: tell("", line))
    found.dream_all()


def atlas(settings: Settings, command: Callable[[Settings], str]) -> None:
    """Dream the picture at all layers of an atlas, and write that. Raises as `one`.

    command  function that gives the command line of one of its dreams"""
    tell("warning: ", *settings.warnings)
    parts = {name: layers.parse(name, settings.chosen)[0] for name in atlases.names(settings.layer)}
    height, width = settings.picture.pixels.shape[:2]
    sizes = settings.algorithm.octave_sizes(height, width, settings.octaves, settings.scale)
    octaves = {name: len(plan.fitting(settings.but(layer=layer), sizes)) for name, layer in parts.items()}

    def single(name: str, output: str | Path | None = None) -> Settings:
        return settings.but(layer=parts[name], octaves=octaves[name], output=str(output), quiet=True)

    small = [name for name in parts if not octaves[name]]
    few = [name for name in parts if 0 < octaves[name] < settings.octaves]
    if small:
        tell("warning: ", f"the picture is too small for {len(small)} of {len(parts)}, which are left out: "
                          f"{', '.join(small)}")
    if few:
        tell("warning: ", f"fewer than {settings.octaves} octaves for {len(few)} of {len(parts)}: a smaller one would "
                          "be too small")
    if len(small) == len(parts):
        raise Mistake("input: the picture is too small for all of them")
    whole = Atlas(settings.output, [name for name in parts if name not in small])
    whole.fill(lambda name, output: one(single(name, output), alone=False),
               lambda name, found: not settings.no_resume and plan.is_recipe(found, single(name)), _teller(settings))
    whole.write(settings.picture.pixels, os.path.basename(settings.input),
                lambda name: command(single(name, "dream.png")), settings.chosen.likes,
                plan.recipe(settings, sizes) | {"seed": settings.seed})


def _teller(settings: Settings) -> Callable[[str], None]:
    """A function of a line, on how far it is."""
    return lambda line: None if settings.quiet else print(line, flush=True)
