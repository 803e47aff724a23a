"""Completion for bash, zsh and fish: a script for each, of tables that are made from the commands, and of functions
that are the same for all versions (in the folder shells/). What LAYER takes depends on the model on the command line;
so the scripts ask the program for it, which takes a tenth of a second."""

import contextlib
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from dreamer.errors import Failure, Mistake
from dreamer.films import video
from dreamer.films.names import FILMS
from dreamer.help.commands import MAIN, Argument, Command
from dreamer.nets import classes
from dreamer.nets.model import Model
from dreamer.pictures import inputs, modern, raw

SHELLS = ("bash", "zsh", "fish")
NAMES = "names"
_BODIES = Path(__file__).parent / "shells"
_ALWAYS = (Argument("help", None, True, "show the help and exit", None, ""),
           Argument("version", None, True, "print the version", None, ""))


def names(model: Model) -> list[str]:
    """What LAYER takes, one a line: layers, looks, then classes if there are any; each with a tab and words about it.
    Raises Failure if a file with descriptions cannot be read."""
    likes = model.likes()
    lines = [f"{key}\t{likes.get(key, 'a layer')}" for key in model.keys]
    lines += [f"{name}\ta look: {look.layer}, {look.iterations} steps" for name, look in model.looks().items()]
    with contextlib.suppress(Mistake, Failure):  # a net without a classifier
        lines += [f"{label.typed}\t{', '.join(own)}"
                  for label, own in zip(classes.labels(model), classes.names(model), strict=True)]
    return lines


def script(shell: str, commands: Sequence[Command], program: str) -> list[str]:
    """The lines of the script for a shell. Raises Mistake if it is none of SHELLS.

    program  path of dreamify.py; the script asks it for names, if it is still there"""
    if shell not in SHELLS:
        raise Mistake(f"completion: {shell!r} is not a shell that can complete; write {', '.join(SHELLS)}, or {NAMES}")
    tables = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands)
    own = {"program": program, "commands": " ".join(command.word for command in commands if command.word),
           "pictures": " ".join(_pictures()), "films": " ".join(_films())}
    set_ = "set -g _dreamify_{} {}" if shell == "fish" else "_dreamify_{}={}"
    begin = ["#compdef dreamify dreamify.py"] if shell == "zsh" else []
    begin.append(f"# Completion of dreamify in {shell}, made by: dreamify.py completion {shell}")
    body = (_BODIES / f"dreamify.{shell}").read_text("utf-8").splitlines()
    return [*begin, *(set_.format(name, _quoted(value, shell)) for name, value in own.items()), *tables, *body]


def _pictures() -> list[str]:
    """The extensions of pictures, without dots, whichever decoders are installed later."""
    return sorted(each[1:] for each in {*inputs.extensions(), *modern.EXTENSIONS, *raw.EXTENSIONS})


def _films() -> list[str]:
    return sorted(each[1:] for each in {*FILMS, *video.EXTENSIONS})


def _options(command: Command) -> list[Argument]:
    return [*command.options, *_ALWAYS[:1 if command.word else 2]]


def _short(text: str) -> str:
    """The beginning of a help text, which fits in a list of choices."""
    return re.split(r"; |: | \(|, for example", text)[0]


def _quoted(text: str, shell: str) -> str:
    if shell == "fish":  # where \' stands for a quote inside quotes
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return shlex.quote(text)


def _bash(commands: Iterable[Command]) -> list[str]:
    """A function that sets, for a command, the kinds of its words and its options, those with a value as --seed=N."""
    lines = ["_dreamify_table() {", "  case $1 in"]
    for command in commands:
        options = [f"{option.spelled}={option.metavar}" if option.metavar else option.spelled
                   for option in _options(command)]
        lines += [f"    {shlex.quote(command.word)})",
                  f"      kinds=({' '.join(str(word.metavar) for word in command.words)})",
                  f"      options=({' '.join(options)}) ;;"]
    return [*lines, "  esac", "}"]


def _zsh(commands: Sequence[Command]) -> list[str]:
    """Functions like bash's, with options as _arguments wants them, and the commands with what they do."""
    lines = ["_dreamify_table() {", "  case $1 in"]
    for command in commands:
        lines += [f"    {shlex.quote(command.word)})",
                  f"      kinds=({' '.join(str(word.metavar) for word in command.words)})", "      options=("]
        lines += [f"        {shlex.quote(_spec(option))}" for option in _options(command)]
        lines.append("      ) ;;")
    told = [shlex.quote(f"{command.word}:{_short(command.summary)}") for command in commands if command.word]
    return [*lines, "  esac", "}", f"_dreamify_told=({' '.join(told)})"]


def _spec(option: Argument) -> str:
    text = re.sub(r"([\[\]\\:])", r"\\\1", _short(option.help))
    if not option.metavar:
        return f"{option.spelled}[{text}]"
    return f"{option.spelled}=[{text}]:{option.metavar}: _dreamify_values {option.metavar}"


def _fish(commands: Sequence[Command]) -> list[str]:
    """Calls of `complete` for the options of each command, and for the commands; and a function with the kinds."""
    lines = ["for program in dreamify dreamify.py", "  complete -c $program -e",
             "  complete -c $program -f -a '(__dreamify_words)'"]
    for command in commands:
        if command.word:
            lines.append(f"  complete -c $program -n __dreamify_first -a {command.word} "
                         f"-d {_quoted(_short(command.summary), 'fish')}")
        for option in _options(command):
            value = f" -x -a '(__dreamify_values {option.metavar})'" if option.metavar else ""
            lines.append(f"  complete -c $program -n '__dreamify_command {command.word or MAIN}' "
                         f"-l {option.spelled[2:]} -d {_quoted(_short(option.help), 'fish')}{value}")
    lines += ["end", "function __dreamify_kinds", "  switch $argv[1]"]
    for command in commands:
        lines += [f"    case {command.word or MAIN}",
                  f"      printf '%s\\n' {' '.join(str(word.metavar) for word in command.words)}"]
    valued = {option.spelled for command in commands for option in _options(command) if option.metavar}
    return [*lines, "  end", "end", f"set -g _dreamify_valued {' '.join(sorted(valued))}"]
