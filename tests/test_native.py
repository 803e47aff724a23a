"""The kernels in C++: compared alone with naive references, and in Caffe's own tests."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import ROOT

pytestmark = pytest.mark.native


def call(*command: object, **variables: str) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=3000,
                          env=os.environ | variables)
    if "cannot get Caffe's source" in done.stderr:
        pytest.skip("the source of Caffe cannot be reached")
    assert done.returncode == 0, (done.stdout[-4000:], done.stderr[-4000:])
    return done.stdout


def needs(*tools: str) -> None:
    """Skip the test if a tool is missing, for example on a machine that took its Caffe from .cache/."""
    if not all(map(shutil.which, tools)):
        pytest.skip("no compiler: ./provision.sh toolchain")


def test_the_kernels_with_every_instruction_set_of_this_machine(tmp_path: Path) -> None:
    """Compiled with all warnings as errors, and compared with direct sums in double precision."""
    needs("g++")
    said = call("sh", ROOT / "native/tests/run.sh", tmp_path)
    assert "== baseline" in said
    assert "FAILED" not in said


def test_the_kernels_on_arm64(tmp_path: Path) -> None:
    """The same, with a cross compiler and an emulator."""
    if not shutil.which("aarch64-linux-gnu-g++") or not shutil.which("qemu-aarch64"):
        pytest.skip("needs g++-aarch64-linux-gnu and qemu-user")
    said = call("sh", ROOT / "native/tests/run.sh", tmp_path, CXX="aarch64-linux-gnu-g++", EMULATOR="qemu-aarch64")
    assert "[  PASSED  ]" in said
    assert "FAILED" not in said


def test_caffes_own_tests_of_the_layers_that_we_touch(tmp_path: Path) -> None:
    needs("cmake", "g++", "make", "protoc")
    tree = tmp_path / "prefix/build/tree"
    call("bash", "-c", f"""
        export DREAMER_PREFIX={tmp_path}/prefix; source {ROOT}/provision.sh
        log={tmp_path}/log; mkdir -p "$build"; distribution; fetch_caffe {tree}; prepare_caffe {tree}""")
    said = call("sh", ROOT / "native/tests/run_caffe.sh", tree)
    assert "[  PASSED  ]" in said
    assert "ConvolutionLayerTest" in said
