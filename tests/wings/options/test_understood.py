"""Understood, the meaning of a request: it is frozen, and every annotation is true."""

import collections.abc
import dataclasses
import types
import typing
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dreamify
from dreamer.films.frames import Frames
from dreamer.films.video import Video
from dreamer.nets import model
from dreamer.nets.layers import Layers, Term
from dreamer.options.request import Request
from dreamer.options.understand import understand
from dreamer.options.understood import Subject, Understood
from dreamer.pictures.picture import Picture
from helpers import noise, run, saved

LOOKED_INTO = (Understood, Subject, Request, Layers, Term, Picture, Video, Frames)


def is_true(hint: Any, value: Any) -> bool:
    """Whether a value fits an annotation; here a float is not an int, and an int is not a bool."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is typing.Any:
        return True
    if hint is None or hint is type(None):
        return value is None
    if origin in (typing.Union, types.UnionType):
        return any(is_true(one, value) for one in arguments)
    if origin is np.ndarray:
        kind = typing.get_args(arguments[1])
        return isinstance(value, np.ndarray) and (not kind or kind[0] is typing.Any or value.dtype == kind[0])
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        some = [arguments[0]] * len(value) if arguments[1:] == (...,) else list(arguments)
        return len(some) == len(value) and all(map(is_true, some, value))
    if origin is list:
        return isinstance(value, list) and all(is_true(arguments[0], one) for one in value)
    if origin in (dict, collections.abc.Mapping):
        return isinstance(value, origin) and all(is_true(arguments[0], key) and is_true(arguments[1], one)
                                                 for key, one in value.items())
    if origin is collections.abc.Callable:
        return callable(value)
    return isinstance(value, hint) if hint not in (int, float, bool, str) else type(value) is hint


def untrue(found: object) -> list[str]:
    """The fields of an object, and of all objects in it, whose values do not fit their annotations."""
    wrong = []
    for name, hint in typing.get_type_hints(type(found)).items():
        if typing.get_origin(hint) is typing.ClassVar:
            continue
        value = getattr(found, name)
        if not is_true(hint, value):
            wrong.append(f"{type(found).__name__}.{name}: {hint} is {value!r}")
        for inner in value if isinstance(value, list | tuple) and not isinstance(value, LOOKED_INTO) else [value]:
            if isinstance(inner, LOOKED_INTO):
                wrong += untrue(inner)
    return wrong


def test_what_is_untrue_is_seen() -> None:
    """By the function that the tests below use."""
    cases = [(int, 5, True), (int, 5.0, False), (float, 5, False), (int, True, False), (int | None, None, True),
             (tuple[float, float], (1.0, 2), False), (tuple[str, ...], ("a", "b"), True),
             (tuple[str, ...], ["a"], False), (tuple[str, ...] | None, None, True),
             (typing.get_type_hints(Picture)["alpha"], np.zeros((2, 2), np.uint8), True),
             (typing.get_type_hints(Picture)["alpha"], np.zeros((2, 2)), False),
             (collections.abc.Mapping[str, typing.Any], {"a": 1}, True), (Fraction, 5, False)]
    for hint, value, true in cases:
        assert is_true(hint, value) == true, (hint, value)


@pytest.fixture
def files(tmp_path: Path, tiny: model.Model) -> Path:
    """A folder with inputs of all kinds: pictures, a folder of frames, a dream with a recipe."""
    saved(tmp_path / "in.png", noise(60, 80))
    saved(tmp_path / "mask.png", noise(60, 80)[..., 0])
    saved(tmp_path / "guide.png", noise(70, 50, 2))
    (tmp_path / "frames").mkdir()
    for number in range(3):
        saved(tmp_path / f"frames/{number}.png", noise(60, 80, number))
    done = run(tmp_path / "in.png", tmp_path / "kept.png", "mix/output:1+conv1*2", 1, 1, "--model", tiny.folder,
               "--pan", "0.25,1", "--guide", tmp_path / "guide.png")
    assert done.returncode == 0, done.stderr
    return tmp_path


KINDS: dict[str, dict[str, Any]] = {
    "picture": {},
    "its text": {"iterations": "3", "octaves": "2", "scale": "2", "seed": "7", "step_size": "2", "jitter": "5",
                 "max_size": "50", "max_pixels": "100000", "memory": "1.5g", "threads": "2", "fps": "12", "rotate": "1",
                 "zoom_step": "0", "pan": "0,1", "guide_size": "40"},
    "its numbers": {"scale": 2, "step_size": 2, "rotate": 1, "zoom_step": 0, "pan": [0, 1], "fps": 12, "blend": 1,
                    "memory": 10 ** 9},
    "standard output": {"output": "-"},
    "a zoom": {"output": "out.webp", "zoom": 5, "zoom_step": "0.1"},
    "steps": {"output": "out.gif"},
    "numbered steps": {"output": "out-%03d.jpg", "max_size": 40},
    "mask and guide": {"mask": "mask.png", "guide": "guide.png", "guide_size": "50"},
    "like": {"like": "kept.png", "guide": "guide.png"},
    "folder": {"input": "frames", "output": "dreams", "mask": "mask.png"},
    "watch": {"input": None, "output": None, "watch": True, "seed": 5},
    "frames": {"input": "frames", "output": "out.webp", "fps": "12.5"},
    "a sum": {"layer": "mix/all:1-3 + conv1*-0.5"},
    "an alias": {"layer": "mix/all"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_annotation_is_true(files: Path, tiny: model.Model, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """For text, from a command line, and for numbers, from a program."""
    monkeypatch.chdir(files)
    if kind == "standard output":
        monkeypatch.setattr("sys.stdout", open(files / "out", "w"))  # noqa: SIM115 - of a test that ends
    asked = {"input": "in.png", "output": "out.png", "model": str(tiny.folder)} | KINDS[kind]
    request = dreamify.ask(asked)
    assert untrue(request) == []
    found = understand(request)
    assert untrue(found) == []
    assert found.request is request
    assert (found.subject is None) == (kind in ("folder", "watch"))
    assert found.subject is None or found.subject.film == (kind in ("a zoom", "steps", "numbered steps", "frames"))


def test_every_annotation_of_a_video_is_true(files: Path, tiny: model.Model, ffmpeg: None,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    from commands import make_video
    monkeypatch.chdir(files)
    make_video(files / "in.mp4")
    for output in ("out.mp4", "out-%d.png"):
        found = understand(dreamify.ask({"input": "in.mp4", "output": output, "model": str(tiny.folder)}))
        assert untrue(found) == []
        assert found.subject
        assert isinstance(found.subject.moving, Video)


def test_every_annotation_of_an_atlas_is_true(files: Path, tiny: model.Model) -> None:
    request = dreamify.ask({"input": str(files / "in.png"), "output": str(files / "a.html"), "layer": "*", "seed": 0,
                            "model": str(tiny.folder)})
    assert untrue(understand(request, sheet=True)) == []


@pytest.mark.parametrize("name", [None, *model.names()])
def test_every_annotation_of_a_model_is_true(tiny: model.Model, name: str | None) -> None:
    assert untrue(model.find(name) if name else tiny) == []


def test_nothing_in_it_changes_any_more(files: Path, tiny: model.Model) -> None:
    found = understand(dreamify.ask({"input": str(files / "in.png"), "output": str(files / "a.png"),
                                     "model": str(tiny.folder)}))
    assert found.subject
    for frozen in (found, found.subject):
        for field in dataclasses.fields(frozen):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(frozen, field.name, None)


def test_every_option_is_understood() -> None:
    """Every option except --like, whose recipe sets the others."""
    options = {field.name for field in dataclasses.fields(Request)}
    assert options - {field.name for field in dataclasses.fields(Understood)} == {"like"}
