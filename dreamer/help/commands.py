"""The commands in a form that --help, the completions and the man page are made from: the signature of each command's
function, with the texts of its arguments."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from dreamer.options import texts
from dreamer.options.texts import OPTIONS

MAIN = "dreamify"  # the function without a word of its own
CODES = "Exit codes: 0 done, 1 failed, 2 wrong use, 130 stopped with Ctrl-C, 143 stopped by SIGTERM."
_NEEDED = ("input", "output", "file", "shell")


class Argument(NamedTuple):
    """An argument or an option of a command.

    name     of the function's parameter
    metavar  the name of the value; None for an option without one
    option   whether it has dashes
    help     one line, with the default
    default  None if there is none
    group    the title of the options that it belongs to; "" if it is not an option of dreamify"""

    name: str
    metavar: str | None
    option: bool
    help: str
    default: Any
    group: str

    @property
    def spelled(self) -> str:
        """As it is typed, without its value: --step-size, INPUT."""
        return f"--{self.name.replace('_', '-')}" if self.option else str(self.metavar)


class Command(NamedTuple):
    """A command: its first word ("" for dreamify itself), what it does in a line, and its Arguments, in order."""

    word: str
    summary: str
    arguments: list[Argument]

    @property
    def words(self) -> list[Argument]:
        """The Arguments without dashes."""
        return [argument for argument in self.arguments if not argument.option]

    @property
    def options(self) -> list[Argument]:
        """The Arguments with dashes."""
        return [argument for argument in self.arguments if argument.option]

    @property
    def usage(self) -> str:
        """The arguments without dashes, each after a blank; each optional one is in brackets, with all that follow."""
        needed = [f" {word.metavar}" for word in self.words if word.name in _NEEDED]
        optional = [f" [{word.metavar}" for word in self.words if word.name not in _NEEDED]
        return "".join(needed + optional) + "]" * len(optional)


def described(function: Callable[..., Any]) -> Command:
    """The Command that the function carries out."""
    own, arguments = function.__name__, []
    for name, parameter in inspect.signature(function).parameters.items():
        option = parameter.kind is parameter.KEYWORD_ONLY
        default = None if parameter.default is parameter.empty else parameter.default
        group = texts.TITLES[texts.group(name)] if option and own == MAIN else ""
        arguments.append(Argument(name, OPTIONS[name].metavar, option, texts.told(own, name, default), default, group))
    return Command("" if own == MAIN else own, (inspect.getdoc(function) or "").partition("\n")[0], arguments)
