"""The doctor, on this machine as it is, and where something is missing or broken."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

import dreamify
from containers import checkout
from dreamer import __version__
from dreamer.errors import Failure
from dreamer.help import doctor
from dreamer.nets.model import Model
from helpers import PYTHON, ROOT, run

LABELS = ["image-dreamer", "system", "Python", "processor", "instructions", "memory", "Caffe", "model", "packages",
          "films", "pictures", "disk", "a dream"]


def told(done: "subprocess.CompletedProcess[str]", code: int) -> dict[str, str]:
    """{label: what is said about it}. The exit code is right, and the form."""
    assert done.returncode == code, done
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert 6 <= len(lines) <= 15
    found = {line[:14].strip(): line[14:] for line in lines}
    assert list(found) == LABELS
    assert all(found.values())
    return found


def test_a_machine_that_can_dream(googlenet: Model) -> None:
    found = told(run("doctor"), 0)
    assert found["a dream"] == "works"
    assert found["image-dreamer"].startswith(__version__)
    assert platform.machine() in found["system"]
    assert f"of {os.cpu_count()} cores usable" in found["processor"]
    assert found["instructions"].split()[0] in ("baseline", "avx2", "avx512")
    assert "in OpenBLAS 0." in found["instructions"]
    assert "as this clone needs it" in found["Caffe"]
    assert found["model"].startswith("bvlc_googlenet; ")
    assert f"{googlenet.weights_path().stat().st_size / 1e6:.1f} MB" in found["model"]
    python = subprocess.run([PYTHON, "-c", "import numpy, scipy; print(numpy.__version__, scipy.__version__)"],
                            capture_output=True, text=True, check=True).stdout.split()
    assert f"numpy {python[0]}, scipy {python[1]}" in found["packages"]
    assert ("ffmpeg missing" in found["films"]) is (shutil.which("ffmpeg") is None)


def test_the_kernels_that_the_environment_asks_for() -> None:
    found = told(run("doctor", env=os.environ | {"NATIVE_ISA": "baseline"}), 0)
    assert found["instructions"].startswith("baseline in Caffe's kernels (NATIVE_ISA=baseline), ")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without any package."""
    folder = tmp_path_factory.mktemp("bare")
    done = subprocess.run([PYTHON, "-m", "venv", "--without-pip", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no python3-venv: ./provision.sh --dev runtime")
    return folder / "bin/python"


@pytest.mark.parametrize(("place", "advice"), [("", "provision.sh"), ("container", "build the image again")])
def test_a_python_without_packages(bare: Path, place: str, advice: str) -> None:
    """The program itself cannot even be loaded there."""
    found = told(run("doctor", python=bare, env=os.environ | {"DREAMER_PLACE": place}), 1)
    assert "missing: numpy, scipy, Pillow, protobuf, tornado, tqdm" in found["packages"]
    assert found["Caffe"].startswith("not installed: ")
    assert advice in found["Caffe"]
    assert "No module named 'caffe'" in found["instructions"]
    assert "has no numpy: " in found["a dream"]
    assert advice in found["a dream"]


def test_a_clone_without_weights(tmp_path: Path) -> None:
    clone = checkout(tmp_path / "clone")
    without = {name: value for name, value in os.environ.items() if name != "BVLC_GOOGLENET"}
    found = told(subprocess.run([clone / "dreamify.py", "doctor"], capture_output=True, text=True, check=False,
                                env=without), 0)
    assert found["model"].startswith("daydream, whose weights come with this repository; using daydream")
    assert "the weights of bvlc_googlenet are missing" in found["model"]


def test_damaged_weights(tmp_path: Path) -> None:
    (tmp_path / "x.caffemodel").write_bytes(b"nothing")
    found = told(run("doctor", env=os.environ | {"BVLC_GOOGLENET": str(tmp_path / "x.caffemodel")}), 1)
    assert "sha256 not the one in model.toml" in found["model"]
    assert found["a dream"].startswith("does not work: ")
    assert "x.caffemodel" in found["a dream"]


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    found = told(run("doctor", env=os.environ | {"BVLC_GOOGLENET": str(tmp_path / "x.caffemodel")}), 1)
    assert "BVLC_GOOGLENET: no such file" in found["model"]
    assert "no such file" in found["a dream"]


def test_a_damaged_description_of_the_model(tmp_path: Path) -> None:
    clone = checkout(tmp_path / "clone")
    (clone / "models/bvlc_googlenet/model.toml").write_text("mean = 3")
    done = subprocess.run([clone / "dreamify.py", "doctor"], capture_output=True, text=True, check=False)
    found = told(done, 1)
    assert "cannot be found out: " in found["model"]
    assert "model.toml" in found["model"]
    assert "model.toml" in found["a dream"]


def test_a_caffe_that_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "caffe").mkdir()
    (tmp_path / "caffe/__init__.py").write_text("raise ImportError('libcaffe.so.1: cannot open')")
    found = told(run("doctor", env=os.environ | {"PYTHONPATH": str(tmp_path)}), 1)
    assert "libcaffe.so.1: cannot open" in found["instructions"]
    assert "not finished by provision.sh" in found["Caffe"]
    assert "Caffe cannot be loaded (libcaffe.so.1: cannot open): run " in found["a dream"]


def test_no_programs_for_films_and_pictures(tmp_path: Path) -> None:
    for program in ("bash", "git", "python3"):
        if path := shutil.which(program, path="/usr/bin:/bin"):
            (tmp_path / program).symlink_to(path)
    found = told(run("doctor", python=PYTHON, env=os.environ | {"PATH": str(tmp_path)}), 0)
    assert "ffmpeg" in found["films"].partition("missing: ")[0].rpartition(";")[2]
    assert "provision.sh film" in found["films"]
    assert found["pictures"].startswith("HEIC no, AVIF no, JPEG XL no, raw photos no: ")
    assert "provision.sh raw" in found["pictures"]


def test_too_little_address_space_to_start() -> None:
    done = subprocess.run(["bash", "-c", 'ulimit -v 120000; exec "$0" doctor', ROOT / "dreamify.py"],
                          capture_output=True, text=True, check=False,
                          env={name: text for name, text in os.environ.items() if name != "OPENBLAS_CORETYPE"})
    found = told(done, 1)
    assert "ulimit -v: 118 MB" in found["memory"]
    assert "ulimit -v (or -d) is too low to start" in found["model"]
    assert "ulimit -v (or -d) is too low to start: raise it by " in found["a dream"]


def test_nothing_names_a_user(tmp_path: Path) -> None:
    homes = "/ho" "me"  # so that this file names no home either
    assert doctor._anonymous(f"x ({homes}/alice/clone/y), {homes}/bob") == "x (~/clone/y), ~"
    weights = tmp_path / ".weights/x.caffemodel"
    weights.parent.mkdir()
    weights.write_bytes(b"")
    done = run("doctor", env=os.environ | {"HOME": str(tmp_path), "BVLC_GOOGLENET": str(weights)})
    found = told(done, 1)
    assert "~/.weights/x.caffemodel" in found["model"]
    assert str(tmp_path) not in done.stdout


def test_it_is_a_function_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
                              tmp_path: Path) -> None:
    monkeypatch.setenv("BVLC_GOOGLENET", str(tmp_path / "nowhere"))
    with pytest.raises(Failure) as caught:
        dreamify.doctor()
    assert caught.value.args == ()
    assert [line[:14].strip() for line in capsys.readouterr().out.splitlines()] == LABELS


def test_an_output_that_cannot_be_written() -> None:
    for redirection, code in ((">/dev/full", 1), ("| head -n 1", 0), (">&-", 0)):
        done = subprocess.run(["bash", "-c", f'"$0" doctor {redirection}', ROOT / "dreamify.py"], capture_output=True,
                              text=True, check=False)
        assert done.returncode == code, (redirection, done)
        assert "Traceback" not in done.stderr
