"""What the page gets as data from a running studio."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser import Served, quiet
from client import Client
from dreamer.errors import Mistake
from dreamer.nets import model
from dreamer.studio import answers
from helpers import ROOT, run


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A studio with a photo, and a dream of it that the command line made."""
    folder = tmp_path_factory.mktemp("photos")
    shutil.copy(ROOT / "tests/pictures/coffee.jpg", folder)
    run(folder / "coffee.jpg", folder / "coffee-dream.jpg", "inception_3b/output", "2", "2", "--seed", 7,
        "--model", "daydream", "--max-size", 120, check=True)
    yield from quiet(folder)


def test_the_models_are_those_of_the_command_line(client: Client) -> None:
    found = client.json("GET", "/models")
    by_name = {model["name"]: model for model in found["models"]}
    assert found["models"][0]["name"] == "bvlc_googlenet"
    assert by_name["daydream"]["weights"] is True
    assert by_name["daydream"]["tiles"] is True
    for name in by_name:
        keys = run("keys", "--model", name).stdout.split()
        assert [layer["name"] for layer in by_name[name]["layers"]] == keys
        looks = run("keys", "--model", name, "--looks").stdout.splitlines()
        assert [look["name"] for look in by_name[name]["looks"]] == [line.split()[0] for line in looks]
    assert all(layer["words"] for layer in by_name["daydream"]["layers"])


def test_what_can_be_written_here(client: Client) -> None:
    found = client.json("GET", "/models")
    assert set(found["formats"]) == {"jpg", "png", "webp", "tif"}
    assert found["films"]["gif"] is found["films"]["webp"] is True
    assert found["films"]["mp4"] is found["films"]["mkv"] is bool(shutil.which("ffmpeg"))
    cv2 = subprocess.run(["/usr/bin/python3", "-c", "import cv2"], capture_output=True, check=False)
    assert found["flow"] is not bool(cv2.returncode)
    assert found["samples"] == ["dandelions.jpg", "raccoon.jpg", "coffee.jpg", "noise"]
    assert found["limits"] == {"picture": 256 << 20, "video": 4 << 30}
    assert (found["defaults"]["iterations"], found["defaults"]["scale"]) == (10, 1.4)
    json.dumps(found, allow_nan=False)


def test_missing_weights_are_said_in_a_line(served: Served) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "BVLC_GOOGLENET"}
    code = ("import json\nfrom dreamer.nets import model\nfrom dreamer.studio import answers\n"
            "found = {each['name']: each for each in answers.models()}\n"
            "print(json.dumps(found['bvlc_googlenet']))")
    done = subprocess.run(["/usr/bin/python3", "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True,
                          check=True)
    found = json.loads(done.stdout)
    assert found["weights"] is not bool(found["missing"])


def test_a_program_that_is_not_there_is_not_there() -> None:
    def lacking() -> None:
        raise Mistake("not installed")
    assert answers.there(lambda: "path") is True
    assert answers.there(lacking) is False


def test_the_gallery_in_parts(client: Client) -> None:
    found = client.json("GET", "/gallery?start=0&count=1")
    assert (found["total"], len(found["items"])) == (2, 1)
    assert client.json("GET", "/gallery?kind=dreams")["items"][0]["name"] == "coffee-dream.jpg"
    assert client.json("GET", "/gallery?search=COFFEE-DREAM")["total"] == 1
    for query in ("start=-1", "count=x", "start=1e3", "kind=evil", "count=99999999999", "start=%D9%A1"):
        assert client.ask("GET", f"/gallery?{query}")[0] == 400, query


def test_all_about_a_dream(client: Client) -> None:
    found = client.json("GET", "/details/coffee-dream.jpg")
    assert (found["kind"], found["photo"], found["recipe"]["seed"]) == ("dream", "coffee.jpg", 7)
    assert found["form"]["photo"] == "coffee.jpg"
    assert (found["form"]["layer"], found["form"]["iterations"]) == ("inception_3b/output", 2)


def test_its_command_line_makes_the_same_dream(served: Served, client: Client) -> None:
    command = client.json("GET", "/details/coffee-dream.jpg")["command"]
    before = (served.folder / "coffee-dream.jpg").read_bytes()
    (served.folder / "coffee-dream.jpg").unlink()
    subprocess.run(command, shell=True, cwd=ROOT, check=True, capture_output=True)
    assert (served.folder / "coffee-dream.jpg").read_bytes() == before


def test_all_about_a_photo_and_about_nothing(client: Client) -> None:
    found = client.json("GET", "/details/coffee.jpg")
    assert (found["kind"], found["width"], found["height"]) == ("photo", 600, 400)
    assert found["form"] is found["command"] is found["photo"] is found["recipe"] is None
    assert client.ask("GET", "/details/none.jpg")[0] == 404


def test_models_that_nobody_has_downloaded_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The default one is told, with what to do; so is a user's own, which cannot be downloaded."""
    monkeypatch.setattr(model, "MODELS", tmp_path)
    for name, sources in ((model.DEFAULT, '["https://example.org/a"]'), ("known", '["https://example.org/b"]'),
                          ("own", "[]")):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(ROOT / "models/caffenet/deploy.prototxt", folder)
        text = (ROOT / "models/caffenet/model.toml").read_text()
        (folder / "model.toml").write_text(re.sub("sources = .*", f"sources = {sources}", text))
    monkeypatch.delenv("BVLC_GOOGLENET", raising=False)
    assert [each["name"] for each in answers.models()] == [model.DEFAULT, "own"]
    monkeypatch.setenv("DREAMER_WEIGHTS_KNOWN", str(tmp_path / "known/model.toml"))  # any file
    assert [each["name"] for each in answers.models()] == [model.DEFAULT, "known", "own"]
