"""Caffe's net descriptions (prototxt, protobuf's text format), read without Caffe.

A message is a list of (name, value) pairs in the order of the file; a value is another message or a
str (with its quotes, so that unparse writes what parse has read).
"""

import functools
import re
from typing import Any, TypeAlias

from dreamer.errors import Mistake

Message: TypeAlias = list[tuple[str, Any]]  # the reader of a field must know whether it is a message

_TOKEN = re.compile(r"""\#[^\n]* | ( "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | [-+.\w]+ | \S )""", re.VERBOSE)
_NAME, _END = re.compile(r"\w+"), re.compile("[,;]")
_ATOM = re.compile(r"""["'][^\n]*["']|[-+.\w]+""")


@functools.lru_cache(8)
def parse(text: str) -> Message:
    """The message in `text`; raises Mistake, with the line number, if it cannot be read. Nobody may change it, because
    the same text gives the same message again."""
    tokens = [(t[1], t.start()) for t in _TOKEN.finditer(text) if t[1]] + [("", len(text))]
    at = 0

    def take(wanted: str | re.Pattern[str]) -> str:
        nonlocal at
        token, start = tokens[at]
        if not (token == wanted if isinstance(wanted, str) else wanted.fullmatch(token)):
            line = text.count("\n", 0, start) + 1
            raise Mistake(f"not a net description (prototxt): line {line}, at {token or 'the end'}")
        at += 1
        return token

    def next_is(*options: str) -> bool:
        return tokens[at][0] in options

    def message(close: str) -> Message:
        fields: Message = []
        while not next_is(close):
            name = take(_NAME)
            if not next_is("{"):  # before a message, the colon is optional
                take(":")
            if next_is("{"):
                take("{")
                fields.append((name, message("}")))
            elif next_is("["):
                take("[")
                while not next_is("]"):
                    fields.append((name, take(_ATOM)))
                    if not next_is("]"):
                        take(",")
                take("]")
            else:
                fields.append((name, take(_ATOM)))
            if next_is(",", ";"):
                take(_END)
        take(close)
        return fields

    return message("")


def unparse(message: Message, indent: str = "") -> str:
    """The text of a message, one field per line."""
    lines = []
    for name, value in message:
        if isinstance(value, str):
            lines.append(f"{indent}{name}: {value}\n")
        else:
            lines.append(f"{indent}{name} {{\n{unparse(value, indent + '  ')}{indent}}}\n")
    return "".join(lines)


def values(message: Message, name: str) -> list[Any]:
    """All values of the field `name`, strings without their quotes."""
    return [bare(v) for n, v in message if n == name]


def value(message: Message, name: str, default: Any = None) -> Any:
    """The last value of the field `name` (protobuf lets the last one win), or `default`."""
    return (values(message, name) or [default])[-1]


def bare(value: Any) -> Any:
    """`value`, without its quotes if it is a string."""
    return value[1:-1] if isinstance(value, str) and value[:1] in ('"', "'") else value


def quoted(text: str) -> str:
    """`text` in quotes."""
    return f'"{text}"'
