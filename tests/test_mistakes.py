"""What people type by mistake: every row of the table in mistakes.py.

The answer is one line for each problem, with the right words, and never a traceback; no file in the folder is lost."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NamedTuple

import pytest

import dreamify
from dreamer.nets.model import default
from helpers import run
from mistakes import ROWS, Row, contents, make, words


class Answer(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    errors: str


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("mistakes") / "folder")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy of the folder in which all rows are typed."""
    return Path(shutil.copytree(original, tmp_path / "folder"))


def forked(typed: list[str], folder: Path) -> Answer:
    """The Answer of dreamify.main in a child of this process, in the folder: ten times as fast as the command."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if not child:
            code = 99
            try:
                os.chdir(folder)
                with open(os.devnull, "rb") as nothing:
                    for number, file in enumerate((nothing, out, errors)):
                        os.dup2(file.fileno(), number)
                sys.stdin, sys.stdout, sys.stderr = (open(number, mode, closefd=False)  # noqa: SIM115 - for its life
                                                     for number, mode in enumerate("rww"))
                vars(sys)["__stdout__"] = sys.stdout
                code = dreamify.main(typed)
            except SystemExit as end:  # argparse's, after --help
                code = int(end.code or 0)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        said = []
        for file in (out, errors):
            file.seek(0)
            said.append(file.read().decode())
        return Answer(os.waitstatus_to_exitcode(status), *said)


def check(row: Row, answer: Answer, folder: Path, before: dict[str, bytes]) -> None:
    """Check the answer to a row, and that no file is lost."""
    # without the weights of Google's net, one line says so, and another net dreams
    lines = [line for line in answer.errors.splitlines() if "using daydream" not in line]
    assert answer.code == row.code, answer
    assert [word for word in row.words if word not in answer.out + answer.errors] == [], answer
    assert len(lines) == row.lines, lines
    assert all(line.startswith("dreamify: ") for line in lines)
    assert len(set(lines)) == len(lines)
    assert "Traceback" not in answer.errors
    after = contents(folder)
    assert sorted(name for name in before if after.get(name) != before[name]) == sorted(row.lost)
    if row.code == 2:
        assert set(after) == set(before)


def skip_if_impossible(row: Row) -> None:
    """Skip the test if this machine lacks what the row needs."""
    if "film." in row.typed and not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg: ./provision.sh film")
    if re.search(":512|class|flamingo", row.typed) and default()[1]:
        pytest.skip("the weights of bvlc_googlenet are not here: ./provision.sh model")


@pytest.mark.parametrize("row", ROWS, ids=[ascii(row.typed) for row in ROWS])
def test_each_gets_its_answer_and_no_file_is_lost(row: Row, folder: Path) -> None:
    skip_if_impossible(row)
    before = contents(folder)
    check(row, forked(words(row.typed, folder), folder), folder, before)


@pytest.mark.parametrize("row", ROWS[::19], ids=[ascii(row.typed) for row in ROWS[::19]])
def test_the_command_itself_gives_that_answer(row: Row, folder: Path) -> None:
    skip_if_impossible(row)
    before, typed = contents(folder), words(row.typed, folder)
    done = run(*typed, cwd=folder, stdin=subprocess.DEVNULL)
    check(row, Answer(done.returncode, done.stdout, done.stderr), folder, before)
    if row.code:
        assert done.stderr == forked(typed, folder).errors


def test_the_table_is_long_and_says_nothing_twice() -> None:
    assert len(ROWS) >= 150
    assert len({row.typed for row in ROWS}) == len(ROWS)
