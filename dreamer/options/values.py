"""Checks of settings. A check is a function of a value, or its text, that returns the value in its own type, or raises
Mistake with what it should be. `size`, `seconds`, `address` and `farm` are checks; `whole`, `number` and `pair` return
one."""

import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

from dreamer.errors import Mistake
from dreamer.machine import limits

LOCAL, NONE = "local", "none"  # words for a farm: one on this machine, for trying it; and none at all
FARM_PORT = 8786

_Value = TypeVar("_Value")


def whole(least: int, most: float = math.inf) -> Callable[[object], int]:
    """A whole number within these bounds."""
    return _check(int, lambda n: least <= n <= most,
                  "a whole number " + (f"from {least} to {most}" if most < math.inf else f"of at least {least}"))


def number(above: float = -math.inf, least: float = -math.inf, most: float = math.inf,
           below: float = math.inf) -> Callable[[object], float]:
    """A finite number within these bounds."""
    bounds = [f"{word} {bound:g}" for word, bound in (("above", above), ("below", below), ("at least", least),
                                                      ("at most", most)) if math.isfinite(bound)]
    return _check(float, lambda x: math.isfinite(x) and above < x < below and least <= x <= most,
                  f"a number {' and '.join(bounds)}".strip())


def pair(least: float, most: float) -> Callable[[Any], tuple[float, float]]:
    """Two numbers within these bounds, as a tuple; as text: X,Y."""
    def check(value: Any) -> tuple[float, float]:
        try:
            x, y = map(float, value.split(",") if isinstance(value, str) else value)
            if all(least <= number <= most for number in (x, y)):
                return x, y
        except (TypeError, ValueError, OverflowError):
            pass
        raise Mistake(f"{str(value)!r} is not a pair X,Y of numbers between {least:g} and {most:g}")
    return check


def seconds(value: object) -> float:
    """A time in seconds, from text such as 90, 1:30.5 or 1:02:03."""
    found = re.fullmatch(r"(?:(?:([0-9]{1,4}):)?([0-9]{1,4}):)?([0-9]{1,9}(?:\.[0-9]*)?)", str(value), re.ASCII)
    if not found or (found[2] and float(found[3]) >= 60) or (found[1] and int(found[2]) >= 60):
        raise Mistake(f"{str(value)!r} is not a time: seconds, such as 62.5, or 1:02:03")
    return 3600 * int(found[1] or 0) + 60 * int(found[2] or 0) + float(found[3])


def address(value: object) -> str:
    """An IP address of this machine, or localhost."""
    import ipaddress  # takes 3 ms, and dreams do not need it
    text = str(value)
    try:
        return "127.0.0.1" if text == "localhost" else str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise Mistake(f"{text!r} is not an IP address such as 192.168.1.5") from None


def farm(value: object) -> str:
    """The address of a farm's scheduler with all its parts, tls://HOST:PORT; or one of the words LOCAL and NONE."""
    text = str(value)
    if text in (LOCAL, NONE):
        return text
    found = re.fullmatch(r"(?:tls://)?([\w.-]+|\[[0-9a-fA-F:.]+\])(?::([0-9]{1,5}))?/?", text, re.ASCII)
    if not found or int(found[2] or FARM_PORT) > 65535:
        raise Mistake(f"{text!r} is not the address of a farm's scheduler, such as tls://192.168.1.5:{FARM_PORT}, nor "
                      f"{LOCAL}, nor {NONE}")
    return f"tls://{found[1]}:{found[2] or FARM_PORT}"


def size(value: object) -> int:
    """An amount of memory in bytes, from text such as 512m, 1.5g or a plain number."""
    return limits.size(str(value))


def _check(read: Callable[[str], _Value], fits: Callable[[_Value], bool], what: str) -> Callable[[object], _Value]:
    def check(value: object) -> _Value:
        try:
            found = read(str(value))
            if fits(found):
                return found
        except ValueError:
            pass
        raise Mistake(f"{str(value)!r} is not {what}")
    return check
