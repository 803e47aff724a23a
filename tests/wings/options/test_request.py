"""Requests: plain data."""

import dataclasses
import inspect
import json
import os
from pathlib import Path

import pytest

import dreamify
from dreamer.errors import Mistake
from dreamer.options.request import Request, from_json

PARAMETERS = inspect.signature(dreamify.dreamify).parameters
ALL = {"input": "a.jpg", "output": "b.png", "layer": "conv1", "iterations": 3, "octaves": "2", "scale": 1.5, "seed": 0,
       "step_size": 2, "jitter": 0, "no_clip": True, "smooth": "1.5", "pyramid": True, "keep_colours": True,
       "strength": 40, "guide": "g.png", "guide_size": 9, "mask": "m.png", "model": "x",
       "weights": "w", "max_size": 5, "max_pixels": 10 ** 9, "keep_location": True, "force": True, "memory": "512m",
       "threads": 2, "reproducible": True, "farm": "local", "like": None, "preview": "p.png", "events": "fd:3",
       "no_resume": True, "watch": True, "recursive": True, "quiet": True, "zoom": 3, "zoom_step": -0.5, "rotate": 7,
       "pan": [0.25, "1"], "fps": "12.5", "start": "1:02", "end": 70, "no_deinterlace": True,
       "no_sound": True, "flow": True, "blend": 0.5}  # each differs from the default


def test_its_fields_are_the_parameters_in_their_order_and_have_no_defaults() -> None:
    fields = dataclasses.fields(Request)
    assert [field.name for field in fields] == list(PARAMETERS) == list(ALL)
    assert all(field.default is field.default_factory is dataclasses.MISSING for field in fields)


def test_nothing_in_it_changes_any_more() -> None:
    request = dreamify.ask({})
    for field in dataclasses.fields(Request):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(request, field.name, 5)
    hash(request)


def test_what_is_not_asked_for_is_as_usual() -> None:
    usual = {name: parameter.default for name, parameter in PARAMETERS.items()}
    assert dataclasses.asdict(dreamify.ask({})) == usual
    assert dataclasses.asdict(dreamify.ask(dict.fromkeys(usual))) == usual  # None counts as not given
    assert dataclasses.asdict(dreamify.ask({"seed": 3})) == usual | {"seed": 3}


def test_what_is_asked_for_is_kept_as_it_was_said() -> None:
    assert dataclasses.asdict(dreamify.ask(ALL)) == ALL | {"pan": (0.25, "1")}


@pytest.mark.parametrize("name", [b"photo.jpg", "☃\n.png".encode(), b"\xff\xfe \x80.png"], ids=ascii)
def test_it_goes_through_json_and_back(name: bytes) -> None:
    """Even names that are not UTF-8."""
    asked = ALL | {"input": os.fsdecode(name), "output": Path(os.fsdecode(name))}
    request = dreamify.ask(asked)
    text = request.json()
    text.encode("ascii")
    for back in (from_json(text), from_json(text.encode())):
        assert dreamify.ask(back) == request
        output = dreamify.ask(back).output
        assert output
        assert os.fsencode(output) == name
    assert list(json.loads(text)) == list(PARAMETERS)
    assert dreamify.ask(json.loads(dreamify.ask({}).json())) == dreamify.ask({})


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(Mistake) as caught:
        dreamify.ask({"inptu": "a.jpg", "Output": "b.png", "iterations": [1], "quiet": 1, "layer": 5, "guide": True,
                      "pan": (1, 2, 3), "seed": {}, "octaves": False, "watch": "yes", "blend": b"1", "jitter": 3})
    told = list(caught.value.args)
    assert told[:2] == ["request: unknown argument 'inptu'", "request: unknown argument 'Output'"]
    assert [line.split(":")[0] for line in told[2:]] == ["iterations", "quiet", "layer", "guide", "pan", "seed",
                                                         "octaves", "watch", "blend"]
    assert all("is not a valid value" in line and len(line.splitlines()) == 1 for line in told[2:])


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name != "pan"])
def test_no_kind_of_value_breaks_it(name: str) -> None:
    """Whatever a program sends is accepted or gives an error."""
    for value in (5, 1.5, True, False, "", "x", [], [1, 2], {}, {"a": 1}, float("nan"), "\0", 10 ** 400):
        try:
            dreamify.ask({name: value})
        except Mistake as error:
            assert len(error.args) == 1, (value, error)


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", "null", '"a"', "[" * 100_000, b"\xff\xfe", '{"a": 1} x',
                                  '{"input": "-", "output": "a.png"}'])
def test_what_is_no_request_is_told(text: str | bytes) -> None:
    with pytest.raises(Mistake, match="request: ") as caught:
        from_json(text)
    assert len(str(caught.value).splitlines()) == 1
