#!/usr/bin/python3
"""dreamify: Google's DeepDream (2015) on Caffe.

    $ ./dreamify.py photo.jpg dream.png                      # animals, pagodas, fish
    $ ./dreamify.py photo.jpg dream.png inception_3b/output  # eyes and swirls
    $ ./dreamify.py keys                                     # all layers that can be dreamed
    $ ./dreamify.py --help

A net that was trained to name what is in a picture is run on yours, up to one layer. Then the picture
is changed, a little at a time, so that whatever the layer saw in it grows stronger.
"""

from dreamer import signals

if __name__ == "__main__":
    signals.end_at_once("dreamify: stopped")  # what is loaded below takes a moment

import argparse
import functools
import hashlib
import inspect
import json
import os
import random
import shlex
import sys
import textwrap
from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import NamedTuple

try:
    import numpy as np

    from dreamer import atlas as atlases
    from dreamer import files, flow, guides, inputs, layers, masks, model, pictures, values, video
    from dreamer import recipe as recipes
    from dreamer import reel as reels
    from dreamer.atlas import Atlas
    from dreamer.checkpoint import Checkpoint
    from dreamer.errors import Failure, Mistake, Wrong, printable
    from dreamer.fetch import sha256
    from dreamer.film import Film
    from dreamer.guides import Guide
    from dreamer.job import Dream
    from dreamer.many import Many
    from dreamer.motion import moved
    from dreamer.net import Net
    from dreamer.planes import bands, mean_size, zoom
    from dreamer.progress import Progress
    from dreamer.reel import Reel
    from dreamer.shapes import cut, smallest_side
    from dreamer.worker import Stopped
except ImportError as error:
    if __name__ != "__main__":
        raise
    from dreamer import interpreter
    sys.exit(f"dreamify: {interpreter.advice(error)}")

__version__ = "0.1.0"


# ------------------------------------------------------------------------------------------ the algorithm
# After the notebook by Mordvintsev, Olah and Tyka: "Inceptionism: going deeper into neural networks", 2015.

def objective_l2(activations):
    """Half the squared L2 norm of the activations, and its gradient, which is the activations themselves."""
    return 0.5 * float(np.sum(np.square(activations), dtype=np.float64)), activations


def objective_guide(activations, seen):
    """The sum over all positions of the largest dot product of the activations there with those that a guide has
    anywhere, and its gradient, which is the guide's there.

    seen  a dreamer.guides.Seen: the guide's activations"""
    products, best = seen.match(activations)
    return float(np.sum(products, dtype=np.float64)), best


def make_step(net, picture, rng, step_size, jitter, clip, objectives, mask=None):
    """One step of gradient ascent on `picture` (3, h, w), in place; returns the objective before the step.

    The picture is rolled by a random offset for the net, so that the net's own grid (its strides) leaves
    no pattern."""
    ox, oy = (int(offset) for offset in rng.randint(-jitter, jitter + 1, 2))
    tiles = net.tiles(picture, oy, ox)  # one, unless memory is short
    factors = balance(net.what.terms, tiles, objectives)
    value = 0.0
    for tile in tiles:
        parts = [objective(activations) for objective, activations in zip(objectives, tile.forward(), strict=True)]
        tile.backward([(factor, gradient) for factor, (_, gradient) in zip(factors, parts, strict=True)])
        value += sum(factor * part for factor, (part, _) in zip(factors, parts, strict=True))

    steepness = mean_size(net.gradient)
    rate = np.float32(step_size / steepness if steepness else 0)  # where nothing excites the layer, nothing changes
    for rows in bands(picture):
        picture[:, rows] += rate * net.gradient[:, rows] if mask is None else (
            rate / 255 * mask[rows] * net.gradient[:, rows])
        if clip:
            np.clip(picture[:, rows], net.lowest, net.lowest + 255, out=picture[:, rows])
    return value


def balance(terms, tiles, objectives):
    """The factor of each of the `terms` that are dreamed together, by which their gradients are added up.

    A layer's gradient may be a thousand times another's. So each is divided by its L2 norm, there at its layer, before
    its weight counts: what is climbed by objective_l2 is the sum of weight * (the norm of a term's activations)."""
    if len(terms) == 1:
        return [terms[0].weight]  # how far a step goes is not for the gradient's size to say
    squares = np.zeros(len(terms))
    for tile in tiles:
        squares += [np.sum(np.square(objective(activations)[1], dtype=np.float64))
                    for objective, activations in zip(objectives, tile.forward(), strict=True)]
    return [term.weight / norm if norm else 0.0 for term, norm in zip(terms, np.sqrt(squares).tolist(), strict=True)]


class Step(NamedTuple):
    """What deepdream tells after each step; octaves count from the smallest.

    picture  the dream so far, float32 (3, h, w) as the net has it; its memory is used again afterwards
    random   the state of the generator, from which the next step goes on"""

    octave: int
    iteration: int
    objective: float
    picture: np.ndarray
    random: dict


def deepdream(net, image, iterations=10, octaves=4, scale=1.4, step_size=1.5, jitter=32, clip=True, seed=0,
              guide=None, mask=None, objective=objective_l2, each_step=None, state=None):
    """The dream of `image` by `net`.

    net         a dreamer.net.Net: it says which layers of which model dream
    image       (h, w, 3), RGB, 0..255, any dtype
    iterations  steps in each octave
    octaves     sizes at which to dream: the image's own and smaller ones
    scale       how much smaller each octave is than the next
    step_size   how far a step goes: the mean change of a channel, in 0..255
    jitter      most pixels by which a step rolls the picture
    clip        keep the picture within 0..255 after each step
    seed        of the rolls; None for another dream each time
    guide       a dreamer.guides.Guide: a picture towards which to dream, by objective_guide
    mask        uint8 (h, w): 255 where to dream, 0 where the image keeps its pixels
    objective   function of a layer's activations (channels, h', w') that returns (value, gradient)
    each_step   function that is called with a Step after each step
    state       a dreamer.checkpoint.State of an earlier run with the same arguments, to go on from

    Returns float32 (h, w, 3), RGB; within 0..255 where `clip` is on. Raises Mistake where an octave is too
    small for the net (see octave_sizes)."""
    rng = np.random.RandomState(seed)  # the generator of the notebook, so that dreams can be compared
    sizes = octave_sizes(*image.shape[:2], octaves, scale)
    objectives = [objective for _ in net.what.terms]
    if guide is not None:
        objectives = [functools.partial(objective_guide, seen=seen) for seen in guide.seen(net)]
    net.budget.plan(*sizes[-1])
    bases = [net.preprocess(image)]
    for height, width in sizes[-2::-1]:
        bases.append(zoom(bases[-1], height, width, net.budget.planes(height, width)))

    detail = None  # what the dream has added so far
    for octave, (height, width) in enumerate(sizes):
        base = bases.pop()
        done = 0
        if state and octave < state.octave:
            continue
        picture = net.budget.planes(height, width)
        here = None if mask is None else masks.fit(mask, height, width)
        if state and octave == state.octave:
            picture[:], done = state.picture, state.iteration
            rng.set_state(state.random)
        elif detail is None:
            picture[:] = base
        else:
            zoom(detail, height, width, picture)
            if mask is not None:
                picture *= here > 0
            picture += base
        net.resize(height, width)
        for iteration in range(done, iterations):
            value = make_step(net, picture, rng, step_size, jitter, clip, objectives, here)
            if each_step:
                each_step(Step(octave, iteration, value, picture, rng.get_state(legacy=False)))
        if bases:
            detail = np.subtract(picture, base, out=picture)
    dreamed = net.deprocess(picture)
    return dreamed if mask is None else masks.spare(dreamed, image, mask)


def zooming(net, image, frames, zoom_step=0.05, rotate=0.0, pan=(0.0, 0.0), seed=0, first=0, before=None, state=None,
            **how):
    """The endless zoom: the dream of `image`, the dream of a closer look at that, and so on. Yields `frames` dreams.

    zoom_step  how much closer each look is: what it sees shrinks by this part
    rotate     degrees by which it is turned clockwise
    pan        (x, y) by which it moves right and down, as parts of the width and height
    seed       of the first dream; each has the next
    first, before, state  to go on with: the number of a frame, the one before it, a State of its own dream
    how        what else there is to tell deepdream"""
    for number in range(first, frames):
        if number:
            image = moved(before, zoom_step, rotate, pan, net.budget.planes(*image.shape[:2]))
        before = deepdream(net, image, seed=(seed + number) % 2 ** 32, state=state, **how)
        state = None
        yield before


def following(net, video, blend=0.0, carry=None, seed=0, first=0, before=None, state=None, **how):
    """The dreams of the frames of a moving picture: each adds to its frame a part of what the dream before it added,
    and for the rest something new.

    video   a dreamer.video.Video, or what else gives frames from a number on
    blend   that part, 0..1
    carry   function of (earlier frame, frame, what was added to the earlier) that gives (that, as it belongs to the
            frame; where it does, 0..1), such as dreamer.flow.carried; without, it stays where it was
    seed    of all dreams: what stands still is dreamed alike
    first, before, state  as in `zooming`
    how     what else there is to tell deepdream"""
    frames = video.frames(max(0, first - 1))
    earlier = next(frames, None) if first else None
    for frame in frames:
        image = frame
        if earlier is not None and blend:
            added, where = before - earlier, np.float32(1)
            if carry:
                added, where = carry(earlier, frame, added)
            if how.get("mask") is not None:
                added = added * (how["mask"][..., None] > 0)  # nothing is carried into the black
            part = np.float32(blend) * where
            image = np.clip(frame + part * added, 0, 255)
        before = deepdream(net, image, seed=seed, state=state, **how)
        if image is not frame:
            before += part * (image - before)
        earlier, state = frame, None
        yield before


def octave_sizes(height, width, octaves, scale):
    """[(height, width)] of the octaves that deepdream goes through, the smallest first."""
    sizes = [(height, width)]
    for _ in range(octaves - 1):
        sizes.append(tuple(round(side * (1 / scale)) for side in sizes[-1]))
    return sizes[::-1]


# ------------------------------------------------------------------------------------ what can be asked for
# A function for each thing. Its signature is the one source of names and defaults, and the command line is made of it:
# what is before the * are arguments, what is behind it are options (`no_clip` is --no-clip). OPTIONS says the rest.

DEFAULTS = {name: parameter.default for function in (zooming, deepdream)
            for name, parameter in inspect.signature(function).parameters.items()}


def dreamify(input=None, output=None, layer=None, iterations=DEFAULTS["iterations"],  # noqa: A002 - as it is called
             octaves=DEFAULTS["octaves"], scale=DEFAULTS["scale"], *, seed=None, step_size=DEFAULTS["step_size"],
             jitter=DEFAULTS["jitter"], no_clip=False, guide=None, guide_size=guides.SIZE, mask=None, model=None,
             weights=None, max_size=None, max_pixels=inputs.MAX_PIXELS, keep_location=False, force=False, memory=None,
             threads=None, reproducible=False, like=None, preview=None, no_resume=False, watch=False, quiet=False,
             zoom=None, zoom_step=DEFAULTS["zoom_step"], rotate=DEFAULTS["rotate"], pan="0,0", fps=reels.RATE,
             flow=False, blend=None):
    """Dream into a picture, as Google's DeepDream did in 2015; where `input` is a folder, into all pictures in it.

    Raises Mistake with all that is wrong before any work is done, Failure where something breaks, Stopped where a
    signal ends it. Of `like` holds what has its default here."""
    options, chosen = settings(locals())
    (dream if options.picture else dream_many)(options, chosen)


def atlas(input=None, output=None, layer="*", iterations=DEFAULTS["iterations"],  # noqa: A002 - as it is called
          octaves=DEFAULTS["octaves"], scale=DEFAULTS["scale"], *, seed=0, step_size=DEFAULTS["step_size"],
          jitter=DEFAULTS["jitter"], no_clip=False, guide=None, guide_size=guides.SIZE, mask=None, model=None,
          weights=None, max_size=256, max_pixels=inputs.MAX_PIXELS, force=False, memory=None, threads=None,
          reproducible=False, no_resume=False, quiet=False):
    """Dream a picture at each layer, on one sheet (.png, .jpg…) or page (.html) that tells which is which.

    `layer` names others than all: a pattern, or channels of a layer."""
    dream_atlas(*settings(locals(), atlas))


def keys(*, model=None, describe=False):
    """List the layers that can be dreamed: their names, in the order of the net, and what each likes."""
    options, wrong = SimpleNamespace(model=model, weights=None, warnings=[]), Wrong()
    chosen = find_model(options, wrong)
    wrong.tell()
    tell("warning: ", *options.warnings)
    return [f"{name:<{max(map(len, chosen.keys))}}  {chosen.likes.get(name, '')}".rstrip() if describe else name
            for name in chosen.keys]


def models():
    """List the models: each with its default layer, the size of its weights, and whether they are here."""
    return model.inventory()


def recipe(file):
    """Tell how a picture was dreamed: its recipe, a dict."""
    return recipes.read(file)


COMMANDS = {function.__name__: function for function in (atlas, keys, models, recipe)}  # what the first word may be


class Option(NamedTuple):
    """What the command line says of a parameter.

    help     one line
    metavar  what its value is called; None where there is no value to give
    check    function of a value, or its text, that returns what is meant by it; raises Mistake"""

    help: str
    metavar: str = None
    check: Callable = os.fspath


BLEND = 0.75  # of --flow

OPTIONS = {
    "file": Option("a picture", "FILE"),
    "input": Option("a picture, a folder of them, or - for standard input; or a command, see below", "INPUT"),
    "output": Option(f"the dream; ends in {' '.join(sorted(pictures.FORMATS))}, or is - for standard output, as PNG; "
                     f"or a film: {' '.join(reels.FILMS)}, or a picture for each frame, frame-%%04d.png; "
                     "or a folder for the dreams of a folder (default: the same one)", "OUTPUT"),
    "layer": Option("the layer whose activations grow; or channels, sums and patterns: NAME:3,7-9, NAME*0.3+NAME, NAM? "
                    f"(default: the model's, inception_4c/output for {model.DEFAULT})", "LAYER", str),
    "iterations": Option("steps in each octave", "ITERATIONS", values.whole(1, 10 ** 9)),
    "octaves": Option("sizes at which to dream", "OCTAVES", values.whole(1, 100)),
    "scale": Option("from one size to the next", "SCALE", values.number(above=1, most=100)),
    "seed": Option("another number, another dream (default: one is picked, and kept in the picture)", "N",
                   values.whole(0, 2 ** 32 - 1)),
    "step_size": Option("how far a step goes, as a mean change in 0..255", "X", values.number(above=0, most=10 ** 6)),
    "jitter": Option("most pixels by which a step shifts the picture", "PIXELS", values.whole(0, 10 ** 6)),
    "no_clip": Option("let the picture leave 0..255 between steps"),
    "guide": Option("lead the dream towards what the layer sees in this picture", "PICTURE"),
    "guide_size": Option("shrink a larger guide, so that its longest side has N pixels", "N", values.whole(1)),
    "mask": Option("dream only where this picture is white; where it is black the pixels stay as they are", "PICTURE"),
    "model": Option(f"a folder in models/ (default: {model.DEFAULT}, or {model.SPARE} where its weights are missing)",
                    "NAME"),
    "weights": Option("a .caffemodel to use in place of the model's own", "FILE"),
    "max_size": Option("shrink a larger picture, so that its longest side has N pixels", "N", values.whole(1)),
    "max_pixels": Option("refuse an input of more pixels, which may be an attack", "N", values.whole(1)),
    "keep_location": Option("keep the GPS position in the EXIF; all else there is kept anyway"),
    "force": Option("overwrite the input, where OUTPUT names it too"),
    "memory": Option("the most to take, such as 512m or 1.5g; larger pictures are dreamed in tiles (default: most of "
                     "what is free)", "SIZE", values.size),
    "threads": Option("how many to work with (default: the cores and CPU quota that there are)", "N",
                      values.whole(1, 1024)),
    "reproducible": Option("the same bytes on every x86-64 machine that has AVX2; larger pictures are dreamed in tiles "
                           "of a fixed size"),
    "like": Option("dream as that picture was dreamed: its recipe holds for all that is not said", "FILE"),
    "preview": Option("keep a picture there that shows the dream so far", "FILE"),
    "no_resume": Option("start afresh, even where an earlier run was stopped or killed"),
    "describe": Option("tell what each layer likes"),
    "watch": Option("go on with what comes into the folder INPUT (default: the one you are in)"),
    "quiet": Option("say nothing but errors and warnings"),
    "zoom": Option("make a film of so many frames, each the dream of a closer look at the one before (without this, a "
                   "film shows every step of one dream)", "FRAMES", values.whole(1, 999999)),
    "zoom_step": Option("how much closer each look is; below 0: farther", "X", values.number(above=-1, below=1)),
    "rotate": Option("how far a zoom turns clockwise with each frame", "DEGREES", values.number(least=-180, most=180)),
    "pan": Option("how far a zoom moves right and down with each frame, as parts of the picture: --pan=-0.01,0 moves "
                  "left", "X,Y", values.pair(least=-1, most=1)),
    "fps": Option("frames that a film shows a second; a video keeps its own rate", "N",
                  values.number(above=0, most=120)),
    "flow": Option("carry the dream from frame to frame of a video as things move in it, so that it does not flicker"),
    "blend": Option("how much of its dream a video's frame takes from the one before (default: 0; with --flow "
                    f"{BLEND})", "X", values.number(least=0, most=1)),
}


# ------------------------------------------------------------------------- from what was asked for to a dream

def settings(asked, function=dreamify, unknown=()):
    """(options, model): what the arguments of `function`, dreamify or atlas, a dict, come to; the options as
    attributes, checked, with the Picture as `picture` (None where INPUT is a folder), and `warnings`, a list of str.

    unknown  lines on what is wrong already

    Raises Mistake with all that is wrong, a line each."""
    usual = {name: parameter.default for name, parameter in inspect.signature(dreamify).parameters.items()}
    options = SimpleNamespace(**usual | asked, picture=None, video=None, where=None, film=False, followed={},
                              warnings=[])
    wrong = Wrong(unknown)
    take_recipe(options, wrong)
    check_values(options, wrong, function)
    chosen = find_model(options, wrong)
    if chosen:
        find_layer(options, chosen, wrong)
    find_mask(options, wrong)
    find_guide(options, chosen, wrong)
    if options.watch and options.input is None:
        options.input = os.curdir
    if function is atlas:
        find_files(options, wrong, sheet=True)
    elif is_video(options):
        find_video(options, wrong)
    elif options.watch or (options.input and os.path.isdir(options.input)):
        find_folders(options, wrong)
    else:
        find_files(options, wrong)
    if options.preview is not None:
        with wrong.noted("preview: "):
            pictures.check_output(options.preview, options.input)
    wrong.tell()
    return options, chosen


def take_recipe(options, wrong):
    """Of the recipe in the picture `options.like` take what is still at its default. (From the command line 10 comes
    as text: it was said, and is none.)"""
    if options.like is None:
        return
    with wrong.noted("like: "):
        options.followed = found = recipes.read(options.like)
        found["no_clip"] = found.get("clip") is False
        for name in ("layer", "iterations", "octaves", "scale", "seed", "step_size", "jitter", "model", "no_clip",
                     "guide_size", "reproducible", "zoom_step", "rotate", "pan", "fps", "flow", "blend"):
            if name in found and getattr(options, name) == inspect.signature(dreamify).parameters[name].default:
                setattr(options, name, found[name])


def check_values(options, wrong, function):
    """Turn what was asked of `function` into what is meant; what is wrong becomes the default, to see what else is."""
    for name, parameter in inspect.signature(function).parameters.items():
        value, option = getattr(options, name), OPTIONS[name]
        if value is not None and option.metavar:
            setattr(options, name, parameter.default)
            with wrong.noted(f"{name.replace('_', '-')}: "):
                setattr(options, name, option.check(value))


def find_model(options, wrong):
    """The Model to dream with; None where there is none."""
    with wrong.noted():
        if options.model:
            return model.find(options.model)
        chosen, warning = model.default(options.weights)
        if warning:
            options.warnings.append(warning)
        return chosen


def find_layer(options, chosen, wrong):
    """What of the Model `chosen` is to be dreamed."""
    with wrong.noted("layer: "):
        options.layer, warnings = layers.parse(options.layer or chosen.default_layer, chosen)
        options.warnings += warnings
    with wrong.noted():
        chosen.weights_path(options.weights)


def find_files(options, wrong, sheet=False):
    """Read the picture, and see whether the dream can be written, or a `sheet` of dreams."""
    if sheet and inputs.STANDARD in (options.input, options.output):
        wrong.append("atlas: INPUT and OUTPUT are files: what is stopped shall go on another time")
    if options.input is None:
        wrong.append("input: name a picture")
    if options.output is None:
        wrong.append("output: name the file for the dream")
    else:
        if options.input is not None and video.named_so(options.input) and os.path.isfile(options.input):
            wrong.append(f"input: {options.input} is a video: OUTPUT must be a film, and there is nothing to zoom")
            return
        options.film = not sheet and (options.zoom is not None or reels.always_film(options.output))
        options.rate = Fraction(options.fps).limit_denominator(1001)
        with wrong.noted():
            (atlases if sheet else reels if options.film else pictures).check_output(options.output, options.input,
                                                                                     options.force)
    if options.flow or options.blend:
        options.warnings.append("flow and blend are for videos: here they do nothing")
    if options.input is None or (wrong and options.input == inputs.STANDARD):  # which may be slow
        return
    with wrong.noted():
        options.picture = pictures.read(options.input, max_size=options.max_size, max_pixels=options.max_pixels,
                                        keep_location=options.keep_location, warn=options.warnings.append)
        if not wrong and options.film:
            reels.check_fits(options.output, options.picture, options.rate, options.zoom, options.warnings.append)
        elif not wrong and not sheet:
            pictures.check_fits(options.output, options.picture, options.warnings.append)
        if options.light is not None:
            options.where = masks.fitted(options.light, *options.picture.pixels.shape[:2], options.warnings.append)


def is_video(options):
    """Whether a film is to be made of a moving picture."""
    return (options.input is not None and options.output is not None and not options.watch and not options.zoom
            and reels.may_be_film(options.output) and video.moves(options.input))


def find_video(options, wrong):
    """See what the video, or the folder of frames, is, and whether the film can be written."""
    options.film, options.rate = True, Fraction(options.fps).limit_denominator(1001)
    if options.blend is None:
        options.blend = BLEND if options.flow else 0.0
    with wrong.noted():
        reels.check_output(options.output, options.input, options.force)
    with wrong.noted():
        if options.flow:
            flow.opencv()
    with wrong.noted():
        read = functools.partial(pictures.read, max_size=options.max_size, max_pixels=options.max_pixels)
        found = video.opened(options.input, options.rate, options.max_size, options.max_pixels, read,
                             options.warnings.append)
        options.rate, options.fps = found.rate, float(found.rate)
        options.picture = pictures.Picture(np.zeros(found.shape, np.uint8))
        options.video = found
        reels.check_fits(options.output, options.picture, options.rate, True, options.warnings.append)
        if options.light is not None:
            options.where = masks.fitted(options.light, *found.shape[:2], options.warnings.append)


def find_folders(options, wrong):
    """See whether the dreams of a folder can be written."""
    if not os.path.isdir(options.input):
        wrong.append(f"watch: INPUT must be a folder, and {options.input} is none")
    if options.zoom:
        wrong.append("zoom: a zoom begins with one picture, and INPUT is a folder")
    options.output = options.input if options.output is None else options.output
    if os.path.isdir(options.output):
        with wrong.noted():
            pictures.check_folder(options.output)
    elif (os.path.lexists(options.output) or options.output == inputs.STANDARD
          or os.path.splitext(options.output)[1].lower() in pictures.FORMATS):
        wrong.append(f"output: {options.output} is no folder: name one for the dreams of a folder")
    else:
        with wrong.noted():
            pictures.check_folder(os.path.dirname(os.path.realpath(options.output)))


def find_mask(options, wrong):
    """Read the mask, as `light`; None where there is none."""
    options.light = None
    if options.mask is not None:
        with wrong.noted():
            if options.output and os.path.realpath(options.output) == os.path.realpath(options.mask):
                raise Mistake(f"output: {options.output} is the mask itself: name another file")
            options.light = masks.read(options.mask, options.max_pixels, options.warnings.append)
    elif "mask" in options.followed:  # it belongs to one picture, and this may be another
        options.warnings.append(f"like: {options.like} had the mask {options.followed['mask']}; --mask names one here")


def find_guide(options, chosen, wrong):
    """Read the guide, as `leader`; None where there is none. A recipe that had one is nothing without it."""
    options.leader, had = None, options.followed.get("guide")
    if options.guide is None:
        if had is not None:
            wrong.append(f"like: {options.like} was guided by {had}: name that picture with --guide")
        return
    with wrong.noted():
        if options.output and os.path.realpath(options.output) == os.path.realpath(options.guide):
            raise Mistake(f"output: {options.output} is the guide itself: name another file")
        smallest = smallest_side(cut(chosen.net, options.layer.names)) if chosen and not wrong else 1
        options.leader = Guide(guides.read(options.guide, options.guide_size, smallest, options.max_pixels,
                                           options.warnings.append))
        if had is not None and options.followed.get("guide_sha256") != checksum(options.guide):
            options.warnings.append(f"like: {options.like} was guided by another picture ({had}) than {options.guide}")


def fitting_sizes(options, chosen, height, width):
    """[(height, width)] of the octaves, the smallest first, that are large enough for the layer."""
    sizes = octave_sizes(height, width, options.octaves, options.scale)
    smallest = smallest_side(cut(chosen.net, options.layer.names))
    fitting = [size for size in sizes if min(size) >= smallest]
    if not fitting:
        raise Mistake(f"input: {width}×{height} pixels are too few for {options.layer}: each side needs {smallest}")
    return fitting


checksum = functools.cache(sha256)  # of large files
BESIDE = ("guide", "mask")  # options that name a picture: a recipe has its name and checksum


def recipe_of(options, chosen, sizes):
    """How the dream that `settings` understood is made, all but its seed: what is kept in the picture.

    sizes  those of the octaves"""
    made = {"version": __version__, "model": chosen.name,
            "weights_sha256": checksum(chosen.weights_path(options.weights)), "layer": options.layer.text,
            "iterations": options.iterations, "octaves": len(sizes), "scale": options.scale,
            "step_size": options.step_size, "jitter": options.jitter, "clip": not options.no_clip,
            "width": sizes[-1][1], "height": sizes[-1][0], "reproducible": options.reproducible}
    for name in BESIDE:
        if (path := getattr(options, name)) is not None:
            made |= {name: os.path.basename(path), f"{name}_sha256": checksum(path)}
    if options.guide is not None:
        made["guide_size"] = options.guide_size
    if options.video:
        made |= {"source_sha256": hashlib.sha256(options.video.checksum().encode()).hexdigest(), "flow": options.flow,
                 "blend": options.blend}
    elif options.input != inputs.STANDARD:
        made["source_sha256"] = sha256(options.input)
    if options.zoom:
        made |= {name: getattr(options, name) for name in ("zoom", "zoom_step", "rotate", "pan")}
    if options.film:
        made["fps"] = options.fps
    return made


def is_recipe(found, options, chosen):
    """Whether the recipe `found` is that of the dream that `settings` understood, of a picture of the size in it."""
    made = recipe_of(options, chosen, fitting_sizes(options, chosen, found.get("height", 0), found.get("width", 0)))
    return ("unfinished" not in found and options.seed in (None, found.get("seed"))
            and all(found.get(name) == made.get(name)
                    for name in {*made, *(f"{name}_sha256" for name in BESIDE)} - {"version"}))


def dream_many(options, chosen):
    """Do what `settings` understood: dream the pictures of a folder, and what comes into it."""
    tell("warning: ", *options.warnings)

    def single(source, output=None):
        return SimpleNamespace(**vars(options) | {"input": str(source), "output": str(output), "warnings": []})

    def read(source, output):
        one, wrong = single(source, output), Wrong()
        find_files(one, wrong)
        wrong.tell()
        return functools.partial(dream, one, chosen, alone=False)

    def wanted(source, found):
        return (sorted(found.get(side, 0) for side in ("height", "width"))
                == pictures.sides(source, options.max_size, options.max_pixels)
                and is_recipe(found, single(source), chosen))

    try:
        files.make_folder(options.output)
    except OSError as error:
        raise Failure(f"{options.output} cannot be made: {error.strerror}") from None
    many = Many(options.input, options.output, read, wanted, options.force,
                lambda line: None if options.quiet else print(line, flush=True))
    if options.watch:
        many.watch(lambda line: tell("", line))
    many.dream_all()


def dream_atlas(options, chosen):
    """Do what `settings` understood: dream the picture at all layers of an atlas, and write that."""
    tell("warning: ", *options.warnings)
    parts = {name: layers.parse(name, chosen)[0] for name in atlases.names(options.layer)}

    def single(name, output=None):
        return SimpleNamespace(**vars(options) | {"layer": parts[name], "output": str(output), "quiet": True,
                                                  "warnings": []})

    size = options.picture.pixels.shape[:2]
    small = [name for name in parts if min(size) < smallest_side(cut(chosen.net, parts[name].names))]
    if small:
        tell("warning: ", f"the picture is too small for {len(small)} of {len(parts)}, which are left out: "
                          f"{', '.join(small)}")
    if len(small) == len(parts):
        raise Mistake("input: the picture is too small for all of them")
    whole = Atlas(options.output, [name for name in parts if name not in small])
    whole.fill(lambda name, output: dream(single(name, output), chosen, alone=False),
               lambda name, found: not options.no_resume and is_recipe(found, single(name), chosen),
               lambda line: None if options.quiet else print(line, flush=True))
    whole.write(options.picture.pixels, os.path.basename(options.input),
                lambda name: command(single(name, "dream.png")), chosen.likes,
                recipe_of(options, chosen, octave_sizes(*size, options.octaves, options.scale))
                | {"seed": options.seed})


def command(options):
    """The command line that dreams what `settings` understood."""
    words = ["./dreamify.py"]
    for name, parameter in inspect.signature(dreamify).parameters.items():
        value = getattr(options, name)
        if parameter.kind is not parameter.KEYWORD_ONLY:
            words.append(str(value))
        elif value != parameter.default and name not in ("quiet", "force", "no_resume"):
            words += [f"--{name.replace('_', '-')}", *([str(value)] if OPTIONS[name].metavar else [])]
    return shlex.join(words)


def dream(options, chosen, alone=True):
    """Do what `settings` understood: dream, and write the picture.

    alone  list the layers too"""
    tell("warning: ", *options.warnings)
    image = options.picture.pixels
    fitting = fitting_sizes(options, chosen, *image.shape[:2])
    if len(fitting) < options.octaves:
        tell("warning: ", f"only {len(fitting)} of {options.octaves} octaves: a smaller one would be too small for "
                          f"{options.layer}")

    made = recipe_of(options, chosen, fitting)
    recipes.check(made)
    reel = Reel(options.output, made, image, options.rate, options.video) if options.film else None
    checkpoint = None
    moving = options.zoom or (options.video and len(options.video.ticks))
    if options.output != inputs.STANDARD and not moving:
        checkpoint = Checkpoint(reel.folder / "dream" if reel else options.output, made, image)
    state = checkpoint.load(options.seed) if checkpoint and not options.no_resume else None
    seeds = [options.seed, state and state.seed, reel.seed() if reel and not options.no_resume else None]
    made["seed"] = next((seed for seed in seeds if seed is not None), random.randrange(2 ** 32))
    if reel:
        reel.begin(made["seed"], options.no_resume)

    out = sys.stderr if options.output == inputs.STANDARD else sys.stdout  # where the picture itself does not go
    progress = Progress(None if options.quiet else out, fitting, options.iterations, options.layer.text,
                        moving or 1)
    if alone:
        progress.tell(textwrap.fill("layers: " + " ".join(chosen.keys), 100, subsequent_indent="        ",
                                    break_on_hyphens=False))
    how = {"iterations": options.iterations, "octaves": len(fitting), "scale": options.scale,
           "step_size": options.step_size, "jitter": options.jitter, "clip": not options.no_clip, "seed": made["seed"],
           "guide": options.leader, "mask": options.where}

    def make_net():
        net = Net(chosen, options.layer, options.weights, options.memory, options.threads, options.reproducible)
        if options.leader is not None:
            options.leader.seen(net)  # before the memory is told, for it takes some
        return net

    job = {"make_net": make_net, "model": chosen, "picture": options.picture, "recipe": made, "sizes": fitting,
           "iterations": options.iterations, "output": options.output, "preview": options.preview,
           "progress": progress, "reel": reel, "mask": options.where}
    if options.zoom:
        Film(dream=functools.partial(zooming, frames=options.zoom, zoom_step=options.zoom_step, rotate=options.rotate,
                                     pan=options.pan, image=image, **how), count=moving, **job).run()
    elif moving:
        Film(dream=functools.partial(following, video=options.video, blend=options.blend,
                                     carry=flow.carried if options.flow else None, **how),
             count=moving, **job).run()
    else:
        Dream(dream=functools.partial(deepdream, image=image, **how), checkpoint=checkpoint, state=state, **job).run()
    progress.tell(f"{printable(options.output)}: done")


# --------------------------------------------------------------------------------------- the command line

USAGE = "dreamify.py [options] INPUT OUTPUT [LAYER [ITERATIONS [OCTAVES [SCALE]]]]"
CODES = "Exit codes: 0 done, 1 failed, 2 wrong use, 130 stopped with Ctrl-C, 143 stopped by SIGTERM."


class Parser(argparse.ArgumentParser):
    """argparse, but what it finds wrong is raised, to be told with all else that is wrong."""

    def error(self, message):  # noqa: D102 - argparse's
        raise Mistake(message)


def parser(function=dreamify, add_help=True):
    """The command line of a function of COMMANDS, or of a dream. Values stay text, to be checked all at once."""
    parameters = inspect.signature(function).parameters.values()
    usage, listed = USAGE, [f"  {name:<8} {inspect.getdoc(command).splitlines()[0]}"
                            for name, command in COMMANDS.items()]
    if function is not dreamify:
        words = [OPTIONS[p.name].metavar for p in parameters if p.kind is not p.KEYWORD_ONLY]
        usage, listed = " ".join(["dreamify.py", function.__name__, "[options]", *words]), []
    made = Parser(usage=usage, description=inspect.getdoc(function).splitlines()[0], add_help=add_help,
                  allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
                  epilog="\n".join([*(["commands:", *listed, ""] if listed else []), CODES]))
    for parameter in parameters:
        option, default = OPTIONS[parameter.name], parameter.default
        default = None if default is parameter.empty else default
        told = option.help + (" (default: %(default)s)" if default not in (None, False) else "")
        if parameter.kind is not parameter.KEYWORD_ONLY:
            made.add_argument(parameter.name, nargs="?", metavar=option.metavar, default=default, help=told)
        else:
            kind = {"metavar": option.metavar} if option.metavar else {"action": "store_true"}
            made.add_argument("--" + parameter.name.replace("_", "-"), default=default, help=told, **kind)
    if add_help and function is dreamify:
        made.add_argument("--version", action="version", version=f"image-dreamer {__version__}")
    return made


def understand(arguments):
    """(function, its arguments as a dict, lines on what else there is) for the command line, a list of str."""
    if "--" in arguments:  # what follows are names, whatever they begin with
        at = arguments.index("--")
        arguments = arguments[:at] + [f"./{word}" if word[:1] == "-" != word else word for word in arguments[at + 1:]]
    word = parser(add_help=False).parse_known_intermixed_args(arguments)[0].input
    function = COMMANDS.get(word, dreamify)
    if word in COMMANDS:
        arguments = arguments.copy()
        arguments.remove(word)
    if {"-h", "--help"} & set(arguments):
        parser(function).parse_args(["--help"])
    asked, unknown = parser(function).parse_known_intermixed_args(arguments)  # options may stand between arguments
    for word in unknown:
        if word.startswith("-") and os.path.lexists(word):
            raise Mistake(f"{word}: an option is expected behind a dash; write ./{word} to name the file")
    wrong = [f"unknown option: {word}" if word.startswith("-") else f"too many arguments: {word}" for word in unknown]
    wrong += [f"{function.__name__}: {OPTIONS[name].metavar} is missing"
              for name, parameter in inspect.signature(function).parameters.items()
              if parameter.default is parameter.empty and getattr(asked, name) is None]
    return function, vars(asked), wrong


def run(arguments):
    """Do what the command line says; what the function returns is printed."""
    function, asked, wrong = understand(arguments)
    if wrong and function in (dreamify, atlas):
        settings(asked, function, wrong)
    if wrong:
        raise Mistake(*wrong)
    found = function(**asked)
    if found is not None:
        print("\n".join(found) if isinstance(found, list) else json.dumps(found, indent=2))


def tell(kind, *lines):
    """Tell what is no result: lines on standard error, behind the program's name and the word `kind`."""
    for line in lines:
        print(f"dreamify: {kind}{line}", file=sys.stderr)


def main(arguments=None):
    """Run the command line; returns the exit code."""
    try:
        run((sys.argv[1:] if arguments is None else arguments) or ["--help"])
        return 0
    except (Mistake, Failure, Stopped) as error:
        tell("", *str(error).splitlines())
        return error.exit_code


if __name__ == "__main__":
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:  # a pipe must not take the place of a closed stream
        pass
    sys.stdout, sys.stderr = (stream or os.fdopen(os.dup(number), "w") for stream in (sys.stdout, sys.stderr))
    for stream in sys.stdout, sys.stderr:
        stream.reconfigure(errors="backslashreplace")  # the terminal's alphabet may lack what we say
    code = main()
    signals.ignore()  # Python itself takes a moment to end
    sys.exit(code)
