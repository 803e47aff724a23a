"""Pictures made from nothing: the words for them, and the pixels, compared with a generator of our own."""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dreamer.errors import Mistake
from dreamer.pictures import nothing
from dreamer.pictures.nothing import DEVIATION, HEIGHT, MEAN, WIDTH, Nothing

MOST = 10 ** 6  # pixels


def words(seed: int) -> Iterator[int]:
    """The 32-bit words of the Mersenne Twister MT19937, after its authors' paper of 1998 and their seeding of 2002."""
    state = [seed]
    for number in range(1, 624):
        state.append((1812433253 * (state[-1] ^ state[-1] >> 30) + number) % 2 ** 32)
    for at in itertools.count():
        here, after, far = at % 624, (at + 1) % 624, (at + 397) % 624
        joined = state[here] & 0x80000000 | state[after] & 0x7fffffff
        state[here] = state[far] ^ joined >> 1 ^ (0x9908b0df if joined & 1 else 0)
        word = state[here]
        word ^= word >> 11
        word ^= word << 7 & 0x9d2c5680
        word ^= word << 15 & 0xefc60000
        yield word ^ word >> 18


def normal(seed: int) -> Iterator[float]:
    """Normally distributed numbers, by Marsaglia's polar method."""
    source = words(seed)

    def uniform() -> float:
        return 2 * (((next(source) >> 5) * 2 ** 26 + (next(source) >> 6)) / 2 ** 53) - 1

    while True:
        first, second = uniform(), uniform()
        square = first * first + second * second
        if 0 < square < 1:
            factor = math.sqrt(-2 * math.log(square) / square)
            yield from (factor * second, factor * first)


@pytest.mark.parametrize(("seed", "width", "height"), [(0, 3, 2), (7, 5, 131), (2 ** 32 - 1, 67, 64)])
def test_noise_is_the_same_everywhere(seed: int, width: int, height: int) -> None:
    """131 rows are made in three parts, and 5 * 3 numbers a row are an odd number."""
    found = Nothing("noise", width, height).pixels(seed)
    numbers = [min(255, max(0, round(MEAN + DEVIATION * x))) for x in itertools.islice(normal(seed), found.size)]
    assert found.dtype == np.uint8
    assert found.shape == (height, width, 3)
    assert found.ravel().tolist() == numbers


def test_noise_has_its_mean_and_deviation_and_no_pattern() -> None:
    found = Nothing("noise", 300, 200).pixels(1).astype(np.float64)
    assert np.allclose(found.mean((0, 1)), MEAN, atol=0.3)
    assert np.allclose(found.std((0, 1)), DEVIATION, atol=0.3)
    off = (found - MEAN) / DEVIATION
    for axis in range(3):
        assert abs(np.mean(off * np.roll(off, 1, axis))) < 0.02  # if independent, about 0.002
    assert not np.array_equal(found, Nothing("noise", 300, 200).pixels(2))


def test_noise_is_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nothing, "DEVIATION", 500.0)
    found = Nothing("noise", 30, 20).pixels(1)
    assert np.mean((found == 0) | (found == 255)) > 0.7


@pytest.mark.parametrize(("text", "told", "colour"), [
    ("grey:5x4", "grey:5x4", (117, 117, 117)), ("gray:05x4", "grey:5x4", (117, 117, 117)),
    ("grey:5X4", "grey:5x4", (117, 117, 117)), ("grey:5×4", "grey:5x4", (117, 117, 117)),
    ("colour:203040:5x4", "colour:203040:5x4", (0x20, 0x30, 0x40)),
    ("color:FFa00b:5x4", "colour:ffa00b:5x4", (255, 160, 11)), ("colour:000000:5x4", "colour:000000:5x4", (0, 0, 0))])
def test_grey_and_colours(text: str, told: str, colour: tuple[int, int, int]) -> None:
    found = nothing.find(text, MOST)
    assert found
    assert str(found) == told
    assert np.array_equal(found.pixels(1), np.full((4, 5, 3), colour))
    assert np.array_equal(found.pixels(1), found.pixels(2))
    assert found.black().shape == (4, 5, 3)
    assert not found.black().any()


@pytest.mark.parametrize(("text", "word"), [("noise", "noise"), ("gray", "grey"), ("color:ABCDEF", "colour:abcdef")])
def test_without_a_size(text: str, word: str) -> None:
    assert nothing.find(text, MOST) == (word, WIDTH, HEIGHT)
    assert WIDTH * HEIGHT < 1_500_000  # more would get more octaves


@pytest.mark.parametrize(("text", "expected"), [
    *((f"{word}:{size}", f"{word}:1024x576") for word in ("noise", "gray", "colour:203040")
      for size in ("448", "0x5", "5x0", "x5", "5x", "", "5x5x5", "5x5:5x5", "-5x5", "5.5x5", "٣x٣", " 5x5", "5x5 ")),
    *((word, "colour:203040") for word in ("colour", "colour:", "colour:20304", "colour:2030405", "colour:20304g",
                                           "colour:#203040", "colour:5x5", "colour:red"))])
def test_wrong_ones_say_how_to_write_it(text: str, expected: str) -> None:
    with pytest.raises(Mistake) as error:
        nothing.find(text, MOST)
    line, = error.value.args
    assert line.startswith(f"input: {text}: ")
    assert line.endswith(f"such as {expected}")


@pytest.mark.parametrize("size", ["1001x1000", "1000001x1", f"{10 ** 30}x1", f"1x{'9' * 9999}",
                                  "4294967296x4294967296"])
def test_too_many_pixels(size: str) -> None:
    with pytest.raises(Mistake, match="has more than 1000000 pixels; make it smaller, or raise --max-pixels"):
        nothing.find(f"noise:{size}", MOST)
    assert nothing.find("noise:1000x1000", MOST) == ("noise", 1000, 1000)


@pytest.mark.parametrize("side", [10 ** 6, 10 ** 9, 10 ** 10])
def test_too_large_for_the_memory(side: int) -> None:
    with pytest.raises(Mistake, match="too large for this machine's memory"):
        Nothing("noise", side, side).pixels(1)


@pytest.mark.parametrize("name", ["noise", "grey:5x5", "colour:203040", "noise:nonsense"])
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_a_file_of_that_name_wins(name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if kind == "link":
        Path(name).symlink_to("gone")
    else:
        (Path(name).touch if kind == "file" else Path(name).mkdir)()
    assert not nothing.named(name)
    assert nothing.find(name, MOST) is None


@pytest.mark.parametrize("name", ["", "-", "photo.jpg", "./noise", "noise.png", "noise/a.jpg", "Noise", "noises",
                                  "greyish"])
def test_other_names_are_files(name: str) -> None:
    assert not nothing.named(name)
    assert nothing.find(name, MOST) is None


@pytest.mark.parametrize(("name", "meant"), [
    ("noize", "noise"), ("Noise:5x5", "noise:5x5"), ("NOISE", "noise"), ("nois", "noise"), ("gry:9x9", "grey:9x9"),
    ("Grey", "grey"), ("colur:203040", "colour:203040"), ("Color:203040:5x5", "color:203040:5x5")])
def test_near_misses(name: str, meant: str) -> None:
    assert nothing.near(name) == f"; did you mean {meant}?"


@pytest.mark.parametrize("name", ["noise", "photo.jpg", "noise.png", "./noize", "colour.png", "", "dream"])
def test_what_is_no_near_miss(name: str) -> None:
    assert nothing.near(name) == ""


@pytest.mark.parametrize(("source", "right"), [
    ("noise:448x448", True), ("grey:1x1", True), ("colour:203040:5x5", True), ("noise", False), ("gray:5x5", False),
    ("noise:05x5", False), ("/etc/passwd", False), ("noise:5", False), (5, False), (None, False),
    (["noise:5x5"], False)])
def test_what_a_recipe_may_have(source: object, right: bool) -> None:
    assert nothing.told(source) == right


@pytest.mark.parametrize(("asked", "source", "expected"), [
    (None, "noise:5x5", "noise:5x5"), ("noise", "noise:5x5", "noise:5x5"), ("gray", "grey:5x5", "grey:5x5"),
    ("noise:9x9", "noise:5x5", "noise:9x9"), ("grey", "noise:5x5", "grey"), ("photo.jpg", "noise:5x5", "photo.jpg"),
    ("color:203040", "colour:203040:5x5", "colour:203040:5x5"), ("colour:203041", "colour:203040:5x5", "colour:203041"),
    ("noise:", "noise:5x5", "noise:"), ("-", "noise:5x5", "-")])
def test_a_dream_like_another(asked: str | None, source: str, expected: str) -> None:
    assert nothing.repeated(asked, source) == expected
