"""Thousands of damaged pictures of every format, the same each time; tests/soak/damage.py tries many more."""

import os
import subprocess
from pathlib import Path

import pytest

import mutants
from dreamer.nets.model import Model
from helpers import ROOT, Word, search


@pytest.mark.parametrize("seed", ["a", "b"])
def test_damaged_pictures_are_read_or_refused(tiny: Model, tmp_path: Path, seed: str) -> None:
    """In a separate process, which an abort would end, with limits on its memory and on the time for each picture."""
    command: list[Word] = [ROOT / "tests/soak/damage.py", "3000", seed, tiny.folder]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=570)
    print(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    read, refused, wrong = map(int, search(r"(\d+) read, (\d+) refused, (\d+) wrong", done.stdout).groups())
    assert read + refused == 3000
    assert wrong == 0
    assert read > 300  # some damage cannot be detected
    assert refused > 1000
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["HEIC", "AVIF", "JXL", "DNG"])
def test_damaged_pictures_of_other_programs(tmp_path: Path, kind: str) -> None:
    if not mutants.others(kind):
        pytest.skip(f"no {'dcraw_emu: ./provision.sh raw' if kind == 'DNG' else f'encoder for {kind}'}")
    done = subprocess.run([ROOT / "tests/soak/damage.py", "200", "c", "", kind], cwd=tmp_path, capture_output=True,
                          text=True, check=False, timeout=570)
    print(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    read, refused, wrong = map(int, search(r"(\d+) read, (\d+) refused, (\d+) wrong", done.stdout).groups())
    assert (read + refused, wrong) == (200, 0)
    assert read > 0
    assert refused > 50
    assert not list(tmp_path.iterdir())


def test_mutants_are_the_same_for_the_same_seed() -> None:
    first, again, other = (list(mutants.mutants(30, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_damaged_pictures_given_to_the_command(tiny: Model, tmp_path: Path) -> None:
    """A few with the whole program: each gives one line and no file, or a dream."""
    for number, (name, data) in enumerate(mutants.mutants(20, "command")):
        (tmp_path / "in").write_bytes(data)
        command: list[Word] = [ROOT / "dreamify.py", "in", "out.png", "conv1", "1", "1", "--model", tiny.folder,
                               "--quiet"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode in (0, 2), (number, name, done.stderr)
        assert len(done.stderr.splitlines()) <= 2 - (done.returncode == 2), (number, name, done.stderr)
        assert sorted(os.listdir(tmp_path)) == ["in"] + ["out.png"] * (done.returncode == 0)
        (tmp_path / "out.png").unlink(missing_ok=True)
