"""The words of a command line. tests/test_mistakes.py tests what people type, and the answers."""

from pathlib import Path
from typing import Any

import pytest

import dreamify
from dreamer.errors import Mistake
from dreamer.options import words

NAMES = ["input", "output", "layer", "iterations", "octaves", "scale"]
OPTIONS = {"--max-size": True, "--guide": True, "--force": False, "--no-clip": False, "--quiet": False,
           "--threads": True, "--step-size": True}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two pictures and two folders."""
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"any")
    for name in ("dreams", "birds"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("typed", "meant"), [
    ("", ""), ("a.jpg b.png", "a.jpg b.png"), ("./dreamify.py a.jpg b.png", "a.jpg b.png"),
    ("dreamify.py keys", "keys"), ("dreamify keys", "keys"), ("/srv/x/dreamify.py", ""), ("dreamify.py help", "--help"),
    ("help", "--help"), ("Help", "--help"), ("help atlas", "atlas --help"), ("version", "--version"),
    ("list --model x", "keys --model x"), ("layers", "keys"), ("layer", "keys"), ("key", "keys"), ("KEYS", "KEYS"),
    ("looks", "keys --looks"), ("looks --model x", "--model x keys --looks"), ("model", "models"),
    ("keys list", "keys list"), ("a.jpg help", "a.jpg help"), ("dreamify.py dreamify.py", "dreamify.py")])
def test_what_people_type_first(typed: str, meant: str) -> None:
    found = words.meant(typed.split())
    if typed.startswith("looks"):  # the order does not matter to the parser
        assert sorted(found) == sorted(meant.split())
    else:
        assert found == meant.split()


@pytest.mark.parametrize("name", ["help", "list", "looks", "model"])
def test_a_file_of_that_name_is_a_file(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"any")
    assert words.meant([name, "b.png"]) == [name, "b.png"]
    assert words.meant([f"./{name}", "b.png"]) == [f"./{name}", "b.png"]


def test_what_was_typed_stays_as_it_was() -> None:
    typed = ["dreamify.py", "help"]
    words.meant(typed)
    assert typed == ["dreamify.py", "help"]


@pytest.mark.parametrize(("word", "said", "value"), [
    ("--iterations", "ITERATIONS has no dashes: it is the first number after LAYER", True),
    ("--octaves=5", "OCTAVES has no dashes: it is the second number after LAYER", False),
    ("--iteration", "ITERATIONS has no dashes", True), ("--octavs=5", "OCTAVES has no dashes", False),
    ("--scale", "it is the third number after LAYER", True), ("--layer", "it is the third word", True),
    ("-o", "OUTPUT has no dashes: it is the second word", True), ("-i", "it is the first word", True),
    ("-n", "the first number", True), ("--size", "did you mean --max-size?", True),
    ("--size=5", "did you mean --max-size?", False), ("--MAX_SIZE", "did you mean --max-size?", True),
    ("--guied", "did you mean --guide?", True), ("--forse", "did you mean --force?", False),
    ("--overwrite", "did you mean --force?", False), ("--clip", "did you mean --no-clip?", False),
    ("-f", "did you mean --force?", False), ("-help", "did you mean --help?", False),
    ("--gpu", "did you mean --threads?", True), ("--learning-rate", "did you mean --step-size?", True),
    ("--keys", "the command keys has no dashes", False), ("--fps", "--help lists the options", True),
    ("--describe", "--help lists the options", False), ("--xyzzy", "--help lists the options", False),
    ("-s", "--help lists the options", False), ("-", "--help lists the options", False)])
def test_an_option_that_does_not_exist_is_answered_with_the_one_that_does(word: str, said: str, value: bool) -> None:
    line, takes_value = words.unknown(word, OPTIONS, NAMES)
    assert line.startswith(f"unknown option: {word}; ")
    assert said in line
    assert takes_value == value


def test_only_options_that_the_command_has_are_proposed() -> None:
    for word in ("--size", "--gpu", "--overwrite", "--iterations", "--guid"):
        line, _ = words.unknown(word, {"--model": True}, [])
        assert line == f"unknown option: {word}; --help lists the options"


def test_an_option_that_is_given_twice() -> None:
    typed = ["a.jpg", "--guide", "x", "--guide=y", "--mask", "--guide", "--guides"]
    assert words.twice(typed, ["--guide", "--mask", "--like"]) == ["--guide is given 3 times; it takes one value"]


def found(typed: str, strange: str = "") -> tuple[dict[str, Any], list[str]]:
    """({name: word}, errors) for these words; `strange` are those that the parser does not know."""
    rest = [word for word in typed.split() if word not in strange.split()]
    return words.sorted_out(rest, strange.split(), typed.split(), NAMES, ["max_size", "guide", "force"], True)


@pytest.mark.parametrize(("typed", "given"), [
    ("", {}), ("a.jpg", {"input": "a.jpg"}), ("a.jpg c.png", {"input": "a.jpg", "output": "c.png"}),
    ("a.jpg c.png eyes 5", {"input": "a.jpg", "output": "c.png", "layer": "eyes", "iterations": "5"}),
    ("a.jpg b.jpg dreams", {"input": ("a.jpg", "b.jpg"), "output": "dreams"}),
    ("a.jpg b.jpg dreams eyes", {"input": ("a.jpg", "b.jpg"), "output": "dreams", "layer": "eyes"}),
    ("a.jpg dreams", {"input": ("a.jpg",), "output": "dreams"}), ("a.jpg .", {"input": ("a.jpg",), "output": "."}),
    ("a.jpg new/ eyes", {"input": ("a.jpg",), "output": "new/", "layer": "eyes"}),
    ("a.jpg b.jpg a.jpg new/", {"input": ("a.jpg", "b.jpg", "a.jpg"), "output": "new/"}),
    ("dreams birds", {"input": "dreams", "output": "birds"}),
    ("dreams birds eyes", {"input": "dreams", "output": "birds", "layer": "eyes"}),
    # a folder with the name of a look
    ("a.jpg c.png birds", {"input": "a.jpg", "output": "c.png", "layer": "birds"}),
    ("a.jpg birds", {"input": ("a.jpg",), "output": "birds"}),
    ("a.jpg b.jpg birds", {"input": ("a.jpg", "b.jpg"), "output": "birds"}),
    ("a.jpg c.png birds/", {"input": ("a.jpg", "c.png"), "output": "birds/"}),
    ("- c.png", {"input": "-", "output": "c.png"}), ("- dreams", {"input": "-", "output": "dreams"}),
    ("a.jpg - dreams", {"input": "a.jpg", "output": "-", "layer": "dreams"})])
def test_each_word_has_its_parameter(typed: str, given: dict[str, Any]) -> None:
    assert found(typed) == (given, [])


@pytest.mark.parametrize("typed", ["a.jpg b.jpg c.jpg", "a.jpg c.jpg b.jpg", "my photo.jpg c.png",
                                   "a.jpg c.png b.jpg 5", "x.PNG y.png z.TIFF", "a.jpg b.jpg c.webp 5 2"])
def test_several_pictures_need_a_folder(typed: str) -> None:
    with pytest.raises(Mistake) as error:
        found(typed)
    assert error.value.args == ("several pictures: name a folder for their dreams; quote names with spaces",)


def test_too_many_words_are_told_one_by_one() -> None:
    given, wrong = found("a.jpg c.png eyes 1 2 1.5 more words")
    assert list(given) == NAMES
    assert wrong == ["too many arguments: more", "too many arguments: words"]


def test_the_value_of_an_option_that_does_not_exist_is_no_word() -> None:
    given, wrong = found("a.jpg --size 100 c.png", "--size")
    assert given == {"input": "a.jpg", "output": "c.png"}
    assert len(wrong) == 1
    given, wrong = found("a.jpg --size=100 c.png", "--size=100")
    assert given == {"input": "a.jpg", "output": "c.png"}
    given, wrong = found("a.jpg c.png --forse eyes", "--forse")  # a flag has no value
    assert given == {"input": "a.jpg", "output": "c.png", "layer": "eyes"}
    given, wrong = found("a.jpg c.png --size", "--size")
    assert (len(given), len(wrong)) == (2, 1)


def test_a_long_dash_is_none_of_the_words() -> None:
    given, wrong = found("a.jpg c.png –force")  # noqa: RUF001 - of a word processor
    assert given == {"input": "a.jpg", "output": "c.png"}
    assert len(wrong) == 1
    assert wrong[0].endswith("write hyphens: --force")


def test_a_file_that_looks_like_an_option_is_told_how_to_name_it(folder: Path) -> None:
    (folder / "-c.jpg").write_bytes(b"any")
    with pytest.raises(Mistake, match=r"write \./-c\.jpg"):
        found("-c.jpg c.png", "-c.jpg")


def test_the_parser_has_it_all() -> None:
    """From the words to the request."""
    _, asked, wrong = dreamify.parse(["--force", "a.jpg", "b.jpg", "--max-size", "9", "dreams/", "eyes"])
    assert wrong == []
    request = dreamify.ask(asked)
    assert (request.input, request.output, request.layer) == (("a.jpg", "b.jpg"), "dreams/", "eyes")
    assert (request.force, request.max_size) == (True, "9")
    _, asked, wrong = dreamify.parse(["atlas", "a.jpg", "dreams"])
    assert (asked["input"], asked["output"], wrong) == ("a.jpg", "dreams", [])  # for one picture
