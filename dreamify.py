#!/usr/bin/python3
"""dreamify: Google's DeepDream (2015) on Caffe.

    $ ./dreamify.py photo.jpg dream.png                      # animals, pagodas, fish
    $ ./dreamify.py photo.jpg dream.png inception_3b/output  # eyes and swirls
    $ ./dreamify.py noise dream.png class:flamingo           # flamingos, out of nothing
    $ ./dreamify.py keys                                     # all layers that can be dreamed
    $ ./dreamify.py studio                                   # a page on which one watches photos dream
    $ ./dreamify.py --help

A net that was trained to name the things in pictures runs on yours, up to one layer. Then your picture
is changed, a little at a time, so that whatever the layer saw in it grows stronger.
"""

import sys

from dreamer.machine import signals, streams

if __name__ == "__main__":
    signals.end_at_once("dreamify: stopped")  # the imports below take a moment
    from dreamer.machine import limits
    limits.start_no_blas_threads()
    if sys.argv[1:] == ["doctor"]:  # which must answer where the rest of this file cannot even be loaded
        from dreamer.help.doctor import examine
        streams.begin()
        streams.end(examine())
    if lacking := limits.lacking(limits.needed()):  # OpenBLAS would try for ever to get it
        sys.exit(f"dreamify: {lacking}")

import argparse
import functools
import inspect
import json
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TypeAlias

try:
    import numpy as np

    from dreamer import __version__
    from dreamer.arrays import Light, Pixels, Planes, bands
    from dreamer.errors import Failure, Mistake, Stopped, say, tell
    from dreamer.films import sequence
    from dreamer.help.commands import CODES, described
    from dreamer.help.line import asking
    from dreamer.machine import files
    from dreamer.nets.balance import balance
    from dreamer.nets.guide import SIZE, Guide, Seen
    from dreamer.nets.inventory import inventory
    from dreamer.nets.listing import listed
    from dreamer.nets.model import default, find
    from dreamer.nets.net import Each, Net, Tile, in_turn
    from dreamer.nets.strength import choose
    from dreamer.options import like, look, texts, words
    from dreamer.options.request import Request, from_json, request, standard_input
    from dreamer.options.texts import OPTIONS
    from dreamer.pictures import inputs
    from dreamer.pictures.finish import WHOLE
    from dreamer.pictures.mask import resized, spare
    from dreamer.pictures.recipe import read_recipe
    from dreamer.scaling import zoom
    from dreamer.state import State, Step
    from dreamer.steps import Change
    from dreamer.sums import mean_size
except ImportError as error:
    if __name__ != "__main__":
        raise
    from dreamer.machine import interpreter
    sys.exit(f"dreamify: {interpreter.advice(error)}")


# ------------------------------------------------------------------------------------------ the algorithm
# After the notebook by Mordvintsev, Olah and Tyka: "Inceptionism: going deeper into neural networks", 2015.

# the function to maximise: takes a layer's activations (channels, h', w'), returns (value, gradient)
Objective: TypeAlias = Callable[[Planes], tuple[float, Planes]]
FAINT = 0.01  # of a class; where one is seen clearly, this is about 10


def objective_l2(activations: Planes) -> tuple[float, Planes]:
    """Half the squared L2 norm of the activations, and its gradient, which is the activations themselves."""
    return 0.5 * float(np.sum(np.square(activations), dtype=np.float64)), activations


def objective_guide(activations: Planes, seen: Seen) -> tuple[float, Planes]:
    """The sum, over all positions, of the largest dot product of the activations there with the guide's anywhere
    (`seen`); and its gradient: at each position, the guide's activations that gave the largest product."""
    products, best = seen.match(activations)
    return float(np.sum(products, dtype=np.float64)), best


def objective_class(activations: Planes, direction: Planes) -> tuple[float, Planes]:
    """Half the squared L2 norm of how much of a class the net sees at each position: the dot product with the class's
    `direction` (channels, 1, 1). And its gradient. What is less than FAINT counts in proportion, so that a class can
    also grow where there is none of it yet."""
    seen = np.sum(direction * activations, axis=0)
    pull = np.maximum(seen, FAINT)
    return float(np.sum(pull * (seen - pull / 2), dtype=np.float64)), direction * pull


def objectives_of(net: Net, objective: Objective = objective_l2, guide: Guide | None = None) -> list[Objective]:
    """The function to maximise for each of the Net's Terms."""
    if guide is not None:
        return [functools.partial(objective_guide, seen=seen) for seen in guide.seen(net)]
    return [objective if direction is None else functools.partial(objective_class, direction=direction)
            for direction in net.directions]


def make_step(net: Net, picture: Planes, rng: np.random.RandomState, step_size: float, jitter: int, clip: bool,
              objectives: list[Objective], mask: Light | None = None, change: Change | None = None,
              each: Each = in_turn) -> float:
    """One step of gradient ascent on `picture` (3, h, w), in place; returns the objective before the step.

    The net sees the picture rolled by a random offset, so that the net's own grid (its strides) leaves
    no pattern. `change` is called with the gradient, float32 (3, h, w), and changes it in place. `each`, which is
    called like in_turn, may have the tiles computed elsewhere."""
    ox, oy = (int(offset) for offset in rng.randint(-jitter, jitter + 1, 2))
    tiles = net.tiles(picture, oy, ox)  # one, unless memory is short
    value = sum(each(pull, tiles, objectives, balance(net.what.terms, tiles, objectives, each)))

    if change:
        change(net.gradient)
    steepness = mean_size(net.gradient)
    rate = np.float32(step_size / steepness if steepness else 0)  # if nothing excites the layer, nothing changes
    for rows in bands(picture):
        local = rate if mask is None else rate * (mask[rows] / np.float32(255))
        picture[:, rows] += local * net.gradient[:, rows]
        if clip:
            np.clip(picture[:, rows], net.lowest, net.lowest + 255, out=picture[:, rows])
    return value


def pull(tile: Tile, objectives: list[Objective], factors: list[float]) -> float:
    """Add the gradient of the tile's share of the objective to its Net's gradient; returns that share."""
    parts = [objective(activations) for objective, activations in zip(objectives, tile.forward(), strict=True)]
    tile.backward([(factor, gradient) for factor, (_, gradient) in zip(factors, parts, strict=True)])
    return sum(factor * part for factor, (part, _) in zip(factors, parts, strict=True))


def octave_sizes(height: int, width: int, octaves: int, scale: float) -> list[tuple[int, int]]:
    """[(height, width)] of the octaves that deepdream goes through, the smallest first."""
    sizes = [(height, width)]
    for _ in range(octaves - 1):
        height, width = round(height * (1 / scale)), round(width * (1 / scale))
        sizes.append((height, width))
    return sizes[::-1]


def deepdream(net: Net, image: Pixels, iterations: int = 10, octaves: int = 4, scale: float = 1.4,
              step_size: float = 1.5, jitter: int = 32, clip: bool = True, seed: int | None = 0,
              guide: Guide | None = None, mask: Light | None = None, objective: Objective = objective_l2,
              each_step: Callable[[Step], None] | None = None, state: State | None = None,
              step: Callable[..., float] = make_step,
              sizes: Callable[[int, int, int, float], list[tuple[int, int]]] = octave_sizes) -> Pixels:
    """Dream `image` with `net`.

    net         the layers that dream, and their model
    image       (h, w, 3), RGB, 0..255, any dtype
    iterations  steps in each octave
    octaves     number of sizes at which to dream: the image's own and smaller ones
    scale       how much larger each octave is than the one before
    step_size   mean change of a pixel value in each step, on a scale of 0..255
    jitter      largest random shift of the picture in each step, in pixels
    clip        keep the picture within 0..255 after each step
    seed        seed of the random shifts; None for a different dream each time
    guide       a picture to dream towards, with objective_guide
    mask        uint8 (h, w): 255 where to dream, 0 where the image keeps its pixels
    objective   the function to maximise if there is no guide; a class of the net has its own, objective_class
    each_step   called after each step
    state       the State of an earlier run with the same arguments, to resume it
    step        function that makes a step, used like make_step
    sizes       function that returns the sizes of the octaves, used like octave_sizes

    Returns float32 (h, w, 3), RGB; within 0..255 if `clip` is on. Raises Mistake if an octave is too
    small for the net (see octave_sizes)."""
    rng = np.random.RandomState(seed)  # the notebook's generator, so that dreams can be compared
    height, width = image.shape[:2]
    octave_shapes = sizes(height, width, octaves, scale)
    choose(net, image)
    objectives = objectives_of(net, objective, guide)
    net.budget.fit(*octave_shapes[-1])
    bases = [net.preprocess(image)]
    for height, width in octave_shapes[-2::-1]:
        bases.append(zoom(bases[-1], height, width, net.budget.allocate(height, width)))

    detail: Planes | None = None  # the dream's changes so far
    for octave, (height, width) in enumerate(octave_shapes):
        base = bases.pop()
        done = 0
        if state and octave < state.octave:
            continue
        picture = net.budget.allocate(height, width)
        here = None if mask is None else resized(mask, height, width)
        if state and octave == state.octave:
            picture[:], done = state.picture, state.iteration
            rng.set_state(state.random)
        elif detail is None:
            picture[:] = base
        else:
            zoom(detail, height, width, picture)
            if here is not None:
                picture *= here > 0
            picture += base
        net.resize(height, width)
        for iteration in range(done, iterations):
            value = step(net, picture, rng, step_size, jitter, clip, objectives, here)
            if each_step:
                each_step(Step(octave, iteration, value, picture, rng.get_state(legacy=False)))
        if bases:
            detail = np.subtract(picture, base, out=picture)
    dreamed = net.deprocess(picture)
    return dreamed if mask is None else spare(dreamed, image, mask)


# --------------------------------------------------------------------------------------------- the commands
# One function for each. Its signature is the only source of names and defaults; the command line is made from it:
# parameters before the * are arguments, those after it are options (`no_clip` is --no-clip). OPTIONS has the texts.

File: TypeAlias = str | os.PathLike[str]

DEFAULTS = {name: parameter.default for function in (sequence.zooming, deepdream)
            for name, parameter in inspect.signature(function).parameters.items()}


def dreamify(input: File | Sequence[File] | None = None, output: File | None = None, layer: str | None = None,  # noqa: A002 - its name
             iterations: int = DEFAULTS["iterations"], octaves: int | None = None,
             scale: float = DEFAULTS["scale"], *, seed: int | None = None, step_size: float = DEFAULTS["step_size"],
             jitter: int = DEFAULTS["jitter"], no_clip: bool = False, smooth: float | None = None,
             pyramid: bool = False, keep_colours: bool = False, strength: float = WHOLE, guide: File | None = None,
             guide_size: int = SIZE, mask: File | None = None, model: File | None = None,
             weights: File | None = None, max_size: int | None = None, max_pixels: int = inputs.MAX_PIXELS,
             keep_location: bool = False, force: bool = False, memory: int | str | None = None,
             threads: int | None = None, reproducible: bool = False, farm: str | None = None, like: File | None = None,
             preview: File | None = None, events: File | None = None, no_resume: bool = False, watch: bool = False,
             recursive: bool = False, quiet: bool = False, zoom: int | None = None,
             zoom_step: float = DEFAULTS["zoom_step"], rotate: float = DEFAULTS["rotate"],
             pan: str | tuple[float, float] = "0,0", fps: float | None = None, start: float | str | None = None,
             end: float | str | None = None, no_deinterlace: bool = False, no_sound: bool = False, flow: bool = False,
             blend: float | None = None) -> None:
    """Dream into a picture as Google's DeepDream did in 2015, or into all pictures of a folder.

    Raises Mistake, before any work, with everything that is wrong; Failure if something breaks; Stopped if a signal
    ends it. Arguments left at their defaults are taken from the recipe in `like`."""
    dream(ask(locals()))


def atlas(input: File | None = None, output: File | None = None, layer: str = "*",  # noqa: A002 - its name
          iterations: int = DEFAULTS["iterations"], octaves: int | None = None,
          scale: float = DEFAULTS["scale"], *, seed: int = 0, step_size: float = DEFAULTS["step_size"],
          jitter: int = DEFAULTS["jitter"], no_clip: bool = False, smooth: float | None = None,
          pyramid: bool = False, keep_colours: bool = False, strength: float = WHOLE, guide: File | None = None,
          guide_size: int = SIZE, mask: File | None = None, model: File | None = None,
          weights: File | None = None, max_size: int = 256, max_pixels: int = inputs.MAX_PIXELS, force: bool = False,
          memory: int | str | None = None, threads: int | None = None, reproducible: bool = False,
          farm: str | None = None, events: File | None = None, no_resume: bool = False, quiet: bool = False,
          full: bool = False) -> None:
    """Dream a picture at each layer, and put the dreams side by side with their names.

    `layer` selects some layers (a pattern), or channels of a layer, instead of all layers."""
    dream(ask(of_atlas(locals())), atlas)


def keys(word: str | None = None, *, model: File | None = None, describe: bool = False, looks: bool = False,
         classes: bool = False) -> list[str]:
    """List the layers that can be dreamed, in the order of the net; --describe says what each likes.

    `word` selects those that have it in their names."""
    chosen, warning = (find(os.fspath(model)), None) if model else default()
    tell("warning: ", *[warning] if warning else [])
    return listed(chosen, word, describe=describe, looks=looks, classes=classes)


def models() -> list[str]:
    """List the models: the default layer of each, the size of its weights, and whether they are here."""
    return inventory()


def recipe(file: File) -> dict[str, Any]:
    """Print how a picture was dreamed: its recipe."""
    return read_recipe(file)


def studio(folder: File = os.curdir, *, port: int | str = 8420, bind: str | None = None, jobs: int | str | None = None,
           no_open: bool = False, farm: str | None = None) -> None:
    """Open a page in the browser on which one drops photos and watches them dream.

    Returns never: Stopped ends it."""
    from dreamer.farm.lasting import lasting
    try:
        from dreamer.studio.server import serve  # takes 0.2 s, with Tornado
        from dreamer.studio.studio import Script
    except ModuleNotFoundError as error:
        from dreamer.machine import interpreter
        raise Failure(f"studio: {interpreter.advice(error)}") from None
    options = texts.checked(port=port, bind=bind, jobs=jobs, farm=farm)
    with lasting(options.pop("farm")) as where:
        serve(folder, program=os.path.abspath(__file__), open_browser=not no_open, farm=where,
              script=Script(ask, command, octave_sizes, make_step, objectives_of), **options)


def doctor() -> None:
    """Print what a report needs: machine, limits, Caffe, model, what is missing, and whether a dream works.

    Raises Failure, without words, if it does not."""
    from dreamer.help.doctor import examine
    if examine():
        raise Failure


def completion(shell: str, *, model: File | None = None) -> list[str]:
    """Print what makes a shell complete the command line: bash, zsh or fish.

    For `shell` "names", list what LAYER takes in that model, which these scripts ask for."""
    from dreamer.help.completion import NAMES, names, script
    if shell == NAMES:
        return names(find(os.fspath(model)) if model else default()[0])
    return script(shell, [described(function) for function in (dreamify, *_COMMANDS)], os.path.realpath(__file__))


def manpage() -> list[str]:
    """Print the man page, for example to a file that man -l reads."""
    from dreamer.help.manpage import page
    return page(described(dreamify), [described(function) for function in _COMMANDS])


def farm(what: str | None = None, where: File | None = None, *, bind: str | None = None, port: int | str | None = None,
         jobs: int | None = None, memory: int | str | None = None, threads: int | None = None,
         folder: File | None = None) -> list[str] | None:
    """Let many machines dream together: make their keys, start the scheduler and the workers, see what they do."""
    from dreamer.farm.entry import enter
    given = texts.checked(bind=bind, port=port, jobs=jobs, memory=memory, threads=threads, folder=folder)
    return enter(what, where, given, pull, objectives_of)


_COMMANDS: tuple[Callable[..., Any], ...] = (atlas, keys, models, recipe, studio, farm, doctor, completion, manpage)
COMMANDS = {function.__name__: function for function in _COMMANDS}  # {first word: function}


def dream(request: Request, function: Callable[..., Any] = dreamify, unknown: Iterable[str] = (),
          kept: Any = None) -> None:
    """Carry out a Request for `function`, dreamify or atlas, and show the progress.

    unknown  errors found so far, one line each
    kept     the nets.kept.Kept for dreamify, as for perform.one, or None"""
    from dreamer import perform  # takes 15 ms, and --help and keys do not need it
    from dreamer.farm.joined import Joined
    from dreamer.jobs.bar import Bar
    out = None if request.quiet else sys.stderr if request.output == inputs.STANDARD else sys.stdout
    if function is atlas:
        perform.atlas(request, Bar(out, "atlas"), deepdream=deepdream, step=make_step, sizes=octave_sizes,
                      command=command, unknown=unknown, farm=Joined)
    else:
        perform.one(request, Bar(out), deepdream=deepdream, step=make_step, sizes=octave_sizes, unknown=unknown,
                    farm=Joined, kept=kept)


def ask(asked: dict[str, Any]) -> Request:
    """The Request for `asked`, {parameter of dreamify: value}, with defaults replaced by the recipe in `like`."""
    defaults = usual(dreamify)
    return request(look.filled(like.filled(vars(request(asked, defaults)), defaults), defaults), defaults)


def requested(asked: dict[str, Any]) -> tuple[Request, Callable[..., Any]]:
    """(Request, dreamify or atlas) for `asked`, {parameter: value}; its member `command` names another function than
    dreamify."""
    word = asked.pop("command", "dreamify")
    if word == "dreamify":
        return ask(asked), dreamify
    if word != "atlas":
        raise Mistake(f'request: the command {word!r} is neither "dreamify" nor "atlas"')
    given, names = {name: value for name, value in asked.items() if value is not None}, usual(atlas)
    wrong = [f"request: unknown argument {name!r}" for name in given if name not in names]
    if not isinstance(given.get("full", False), bool):
        wrong.append(f"full: {given['full']!r} is not a valid value")
    if wrong:
        raise Mistake(*wrong)
    return ask(of_atlas(names | given)), atlas


def of_atlas(asked: dict[str, Any]) -> dict[str, Any]:
    """`asked`, {parameter of atlas: value}, in the parameters of dreamify: --full is a picture's own size."""
    gone = {"full", "max_size"} if asked.get("full") else {"full"}
    return {name: value for name, value in asked.items() if name not in gone}


def usual(function: Callable[..., Any]) -> dict[str, Any]:
    """{parameter: its default} of a function."""
    return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}


def command(request: Request) -> str:
    """The command line for a Request."""
    return asking(request, described(dreamify), DEFAULTS)


# --------------------------------------------------------------------------------------- the command line


class Parser(argparse.ArgumentParser):
    """argparse, except that an error raises Mistake."""

    def error(self, message: str) -> NoReturn:  # noqa: D102 - argparse's
        raise Mistake(message)

    def _print_message(self, message: str, file: object = None) -> None:  # argparse prints everything with it
        say(message.rstrip("\n"))


def parser(function: Callable[..., Any] = dreamify, typed: bool = False) -> Parser:
    """The parser for dreamify or a function of COMMANDS. Values stay text; they are checked later, all at once.

    typed  collect the arguments in the list `words`, whatever they are; without it, the parser is for --help"""
    own = described(function)
    listed = [f"  {name:<10} {described(other).summary}" for name, other in COMMANDS.items() if function is dreamify]
    made = Parser(usage=f"dreamify.py {own.word}{' ' * bool(own.word)}[options]{own.usage}", description=own.summary,
                  add_help=not typed, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
                  epilog="\n".join([*(["commands:", *listed, ""] if listed else []), CODES]))
    groups = {title: made.add_argument_group(title) for title in texts.TITLES.values()
              if any(argument.group == title for argument in own.arguments)}
    if typed:
        made.add_argument("words", nargs="*")
    for argument in own.arguments if not typed else own.options:
        kind: dict[str, Any] = {"metavar": argument.metavar} if argument.metavar else {"action": "store_true"}
        if not argument.option:
            kind["nargs"] = "?"
        groups.get(argument.group, made).add_argument(
            argument.spelled if argument.option else argument.name, default=argument.default,
            help=argument.help.replace("%", "%%"), **kind)
    if function is dreamify:
        made.add_argument("--version", action="version", version=f"image-dreamer {__version__}")
    return made


def parse(arguments: list[str]) -> tuple[Callable[..., Any], dict[str, Any], list[str]]:
    """(function, its arguments, lines on errors) for the command line."""
    if "--" in arguments:  # all words after it are names, even if they begin with -
        at = arguments.index("--")
        arguments = arguments[:at] + [f"./{word}" if word[:1] == "-" != word else word for word in arguments[at + 1:]]
    word = next(iter(parser(typed=True).parse_known_intermixed_args(arguments)[0].words), None)
    function = COMMANDS.get(word or "", dreamify)
    if word in COMMANDS:
        arguments.remove(word)
    if {"-h", "--help"} & set(arguments):
        parser(function).parse_args(["--help"])
    asked, unknown = parser(function, typed=True).parse_known_intermixed_args(arguments)  # options may stand anywhere
    found = vars(asked)
    arguments_of = usual(function)
    names = [name for name in arguments_of if name not in found]
    given, wrong = words.sorted_out(found.pop("words"), unknown, arguments, names, [*found], function is dreamify)
    wrong += [f"{function.__name__}: {OPTIONS[name].metavar} is missing" for name, default in arguments_of.items()
              if default is inspect.Parameter.empty and name not in given]
    return function, arguments_of | found | given, wrong


def run(arguments: list[str]) -> None:
    """Carry out the command line, and print what the function returns."""
    if not arguments:
        say(texts.short(described(dreamify).usage))
        return
    files.check_here()
    if "--request" in arguments:
        dream(*requested(from_json(standard_input(arguments))))
        return
    if arguments == ["--requests", inputs.STANDARD]:  # those of a farm's worker
        from dreamer.machine.series import serve
        from dreamer.nets.kept import Kept
        kept = Kept()
        serve(lambda asked: dream(*requested(asked), kept=kept))
        return
    function, asked, wrong = parse(arguments)
    if wrong and function in (dreamify, atlas):
        dream(ask(of_atlas(asked)), function, wrong)
    if wrong:
        raise Mistake(*wrong)
    found = function(**asked)
    if found is not None:
        say("\n".join(found) if isinstance(found, list) else json.dumps(found, indent=2))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        run(words.meant(sys.argv[1:] if arguments is None else arguments))
        return 0
    except (Mistake, Failure, Stopped) as error:
        tell("", *str(error).splitlines())
        return error.exit_code


if __name__ == "__main__":
    streams.begin()
    warnings.simplefilter("ignore")  # of libraries, on damaged files: our own messages say what matters
    streams.end(main())
