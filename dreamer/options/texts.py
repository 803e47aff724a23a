"""The help for each parameter, and the check of its value."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from dreamer.errors import Wrong
from dreamer.films import flow
from dreamer.films.names import FASTEST, FILMS, RATE
from dreamer.machine import here
from dreamer.nets.model import DEFAULT, SPARE
from dreamer.options import values
from dreamer.pictures import nothing, writing
from dreamer.pictures.finish import WHOLE
from dreamer.pictures.page import PAGES


class Option(NamedTuple):
    """The help for a parameter, and the check of its value.

    help     one line
    metavar  the name of its value in the help; None for a flag
    check    function of a value, or its text, that returns the value in its own type; raises Mistake"""

    help: str
    metavar: str | None = None
    check: Callable[[Any], Any] = os.fspath


OPTIONS = {
    "file": Option("a picture or film that was dreamed", "FILE"),
    "input": Option("a picture, a video, a folder of pictures, several pictures if OUTPUT is a folder, or - "
                    "for standard input; or noise, grey or colour:203040, to dream from nothing, with a size behind "
                    f"it if you like (noise:448x448; default: {nothing.WIDTH}x{nothing.HEIGHT}); or a command, "
                    "see below",
                    "INPUT", lambda value: value),
    "output": Option(f"the dream: a picture ({' '.join(sorted(writing.FORMATS))}), a film ({' '.join(FILMS)}), a file "
                     "for each frame of a film (frame-%04d.png), a folder for the dreams of one or more pictures "
                     "(default if INPUT is a folder: that folder), or - for standard output, as PNG", "OUTPUT"),
    "layer": Option("the layer whose activations grow; or a look, such as eyes (keys --looks lists them); or a thing, "
                    "such as class:flamingo (keys --classes lists them); or channels, sums and patterns of layers: "
                    "NAME:3,7-9, NAME:strongest5, NAME*0.3+NAME, NAM? (default: the model's own, "
                    f"inception_4c/output for {DEFAULT})", "LAYER", str),
    "iterations": Option("steps in each octave", "ITERATIONS", values.whole(1, 10 ** 9)),
    "octaves": Option("number of sizes at which to dream (default: 4; for more than 1.5 megapixels, enough that "
                      "the longest side of the smallest is about 375 pixels)", "OCTAVES", values.whole(1, 100)),
    "scale": Option("how much larger each octave is than the one before", "SCALE", values.number(above=1, most=100)),
    "seed": Option("seed of the random shifts, and of noise: the same seed gives the same dream (default: random; the "
                   "picture records it)", "N", values.whole(0, 2 ** 32 - 1)),
    "step_size": Option("mean change of a pixel value in each step, on a scale of 0 to 255", "X",
                        values.number(above=0, most=10 ** 6)),
    "jitter": Option("largest random shift of the picture in each step, in pixels", "PIXELS", values.whole(0, 10 ** 6)),
    "no_clip": Option("allow pixel values outside 0 to 255 between steps"),
    "smooth": Option("blur each step's change with a Gaussian of SIGMA pixels: a softer dream with larger shapes",
                     "SIGMA", values.number(least=0, most=100)),
    "pyramid": Option("let detail of all sizes grow alike in each step: more shapes, less fine grain"),
    "keep_colours": Option("keep the photo's colours, and dream only its lightness"),
    "strength": Option("mix the dream with the photo at the end: so many percent are the dream", "PERCENT",
                       values.number(above=0, most=WHOLE)),
    "guide": Option("lead the dream towards what the layer sees in this picture", "PICTURE"),
    "guide_size": Option("shrink the guide so that its longest side has at most N pixels", "N", values.whole(1)),
    "mask": Option("dream only where this picture is white, and keep the pixels where it is black", "PICTURE"),
    "model": Option(f"the network, a folder in models/ (default: {DEFAULT}, or {SPARE} if {DEFAULT} has no weights)",
                    "NAME"),
    "weights": Option("use this .caffemodel instead of the model's own weights", "FILE"),
    "max_size": Option("shrink the picture so that its longest side has at most N pixels", "N", values.whole(1)),
    "max_pixels": Option("refuse an input with more than N pixels, as a guard against decompression bombs", "N",
                         values.whole(1)),
    "keep_location": Option(
        "keep the place where the photo was taken (all other metadata is always kept, except previews)"),
    "force": Option("overwrite a file that is not a dream, or INPUT if OUTPUT names it"),
    "memory": Option("memory limit, for example 512m or 1.5g; a larger picture is dreamed in tiles (default: most of "
                     "the free memory)", "SIZE", values.size),
    "threads": Option("number of threads (default: all cores, or the CPU quota)", "N", values.whole(1, 1024)),
    "reproducible": Option("give the same bytes on every x86-64 machine with AVX2; a large picture is dreamed in tiles "
                           "of a fixed size"),
    "farm": Option("dream on the machines of the farm whose scheduler is at this address; local tries a farm on this "
                   "machine; none dreams here even if the variable DREAMER_FARM names a farm", "ADDRESS", values.farm),
    "like": Option("dream as this picture was dreamed: its recipe replaces the defaults", "FILE"),
    "preview": Option("show the dream so far in this file, at most 1280 pixels a side", "FILE"),
    "events": Option("write each event to this file as a line of JSON; fd:N is the open file descriptor N", "FILE"),
    "no_resume": Option("start again, even if an earlier run left something to resume"),
    "describe": Option("say what each layer likes"),
    "looks": Option("list the looks instead: names that LAYER takes, each with its layer, steps and octaves"),
    "classes": Option("list the classes instead: the things that the model was trained to recognise"),
    "word": Option("list only what has this in it", "WORD", str),
    "full": Option("dream, and show each dream, at the picture's own size (default: at most 256 pixels a side)"),
    "watch": Option("watch the folder INPUT and dream each picture that arrives (default: the current folder)"),
    "recursive": Option("take the pictures in the subfolders of INPUT too; OUTPUT gets the same subfolders"),
    "quiet": Option("print only errors and warnings"),
    "zoom": Option("make a film of this many frames: each is the dream of a closer look at the frame before (without "
                   "this, a film shows every step of one dream)", "FRAMES", values.whole(1, 999999)),
    "zoom_step": Option("how far each frame zooms in: 0.05 leaves out 5 % of the width and height; a negative number "
                        "zooms out", "X", values.number(above=-1, below=1)),
    "rotate": Option("clockwise turn of the zoom in each frame", "DEGREES", values.number(least=-180, most=180)),
    "pan": Option("shift of the zoom in each frame, right and down, as fractions of the picture's width and height; "
                  "for example --pan=-0.01,0", "X,Y", values.pair(least=-1, most=1)),
    "fps": Option(f"frames per second of a film; of a video, whole frames are left out or repeated (default: {RATE}; "
                  "for a video, its own rate)", "N", values.number(least=0.001, most=FASTEST)),
    "start": Option("dream a video from this time on: seconds, or 1:02:03", "TIME", values.seconds),
    "end": Option("dream a video up to this time", "TIME", values.seconds),
    "no_deinterlace": Option("keep the two fields of each frame of an interlaced video (default: they become one "
                             "picture)"),
    "no_sound": Option("leave out the sound of a video"),
    "flow": Option("let the dream of a video follow moving objects, so that it does not flicker"),
    "folder": Option("the folder with the pictures, in which the dreams appear too (default: the current folder)",
                     "FOLDER"),
    "port": Option("the port of the page", "PORT", values.whole(0, 65535)),
    "bind": Option("the address at which the page answers (default: 127.0.0.1, which only this machine reaches)",
                   "ADDRESS", values.address),
    "jobs": Option("dreams at the same time; they share the memory and the threads", "N", values.whole(1, 16)),
    "what": Option("keys: make the keys of a new farm; scheduler: start its scheduler; worker: let this machine work "
                   "for it; status: show its workers and what they do", "WHAT", str),
    "where": Option("for keys, the new folder for them; for worker and status, the scheduler's address (default: that "
                    "in the variable DREAMER_FARM)", "WHERE"),
    "no_open": Option("do not open the page in the browser, only print its address"),
    "shell": Option("bash, zsh or fish; or names, for a list of what LAYER takes: layers, looks and classes", "SHELL",
                    str),
    "blend": Option("share of the previous frame's dream that is carried over to the next frame of a video, 0 to 1 "
                    f"(default: 0; with --flow {flow.BLEND})", "X", values.number(least=0, most=1)),
}

# Help that differs for one command
OF_COMMANDS = {
    "atlas": {
        "input": "a picture, or noise, grey or colour:203040",
        "output": f"one picture of all dreams ({' '.join(sorted(writing.FORMATS))}), a page on which a click "
                  f"enlarges each dream ({' '.join(PAGES)}), or a folder (tiles/) for a file of each dream",
        "layer": "layers, channels or classes to dream, each separately: a pattern such as inception_4?/output or "
                 "class:*terrier, or NAME:3,7-9 (default: all layers)",
        "seed": "seed of the random shifts, and of noise: the same seed gives the same atlas",
    },
    "studio": {
        "jobs": "dreams at the same time; they share the memory and the threads (default: 1; with a farm, as many as "
                "it has places, but at most 8)",
        "farm": "dream on the machines of the farm whose scheduler is at this address (default: that in the variable "
                "DREAMER_FARM); local tries a farm on this machine; none dreams here",
    },
    "farm": {
        "bind": "the address at which the scheduler answers (default: 127.0.0.1, which only this machine reaches)",
        "port": f"the port of the scheduler (default: {values.FARM_PORT})",
        "jobs": "dreams at the same time on this worker; they share its memory and threads (default: 1)",
        "memory": "memory that this worker uses in all (default: most of the free memory)",
        "threads": "threads that this worker uses in all (default: all cores, or the CPU quota)",
        "folder": "the folder that all machines share, as this worker sees it: pictures in it do not travel (default: "
                  "that in the variable DREAMER_FARM_FOLDER)",
    },
}


def checked(**given: Any) -> dict[str, Any]:
    """`given`, {option: value or None}, with checked and converted values. Raises Mistake with all that is wrong."""
    wrong, values_of = Wrong(), dict(given)
    for name, value in given.items():
        if value is not None:
            with wrong.noted(f"{name}: "):
                values_of[name] = OPTIONS[name].check(value)
    wrong.tell()
    return values_of


def told(function: str, name: str, default: object) -> str:
    """The help for a parameter of a function, with its default."""
    text = OF_COMMANDS.get(function, {}).get(name, OPTIONS[name].help)
    shown = default is not None and default is not False and "(default:" not in text
    return f"{text} (default: {default})" if shown else text


EXAMPLES = (("photo.jpg dream.png", "animals, pagodas, fish"),
            ("photo.jpg dream.png eyes", "a look; list the looks with: keys --looks"),
            ("photo.jpg dream.png inception_3b/output 20 5",
             "a layer, 20 steps, 5 octaves; list the layers with: keys"),
            ("*.jpg dreams/", "several pictures: their dreams go into a folder"),
            ("photo.jpg zoom.gif --zoom 50", "a film: the endless zoom"))



def short(usage: str) -> str:
    """The text for a command line without arguments."""
    return "\n".join([f"usage: dreamify.py [options]{usage}", "",
                      *(f"  {here.command(words)}\n      {what}" for words, what in EXAMPLES), "",
                      f"All options and commands: {here.command('--help')}",
                      "The manual: README.md and docs/ in the project's folder"])


# The groups of options in --help; all other options are in the group "dream"
GROUPS = {
    "picture": ("max_size", "max_pixels", "keep_location", "force", "preview", "watch", "recursive"),
    "film": ("zoom", "zoom_step", "rotate", "pan", "fps", "start", "end", "no_deinterlace", "no_sound", "flow",
             "blend"),
    "machine": ("memory", "threads", "reproducible", "farm", "no_resume", "events", "quiet"),
}

TITLES = {"dream": "how to dream", "picture": "pictures", "film": "films", "machine": "the machine and the program"}


def group(name: str) -> str:
    """The group of the option `name`: dream, picture, film or machine."""
    return next((group for group, names in GROUPS.items() if name in names), "dream")
