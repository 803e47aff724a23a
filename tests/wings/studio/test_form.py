"""The form of the page: what a browser may ask for, and what it may not."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

import dreamify
from dreamer.errors import Mistake
from dreamer.options.request import Request
from dreamer.studio import form
from helpers import run

# what a request can say, and a form cannot: another program would say it for the browser
NEVER = {"memory", "weights", "threads", "force", "events", "preview", "like", "watch", "recursive", "quiet", "output",
         "input", "max_pixels", "no_resume", "reproducible", "farm", "command"}
ALL = {"photo": "a.jpg", "layer": "conv1", "model": "daydream", "iterations": 3, "octaves": 2, "scale": 1.5,
       "step_size": 2.0, "jitter": 0, "no_clip": True, "seed": 7, "max_size": 64, "guide": "g.png", "guide_size": 99,
       "mask": f"{'0a' * 32}.png", "format": "png", "keep_location": True, "kind": "dream", "smooth": 1.5,
       "pyramid": True, "keep_colours": True, "strength": 40.0}
OF_A_FILM = {"film": "gif", "zoom": 3, "zoom_step": 0.1, "rotate": 5.0, "pan": "0.1,-0.2", "fps": 12.5}
OF_A_VIDEO = {"photo": "v.mp4", "film": "gif", "fps": 5.0, "start": 1.0, "end": 2.5, "flow": True, "blend": 0.5,
              "no_sound": True, "no_deinterlace": True}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A studio's folder with files that have nothing in them."""
    (tmp_path / ".studio/masks").mkdir(parents=True)
    for name in ("a.jpg", "g.png", "v.mp4", "moves.gif", f".studio/masks/{'0a' * 32}.png", ".hidden.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "sub.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to("/etc/passwd")
    return tmp_path


def wrong(folder: Path, **fields: Any) -> list[str]:
    """What is wrong with these fields, as lines."""
    with pytest.raises(Mistake) as caught:
        form.request_of({"photo": "a.jpg"} | fields, folder, "d.jpg")
    lines = list(caught.value.args)
    assert all(len(line) < 400 and line.isprintable() for line in lines)
    return lines


@pytest.mark.parametrize("fields", [ALL, {"photo": "a.jpg"} | OF_A_FILM, OF_A_VIDEO])
def test_every_field_reaches_the_request(folder: Path, fields: dict[str, Any]) -> None:
    request = form.request_of(json.loads(json.dumps(fields)), folder, "d.jpg")
    assert dataclasses.asdict(dreamify.ask(request)) == dataclasses.asdict(dreamify.ask({})) | {
        name: value for name, value in fields.items()
        if name not in ("photo", "kind", "format", "film", "guide", "mask")} | {
        "input": f"./{fields['photo']}", "output": "./d.jpg", "quiet": True} | (
        {"guide": "./g.png", "mask": f"./.studio/masks/{'0a' * 32}.png"} if fields is ALL else {})


def test_empty_fields_are_not_asked_for(folder: Path) -> None:
    asked = dict.fromkeys([*ALL, *OF_A_FILM], "") | dict.fromkeys(OF_A_VIDEO) | {"photo": "a.jpg"}
    assert form.request_of(asked, folder, "d.jpg") == {"input": "./a.jpg", "output": "./d.jpg", "quiet": True}


def test_numbers_may_come_as_text(folder: Path) -> None:
    request = form.request_of({"photo": "a.jpg", "iterations": "12", "scale": "1.25", "max_size": " 640 "}, folder, "d")
    assert (request["iterations"], request["scale"], request["max_size"]) == (12, 1.25, 640)


@pytest.mark.parametrize("name", sorted(NEVER))
def test_what_a_browser_never_says(folder: Path, name: str) -> None:
    for value in (True, "1", 1, "/etc/passwd"):
        assert wrong(folder, **{name: value}) == [f"form: unknown field '{name}'"]
    known = {field.name for field in dataclasses.fields(Request)}
    assert known - NEVER <= {*ALL, *OF_A_FILM, *OF_A_VIDEO}  # there is nothing else


@pytest.mark.parametrize("name", [*ALL, *OF_A_FILM, *OF_A_VIDEO])
def test_no_kind_of_value_breaks_it(folder: Path, name: str) -> None:
    deep: Any = []
    value: Any
    for _ in range(500):
        deep = [deep]
    for value in (math.nan, math.inf, -math.inf, 10 ** 400, -10 ** 5000, 1e308, True, [], {}, [1], [1, [2]], deep, "\0",
                  "\ud800", "x" * 100_000, "--force", "../a.jpg", "/etc/passwd", "a.jpg\n", -1, "1e400", "9" * 5000):
        try:
            request = form.request_of({"photo": "a.jpg"} | {name: value}, folder, "d.jpg")
        except Mistake as error:
            assert 0 < len(error.args) < 4, (value, error)
            assert all(len(line) < 400 for line in error.args)
        else:
            json.dumps(request, allow_nan=False)
            assert set(request) <= {*(field.name for field in dataclasses.fields(Request))}
            assert all(type(part) in (str, int, float, bool) for part in request.values())


def test_errors_have_the_words_of_the_command_line(folder: Path) -> None:
    lines = wrong(folder, iterations="0", scale=1, seed=-1, jitter="x", model="nonet", max_size=0)
    done = run(folder / "a.jpg", folder / "d.jpg", "conv1", "0", "4", "1", "--seed", "-1",
               "--jitter", "x", "--model", "nonet", "--max-size", "0")
    told = [line.removeprefix("dreamify: ") for line in done.stderr.splitlines()]
    assert sorted(lines) == sorted(line for line in told if not line.startswith("input: "))
    assert len(lines) == 6


@pytest.mark.parametrize("name", ["", ".hidden.jpg", "../a.jpg", "sub/../a.jpg", "/etc/passwd", "-a.jpg", "a\n.jpg",
                                  "no.jpg", "sub.jpg", "link.jpg", "a.jpg\0", "frame-%04d.png", 5, None, ["a.jpg"],
                                  "x" * 300])
def test_names_that_are_none(folder: Path, name: Any) -> None:
    for field in ("photo", "guide"):
        if name or field == "photo":
            assert len(wrong(folder, **{field: name})) == 1


def test_a_mask_is_one_of_ours(folder: Path) -> None:
    for mask in ("../a.png", "0a.png", f"{'0A' * 32}.png", f"../{'0a' * 32}.png",
                 f"{'0a' * 32}.png/",
                 f"{'0b' * 32}.png"):
        assert len(wrong(folder, mask=mask)) == 1


def test_films(folder: Path) -> None:
    assert form.extension(form.checked({"photo": "v.mp4", "film": "gif"})) == ".gif"
    assert form.extension({"photo": "v.mp4"}) == ".mp4"
    assert form.extension({"photo": "v.avi"}) == ".mp4"
    assert form.extension({"photo": "a.jpg"}) is None
    assert form.extension({"photo": "a.jpg", "format": "tif"}) == ".tif"
    assert wrong(folder, zoom=3) == ["film: choose one of gif mkv mov mp4 webm webp"]
    assert wrong(folder, steps=True) == ["film: choose one of gif mkv mov mp4 webm webp"]
    assert "no zoom" in wrong(folder, steps=True, zoom=3, film="gif")[0]
    assert "webp" in wrong(folder, film="webp")[0]
    form.request_of({"photo": "moves.gif", "film": "webp"}, folder, "d.webp")
    assert form.request_of({"photo": "a.jpg", "zoom": 3, "film": "webp"}, folder, "d.webp")["zoom"] == 3


def test_a_try_dreams_all_layers_small_and_nothing_else_counts(folder: Path) -> None:
    request = form.request_of(ALL | {"kind": "try"}, folder, ".studio/tries/0/")
    assert request == {"command": "atlas", "input": "./a.jpg", "output": "./.studio/tries/0/", "quiet": True,
                       "iterations": 10, "max_size": 192, "model": "daydream", "seed": 7}
    asked, function = dreamify.requested(dict(request))
    assert (function, asked.layer) == (dreamify.atlas, "*")


@pytest.mark.parametrize("sent", [None, [], "photo", 5, [["photo", "a.jpg"]]])
def test_what_is_no_form(folder: Path, sent: Any) -> None:
    with pytest.raises(Mistake, match="form: it must be an object"):
        form.request_of(sent, folder, "d.jpg")


def test_from_a_recipe_to_a_form_and_back(folder: Path) -> None:
    recipe = {"version": "0.1.0", "model": "daydream", "weights_sha256": "00", "layer": "conv1", "iterations": 3,
              "octaves": 2, "scale": 1.5, "step_size": 2.0, "jitter": 0, "clip": False, "width": 64, "height": 48,
              "reproducible": False, "seed": 7, "zoom": 3, "zoom_step": 0.1, "rotate": 5, "pan": [0.1, -0.2],
              "fps": 12.5, "guide": "g.png", "guide_size": 99, "smooth": 1.5, "pyramid": True, "strength": 40.0}
    found = form.form_of(recipe)
    assert found == {"model": "daydream", "layer": "conv1", "iterations": 3, "octaves": 2, "scale": 1.5,
                     "step_size": 2.0, "jitter": 0, "no_clip": True, "seed": 7, "zoom": 3, "zoom_step": 0.1,
                     "rotate": 5.0, "pan": "0.1,-0.2", "fps": 12.5, "guide_size": 99, "smooth": 1.5, "pyramid": True,
                     "strength": 40.0}
    form.request_of(found | {"photo": "a.jpg", "film": "gif"}, folder, "d.gif")


def test_a_recipe_of_a_stranger_gives_only_what_a_form_may_have() -> None:
    strange = {"layer": "x" * 2000, "model": "../../evil", "iterations": True, "scale": math.nan, "force": True,
               "seed": [1], "photo": "/etc/passwd", "mask": "x",
               "pan": {"a": 1}, "film": "exe", "octaves": 10 ** 400, "zoom": 5}
    assert form.form_of(strange) == {"zoom": 5}
