"""The file system of a folder."""

import subprocess
from pathlib import Path

import pytest

from dreamer.machine import sharing


def test_the_file_system_is_the_one_that_the_kernel_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = subprocess.run(["findmnt", "-nro", "FSTYPE", "-T", tmp_path], capture_output=True, text=True,
                          check=True).stdout.strip()
    assert sharing.filesystem(tmp_path) == kind
    assert sharing.filesystem("/proc/self") == "proc"
    monkeypatch.setattr(sharing, "LOCAL", {kind})
    assert not sharing.shared(tmp_path)
    assert sharing.shared("/proc/self")
    monkeypatch.setattr(sharing, "LOCAL", set())
    assert sharing.shared(tmp_path)
