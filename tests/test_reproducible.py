"""--reproducible: the same bytes on every machine."""

import ast
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import dreamify
from dreamer.nets import net
from dreamer.nets.model import Model
from dreamer.pictures.recipe import read_recipe
from helpers import PYTHON, ROOT, Word, run

MACHINES = [  # other machines, as far as one can imitate them: instructions, cores, memory and BLAS
    {"NATIVE_ISA": "avx512", "OPENBLAS_CORETYPE": "SkylakeX", "words": ["--threads", "1"]},
    {"NATIVE_ISA": "avx2", "OPENBLAS_CORETYPE": "Haswell", "words": ["--threads", "2"]},
    {"NATIVE_ISA": "avx2", "OPENBLAS_CORETYPE": "Zen", "words": ["--threads", "5"]},
    {"OPENBLAS_CORETYPE": "Nehalem", "words": ["--memory", "600m"]},
]


def dream(sky: Path, output: Path, machine: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    machine = dict(machine)
    words: list[Word] = [sky, output, "inception_4c/output", "2", "2", "--max-size", "300", "--seed", "5",
                         "--reproducible"]
    return subprocess.run([ROOT / "dreamify.py", *words, *machine.pop("words")], env=os.environ | machine,
                          capture_output=True, text=True)


def test_every_machine_gives_the_same_bytes(sky: Path, tmp_path: Path) -> None:
    made = []
    for number, machine in enumerate(MACHINES):
        output = tmp_path / f"{number}.png"
        done = dream(sky, output, machine)
        assert done.returncode == 0, done.stderr
        made.append(output.read_bytes())
    assert set(made) == {made[0]}
    assert read_recipe(tmp_path / "0.png")["reproducible"] is True


def test_no_dream_is_computed_with_openblas() -> None:
    """Its sums have another order on other processors, and the last bits of a dream grow into other pictures. What
    reads and writes pictures may use it: it rounds the results to whole numbers."""
    uses = {"linalg", "dot", "vdot", "inner", "matmul", "tensordot", "einsum", "cov", "corrcoef"}
    names = ("films/camera", "films/sequence", "films/flow", "pictures/mask", "pictures/finish", "pictures/lightness")
    for path in [ROOT / "dreamify.py", *ROOT.glob("dreamer/*.py"), *ROOT.glob("dreamer/nets/*.py"),
                 *(ROOT / f"dreamer/{name}.py" for name in names)]:
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(getattr(node, "op", None), ast.MatMult), path
            assert not isinstance(node, ast.Attribute) or node.attr not in uses, (path, node.attr)


def test_a_machine_that_rounds_otherwise_says_so(sky: Path, tmp_path: Path) -> None:
    done = dream(sky, tmp_path / "dream.png", {"NATIVE_ISA": "baseline", "words": []})
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if "using daydream" not in line]  # without the weights
    assert len(told) == 1
    assert "AVX2" in told[0]
    assert not list(tmp_path.iterdir())


def test_it_says_so_before_the_weights_are_read(tiny: Model, small: Path, tmp_path: Path) -> None:
    """Even if they are damaged."""
    weights = tmp_path / "bad.caffemodel"
    weights.write_bytes(b"not a weights")
    code = (f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom dreamer.errors import Failure\n"
            "from dreamer.nets import model\nfrom dreamer.nets.net import Net\n"
            f"try: Net(model.find({str(tiny.folder)!r}), 'conv1', {str(weights)!r}, reproducible=True)\n"
            "except Failure as error: print(error)")
    environment = os.environ | {"NATIVE_ISA": "baseline"}
    done = subprocess.run([PYTHON, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "AVX2" in done.stdout
    done = run(small, tmp_path / "dream.png", "conv1", 1, 1, "--model", tiny.folder, "--weights", weights,
               "--reproducible", env=environment)
    assert done.returncode == 1
    assert "AVX2" in done.stderr


def test_memory_does_not_decide_the_tiles(googlenet: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net, "TILE", 300 * 300)
    plans = []
    for megabytes in (300, 5000):
        made = net.Net(googlenet, "inception_4c/output", reproducible=True)
# relative to base, because this process may still hold memory of other tests
        made.budget.memory = made.budget.base + (megabytes << 20)
        made.budget.fit(480, 720)
        made.resize(480, 720)
        plans.append(made.windows)
    assert plans[0] == plans[1]
    assert len(plans[0][0]) * len(plans[0][1]) > 1


def test_like_takes_it_over(sky: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    small = tmp_path / "small.png"
    Image.open(sky).resize((120, 90)).save(small)
    assert run(small, first, "inception_3b/output", "1", "1", "--reproducible").returncode == 0
    assert run(small, second, "--like", first).returncode == 0
    assert read_recipe(second)["reproducible"] is True
    assert first.read_bytes() == second.read_bytes()
    assert dreamify.recipe(str(first)) == read_recipe(second)
