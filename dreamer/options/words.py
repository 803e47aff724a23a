"""The words of a command line: what people mean who type them, and which parameter each is."""

import difflib
import glob
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from dreamer.errors import Mistake
from dreamer.machine import here
from dreamer.machine.files import natural
from dreamer.options.texts import OPTIONS
from dreamer.pictures import inputs

_MEANT = {"help": "--help", "version": "--version", "list": "keys", "layers": "keys", "layer": "keys", "key": "keys",
          "looks": "keys --looks", "model": "models",
          "web": "studio", "gui": "studio", "server": "studio", "serve": "studio",
          "cluster": "farm"}
_OPTIONS = {"--size": "--max-size", "--width": "--max-size", "--height": "--max-size", "--resize": "--max-size",
            "--steps": "--iterations", "--n": "--iterations", "--octave": "--octaves", "--rate": "--step-size",
            "--learning-rate": "--step-size", "--gpu": "--threads", "--cores": "--threads", "--overwrite": "--force",
            "--watch-folder": "--watch", "--r": "--recursive", "--recurse": "--recursive",
            "--subfolders": "--recursive", "--out": "--output", "--o": "--output", "--i": "--input",
            "--blur": "--smooth", "--sigma": "--smooth", "--laplacian": "--pyramid", "--lap-norm": "--pyramid",
            "--opacity": "--strength", "--mix": "--strength", "--amount": "--strength",
            "--original-colors": "--keep-colours", "--preserve-colors": "--keep-colours",
            "--cluster": "--farm", "--workers": "--farm", "--scheduler": "--farm", "--dask": "--farm",
            "--verbose": "--events", "--silent": "--quiet", "--q": "--quiet", "--f": "--force", "--h": "--help",
            "--l": "--layer", "--m": "--model"}
_DOCKERS = ("-v", "--volume", "-e", "--env", "-it", "-i", "-t", "--rm", "--user", "--mount")
_COMMANDS = ("atlas", "keys", "models", "recipe", "studio", "list", "layers", "looks")
_LONG_DASHES = "–—"  # which word processors and web pages make of hyphens
_ORDER = ("first", "second", "third")


def meant(arguments: Sequence[str]) -> list[str]:
    """The arguments without the program's own name, which people copy into a container's command, and with commands
    called by the names that people try first."""
    words = list(arguments)
    if words and os.path.basename(words[0]) in ("dreamify", "dreamify.py"):
        words.pop(0)
    if words and words[0].lower() in _MEANT and not os.path.lexists(words[0]):
        instead = _MEANT[words[0].lower()].split()
        words = [*words[1:], *instead] if instead[0].startswith("-") else [*instead, *words[1:]]
    return words


def sorted_out(typed: Sequence[str], strange: Sequence[str], arguments: Sequence[str], names: Sequence[str],
               options: Sequence[str], pictures: bool) -> tuple[dict[str, Any], list[str]]:
    """({name: what was typed for it}, errors, one line each) for a command line.

    typed      the words that are not options
    strange    the options that do not exist, and words behind them
    arguments  all words
    names      names of the arguments without dashes, in their order; options: names of the options
    pictures   whether the first words may be several pictures, with the folder for their dreams behind them"""
    known = {f"--{name.replace('_', '-')}": bool(OPTIONS[name].metavar) for name in options}
    wrong = twice(arguments, [f"--{name}" for name in options if OPTIONS[name].metavar in ("PICTURE", "FILE")])
    rest = [*typed, *(word for word in strange if not word.startswith("-"))]
    for word in [word for word in rest if word.startswith(tuple(_LONG_DASHES)) and not os.path.lexists(word)]:
        wrong.append(f"{word} begins with a long dash; write hyphens: --{word.lstrip(_LONG_DASHES + '-')}")
        rest.remove(word)
    for word in (word for word in strange if word.startswith("-")):
        if os.path.lexists(word):
            raise Mistake(f"{word} looks like an option; to name the file, write ./{word}")
        line, has_value = unknown(word, known, names)
        wrong.append(line)
        if has_value and (value := [*arguments, ""][arguments.index(word) + 1]) in rest:
            rest.remove(value)
    given, more = assigned(rest, names, pictures)
    return given, [*wrong, *more]


def unknown(word: str, options: Mapping[str, bool], arguments: Sequence[str]) -> tuple[str, bool]:
    """(the error for an option that does not exist, with the one that was meant; whether a value follows it).

    options    {the program's own, such as --max-size: whether it takes a value}
    arguments  names of the arguments without dashes, in their order"""
    if here.place() == here.CONTAINER and word.partition("=")[0] in _DOCKERS:
        return f"{word} is an option of docker: put it before image-dreamer", word in ("-v", "-e", "--volume", "--env")
    name = "--" + word.partition("=")[0].lstrip("-").replace("_", "-").lower()
    name = _OPTIONS.get(name, name)
    if name[2:] in arguments:
        return _undashed(word, name[2:], arguments)
    if name[2:] in _COMMANDS:
        return f"unknown option: {word}; the command {name[2:]} has no dashes: it is the first word", False
    plain = {option[2:]: option for option in (*options, "--help")}
    near = difflib.get_close_matches(name[2:], [*arguments, *plain], 1, 0.65)
    if near and near[0] in arguments:
        return _undashed(word, near[0], arguments)
    if near:
        meant = plain[near[0]]
        return f"unknown option: {word}; did you mean {meant}?", options.get(meant, False) and "=" not in word
    other = OPTIONS.get(name[2:].replace("-", "_"))  # of another command
    return (f"unknown option: {word}; --help lists the options",
            other is not None and bool(other.metavar) and "=" not in word)


def _undashed(word: str, argument: str, arguments: Sequence[str]) -> tuple[str, bool]:
    """What `unknown` returns if an argument without dashes was meant."""
    at = arguments.index(argument)
    place = f"the {_ORDER[at]} word" if at < 3 else f"the {_ORDER[at - 3]} number after LAYER"
    return f"unknown option: {word}; {argument.upper()} has no dashes: it is {place}", "=" not in word


def twice(words: Sequence[str], options: Iterable[str]) -> list[str]:
    """An error for each of these options that is given more than once: only one would count."""
    given = [word.partition("=")[0] for word in words]
    return [f"{option} is given {given.count(option)} times; it takes one value"
            for option in options if given.count(option) > 1]


def assigned(typed: Sequence[str], names: Sequence[str], pictures: bool) -> tuple[dict[str, Any], list[str]]:
    """({name: its word}, errors, one line each).

    pictures  whether the first words may be several pictures, with the folder for their dreams behind them"""
    words, at = typed, _folder(typed) if pictures else None
    if at is not None:
        words = words[at - 1:]
    if pictures and len(words) > 2 and _is_file(words[2]):
        raise Mistake("several pictures: name a folder for their dreams; quote names with spaces")
    given: dict[str, Any] = dict(zip(names, words, strict=False))
    if at is not None:
        given["input"] = tuple(path for word in typed[:at] for path in _matching(word))
    return given, [f"too many arguments: {word}" for word in words[len(names):]]


def _folder(words: Sequence[str]) -> int | None:
    """The place of the word that is the folder for the dreams of the pictures before it; None if there is none, or if
    the first word is a folder."""
    if not words or os.path.isdir(words[0]):
        return None
    for at, word in enumerate(words[1:], 1):
        if inputs.STANDARD in words[:at]:
            return None
        before = [path for word in words[:at] for path in _matching(word)]
        look = word.isidentifier() and not all(map(os.path.exists, before))  # a folder may have the name of a look
        if word.endswith("/") or (os.path.isdir(word) and not look):
            return at
    return None


def _matching(word: str) -> list[str]:
    """The files that match the word *.jpg if the shell has not replaced it (Windows does not); else the word itself."""
    return [word] if os.path.lexists(word) else sorted(glob.glob(word), key=natural) or [word]


def _is_file(word: str) -> bool:
    """Whether a word in LAYER's place is a file, or has the name of a picture."""
    suffix = Path(word).suffix.lower()
    return os.path.isfile(word) or bool(suffix and suffix in Image.registered_extensions())  # that takes 15 ms

