"""What a setting may be. Each function here gives a check: a function of a value (its text will do) that returns
the value as it is meant, and raises Mistake with what it should be."""

import math

from dreamer import limits
from dreamer.errors import Mistake


def whole(least, most=math.inf):
    """A whole number within these bounds."""
    return _check(int, lambda n: least <= n <= most,
                  f"a whole number from {least}" + (f" to {most}" if most < math.inf else ""))


def number(above=-math.inf, least=-math.inf, most=math.inf, below=math.inf):
    """A finite number within these bounds."""
    bounds = [f"{word} {bound:g}" for word, bound in (("above", above), ("below", below), ("of at least", least),
                                                      ("of at most", most)) if math.isfinite(bound)]
    return _check(float, lambda x: math.isfinite(x) and above < x < below and least <= x <= most,
                  " ".join(["a number", " and ".join(bounds)]).strip())


def pair(least, most):
    """Two numbers within these bounds, as a tuple: X,Y in text."""
    def check(value):
        try:
            x, y = map(float, value.split(",") if isinstance(value, str) else value)
            if all(least <= number <= most for number in (x, y)):
                return x, y
        except (TypeError, ValueError):
            pass
        raise Mistake(f"{str(value)!r} are not two numbers X,Y from {least:g} to {most:g}")
    return check


def word(*words):
    """One of these words."""
    return _check(str, lambda text: text in words, f"one of {' '.join(words)}")


def size(value):
    """A size of memory, in bytes: 512m, 1.5g or a number."""
    return limits.size(str(value))


def _check(read, fits, what):
    def check(value):
        try:
            found = read(str(value))
            if fits(found):
                return found
        except ValueError:
            pass
        raise Mistake(f"{str(value)!r} is not {what}")
    return check
