"""The benchmarks' own arithmetic and parsing, that they see what is wrong, and that each of their scripts starts."""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import randomweights
import tinymodel
from dreamer.nets import binding, prototxt, shapes
from dreamer.nets.model import Model
from helpers import PYTHON, ROOT, made, pixels

BENCH = ROOT / "tests/bench"
sys.path.append(str(BENCH))
import engines  # noqa: E402
import farm_model  # noqa: E402
import peers  # noqa: E402
import rates  # noqa: E402
import speed  # noqa: E402

CPU = """processor\t: 0
cpu family\t: 6
model\t\t: 207
model name\t: A Processor @ 3 GHz
stepping\t: 2
flags\t\t: fpu pni sse4_2 avx avx2 fma avx512f avx512dq avx512bw avx512vl avx512cd
"""


@pytest.mark.parametrize("size", [(224, 224), (97, 130)])
def test_the_work_of_a_step_is_what_loops_count(described: Model, size: tuple[int, int]) -> None:
    """Loops over the tiles of each convolution, and Caffe's own sizes of blobs and weights."""
    layers = shapes.cut(described.net, [speed.END])
    net = binding.load(layers)
    net.blobs["data"].reshape(1, 3, *size)
    net.reshape()
    direct = real = 0
    for layer in layers:
        if prototxt.value(layer, "type") == "Convolution":
            name, bottom = prototxt.value(layer, "name"), prototxt.value(layer, "bottom")
            outputs, inputs, kernel = net.params[name][0].data.shape[:3]
            height, width = net.blobs[name].shape[2:]
            direct += 4 * outputs * inputs * kernel * kernel * height * width
            if name == "conv1/7x7_s2":  # a 4×4 of four phases, and back
                inputs, kernel = 12, 4
                assert [-(-side // 2) for side in net.blobs[bottom].shape[2:]] == [height, width]
            if kernel == 1:
                real += 4 * outputs * inputs * height * width
            for _ in range(0, height if kernel > 1 else 0, 7 - kernel):
                for _ in range(0, width, 7 - kernel):
                    real += 4 * outputs * inputs * 36
    assert speed.work(size) == (direct, real)


def test_the_work_at_1080p_is_what_was_counted_by_hand(described: Model) -> None:
    assert [round(flop / 1e9) for flop in speed.work((1080, 1920))] == [193, 79]


def test_a_processor_is_named_and_its_core_types_are_found() -> None:
    assert rates.processor(CPU) == "A Processor @ 3 GHz (family 6/207/2)"
    assert rates.core_types(rates.flags(CPU), "x86_64") == [
        "Prescott", "Nehalem", "Sandybridge", "Haswell", "Zen", "SkylakeX"]
    assert rates.core_types({"pni"}, "x86_64") == ["Prescott"]
    assert rates.core_types(rates.flags("Features\t: fp asimd sve\n"), "aarch64") == [
        "ARMV8", "NEOVERSEN1", "NEOVERSEV1"]
    assert rates.core_types(rates.flags("strange"), "strange") == []


def test_core_types_that_crash_or_do_not_take_are_left_out() -> None:
    assert rates.chosen("OpenBLAS : x\nCore: SkylakeX\n") == "SkylakeX"
    assert rates.chosen("") == ""
    assert rates.taken({"Haswell": (200.0, "Haswell"), "SkylakeX": (340.0, "SKYLAKEX"), "Zen": (199.0, "Haswell"),
                        "Cooperlake": (0.0, "")}) == {"Haswell": 200.0, "SkylakeX": 340.0}


def test_the_environment_pins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("NATIVE_ISA", "avx2")
    found = rates.environment(3)
    assert not {"OPENBLAS_CORETYPE", "NATIVE_ISA"} & set(found)
    assert found["OMP_NUM_THREADS"] == found["OPENBLAS_NUM_THREADS"] == "3"
    assert rates.environment(3, "Zen")["OPENBLAS_CORETYPE"] == "Zen"


def test_a_product_is_measured_and_a_failed_one_is_none() -> None:
    rate, _ = rates.sgemm(PYTHON, 1)
    assert rate > 0
    assert rates.sgemm("/bin/false", 1) == (0.0, "")


def test_the_peak_is_measured_if_there_is_a_compiler() -> None:
    assert rates.fma_peak(1, "no such compiler") == (0.0, "")
    if not shutil.which("cc"):
        pytest.skip("no compiler: ./provision.sh toolchain")
    rate, name = rates.fma_peak(1)
    assert rate > 0
    assert name


@pytest.mark.parametrize("name", [name for name, (needs, *_) in rates.VECTORS.get(os.uname().machine, {}).items()
                                  if needs != "sse2"])
def test_the_peaks_loop_is_multiply_adds_of_registers(name: str) -> None:
    """One for each sum: loads, stores and other arithmetic would be measured too."""
    if not shutil.which("cc"):
        pytest.skip("no compiler: ./provision.sh toolchain")
    _, options, size, chains = rates.VECTORS[os.uname().machine][name]
    code = made(["cc", *rates.FAST, *options, f"-DBYTES={size}", f"-DCHAINS={chains}", "-S", "-o", "-",
                 BENCH / "peak.c"]).stdout
    fused = [line for line in code.splitlines() if re.search(r"vfmadd\d+ps|fmla", line)]
    assert len(fused) == chains
    assert not [line for line in fused if "(" in line]  # an operand in memory


def test_what_else_runs_is_seen() -> None:
    before = "cpu  100 0 50 1000 10 0 5 5 0 0\ncpu0 1 2 3\n"
    assert rates.busy(before, "cpu  100 0 50 1200 10 0 5 5 0 0\n") == 0
    assert rates.busy(before, "cpu  140 0 55 1140 20 0 10 5 0 0\n") == pytest.approx(50 / 200)


def test_another_core_type_must_save_a_twentieth() -> None:
    assert speed.fastest({"": 100.0, "Haswell": 96.0, "Zen": 99.0}) == ""
    assert speed.fastest({"": 100.0, "Haswell": 60.0, "Zen": 50.0, "SkylakeX": float("inf")}) == "Zen"


def test_an_engine_that_dies_has_no_time() -> None:
    assert speed.trial(lambda kind, core_type: speed.Engine(kind, "/bin/false", 1, core_type), "stock", "Zen") == \
        float("inf")


def test_only_peers_get_a_core_type() -> None:
    def make(kind: str, core_type: str) -> speed.Engine:
        return speed.Engine(kind, "/bin/false", 1, core_type)
    assert speed.core_types(make, ["stock", "ours", "tuned"], ["Zen"]) == {"stock": "", "ours": "", "tuned": ""}


@pytest.fixture(scope="module")
def measured(described: Model, tmp_path_factory: pytest.TempPathFactory) -> argparse.Namespace:
    """The options of a run with random weights, on the Caffe that this Python finds."""
    import caffe
    folder = tmp_path_factory.mktemp("bench")
    weights = randomweights.make(described, folder / "random.caffemodel", ends=(speed.END,))
    return argparse.Namespace(ours=str(Path(caffe.__file__).parents[2]), python=sys.executable, threads=1, stock=None,
                              weights=str(weights), torch=None, openvino=None, tensorflow=None, folder=folder)


def test_engines_take_turns_and_agree(measured: argparse.Namespace, tmp_path: Path,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    speed.save_arrays(measured, tmp_path / "weights.npz")
    assert len(engines.loaded(str(tmp_path / "weights.npz"))["inception_3a/5x5"]) == 2
    rows, rate = speed.measure(speed.maker(measured, ""), {"ours": "", "forward": ""}, (64, 80), 1, tmp_path)
    assert [row.kind for row in rows] == ["ours", "forward"]
    assert rows[0].off == 0
    assert rows[1].off is None
    assert min(rate, *(row.ms for row in rows), *(row.mb for row in rows)) > 0
    speed.show(rows, (64, 80), rate, 100.0)
    assert "80×64" in capsys.readouterr().out


def test_an_engine_that_computes_something_else_ends_the_run(measured: argparse.Namespace, tmp_path: Path,
                                                             described: Model) -> None:
    other = argparse.Namespace(**vars(measured) | {"weights": str(randomweights.make(
        described, tmp_path / "other.caffemodel", seed=1, ends=(speed.END,)))})
    makers = {"ours": speed.maker(measured, ""), "forward": speed.maker(other, "")}
    with pytest.raises(SystemExit, match="computes something else"):
        speed.measure(lambda kind, core_type: makers[kind](kind, core_type), {"ours": "", "forward": ""}, (64, 80), 1,
                      tmp_path)


def test_dreams_are_timed_and_a_failure_is_told(measured: argparse.Namespace, tmp_path: Path) -> None:
    found = peers.ways(measured, "", (1, 2, 1.4))
    took = peers.dreams(found, (64, 80), 1, tmp_path)
    assert list(took) == ["ours", "Google's notebook on our Caffe"]
    assert min(each.seconds for each in took.values()) > 0
    assert all(each.mb > 50 for each in took.values())
    nobody = peers.Whole("nobody", ["sh", "-c", "echo sad >&2; exit 3"], {"PATH": os.environ["PATH"]})
    with pytest.raises(SystemExit, match="nobody failed: sad"):
        peers.once(nobody, tmp_path, tmp_path / "out")


def test_the_notebooks_dream_is_one(measured: argparse.Namespace, tmp_path: Path) -> None:
    source, to = peers.photo((64, 80), tmp_path), tmp_path / "dream.png"
    [_, notebook] = peers.ways(measured, "", (2, 2, 1.4))
    done = subprocess.run([word.format(input=source, output=to) for word in notebook.command], check=False,
                          capture_output=True, text=True, env=notebook.environment)
    assert done.returncode == 0, done.stderr
    before, after = pixels(source).astype(float), pixels(to).astype(float)
    assert before.shape == after.shape
    assert 0.5 < np.abs(after - before).mean() < 60


def test_the_tables_have_the_ratios() -> None:
    rows = [speed.Row("ours", 20.0, 1, 0.0), speed.Row("forward", 8.0, 1, None), speed.Row("tuned", 50.0, 1, 0.0),
            speed.Row("bound", 30.0, 1, None), speed.Row("openvino", 10.0, 1, None)]
    direct, real = speed.work((224, 224))
    lines = peers.step_table({(224, 224): rows, (112, 112): [rows[0]._replace(ms=7.0), rows[1]]}, 400.0, 500.0)
    assert lines[2] == ("| 224×224 | 20.0 ms | 8.0 ms | 50.0 ms: 2.50× | 30.0 ms: 1.50× | 10.0 ms: 1.25× | "
                        f"{direct / 20e6 / 400:.0%} | {real / 20e6 / 500:.0%} |")
    assert lines[3].startswith("| 112×112 | 7.0 ms | 8.0 ms |  |  |  | ")
    assert lines[-1] == "A step of 112×112 takes 1.40 times a quarter of one of 224×224."
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert peers.dream_table({(90, 160): {"ours": peers.Taken(2, 99.6), "theirs": peers.Taken(5, 300)}}) == [
        "| Picture | ours | theirs |", "|---|---|---|", "| 160×90 | 2.0 s, 100 MB | 5.0 s: 2.50×, 300 MB |"]


def test_a_dreams_memory_is_that_of_its_largest_process(tmp_path: Path) -> None:
    """Ours dreams in a child. The test's own process, which is large by now, would be counted; a small one measures."""
    use = "x = bytearray(300 << 20); x[::4096] = b'x' * (len(x) >> 12); open('{output}', 'w')"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {use!r}])"
    measure = (f"import pathlib, sys; sys.path.append({str(BENCH)!r}); import peers; way = peers.Whole('child', "
               f"[{PYTHON!r}, '-c', {script!r}], {{}}); print(peers.once(way, '', pathlib.Path(sys.argv[1])).mb)")
    assert 300 <= float(made([PYTHON, "-c", measure, tmp_path / "out"]).stdout) < 400


@pytest.mark.slow
def test_what_a_farm_costs() -> None:
    """It runs, for two tiny dreams, and says how long they took."""
    pytest.importorskip("distributed", reason="no python3-distributed: ./provision.sh farm")
    words = ["--rounds", "1", "--pictures", "2", "--size", "96x64", "--iterations", "1", "--octaves", "1", "--model",
             "daydream"]
    lines = made([BENCH / "farm.py", *words]).stdout.splitlines()
    assert lines[0].startswith("2 pictures of 96×64, ")
    assert [re.sub(r"[\d.]+", "N", line).strip() for line in lines[1:]] == [
        "without a farm N s", "--farm local N s: N times as long", "one worker N s",
        "two workers N s: N times as fast as one"]


@pytest.mark.parametrize("name", ["speed.py", "peers.py", "rates.py"])
def test_a_script_starts(name: str) -> None:
    assert "tests/bench/" in made([BENCH / name, "--help"]).stdout


# a library that stands before OpenBLAS: who asks it for a matrix product dies
TRAP = "#include <stdlib.h>\n" + "".join(f"void {name}(void) {{ abort(); }}\n" for name in (
    "cblas_sgemm", "cblas_dgemm", "cblas_sgemv", "cblas_ssyrk", "sgemm_", "dgemm_", "sgemv_"))


@pytest.mark.parametrize("options", [[], ["--guide", "guide.png"]], ids=["dream", "guide"])
def test_a_dream_has_no_matrix_product_of_openblas(tiny: Model, tmp_path: Path, options: list[str]) -> None:
    """Which would be slow on processors that OpenBLAS does not know."""
    if not shutil.which("cc"):
        pytest.skip("no compiler: ./provision.sh toolchain")
    (tmp_path / "trap.c").write_text(TRAP)
    made(["cc", "-shared", "-fPIC", "-o", tmp_path / "trap.so", tmp_path / "trap.c"])
    trapped = os.environ | {"LD_PRELOAD": str(tmp_path / "trap.so")}
    product = "import numpy; a = numpy.ones((9, 8), numpy.float32); a @ numpy.ones((8, 7), numpy.float32)"
    assert subprocess.run([PYTHON, "-c", product], env=trapped, check=False, capture_output=True).returncode < 0
    for name in ("photo.png", "guide.png"):
        Image.fromarray(np.random.RandomState(1).randint(0, 256, (61, 70, 3)).astype(np.uint8)).save(tmp_path / name)
    done = subprocess.run([PYTHON, ROOT / "dreamify.py", "photo.png", "dream.png", tinymodel.KEYS[-1], "2", "1",
                           "--model", tiny.folder, *options], env=trapped, cwd=tmp_path, check=False,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_model_of_a_farm() -> None:
    """Against sums: workers share the units, the link bounds what travels, and no slow worker holds up the end."""
    free, near = farm_model.Costs(5, 0, 0), pytest.approx
    assert farm_model.folder(10, free, [1.0], 1e9) == near(50, abs=0.1)
    assert farm_model.folder(8, free, [1.0] * 4, 1e9) == near(10, abs=0.1)
    assert farm_model.folder(9, free, [1.0] * 4, 1e9) == near(15, abs=0.1)
    assert farm_model.folder(8, free, [1.0, 1.0, 1.0, 0.01], 1e9) < 30  # alone, it would need 500 for its first
    assert farm_model.folder(100, farm_model.Costs(0.1, 1e6, 0), [1.0] * 10, 1e6) == near(100, abs=1)
    assert farm_model.folder(100, farm_model.Costs(0.1, 0, 1e6), [1.0] * 10, 1e6) == near(100, abs=1)
    giant = farm_model.Giant(1e7)
    assert giant.count * (giant.costs.there / farm_model.BYTES) > 1e7  # the halos
    assert giant.central(1, 1e12) == near(1, abs=0.05)
    assert giant.central(2, 1e6) < 0.02  # the link is the bound
    assert giant.owned(1, 1e12)[0] > 0.9
    assert giant.owned(2, 1e8)[1] < giant.owned(2, 1e8)[0]  # the picture travels
    large = farm_model.Giant(1e8)
    assert large.central(10, 1e12, most=5) < 0.6 * large.central(10, 1e12)  # half of the workers have nothing to do
    free = farm_model.Costs(1, 0, 0)
    assert farm_model.in_order(100, free, 10, 1e9, 20) == near(10, abs=1.5)
    assert farm_model.in_order(10, free, 10, 1e9, 1) == near(10, abs=1)  # one at a time
    assert giant.owned(2, 1e7)[1] > giant.central(2, 1e7)  # less travels
    assert farm_model.efficiency(1000, farm_model.Costs(5, 1e6, 1e6), [1.0] * 10, 1e8) > 0.9
