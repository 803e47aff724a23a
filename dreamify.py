#!/usr/bin/python3
"""dreamify: Google's DeepDream (2015) on Caffe.

    $ ./dreamify.py photo.jpg dream.png                      # animals, pagodas, fish
    $ ./dreamify.py photo.jpg dream.png inception_3b/output  # eyes and swirls
    $ ./dreamify.py keys                                     # all layers that can be dreamed
    $ ./dreamify.py --help

A net that was trained to name what is in a picture is run on yours, up to one layer. Then the picture
is changed, a little at a time, so that whatever the layer saw in it grows stronger.
"""

import argparse
import functools
import inspect
import json
import math
import os
import random
import sys
import textwrap
from typing import NamedTuple

try:
    import numpy as np

    from dreamer import inputs, limits, model, pictures, recipe
    from dreamer.checkpoint import Checkpoint
    from dreamer.errors import Failure, Mistake, printable
    from dreamer.fetch import sha256
    from dreamer.job import Job
    from dreamer.net import Net
    from dreamer.planes import bands, mean_size, zoom
    from dreamer.progress import Progress
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
    return 0.5 * float(np.sum(np.square(activations, dtype=np.float64))), activations


def make_step(net, picture, rng, step_size, jitter, clip, objective):
    """One step of gradient ascent on `picture` (3, h, w), in place; returns the objective before the step.

    The picture is rolled by a random offset for the net, so that the net's own grid (its strides) leaves
    no pattern."""
    ox, oy = (int(offset) for offset in rng.randint(-jitter, jitter + 1, 2))
    value = 0.0
    for tile in net.tiles(picture, oy, ox):  # one, unless memory is short
        part, gradient = objective(tile.forward())
        tile.backward(gradient)
        value += part

    steepness = mean_size(net.gradient)
    rate = np.float32(step_size / steepness if steepness else 0)  # where nothing excites the layer, nothing changes
    for rows in bands(picture):
        picture[:, rows] += rate * net.gradient[:, rows]
        if clip:
            np.clip(picture[:, rows], net.lowest, net.lowest + 255, out=picture[:, rows])
    return value


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
              objective=objective_l2, each_step=None, state=None):
    """The dream of `image` by `net`.

    net         a dreamer.net.Net: it says which layer of which model dreams
    image       (h, w, 3), RGB, 0..255, any dtype
    iterations  steps in each octave
    octaves     sizes at which to dream: the image's own and smaller ones
    scale       how much smaller each octave is than the next
    step_size   how far a step goes: the mean change of a channel, in 0..255
    jitter      most pixels by which a step rolls the picture
    clip        keep the picture within 0..255 after each step
    seed        of the rolls; None for another dream each time
    objective   function of the activations (channels, h', w') that returns (value, gradient)
    each_step   function that is called with a Step after each step
    state       a dreamer.checkpoint.State of an earlier run with the same arguments, to go on from

    Returns float32 (h, w, 3), RGB; within 0..255 where `clip` is on. Raises Mistake where an octave is too
    small for the net (see octave_sizes)."""
    rng = np.random.RandomState(seed)  # the generator of the notebook, so that dreams can be compared
    sizes = octave_sizes(*image.shape[:2], octaves, scale)
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
        if state and octave == state.octave:
            picture[:], done = state.picture, state.iteration
            rng.set_state(state.random)
        elif detail is None:
            picture[:] = base
        else:
            zoom(detail, height, width, picture)
            picture += base
        net.resize(height, width)
        for iteration in range(done, iterations):
            value = make_step(net, picture, rng, step_size, jitter, clip, objective)
            if each_step:
                each_step(Step(octave, iteration, value, picture, rng.get_state(legacy=False)))
        if bases:
            detail = np.subtract(picture, base, out=picture)
    return net.deprocess(picture)


def octave_sizes(height, width, octaves, scale):
    """[(height, width)] of the octaves that deepdream goes through, the smallest first."""
    sizes = [(height, width)]
    for _ in range(octaves - 1):
        sizes.append(tuple(round(side * (1 / scale)) for side in sizes[-1]))
    return sizes[::-1]


# --------------------------------------------------------------------------------------- the command line

DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(deepdream).parameters.items()}


class Parser(argparse.ArgumentParser):
    """argparse, but what it finds wrong is raised, to be told with all else that is wrong."""

    def error(self, message):  # noqa: D102 - argparse's
        raise Mistake(message)


def parser():
    """The command line. Values stay text: `settings` checks them all at once."""
    p = Parser(
        prog="dreamify", usage="dreamify.py [options] INPUT OUTPUT [LAYER [ITERATIONS [OCTAVES [SCALE]]]]\n"
                               "       dreamify.py keys\n       dreamify.py recipe FILE",
        description="Dream into a picture, as Google's DeepDream did in 2015.", allow_abbrev=False,
        epilog="Exit codes: 0 done, 1 failed, 2 wrong use, 130 stopped with Ctrl-C, 143 stopped by SIGTERM.",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = p.add_argument
    add("input", nargs="?", metavar="INPUT", help="a picture, or - for standard input; or the word keys: list the "
                                                  "layers that can be dreamed; or recipe: tell how FILE was dreamed")
    add("output", nargs="?", metavar="OUTPUT",
        help=f"the dream; ends in {' '.join(sorted(pictures.FORMATS))}, or is - for standard output, as PNG")
    add("layer", nargs="?", metavar="LAYER", help="the layer whose activations grow (default: the model's, "
                                                  "inception_4c/output for bvlc_googlenet)")
    add("iterations", nargs="?", metavar="ITERATIONS", default=DEFAULTS["iterations"],
        help="steps in each octave (default: %(default)s)")
    add("octaves", nargs="?", metavar="OCTAVES", default=DEFAULTS["octaves"],
        help="sizes at which to dream (default: %(default)s)")
    add("scale", nargs="?", metavar="SCALE", default=DEFAULTS["scale"],
        help="from one size to the next (default: %(default)s)")
    add("--seed", metavar="N", help="another number, another dream (default: one is picked, and kept in the picture)")
    add("--step-size", metavar="X", default=DEFAULTS["step_size"],
        help="how far a step goes, as a mean change in 0..255 (default: %(default)s)")
    add("--jitter", metavar="PIXELS", default=DEFAULTS["jitter"],
        help="most pixels by which a step shifts the picture (default: %(default)s)")
    add("--no-clip", action="store_true", help="let the picture leave 0..255 between steps")
    add("--model", metavar="NAME", help=f"a folder in models/ (default: {model.DEFAULT}, or {model.SPARE} where its "
                                        "weights are missing)")
    add("--weights", metavar="FILE", help="a .caffemodel to use in place of the model's own")
    add("--max-size", metavar="N", help="shrink a larger picture, so that its longest side has N pixels")
    add("--max-pixels", metavar="N", default=inputs.MAX_PIXELS,
        help="refuse an input of more pixels, which may be an attack (default: %(default)s)")
    add("--keep-location", action="store_true", help="keep the GPS position in the EXIF; all else there is kept anyway")
    add("--force", action="store_true", help="overwrite the input, where OUTPUT names it too")
    add("--memory", metavar="SIZE", help="the most to take, such as 512m or 1.5g; larger pictures are dreamed in tiles "
                                         "(default: most of what is free)")
    add("--threads", metavar="N", help="how many to work with (default: the cores and CPU quota that there are)")
    add("--like", metavar="FILE", help="dream as that picture was dreamed: its recipe holds for all that is not said")
    add("--preview", metavar="FILE", help="keep a picture there that shows the dream so far")
    add("--no-resume", action="store_true", help="start afresh, even where an earlier run was stopped or killed")
    add("--quiet", action="store_true", help="say nothing but errors and warnings")
    add("--version", action="version", version=f"image-dreamer {__version__}")
    return p


def like(command, found, arguments):
    """The options that `arguments` mean to the parser `command` where the recipe `found` says what they do not."""
    names = ("layer", "iterations", "octaves", "scale", "seed", "step_size", "jitter", "model")
    command.set_defaults(**{name: str(found[name]) for name in names if name in found},
                         no_clip=found.get("clip") is False)
    return command.parse_known_args(arguments)[0]


def settings(arguments):
    """(options, model, warnings) for the command line `arguments`, a list of str.

    Raises Mistake with all that is wrong, a line each."""
    command = parser()
    options, unknown = command.parse_known_args(arguments)
    if not arguments:
        return options, None, []
    for word in unknown:
        if word.startswith("-") and os.path.lexists(word):
            raise Mistake(f"{word}: an option is expected behind a dash; write ./{word} to name the file")
    warnings = []
    if options.like is not None:
        try:
            options = like(command, recipe.read(options.like), arguments)
        except Mistake as error:
            raise Mistake(*(f"like: {line}" for line in error.args)) from None
    wrong = [f"unknown option: {word}" if word.startswith("-") else f"too many arguments: {word}" for word in unknown]
    chosen = None
    try:
        chosen, warning = (model.find(options.model), None) if options.model else model.default(options.weights)
        warnings += [warning] if warning else []
    except Mistake as error:
        wrong.append(str(error))

    def number(name, kind, fits, what):
        text = getattr(options, name)
        try:
            value = kind(text)
            if not fits(value):
                raise ValueError
            setattr(options, name, value)
        except ValueError:
            wrong.append(f"{name.replace('_', '-')}: {text!r} is not {what}")
            setattr(options, name, command.get_default(name))  # to see what else is wrong

    number("iterations", int, lambda n: n >= 1, "a whole number from 1")
    number("octaves", int, lambda n: 1 <= n <= 100, "a whole number from 1 to 100")
    number("scale", float, lambda x: 1 < x <= 100, "a number above 1 (and at most 100)")
    if options.seed is not None:
        number("seed", int, lambda n: 0 <= n < 2 ** 32, "a whole number from 0 to 4294967295")
    number("step_size", float, lambda x: 0 < x < math.inf, "a number above 0")
    if options.threads is not None:
        number("threads", int, lambda n: 1 <= n <= 1024, "a whole number from 1 to 1024")
    if options.memory is not None:
        try:
            options.memory = limits.size(options.memory)
        except Mistake as error:
            wrong.append(f"memory: {error}")
    number("jitter", int, lambda n: 0 <= n <= 10 ** 6, "a whole number from 0 to 1000000")
    number("max_pixels", int, lambda n: n >= 1, "a whole number from 1")
    if options.max_size is not None:
        number("max_size", int, lambda n: n >= 1, "a whole number from 1")

    if options.input == "keys":
        if options.output:
            wrong.append(f"keys takes no arguments: {options.output}")
    elif options.input == "recipe":
        try:
            options.recipe = recipe.read(options.output or "")
        except Mistake as error:
            wrong.append(str(error))
    else:
        if options.input is None:
            wrong.append("input: name a picture")
        if options.output is None:
            wrong.append("output: name the file for the dream")
        if chosen:
            try:
                options.layer, warning = chosen.layer(options.layer or chosen.default_layer)
                warnings += [warning] if warning else []
            except Mistake as error:
                wrong.append(f"layer: {error}")
            try:
                chosen.weights_path(options.weights)
            except Mistake as error:
                wrong.append(str(error))
        if options.output is not None:
            try:
                pictures.check_output(options.output, options.input, options.force)
            except Mistake as error:
                wrong.append(str(error))
        if options.preview is not None:
            try:
                pictures.check_output(options.preview, options.input)
            except Mistake as error:
                wrong.append(f"preview: {error}")
        if options.input is not None and not (wrong and options.input == inputs.STANDARD):  # which may be slow
            try:
                options.picture = pictures.read(options.input, max_size=options.max_size,
                                                max_pixels=options.max_pixels, keep_location=options.keep_location,
                                                warn=warnings.append)
                if not wrong:
                    pictures.check_fits(options.output, options.picture, warnings.append)
            except Mistake as error:
                wrong.append(str(error))
    if wrong:
        raise Mistake(*wrong)
    return options, chosen, warnings


def recipe_of(options, chosen, octaves):
    """How the dream that `settings` understood is made, all but its seed: what is kept in the picture."""
    weights = chosen.weights_path(options.weights)
    return {"version": __version__, "model": chosen.name, "weights_sha256": sha256(weights), "layer": options.layer,
            "iterations": options.iterations, "octaves": octaves, "scale": options.scale,
            "step_size": options.step_size, "jitter": options.jitter, "clip": not options.no_clip,
            "width": options.picture.pixels.shape[1], "height": options.picture.pixels.shape[0]}


def dream(options, chosen, tell):
    """Do what `settings` understood: dream, and write the picture."""
    image = options.picture.pixels
    sizes = octave_sizes(*image.shape[:2], options.octaves, options.scale)
    smallest = smallest_side(cut(chosen.net, [options.layer]))
    fitting = [size for size in sizes if min(size) >= smallest]
    if not fitting:
        raise Mistake(f"input: {image.shape[1]}×{image.shape[0]} pixels are too few for {options.layer}: "
                      f"each side needs {smallest}")
    if len(fitting) < len(sizes):
        tell("warning: ", f"only {len(fitting)} of {len(sizes)} octaves: a smaller one would be too small for "
                          f"{options.layer}")

    made = recipe_of(options, chosen, len(fitting))
    checkpoint = Checkpoint(options.output, made, image) if options.output != inputs.STANDARD else None
    state = checkpoint.load(options.seed) if checkpoint and not options.no_resume else None
    made["seed"] = (state.seed if state else options.seed if options.seed is not None
                    else random.randrange(2 ** 32))

    out = sys.stderr if options.output == inputs.STANDARD else sys.stdout  # where the picture itself does not go
    progress = Progress(None if options.quiet else out, fitting, options.iterations, options.layer)
    progress.tell(textwrap.fill("layers: " + " ".join(chosen.keys), 100, subsequent_indent="        ",
                                break_on_hyphens=False))
    Job(
        dream=functools.partial(
            deepdream, image=image, iterations=options.iterations, octaves=len(fitting), scale=options.scale,
            step_size=options.step_size, jitter=options.jitter, clip=not options.no_clip, seed=made["seed"]),
        make_net=lambda: Net(chosen, options.layer, options.weights, options.memory, options.threads),
        model=chosen, picture=options.picture, recipe=made, sizes=fitting, iterations=options.iterations,
        output=options.output, preview=options.preview, checkpoint=checkpoint, state=state, progress=progress,
    ).run()
    progress.tell(f"{printable(options.output)}: done")


def main(arguments=None):
    """Run the command line; returns the exit code."""
    def tell(kind, lines):
        for line in str(lines).splitlines():
            print(f"dreamify: {kind}{line}", file=sys.stderr)

    try:
        options, chosen, warnings = settings(sys.argv[1:] if arguments is None else arguments)
        for warning in warnings:
            tell("warning: ", warning)
        if chosen is None:
            parser().print_help()
        elif options.input == "keys":
            print("\n".join(chosen.keys))
        elif options.input == "recipe":
            print(json.dumps(options.recipe, indent=2))
        else:
            dream(options, chosen, tell)
        return 0
    except (Mistake, Failure, Stopped) as error:
        tell("", error)
        return error.exit_code
    except KeyboardInterrupt:
        tell("", "stopped: nothing was written")
        return 130


if __name__ == "__main__":
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:  # a pipe must not take the place of a closed stream
        pass
    sys.stdout, sys.stderr = (stream or os.fdopen(os.dup(number), "w") for stream in (sys.stdout, sys.stderr))
    for stream in sys.stdout, sys.stderr:
        stream.reconfigure(errors="backslashreplace")  # the terminal's alphabet may lack what we say
    sys.exit(main())
