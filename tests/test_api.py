"""The command line and the importable functions agree."""

import inspect
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dreamify
from dreamer.errors import Mistake
from dreamer.nets.model import Model
from dreamer.options.sizes import USUAL
from dreamer.options.texts import OPTIONS
from dreamer.options.understand import understand
from dreamer.options.understood import Understood
from helpers import ROOT, run

FUNCTIONS = [dreamify.dreamify, *dreamify.COMMANDS.values()]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_arguments_options_and_defaults_are_those_of_the_signature(function: Callable[..., Any]) -> None:
    actions = {action.dest: action for action in dreamify.parser(function)._actions
               if action.dest not in ("help", "version")}
    signature = inspect.signature(function).parameters
    assert list(actions) == list(signature)
    for name, parameter in signature.items():
        assert actions[name].default == (None if parameter.default is parameter.empty else parameter.default), name
        assert bool(actions[name].option_strings) == (parameter.kind is parameter.KEYWORD_ONLY), name


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_the_help_names_them(function: Callable[..., Any]) -> None:
    words = ["--help"] if function is dreamify.dreamify else [function.__name__, "--help"]
    text = run(*words).stdout
    named = {word.replace("-", "_") for word in re.findall(r"^ +(?:-h, )?--([\w-]+)", text, re.M)} - {"help", "version"}
    assert named == {name for name, parameter in inspect.signature(function).parameters.items()
                     if parameter.kind is parameter.KEYWORD_ONLY}


def test_what_the_algorithm_has_too_has_its_defaults() -> None:
    ours, algorithms = (inspect.signature(f).parameters for f in (dreamify.dreamify, dreamify.deepdream))
    both = [name for name in ours if name in algorithms and name != "seed"]  # random by default
    assert {"iterations", "octaves", "scale", "step_size", "jitter"} <= set(both)
    assert ours["octaves"].default is None  # the number depends on the size; for a small picture:
    usual = {name: ours[name].default for name in both} | {"octaves": USUAL}
    assert usual == {name: algorithms[name].default for name in both}
    assert ours["no_clip"].default is not algorithms["clip"].default


def test_every_option_belongs_to_a_function() -> None:
    assert set(OPTIONS) == {name for f in FUNCTIONS for name in inspect.signature(f).parameters}


def test_a_call_dreams_what_the_command_dreams(tiny: Model, sky: Path, tmp_path: Path) -> None:
    done = run(sky, tmp_path / "a.png", "mix/3x3", 2, 2, 1.5, "--seed", 3, "--jitter", 5, "--model", tiny.folder)
    assert done.returncode == 0, done.stderr
    dreamify.dreamify(sky, tmp_path / "b.png", "mix/3x3", 2, 2, 1.5, seed=3, jitter=5, model=tiny.folder)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert dreamify.recipe(tmp_path / "a.png")["jitter"] == 5
    dreamify.dreamify(sky, tmp_path / "c.png", like=tmp_path / "a.png", model=tiny.folder)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "c.png").read_bytes()
    assert dreamify.keys(model=tiny.folder) == tiny.keys


def test_a_call_finds_wrong_what_the_command_finds_wrong(tiny: Model, tmp_path: Path) -> None:
    numbers: list[Any] = ["ten", 0]
    jitter: Any = 1.5
    with pytest.raises(Mistake) as caught:
        dreamify.dreamify("nosuch.jpg", tmp_path / "a.xyz", "mix/output", *numbers, jitter=jitter, model=tiny.folder)
    done = run("nosuch.jpg", tmp_path / "a.xyz", "mix/output", "ten", 0, "--jitter", 1.5, "--model", tiny.folder)
    assert done.stderr.splitlines() == [f"dreamify: {line}" for line in caught.value.args]
    assert len(caught.value.args) == 5


SLOW = ("caffe", "scipy", "tornado", "google.protobuf", "concurrent.futures")  # to load, 5 to 110 ms each


@pytest.mark.parametrize("words", [[], ["--help"], ["atlas", "--help"], ["keys"], ["keys", "--looks"],
                                   ["recipe", "DREAM"], ["nosuch.jpg", "out.png"], ["DREAM", "DREAM"]])
def test_what_needs_no_net_loads_no_caffe_and_no_scipy(tiny: Model, sky: Path, tmp_path: Path,
                                                       words: list[str]) -> None:
    dream = tmp_path / "dream.png"
    if "DREAM" in words:
        dreamify.dreamify(sky, dream, "mix/output", 1, 1, model=tiny.folder, max_size=64)
    code = ("import sys, dreamify\ntry:\n    dreamify.main(sys.argv[2:])\n"
            "except SystemExit:  # after --help\n    pass\n"
            "open(sys.argv[1], 'w').write(' '.join(sys.modules))")
    told = tmp_path / "told"
    subprocess.run(["/usr/bin/python3", "-c", code, told, *(str(dream) if word == "DREAM" else word for word in words)],
                   cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert not set(SLOW) & set(told.read_text().split())


def test_a_plain_dream_loads_no_scipy(tiny: Model, sky: Path, tmp_path: Path) -> None:
    """Neither in this process, which loads no Caffe either, nor in its child."""
    code = """import sys, dreamify
from dreamer import perform
def told(*arguments, **named):
    open(sys.argv[1], "a").write(" ".join(["child", *sys.modules]) + "\\n")
    return dreamify.deepdream(*arguments, **named)
request = dreamify.ask({"input": sys.argv[3], "output": sys.argv[4], "layer": "mix/output", "iterations": 1,
                        "octaves": 2, "model": sys.argv[2], "max_size": 64})
perform.one(request, lambda event: None, deepdream=told, step=dreamify.make_step, sizes=dreamify.octave_sizes)
open(sys.argv[1], "a").write(" ".join(sys.modules))"""
    loaded = tmp_path / "loaded"
    subprocess.run(["/usr/bin/python3", "-c", code, loaded, tiny.folder, sky, tmp_path / "a.png"], cwd=ROOT, check=True)
    child, parent = map(set, map(str.split, loaded.read_text().splitlines()))
    assert {"child", "caffe"} <= child
    assert not {"scipy", "tornado"} & child
    assert not set(SLOW) & parent


def test_a_default_that_is_said_holds_against_a_recipe(tiny: Model, sky: Path, tmp_path: Path) -> None:
    done = run(sky, tmp_path / "a.png", "mix/3x3", 2, 2, 1.5, "--jitter", 5, "--model", tiny.folder)
    assert done.returncode == 0, done.stderr
    words = [str(sky), str(tmp_path / "b.png"), "--like", str(tmp_path / "a.png"), "--model", str(tiny.folder)]

    def understood(*more: str) -> Understood:
        function, asked, wrong = dreamify.parse([*words, *more])
        assert (function, wrong) == (dreamify.dreamify, [])
        return understand(dreamify.ask(asked))
    said = understood("--jitter", "32")
    assert (said.jitter, said.iterations) == (32, 2)
    unsaid = understood()
    assert (unsaid.jitter, unsaid.iterations) == (5, 2)


def test_whoever_has_used_caffe_before_can_dream(tiny: Model, sky: Path, tmp_path: Path) -> None:
    """A dream is a child process; the threads that Caffe started in its parent do not exist in it."""
    code = ("import sys; sys.path.insert(0, sys.argv[1])\nimport caffe, dreamify\n"
            "caffe.set_threads(2)\n"
            "net = caffe.Net(sys.argv[2] + '/net.prototxt', sys.argv[2] + '/tiny.caffemodel', 1)\n"
            "net.blobs['data'].reshape(1, 3, 300, 300)\nnet.forward(end='after')\n"
            "dreamify.dreamify(sys.argv[3], sys.argv[4], 'mix/output', 2, 1, model=sys.argv[2], threads=2)")
    subprocess.run(["/usr/bin/python3", "-c", code, ROOT, tiny.folder, sky, tmp_path / "a.png"], check=True, timeout=60)
    assert (tmp_path / "a.png").exists()
