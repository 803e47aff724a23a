"""The part of the style that a machine can check: linters, and rules for every file."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from helpers import ROOT, tracked


def shell_scripts() -> list[Path]:
    return [path for path in tracked() if path.suffix in (".sh", "")
            and path.read_bytes()[:30].startswith((b"#!/bin/bash", b"#!/bin/sh"))]


def linter(name: str) -> str:
    """The path of a linter, which provision.sh or the user has installed."""
    path = shutil.which(name) or shutil.which(name, path="/opt/image-dreamer/dev/bin")
    if not path:
        pytest.skip(f"no {name}: ./provision.sh --dev runtime")
    return path


def test_ruff() -> None:
    done = subprocess.run([linter("ruff"), "check", "--no-cache", ROOT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_mypy(tmp_path: Path) -> None:
    """For every file."""
    if np.lib.NumpyVersion(np.__version__) < "1.24.0":
        pytest.skip("the types of numpy itself had gaps before 1.24")
    done = subprocess.run([linter("mypy"), "--config-file", ROOT / "pyproject.toml", "--python-executable",
                           "/usr/bin/python3", "--cache-dir", tmp_path], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"in {len(tracked('*.py'))} source files" in done.stdout


def test_shellcheck() -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("no shellcheck: ./provision.sh --dev runtime")
    scripts = shell_scripts()
    assert ROOT / "provision.sh" in scripts
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_vagrantfile_is_ruby() -> None:
    if not shutil.which("ruby"):
        pytest.skip("no ruby")
    subprocess.run(["ruby", "-c", ROOT / "Vagrantfile"], check=True, stdout=subprocess.DEVNULL)


def test_no_large_files_and_no_weights() -> None:
    for path in tracked():
        assert path.stat().st_size < 8_000_000, path
        assert path.suffix != ".caffemodel", path


def test_top_level_is_short() -> None:
    names = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert len([name for name in names if not name.startswith(".")]) <= 14, sorted(names)


def test_no_wait_loses_a_signal() -> None:
    """Python 3.11's SimpleQueue may wait for ever if a signal comes as the time is up; see helpers.bears_signals."""
    for path in [ROOT / "dreamify.py", *(ROOT / "dreamer").rglob("*.py")]:
        assert "SimpleQueue" not in path.read_text(), path


@pytest.mark.parametrize("pattern", [r"(deb|security|archive|snapshot)\.(debian|ubuntu)\.[a-z]{3}", r"/home/\w+/",
                                     r"(pypi|pythonhosted|npmjs)\.[a-z]{3}"])
def test_no_registry_or_machine_is_named(pattern: str) -> None:
    for path in tracked():
        if path.suffix not in (".jpg", ".png", ".webp", ".npz") and path.name != "test_style.py":
            text = path.read_text().replace("/home/vagrant/", "")
            found = re.search(pattern, text)
            assert not found, (path, found)
