"""The list of models: weights are "here" only if they fit."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import tinymodel
from dreamer.machine import files
from dreamer.nets import model
from dreamer.nets.inventory import inventory
from helpers import run


@pytest.fixture
def add(tiny: model.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Function of a name that adds a model with this name to the listed models, and returns its folder."""
    monkeypatch.setattr(model, "MODELS", tmp_path / "models")
    (tmp_path / "models").mkdir()

    def copied(name: str, **replaced: str) -> Path:
        folder = Path(shutil.copytree(tiny.folder, tmp_path / "models" / name))
        text = (folder / "model.toml").read_text()
        for old, new in replaced.items():
            text = re.sub(f"^{old} = .*", f"{old} = {new}" if new else "", text, flags=re.M)
        (folder / "model.toml").write_text(text)
        return folder
    return copied


def where(name: str) -> str:
    """The listed state of a model's weights."""
    [line] = [line for line in inventory() if line.split()[0] == name]
    return line.split(" MB  ")[1]


@pytest.fixture
def another(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights of a net whose first layer has a different number of channels."""
    monkeypatch.setattr(tinymodel, "PROTOTXT", tinymodel.PROTOTXT.replace("num_output: 8 ", "num_output: 9 "))
    return tinymodel.make(tmp_path_factory.mktemp("another") / "model") / "tiny.caffemodel"


def test_weights_that_fit_are_here(add: Callable[..., Path], tiny: model.Model) -> None:
    add("tiny")
    size = tiny.weights_path().stat().st_size
    assert inventory() == [f"tiny  mix/output  {size / 1e6:.1f} MB  here"]


def test_so_are_others_that_fit_though_they_are_not_the_pinned(add: Callable[..., Path], tmp_path: Path) -> None:
    folder = add("tiny")
    shutil.copy(tinymodel.make(tmp_path / "seed", seed=9) / "tiny.caffemodel", folder)
    assert files.sha256(folder / "tiny.caffemodel") not in (folder / "model.toml").read_text()
    assert where("tiny") == "here"
    add("open", weights_size="", weights_sha256="")
    assert where("open") == "here"


@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize("content", ["text", "empty", "cut", "longer", "another"])
def test_what_does_not_fit_is_never_here(add: Callable[..., Path], another: Path, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch, content: str, pinned: bool) -> None:
    """Beside model.toml, under another name, or in the file that a variable names."""
    whole = another.read_bytes()
    unfit = {"text": b"not weights", "empty": b"", "cut": whole[:-9], "longer": whole + b"\xff" * 9, "another": whole}
    replaced = {} if pinned else {"weights_size": "", "weights_sha256": ""}
    (add("beside", **replaced) / "tiny.caffemodel").write_bytes(unfit[content])
    folder = add("renamed", **replaced)
    (folder / "tiny.caffemodel").unlink()
    (folder / "mine.caffemodel").write_bytes(unfit[content])
    add("told", **replaced)
    (tmp_path / "elsewhere.caffemodel").write_bytes(unfit[content])
    monkeypatch.setenv("DREAMER_WEIGHTS_TOLD", str(tmp_path / "elsewhere.caffemodel"))
    for name, file in (("beside", "tiny"), ("renamed", "mine"), ("told", "elsewhere")):
        said = where(name)
        assert not said.startswith("here")
        assert f"{file}.caffemodel" in said
        assert ("does not fit this model" in said) == (content in ("empty", "another"))
        assert ("is not a file of Caffe weights" in said) == (content in ("text", "cut", "longer"))
    assert len(inventory()) == 3


def test_even_if_its_size_is_right(add: Callable[..., Path]) -> None:
    folder = add("tiny")
    size = (folder / "tiny.caffemodel").stat().st_size
    (folder / "tiny.caffemodel").write_bytes(b"\xff" * size)
    assert "is not a file of Caffe weights" in where("tiny")


def test_weights_elsewhere_are_named(add: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = add("tiny")
    path = Path(shutil.move(folder / "tiny.caffemodel", tmp_path / "x.caffemodel"))
    monkeypatch.setenv("DREAMER_WEIGHTS_TINY", str(path))
    assert where("tiny") == f"here: {path}"
    monkeypatch.setenv("DREAMER_WEIGHTS_TINY", str(tmp_path / "gone"))
    assert where("tiny") == f"DREAMER_WEIGHTS_TINY: no such file: {tmp_path}/gone"
    monkeypatch.delenv("DREAMER_WEIGHTS_TINY")
    shutil.move(path, folder / "renamed.caffemodel")
    assert where("tiny") == f"here: {folder}/renamed.caffemodel"


def test_missing_ones_are_told_with_what_to_do(add: Callable[..., Path]) -> None:
    (add("tiny") / "tiny.caffemodel").unlink()
    assert re.fullmatch(r"missing: run \S*provision\.sh model tiny", where("tiny"))


def test_a_model_whose_description_is_wrong_hides_no_other(add: Callable[..., Path]) -> None:
    add("tiny")
    (add("broken") / "model.toml").write_text("mean = 7")
    broken, tiny = inventory()
    assert broken.startswith("broken ")
    assert "model.toml" in broken
    assert tiny.endswith(" here")


def test_the_command_lists_the_models_of_this_repository() -> None:
    lines = run("models").stdout.splitlines()
    assert [line.split()[0] for line in lines] == model.names()
    assert next(line for line in lines if line.startswith("daydream")).endswith("comes with this repository")
