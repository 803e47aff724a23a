"""README, help and code say the same."""

import re
import sys

import numpy as np
import pytest
from PIL import Image
from test_style import tracked

import dreamify
from conftest import ROOT
from dreamer import model, pictures, reel

sys.path[:0] = [str(ROOT / "tests/gallery")]
import make

README = (ROOT / "README.md").read_text()


def table(header):
    """{first cell: the other cells} of the README's table that has these words above it."""
    lines = README[README.index(f"| {header} |"):].partition("\n\n")[0].splitlines()[2:]
    return {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]]
            for cells in (line.strip("|").split("|") for line in lines)}


ROWS = table("Argument or option | Default | What it does")
ACTIONS = [action for action in dreamify.parser()._actions if action.dest != "help"]


def spelled(action):
    if not action.option_strings:
        return action.metavar
    return " ".join([action.option_strings[-1], *([action.metavar] if action.metavar else [])])


def test_the_table_has_every_option_and_no_other():
    assert set(ROWS) == {spelled(action) for action in ACTIONS} | {"--help"}


@pytest.mark.parametrize("action", ACTIONS, ids=spelled)
def test_the_table_tells_the_defaults(action):
    default = action.default
    if spelled(action) == "LAYER":
        default = model.find(model.DEFAULT).default_layer
    told = ROWS[spelled(action)][0].strip("`")
    assert told == ("" if default is None or default is False or default == "==SUPPRESS==" else str(default))


def test_the_table_tells_the_formats():
    told = re.findall(r"`(\.\w+)`", ROWS["OUTPUT"][1])
    still = {pictures.FORMATS[extension][0] for extension in told if extension in pictures.FORMATS}
    assert still == {kind for kind, *_ in pictures.FORMATS.values()}
    assert set(reel.FILMS) <= set(told) <= {*reel.FILMS, *pictures.FORMATS}


def test_commands_and_files_of_the_readme_exist():
    for path in re.findall(r"(?:\]\(|\./|(?<![\w/])tests/)[\w./-]+", README):
        path = path.removeprefix("](")
        assert path.startswith("http") or (ROOT / path).exists(), path


def test_layers_in_the_readme_are_layers():
    found = model.find(model.DEFAULT)
    try:
        keys = found.keys
    except Exception:
        pytest.skip("deploy.prototxt is not installed: ./provision.sh")
    named = set(re.findall(r"(?:inception|conv)[\w]*/\w+", README))
    assert len(named) >= 4
    assert named <= {*keys, *found.aliases}


def test_exit_codes_are_told_alike():
    line = next(line for line in README.splitlines() if line.startswith("Exit codes"))
    assert line in dreamify.parser().format_help()


READ = (r"environ(?:\.get)?[(\[]\"([A-Z_]+)\"", r"environ\.setdefault\(\"(\w+)\"", r"getenv\(\"(\w+)\"\)",
        r"ENV(?:\.fetch\(|\[)\"(\w+)\"", r"\$\{([A-Z][A-Z_]+):[-?=+]")
OF_OS_RELEASE = {"ID", "VERSION_ID", "PRETTY_NAME"}


def test_the_table_has_every_environment_variable_and_no_other():
    read = {name for path in tracked() if path.suffix in (".py", ".sh", ".cpp", "") and path.name != "LICENSE"
            and not {"tests", "train", ".ci"} & set(path.relative_to(ROOT).parts)
            for pattern in READ for name in re.findall(pattern, path.read_text())}
    read.add(model.DEFAULT.upper())  # whatever the model, its name in capitals
    told = {name for names in table("Variable | Read by | What it does")
            for name in re.findall(r"\w+", names)}
    assert told == read - OF_OS_RELEASE


def test_captions_are_the_commands_that_made_the_pictures():
    for name, item in make.ITEMS.items():
        after = README[README.index(f"tests/gallery/{name}.jpg"):]
        assert f"`{item.command}`" in after or item.command in README.partition("## Gallery")[0], name
    assert make.LAYER_COMMAND in README


def test_every_layer_of_the_table_has_its_picture_and_what_it_likes():
    likes = model.find(model.DEFAULT).likes
    lines = README.splitlines()
    for layer in make.LAYERS:
        (at,) = [number for number, line in enumerate(lines) if f"tests/gallery/{make.file_of(layer)}" in line]
        cell = lines[at].split("|").index(f" ![](tests/gallery/{make.file_of(layer)}) ")
        below = next(line for line in lines[at + 1:] if not line.startswith("|-"))
        assert below.split("|")[cell].strip() == f"`{layer}`<br>{likes[layer]}"


def test_all_pictures_of_the_gallery_are_shown_and_no_other_are_there():
    there = {path.name for path in (ROOT / "tests/gallery").glob("*.jpg")}
    assert there == {*(f"{name}.jpg" for name in make.ITEMS), *map(make.file_of, make.LAYERS), "how.jpg"}
    assert there == set(re.findall(r"tests/gallery/([\w-]+\.jpg)", README))


def test_the_pictures_are_small():
    paths = [path for path in tracked() if path.suffix in (".jpg", ".png", ".gif", ".webp")]
    assert len(paths) > 20
    assert sum(path.stat().st_size for path in paths) <= 5e6


def test_every_photo_says_where_it_is_from():
    told = (ROOT / "tests/pictures/README.md").read_text()
    for path in (ROOT / "tests/pictures").iterdir():
        if path.suffix in (".jpg", ".png"):
            assert f"| `{path.name}` |" in told


def test_the_gallery_is_what_its_commands_dream(googlenet, monkeypatch):
    """One of them, dreamed again: the seed makes it the same, but for JPEG's own."""
    monkeypatch.setenv("BVLC_GOOGLENET", str(googlenet.weights_path()))
    made = make.ITEMS["eyes"].arrange(make.dreamed(make.ITEMS["eyes"].command))
    kept = Image.open(ROOT / "tests/gallery/eyes.jpg")
    assert made.size == kept.size
    difference = np.asarray(made, np.float64) - np.asarray(kept, np.float64)
    assert 10 * np.log10(255 ** 2 / np.mean(difference ** 2)) > 30
