"""The command line, run as a user runs it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

import dreamify
import tinymodel
from containers import checkout
from dreamer import __version__
from dreamer.nets import model
from dreamer.nets.model import Model
from dreamer.pictures.recipe import read_recipe
from helpers import ROOT, Word, run

Dream: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]  # called with words and options


@pytest.fixture
def dream(tiny: Model, sky: Path, tmp_path: Path) -> Dream:
    """Function that dreams the sample photo with the tiny model; the output is tmp_path/dream.png."""
    def call(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
        return run(sky, tmp_path / "dream.png", *words, "--model", tiny.folder, **options)
    return call


def test_keys_lists_the_layers_one_a_line() -> None:
    done = run("keys", "--model", "daydream")
    assert done.returncode == 0
    assert done.stdout.splitlines() == model.find("daydream").keys


def test_keys_of_googlenet_are_81(googlenet: Model) -> None:
    assert run("keys").stdout.splitlines() == googlenet.keys
    assert len(googlenet.keys) == 81


def test_a_clean_clone_without_any_weights_dreams_at_once(sky: Path, tmp_path: Path) -> None:
    clone = checkout(tmp_path / "clone")
    without = {name: value for name, value in os.environ.items() if name != "BVLC_GOOGLENET"}
    done = subprocess.run([clone / "dreamify.py", sky, tmp_path / "dream.png", "inception_4c/output", "2", "2"],
                          capture_output=True, text=True, check=False, env=without)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "daydream" in done.stderr
    assert read_recipe(tmp_path / "dream.png")["model"] == "daydream"
    gone = subprocess.run([clone / "dreamify.py", sky, tmp_path / "no.png", "loss3/classifier"],
                          capture_output=True, text=True, check=False, env=without)
    assert gone.returncode == 2
    assert "daydream has no layer 'loss3/classifier'" in gone.stderr
    assert not (tmp_path / "no.png").exists()


def test_a_dream_shows_the_layers_and_each_step(dream: Dream,
                                                tmp_path: Path) -> None:
    done = dream("mix/3x3", 2, 3, 1.5)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # Caffe's log is silent
    lines = done.stdout.splitlines()
    assert all(name in lines[0] for name in tinymodel.KEYS)
    assert re.fullmatch(r"720×480 pixels, 3 octaves, seed \d+, [\d.]+ [MG]B of memory, \d+ threads?", lines[1])
    steps = [line for line in lines if line.startswith("octave")]
    assert len(steps) == 6
    assert re.fullmatch(r"octave 1/3 +iteration 1/2 +mix/3x3 +320×213(  \d+ (s|min) to go)?", steps[0])
    assert re.fullmatch(r"octave 3/3 +iteration 2/2 +mix/3x3 +720×480(  \d+ (s|min) to go)?", steps[-1])
    assert (tmp_path / "dream.png").stat().st_size > 10_000


def test_quiet_says_nothing(dream: Dream, tmp_path: Path) -> None:
    done = dream("mix/output", 1, 1, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "dream.png").exists()


def test_every_option_reaches_the_dream(dream: Dream, tmp_path: Path) -> None:
    seen = set()
    for words in ((), ("--seed", 3), ("--step-size", 3), ("--jitter", 3), ("--no-clip", "--step-size", 90),
                  ("--step-size", 90)):
        assert dream("mix/output", 1, 2, *words).returncode == 0
        seen.add((tmp_path / "dream.png").read_bytes())
    assert len(seen) == 6


def test_the_log_of_caffe_is_there_for_the_asking(dream: Dream) -> None:
    done = dream("conv1", 1, 1, env=os.environ | {"GLOG_minloglevel": "0", "GLOG_logtostderr": "1"})
    assert "net.cpp" in done.stderr


def test_all_that_is_wrong_is_told_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    done = run("nosuch.jpg", tmp_path / "out.xyz", "inception_9z/output", "ten", 0, 1, "--seed", -1, "--jitter", "x",
               "--step-size", "nan", "--memory", "lots", "--threads", "0", "--weights", "nowhere", "--bogus")
    assert done.returncode == 2
    assert done.stdout == ""
    for word in ("nosuch.jpg", "out.xyz", "inception_9z/output", "'ten'", "octaves", "scale", "seed", "jitter",
                 "step-size", "'lots'", "threads", "nowhere", "--bogus"):
        assert word in done.stderr, word
    assert all(line.startswith("dreamify: ") for line in done.stderr.splitlines())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["only.jpg"], ["a.jpg", "b.png", "c", "1", "1", "2", "more"], ["--seed"],
                                   ["keys", "more"], ["a.jpg", "b.png", "--model", "nosuch"]])
def test_wrong_use_is_exit_2_without_a_traceback(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("dreamify: ")


def test_an_unknown_layer_is_told_before_caffe_is_loaded(tiny: Model, sky: Path, tmp_path: Path) -> None:
    (tmp_path / "caffe").mkdir()
    (tmp_path / "caffe/__init__.py").write_text("raise SystemExit('caffe was loaded')")
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = run(sky, tmp_path / "dream.png", "mix/outputs", "--model", tiny.folder, env=env)
    assert done.returncode == 2
    assert "mix/output" in done.stderr
    assert "caffe was loaded" not in done.stderr
# here Caffe is loaded, so the trap works
    assert "caffe was loaded" in run(sky, tmp_path / "dream.png", "--model", tiny.folder, env=env).stderr


def test_an_alias_is_taken_with_a_warning(dream: Dream) -> None:
    done = dream("mix/all", 1, 1)
    assert done.returncode == 0
    assert re.fullmatch(r"dreamify: warning: .*mix/all.*mix/output.*\n", done.stderr)


def test_weights_of_another_net_are_told(dream: Dream,
                                         tmp_path: Path) -> None:
    (tmp_path / "w.caffemodel").write_bytes(b"not a weights")
    done = dream("--weights", tmp_path / "w.caffemodel")
    assert done.returncode == 2
    assert "w.caffemodel" in done.stderr


def test_octaves_that_would_be_too_small_are_left_out(dream: Dream,
                                                      tmp_path: Path) -> None:
    done = dream("mix/output", 1, 40)
    assert done.returncode == 0
    assert re.search(r"warning: only \d+ of 40 octaves", done.stderr)
    assert (tmp_path / "dream.png").exists()


def test_a_picture_too_small_for_any_octave_is_told(googlenet: Model, tmp_path: Path) -> None:
    from PIL import Image
    Image.new("RGB", (14, 200)).save(tmp_path / "a.png")
    done = run(tmp_path / "a.png", tmp_path / "b.png")
    assert done.returncode == 2
    assert "needs at least 15 pixels" in done.stderr


def test_help_tells_every_default() -> None:
    text = " ".join(run("--help").stdout.split())
    for name in ("iterations", "scale", "step_size", "jitter"):
        assert f"(default: {dreamify.DEFAULTS[name]})" in text, name
    assert re.search(rf"\(default: {dreamify.DEFAULTS['octaves']};[^)]* 1\.5 megapixels[^)]* 375 pixels\)", text)
    assert "(default: bvlc_googlenet, or daydream if bvlc_googlenet has no weights)" in text


def test_without_arguments_a_short_text_says_how_to_begin() -> None:
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == run("--help").stdout.splitlines()[0]  # the usage
    assert len(lines) <= 24  # they fit in a terminal
    assert max(map(len, lines)) <= 100
    for word in ("photo.jpg dream.png", "*.jpg dreams/", "--zoom", "keys --looks", "--help", "README.md"):
        assert word in done.stdout


def test_version() -> None:
    assert run("--version").stdout == f"image-dreamer {__version__}\n"


def test_another_python_is_told_which_to_use(tmp_path: Path) -> None:
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    done = run("keys", python=tmp_path / "venv/bin/python")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert re.search(r"/usr/bin/python3 \S*dreamify\.py$", done.stderr)


def test_the_script_finds_its_python_whatever_comes_first_in_path(tmp_path: Path) -> None:
    (tmp_path / "python3").write_text("#!/bin/sh\necho the wrong python; exit 3\n")
    (tmp_path / "python3").chmod(0o755)
    shutil.copy(tmp_path / "python3", tmp_path / "python")
    assert run("keys", env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}).returncode == 0


def test_the_classic_and_the_posts_second_example_on_the_real_net(googlenet: Model, sky: Path, tmp_path: Path) -> None:
    from PIL import Image
    for layer, words in (("inception_4c/output", []), ("inception_3b/output", ["inception_3c/output"])):
        done = run(sky, tmp_path / "dream.png", *(words or [layer]), 1, 2)
        assert done.returncode == 0
        assert layer in done.stdout.splitlines()[-2]
        assert Image.open(tmp_path / "dream.png").size == (720, 480)
    assert "inception_3b/output" in done.stderr


def test_the_module_can_be_imported_as_it_is(tiny: Model, sky: Path) -> None:
    code = ("import sys; sys.path.insert(0, sys.argv[1])\n"
            "import numpy as np, dreamify\nfrom dreamer.nets import model\nfrom dreamer.nets.net import Net\n"
            "net = Net(model.find(sys.argv[2]), 'conv1')\n"
            "out = dreamify.deepdream(net, np.zeros((50, 60, 3)), iterations=1, octaves=1)\n"
            "print(out.shape, out.dtype)")
    done = subprocess.run([sys.executable, "-c", code, ROOT, tiny.folder], capture_output=True, text=True, check=True)
    assert done.stdout == "(50, 60, 3) float32\n"


@pytest.mark.parametrize("words", [["keys"], ["models"], ["--help"], ["--version"]])
def test_results_that_nobody_reads_or_that_cannot_be_written(words: list[str]) -> None:
    command: list[Word] = [ROOT / "dreamify.py", *words, *(["--model", "daydream"] if words == ["keys"] else [])]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (
            1, "dreamify: standard output could not be written: No space left on device\n")
        assert subprocess.run([ROOT / "dreamify.py", "no.jpg", "a.png"], stderr=full, check=False).returncode == 2


def test_a_folder_that_was_removed(tmp_path: Path) -> None:
    command: list[Word] = ["sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh",
                           ROOT / "dreamify.py", "a", "b"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "dreamify: the current folder was removed; change to another folder\n"


def test_keys_describes(tiny: Model) -> None:
    lines = run("keys", "--describe", "--model", "daydream").stdout.splitlines()
    daydream = model.find("daydream")
    assert [line.split("  ")[0] for line in lines] == daydream.keys
    likes = daydream.likes()
    assert all(line.endswith("  " + likes[name]) for line, name in zip(lines, daydream.keys, strict=True))
# no file describes these layers
    assert run("keys", "--describe", "--model", tiny.folder).stdout.splitlines() == tinymodel.KEYS


def test_the_help_of_each_command_is_about_itself_alone() -> None:
    told = {word: " ".join(run(word, "--help").stdout.split()) for word in ("atlas", "keys", "models", "recipe")}
    assert "usage: dreamify.py atlas [options] INPUT OUTPUT [LAYER [ITERATIONS [OCTAVES [SCALE]]]]" in told["atlas"]
    for word in (".html", "(default: all layers)", "atlas (default: 0)"):
        assert word in told["atlas"]
    for word in ("folder of pictures", "frame-", "default: random", "standard input", "see below"):
        assert word not in told["atlas"]
# no option shows two defaults
    assert told["atlas"].count("(default:") == told["atlas"].replace(") (default:", "").count("(default:")
    assert "usage: dreamify.py recipe [options] FILE" in told["recipe"]
    assert "INPUT" not in told["keys"] + told["models"] + told["recipe"]
    assert "--rotate DEGREES clockwise turn of the zoom in each frame (default: 0.0)" in " ".join(
        run("--help").stdout.split())


def test_one_of_a_thing_is_one(sky: Path, tiny: Model, tmp_path: Path) -> None:
    done = run(sky, tmp_path / "a.png", "mix/output", 1, 1, "--threads", 1, "--model", tiny.folder)
    assert re.search(r"1 octave, .* 1 thread$", done.stdout, re.M)


@pytest.mark.parametrize("path", [".\\dream.png", "C:\\x\\dream.png"])
def test_a_path_of_windows_makes_no_file(sky: Path, tiny: Model, tmp_path: Path, path: str) -> None:
    for words in ((sky, path), (path, "dream.png"), (sky, "dream.png", "--preview", path), (tmp_path, path)):
        done = run(*words, "--model", tiny.folder, cwd=tmp_path)
        assert done.returncode == 2
        assert "dream.png" in done.stderr
        assert not list(tmp_path.iterdir())


def test_a_video_alone_is_asked_for_a_film(tmp_path: Path) -> None:
    (tmp_path / "base.mp4").touch()
    done = run("base.mp4", cwd=tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(r"dreamify: output: base.mp4 is a video; name a film for its dream \(\.gif .*\.mp4 .*\)\n",
                        done.stderr)


@pytest.mark.parametrize(("wish", "warned"), [("avx3", True), ("baseline", False), ("", False)])
def test_instructions_that_do_not_exist_are_told(sky: Path, tiny: Model, tmp_path: Path, wish: str,
                                                 warned: bool) -> None:
    done = run(sky, tmp_path / "a.png", "mix/output", 1, 1, "--model", tiny.folder,
               env=os.environ | {"NATIVE_ISA": wish})
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if "NATIVE_ISA" in line] == done.stderr.splitlines()
    assert ("NATIVE_ISA=avx3 is ignored" in done.stderr) == warned


def test_a_place_for_reservations_that_is_none_ends_no_dream(sky: Path, tiny: Model, tmp_path: Path) -> None:
    """Then each dream plans its memory alone."""
    words = (sky, tmp_path / "a.png", "mix/output", 1, 1, "--model", tiny.folder)
    place = tmp_path / "run"
    place.mkdir()
    assert run(*words, env=os.environ | {"XDG_RUNTIME_DIR": str(place)}).returncode == 0
    [folder] = place.iterdir()
    (folder / "planning").unlink()
    (folder / "planning").mkdir()
    done = run(*words, env=os.environ | {"XDG_RUNTIME_DIR": str(place)})
    assert (done.returncode, done.stderr) == (0, "")


def test_a_preview_does_not_take_the_place_of_a_picture_of_the_folder(sky: Path, tiny: Model, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(sky, tmp_path / "in" / name)
    done = run(tmp_path / "in", tmp_path / "out", "mix/output", 1, 1, "--model", tiny.folder, "--preview",
               tmp_path / "in/b.png")
    assert done.returncode == 2
    assert "b.png is one of the pictures in" in done.stderr
    assert (tmp_path / "in/b.png").read_bytes() == sky.read_bytes()


def test_numpys_numbers_are_numbers(sky: Path, tiny: Model, tmp_path: Path) -> None:
    numbers: list[Any] = [np.int64(1), np.int32(1), np.float32(1.5)]
    seed: Any = np.uint32(3)
    dreamify.dreamify(sky, tmp_path / "a.png", "mix/output", *numbers, seed=seed, model=tiny.folder, quiet=True)
    assert read_recipe(tmp_path / "a.png")["scale"] == 1.5


def test_a_rate_that_is_next_to_nothing_is_told_before_the_work(sky: Path, tiny: Model, tmp_path: Path) -> None:
    done = run(sky, tmp_path / "a.gif", "--zoom", 2, "--fps", 0.0001, "--model", tiny.folder)
    assert done.returncode == 2
    assert done.stderr.startswith("dreamify: fps: ")
