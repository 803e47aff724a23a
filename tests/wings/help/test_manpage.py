"""The man page: the tools that read it find nothing wrong, and it says what --help and the manual say."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import dreamify
from dreamer.help import manpage
from dreamer.help.commands import CODES, described
from dreamer.help.variables import VARIABLES
from helpers import ROOT, run


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("man") / "dreamify.1"
    path.write_text(run("manpage").stdout)
    return path


@pytest.mark.parametrize("command", [["mandoc", "-T", "lint"], ["groff", "-man", "-ww", "-Tutf8", "-z"],
                                     ["man", "--warnings=w", "-l"]], ids=lambda command: command[0])
def test_no_tool_warns(page: Path, command: list[str]) -> None:
    if not shutil.which(command[0]):
        pytest.skip("no man, groff or mandoc: apt-get install groff man-db mandoc")
    done = subprocess.run([*command, page], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "STYLE" not in done.stdout
    assert "WARNING" not in done.stdout


def shown(page: Path) -> str:
    """The page as a reader sees it, in one line."""
    if not shutil.which("groff"):
        pytest.skip("no man, groff or mandoc: apt-get install groff man-db mandoc")
    done = subprocess.run(["groff", "-man", "-Tutf8", "-P-cbou", page], capture_output=True, text=True, check=True)
    return re.sub(r"\s+", " ", done.stdout)


def test_it_has_every_argument_option_and_default(page: Path) -> None:
    text = shown(page)
    for function in (dreamify.dreamify, *dreamify.COMMANDS.values()):
        command = described(function)
        assert command.summary.rstrip(".").lower() in text.lower()
        for argument in command.arguments:
            assert argument.spelled in text
            assert re.sub(r"\s+", " ", argument.help) in text, argument
    assert CODES.removeprefix("Exit codes: ") in text


def test_what_would_be_a_command_of_roff_is_text() -> None:
    for text in (".gif and .mp4 films", "'quoted' first", r"a \n in it", '-- "x" ~ ^ `', "20 × ½ – more"):
        [line] = manpage._filled(text)
        if not shutil.which("groff"):
            pytest.skip("no man, groff or mandoc: apt-get install groff man-db mandoc")
        source = f".TH X 1 2026-01-01\n.SH NAME\nx\n.PP\n{line}\n"
        done = subprocess.run(["groff", "-man", "-Tutf8", "-P-cbou", "-ww"], input=source, capture_output=True,
                              text=True, check=True)
        assert done.stderr == ""
        assert re.sub(r"\s+", " ", text) in re.sub(r"\s+", " ", done.stdout)


def test_the_variables_are_those_of_the_manual() -> None:
    """In the same words, except for the marks and links of Markdown."""
    told = {}
    for row in (ROOT / "docs/environment.md").read_text().splitlines():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if len(cells) == 3 and re.search("dreamify.py|Caffe", cells[1]):
            bare = (re.sub(r" \(\[.*?\]\(.*?\)\)|`", "", cell) for cell in cells)
            name, _, text = (re.sub(r"\[(.*?)\]\(.*?\)", r"\1", cell) for cell in bare)
            told[name] = text
    assert list(told) == list(VARIABLES)
    for name, text in VARIABLES.items():
        plain = told[name].replace(", see below", "").replace("dreamify.py: folder", "folder").partition("; box.sh")[0]
        assert text == plain, name
