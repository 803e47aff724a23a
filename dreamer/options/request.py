"""The Request: what is asked for, as plain data, not checked yet. It comes from the command line, a call or another
program's JSON."""

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from dreamer.errors import Mistake
from dreamer.pictures import inputs

Number: TypeAlias = int | float | str  # str: the number as text


@dataclass(frozen=True)
class Request:
    """The parameters of dreamify.dreamify, which has their defaults and explains them (a test compares the two). Paths
    are text."""

    input: str | tuple[str, ...] | None  # several pictures: OUTPUT is the folder for their dreams
    output: str | None
    layer: str | None
    iterations: Number
    octaves: Number | None
    scale: Number
    seed: Number | None
    step_size: Number
    jitter: Number
    no_clip: bool
    smooth: Number | None
    pyramid: bool
    keep_colours: bool
    strength: Number
    guide: str | None
    guide_size: Number
    mask: str | None
    model: str | None
    weights: str | None
    max_size: Number | None
    max_pixels: Number
    keep_location: bool
    force: bool
    memory: Number | None
    threads: Number | None
    reproducible: bool
    farm: str | None
    like: str | None
    preview: str | None
    events: str | None
    no_resume: bool
    watch: bool
    recursive: bool
    quiet: bool
    zoom: Number | None
    zoom_step: Number
    rotate: Number
    pan: str | tuple[Number, Number]
    fps: Number | None
    start: Number | None
    end: Number | None
    no_deinterlace: bool
    no_sound: bool
    flow: bool
    blend: Number | None

    def json(self) -> str:
        """The request as JSON, an object with a member for each field."""
        return json.dumps(dataclasses.asdict(self))


def request(asked: Mapping[str, Any], usual: Mapping[str, Any]) -> Request:
    """The Request for `asked`, {field: value}. Fields that are missing or None get their defaults, `usual`.

    Raises Mistake for an unknown field, or a value of the wrong type."""
    wrong = [f"request: unknown argument {name!r}" for name in asked if name not in usual]
    values = dict(usual)
    for name, value in asked.items():
        if name in usual and value is not None:
            plain = os.fspath(value) if isinstance(value, os.PathLike) else value
            if name == "input" and isinstance(value, list | tuple):
                plain = tuple(os.fspath(each) if isinstance(each, os.PathLike) else each for each in value)
            plain = plain.item() if hasattr(plain, "item") else plain  # numpy's numbers
            plain = tuple(plain) if isinstance(plain, list) else plain
            if _fits(plain, usual[name], name):
                values[name] = plain
            else:
                wrong.append(f"{name.replace('_', '-')}: {value!r} is not a valid value")
    if wrong:
        raise Mistake(*wrong)
    return Request(**values)


def standard_input(arguments: list[str]) -> bytes:
    """The request that another program sends with --request - (which is not in --help)."""
    if arguments != ["--request", inputs.STANDARD]:
        raise Mistake("request: use --request - alone; the request is JSON on standard input")
    if sys.stdin is None:
        raise Mistake("request: standard input is closed")
    return sys.stdin.buffer.read(1 << 20)


def from_json(text: str | bytes) -> dict[str, Any]:
    """What is asked for, {field: value}, from JSON such as Request.json() returns or another program writes. Raises
    Mistake."""
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Mistake(f"request: it is not JSON: {error}") from None
    if not isinstance(asked, dict):
        raise Mistake('request: it must be a JSON object, such as {"input": "photo.jpg", "output": "dream.png"}')
    if asked.get("input") == "-":
        raise Mistake("request: INPUT cannot be standard input, because the request itself comes from it")
    return asked


def _can_be_a_name(text: str) -> bool:
    """Whether a file could have that name."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _fits(value: object, usual: object, name: str) -> bool:
    """Whether a value has a type that suits the field `name`, whose default is `usual`."""
    if isinstance(usual, bool):
        return isinstance(value, bool)
    if isinstance(value, str) and not _can_be_a_name(value):
        return False
    if name == "pan" and isinstance(value, tuple):
        return len(value) == 2 and all(isinstance(part, int | float | str) for part in value)
    if name == "input" and isinstance(value, tuple):
        return bool(value) and all(isinstance(each, str) and _can_be_a_name(each) for each in value)
    number = Request.__annotations__[name] in (Number, Number | None)
    return isinstance(value, str) or (number and isinstance(value, int | float) and not isinstance(value, bool))
