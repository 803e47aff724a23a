"""The command line that asks for the same dream as a Request."""

import shlex
from collections.abc import Mapping
from typing import Any

from dreamer.help.commands import Command
from dreamer.machine import here
from dreamer.options.request import Request

_ELSEWHERE = ("quiet", "force", "no_resume", "events", "farm")  # they change nothing in the dream


def asking(request: Request, main: Command, usual: Mapping[str, Any]) -> str:
    """The command line for a Request.

    main   dreamify's own Command
    usual  {name: value} of words that the Request leaves open, if others follow them"""
    words, options = [], list[str]()
    for argument in main.arguments:
        value = getattr(request, argument.name)
        if not argument.option:
            words.append((value if value is not None else usual[argument.name], value == argument.default))
        elif value != argument.default and argument.name not in _ELSEWHERE:
            told = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            option = argument.spelled  # with =, because a value may begin with a dash
            options += [f"{option}={told}"] if told.startswith("-") else [option, *[told] * bool(argument.metavar)]
    while words[-1][1]:  # left at its default
        words.pop()
    return here.command(shlex.join([*(str(value) for value, _ in words), *options]))
