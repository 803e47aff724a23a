"""The man page dreamify(1), in roff with the macros of man(7), from what --help has too."""

import datetime
import os
import re
import textwrap
from collections.abc import Iterable, Sequence

from dreamer import __version__
from dreamer.help.commands import CODES, Argument, Command
from dreamer.help.variables import VARIABLES
from dreamer.options import texts

_WIDTH = 66  # of a line of the source, which grows a little when it is escaped
_ABOUT = (
    "A net that was trained to name the things in pictures runs on yours, up to one layer. Then your picture is "
    "changed, a little at a time, so that whatever the layer saw in it grows stronger. This is Google's DeepDream of "
    "2015.",
    "In the folder of the program, the command is ./dreamify.py. Options may stand anywhere. A file that is not a "
    "dream is never overwritten without --force. All that is wrong is reported together, before any work.")
_FILES = {"~/.cache/image-dreamer": "what one run leaves for the next; it can be deleted at any time"}


def page(main: Command, commands: Sequence[Command]) -> list[str]:
    """The lines of the page.

    main      dreamify itself
    commands  those with a word of their own"""
    lines = [f'.TH DREAMIFY 1 {_date()} "image-dreamer {__version__}" "User Commands"',
             ".ad l", ".nh", ".SH NAME", *_named(main.summary), ".SH SYNOPSIS", *_synopsis(main)]
    for command in commands:
        lines += [".br", *_synopsis(command)]
    lines += [".SH DESCRIPTION", *_paragraphs(_ABOUT), *_arguments(main.words)]
    lines.append(".SH OPTIONS")
    for title in texts.TITLES.values():
        lines.append(f".SS {_escaped(title[0].upper() + title[1:])}")
        lines += _arguments(option for option in main.options if option.group == title)
    lines += _entry(_bold("--version"), "print the version")
    lines += _entry(_bold("--help"), "show the help; that of a command, if it follows the command's word")
    lines.append(".SH COMMANDS")
    for command in commands:
        shared = [option.spelled for option in command.options if _known(option, main)]
        lines += [f".SS {_escaped(command.word)}", *_filled(command.summary)]
        lines += _arguments(argument for argument in command.arguments if not _known(argument, main))
        lines += [".PP", *_filled(f"As above: {', '.join(shared)}.")] if shared else []
    lines += [".SH EXIT STATUS", *_filled(CODES.partition(": ")[2])]
    lines += [".SH ENVIRONMENT", *(line for name, text in VARIABLES.items() for line in _entry(_bold(name), text))]
    lines += [".SH FILES", *(line for name, text in _FILES.items() for line in _entry(_bold(name), text))]
    lines.append(".SH EXAMPLES")
    for words, what in texts.EXAMPLES:
        lines += _entry(_bold(f"dreamify {words}"), what)
    return lines


def _known(argument: Argument, main: Command) -> bool:
    """Whether dreamify has the same argument."""
    return any((argument.name, argument.help) == (other.name, other.help) for other in main.arguments)


def _date() -> str:
    """When the texts were last changed here."""
    changed = os.stat(texts.__file__).st_mtime
    return datetime.datetime.fromtimestamp(changed, datetime.timezone.utc).strftime("%Y-%m-%d")


def _named(summary: str) -> list[str]:
    """The lines that apropos searches: the name, and a sentence as a part of this one."""
    first, *others = _filled(summary[0].lower() + summary[1:].rstrip("."))
    return [rf"dreamify \- {first}", *others]


def _synopsis(command: Command) -> list[str]:
    word = f" {_escaped(command.word)}" if command.word else ""
    options = r" [\fIoptions\fP]" if command.options else ""
    usage = re.sub(r"[A-Z]+", r"\\fI\g<0>\\fP", command.usage)
    return [rf"\fBdreamify{word}\fP{options}{usage}"]


def _arguments(arguments: Iterable[Argument]) -> list[str]:
    lines = []
    for argument in arguments:
        value = rf" \fI{_escaped(argument.metavar)}\fP" if argument.option and argument.metavar else ""
        name = _bold(argument.spelled) if argument.option else rf"\fI{_escaped(argument.spelled)}\fP"
        lines += _entry(name + value, argument.help)
    return lines


def _entry(title: str, text: str) -> list[str]:
    """A title in roff, and what it means."""
    return [".TP", title, *_filled(text)]


def _paragraphs(given: Iterable[str]) -> list[str]:
    lines = list[str]()
    for text in given:
        lines += [".PP"] * bool(lines) + _filled(text)
    return lines


def _bold(text: str) -> str:
    return rf"\fB{_escaped(text)}\fP"


def _filled(text: str) -> list[str]:
    """Lines of roff for running text; a new one for each sentence, as its style wants."""
    sentences = re.split(r"(?<=[.:;?])\s+(?=[A-Z])", text)
    return [_escaped(line) for sentence in sentences
            for line in textwrap.wrap(sentence, _WIDTH, break_long_words=False, break_on_hyphens=False)]


def _escaped(text: str) -> str:
    """The text for roff: what would be a command or a typographer's sign is itself."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")
    text = text.replace("^", r"\(ha").replace("~", r"\(ti").replace('"', r"\(dq")
    text = "".join(c if c.isascii() else rf"\[u{ord(c):04X}]" for c in text)
    return rf"\&{text}" if text.startswith(".") else text
