"""README, help and code say the same."""

import re

import pytest

import dreamify
from conftest import ROOT
from dreamer import model, pictures, reel

README = (ROOT / "README.md").read_text()
ROWS = {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]]
        for cells in (line.strip("|").split("|") for line in README.splitlines() if line.startswith("| `"))}
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
    assert named <= set(keys)


def test_exit_codes_are_told_alike():
    line = next(line for line in README.splitlines() if line.startswith("Exit codes"))
    assert line in dreamify.parser().format_help()
