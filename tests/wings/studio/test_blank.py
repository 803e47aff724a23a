"""Dreams from nothing in the studio: noise, grey or a colour in the place of a photo."""

import io
import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from browser import Served, quiet
from client import Client
from dreamer.errors import Mistake
from dreamer.pictures.recipe import read_recipe
from dreamer.studio import commandline, form, naming
from helpers import names, noise, pixels, run, saved, visible


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from quiet(tmp_path_factory.mktemp("photos"))


def jpeg(client: Client, path: str) -> NDArray[np.uint8]:
    """The pixels of a picture that the studio shows."""
    status, headers, data = client.ask("GET", path)
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(("name", "known"), [
    ("noise", {"name": "noise:1024x576", "kind": "photo", "width": 1024, "height": 576}),
    ("gray:30x20", {"name": "grey:30x20", "kind": "photo", "width": 30, "height": 20}),
    ("colour:FF8000:30x20", {"name": "colour:ff8000:30x20", "kind": "photo", "width": 30, "height": 20}),
    ("noise:0x5", None), ("noise:99999x99999", None), ("photo.jpg", None), ("..", None), ("%2e%2e%2fnoise", None)])
def test_what_the_page_hears_of_it(client: Client, name: str, known: object) -> None:
    assert client.json("GET", f"/blank/{name}") == known


def test_it_is_shown(client: Client) -> None:
    assert np.allclose(jpeg(client, "/view/colour:ff8000:30x20"), (255, 128, 0), atol=3)
    assert jpeg(client, "/view/noise").shape == (576, 1024, 3)
    assert jpeg(client, "/view/grey:4000x1000").shape == (512, 2048, 3)
    assert jpeg(client, "/view/grey:4000x1000?full=1").shape == (1000, 4000, 3)
    assert jpeg(client, "/thumb/noise").shape == (180, 320, 3)
    assert jpeg(client, "/samples/noise").std() > 5
    for path in ("/view/noise:0x5", "/thumb/noize", "/samples/grey", "/file/noise", "/details/noise"):
        assert client.ask("GET", path)[0] == 404, path
    assert client.ask("HEAD", "/view/noise")[::2] == (200, b"")


def test_it_is_planned_and_dreamed(served: Served, client: Client, tmp_path: Path) -> None:
    asked = {"photo": "noise:90x70", "model": "daydream", "iterations": 2, "octaves": 1, "seed": 5}
    plan = client.json("POST", "/plan", asked)
    assert plan["errors"] == []
    assert plan["sizes"] == [[70, 90]]
    assert "noise:90x70 " in plan["command"]
    dream = client.dream(asked)
    assert dream == "noise-dream.png"
    found = read_recipe(served.folder / dream)
    assert (found["source"], found["seed"]) == ("noise:90x70", 5)
    details = client.json("GET", f"/details/{dream}")
    assert (details["photo"], details["form"]["photo"]) == ("noise:90x70", "noise:90x70")
    assert "max_size" not in details["form"]

    # the command that the page shows makes the same dream
    words = shlex.split(details["command"])
    again = tmp_path / "again.png"
    words[words.index(next(word for word in words if word.endswith(dream)))] = str(again)
    done = run(*words[1:], cwd=served.folder)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(pixels(again), pixels(served.folder / dream))
    assert client.dream({"photo": "colour:203040:90x70", "model": "daydream", "iterations": 1, "format": "jpg"}) \
        == "colour-dream.jpg"


def test_a_film_and_a_smaller_one(served: Served, client: Client) -> None:
    film = client.dream({"photo": "grey:90x60", "model": "daydream", "iterations": 1, "film": "gif", "zoom": 2,
                         "max_size": 80})
    assert film == "grey-dream.gif"
    assert read_recipe(served.folder / film)["source"] == "grey:80x53"


def test_all_layers_are_tried_on_it(served: Served, client: Client) -> None:
    asked = {"kind": "try", "photo": "noise:60x40", "model": "daydream"}
    first, = client.json("POST", "/dreams", asked)["ids"]
    folder, end = served.folder / ".studio/tries", time.monotonic() + 60
    while not (tiles := list(folder.glob("*/*.png"))):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert client.json("POST", "/dreams", asked)["ids"] == [first]
    client.json("POST", f"/jobs/{first}/stop")
    assert read_recipe(tiles[0])["source"] == "noise:60x40"


def test_wrong_ones_are_refused(served: Served, client: Client) -> None:
    before = visible(served.folder)
    for photo, why in (("noise:5", "photo: noise:5: the size must be"), ("colour:xyz", "six hexadecimal digits"),
                       ("grey:99999x99999", "has more than"), ("noize", "there is no such file")):
        for path in ("/dreams", "/plan"):
            status, _, body = client.ask("POST", path, json.dumps({"photo": photo}).encode())
            assert status == 400
            assert why in json.loads(body)["lines"][0] or path == "/plan"
    status, _, body = client.ask("POST", "/dreams", json.dumps({"photo": "a.jpg", "guide": "noise"}).encode())
    assert status == 400
    assert visible(served.folder) == before


def test_a_file_of_that_name_wins(tmp_path: Path) -> None:
    saved(tmp_path / "file.png", noise(20, 30))
    (tmp_path / "file.png").rename(tmp_path / "noise")
    assert form.request_of({"photo": "noise"}, tmp_path, "d.png")["input"] == "./noise"
    assert form.request_of({"photo": "grey"}, tmp_path, "d.png")["input"] == "grey"
    with pytest.raises(Mistake, match="there is no such file"):
        form.request_of({"photo": "grays"}, tmp_path, "d.png")
    assert naming.dream_name(tmp_path, "noise:9x9") == "noise-dream.png"
    assert names(tmp_path) == ["noise"]


def test_the_photo_of_a_dream_is_what_its_recipe_says(tmp_path: Path) -> None:
    (tmp_path / "noise.jpg").touch()  # which has the name that a dream's photo would have
    assert commandline.source(tmp_path, "noise-dream.png", {"source": "noise:9x9"}) == "noise:9x9"
    assert commandline.source(tmp_path, "renamed.png", {"source": "noise:9x9"}) == "noise:9x9"
    assert commandline.source(tmp_path, "noise-dream.png", {"source": "/etc/passwd"}) == "noise.jpg"
