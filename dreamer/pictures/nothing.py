"""Pictures made from nothing, in which a net dreams what it likes: noise, grey or one colour. In INPUT's place a word
stands for each: noise, grey, colour:203040, with the size behind it (noise:448x448)."""

import difflib
import os
import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamer.errors import Mistake
from dreamer.machine import limits

WIDTH, HEIGHT = 1024, 576  # pixels, if no size is given
MEAN, DEVIATION = 117.0, 12.0  # of the noise, on a scale of 0..255; the mean is about that of the nets' own pictures
GREY = "757575"  # the same mean
_SPELLED = {"noise": "noise", "grey": "grey", "gray": "grey", "colour": "colour", "color": "colour"}
_ROWS = 64  # rows of noise that are made at once, as floats


class Nothing(NamedTuple):
    """What one of the words stands for. As text, it is the word with the size, as a recipe records it.

    word           noise, grey, or colour: with six hexadecimal digits
    width, height  in pixels"""

    word: str
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.word}:{self.width}x{self.height}"

    def pixels(self, seed: int) -> NDArray[np.uint8]:
        """The picture, (h, w, 3), sRGB. Noise is normally distributed, independently for each pixel and colour.

        The same seed gives the same noise on every machine: numpy keeps what a RandomState gives, and rounding hides
        the last bits, in which processors may differ. Raises Mistake if the memory is too small."""
        made = self.black()
        if self.word != "noise":
            made[:] = tuple(bytes.fromhex(GREY if self.word == "grey" else self.word[-6:]))
            return made
        random = np.random.RandomState(seed)
        for top in range(0, self.height, _ROWS):
            rows = made[top:top + _ROWS]
            rows[:] = np.clip(np.rint(random.normal(MEAN, DEVIATION, rows.shape)), 0, 255)
        return made

    def black(self) -> NDArray[np.uint8]:
        """A black picture of the same size, which takes no time. Raises Mistake if the memory is too small."""
        try:
            if 3 * self.width * self.height > limits.memory():  # Linux would give it, and kill whoever fills it
                raise MemoryError
            return np.zeros((self.height, self.width, 3), np.uint8)
        except MemoryError:
            raise Mistake(f"input: {self} is too large for this machine's memory") from None


def named(path: str, folder: str | os.PathLike[str] = "") -> bool:
    """Whether `path` begins with one of the words, and is no file that exists in `folder`, by default the current
    one."""
    return path.partition(":")[0] in _SPELLED and not os.path.lexists(os.path.join(folder, path))


def find(path: str, max_pixels: int, folder: str | os.PathLike[str] = "") -> Nothing | None:
    """What `path` stands for; None if it is a file of `folder`, or names one. Raises Mistake if its size or colour is
    wrong, or if it has more than `max_pixels`."""
    if not named(path, folder):
        return None
    found = parse(path)
    if found.width * found.height > max_pixels:
        raise Mistake(f"input: {path} has more than {max_pixels} pixels; make it smaller, or raise --max-pixels if you "
                      "have the memory")
    return found


def parse(text: str) -> Nothing:
    """What a text stands for, whatever files exist. Raises Mistake if it is none of the words, or if its size or colour
    is wrong."""
    word, size = _parts(text)
    return Nothing(word, *size or (WIDTH, HEIGHT))


def told(source: object) -> bool:
    """Whether `source` is a Nothing as text, as a recipe has it; what others wrote there may be a path."""
    try:
        return isinstance(source, str) and str(parse(source)) == source
    except Mistake:
        return False


def repeated(asked: str | None, source: str) -> str | None:
    """INPUT for a dream like one that was made from `source`, a Nothing as text: `source` itself if INPUT is not given,
    or is the same without a size; else INPUT as it was `asked`."""
    if asked is None:
        return source
    try:
        same = named(asked) and _parts(asked) == (parse(source).word, None)
    except Mistake:  # find() reports it
        return asked
    return source if same else asked


def near(name: str) -> str:
    """What to put behind a message that there is no file of this name: the word that was probably meant; "" if there is
    none."""
    begin, colon, rest = name.partition(":")
    found = difflib.get_close_matches(begin.lower(), _SPELLED, 1, 0.75)
    other = begin in _SPELLED or "." in begin or "/" in begin
    return f"; did you mean {found[0]}{colon}{rest}?" if found and not other else ""


def _parts(text: str) -> tuple[str, tuple[int, int] | None]:
    """(a Nothing's word, its (width, height), if a size is given). Raises Mistake."""
    begin, *rest = text.split(":")
    word = _SPELLED.get(begin)
    if word is None:
        raise Mistake(f"input: {text} is none of noise, grey and colour:203040")
    if word == "colour":
        digits = rest.pop(0) if rest else ""
        if not re.fullmatch("[0-9a-fA-F]{6}", digits):
            raise Mistake(f"input: {text}: a colour is six hexadecimal digits, two each for red, green and blue, "
                          f"such as {begin}:203040")
        word, begin = f"colour:{digits.lower()}", f"{begin}:{digits}"
    if not rest:
        return word, None
    size = re.fullmatch("0*([1-9][0-9]*)[xX×]0*([1-9][0-9]*)", ":".join(rest))
    if not size:
        raise Mistake(f"input: {text}: the size must be a width and a height in pixels, such as "
                      f"{begin}:{WIDTH}x{HEIGHT}")
    return word, (int(size[1][:10]), int(size[2][:10]))  # with more digits, it has too many pixels all the same
