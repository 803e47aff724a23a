"""The recipe: written to and read from every format, and read by other programs."""

import json
import re
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import mutants
from dreamer.errors import Mistake
from dreamer.nets.model import Model
from dreamer.pictures import exif, reading, recipe, writing
from dreamer.pictures.picture import Picture
from dreamer.pictures.recipe import read_recipe
from helpers import run

RECIPE = {"version": "1", "layer": "inception_4c/output", "seed": 2 ** 32 - 1, "scale": 1.4, "list": [1, None, True],
          "name": "<é> & \"'\\ \n ☃ </dreamer:recipe>"}


@pytest.mark.parametrize("with_exif", [False, True])
@pytest.mark.parametrize("extension", sorted(writing.FORMATS))
def test_what_is_put_in_is_read(tmp_path: Path, extension: str, with_exif: bool) -> None:
    path = tmp_path / f"a{extension}"
    kept = exif.Exif("<", {0x010F: (2, b"Camera\0")}) if with_exif else None
    picture = Picture(np.zeros((9, 9, 3)), np.zeros((9, 9), np.uint8), kept, RECIPE)
    writing.write(path, picture)
    assert read_recipe(path) == RECIPE
    assert reading.read(path).pixels.shape == (9, 9, 3)
    with Image.open(path) as image:
        assert image.getexif().get(0x010F) == ("Camera" if with_exif else None)


def test_others_find_it_where_the_formats_have_their_text(tmp_path: Path) -> None:
    """In a PNG it is a text chunk, stored as it is; in the other formats it is XMP, well-formed XML."""
    from xml.etree import ElementTree
    writing.write(tmp_path / "a.png", Picture(np.zeros((9, 9, 3)), recipe=RECIPE))
    assert json.loads(Image.open(tmp_path / "a.png").text["image-dreamer"]) == RECIPE
    tree = ElementTree.fromstring(recipe.packet(RECIPE).decode())
    assert json.loads(tree.findtext(".//{urn:image-dreamer:}recipe") or "") == RECIPE


def test_a_packet_that_a_tool_wrote_anew_is_read(tmp_path: Path) -> None:
    packet = recipe.packet({"a": "b"}).decode()
    start, end = packet.index("<dreamer:recipe>"), packet.index("</rdf:Description>")
    for quote in "\"'":
        text = packet[start:end].removeprefix("<dreamer:recipe>").removesuffix("</dreamer:recipe>")
        shorter = packet[:start - 1] + f" dreamer:recipe={quote}{text}{quote}/>" + packet[end + 18:]
        mutants.pixels("RGB").save(tmp_path / "a.webp", xmp=shorter.encode())
        assert read_recipe(tmp_path / "a.webp") == {"a": "b"}


def test_text_behind_the_pixels_is_read(tmp_path: Path) -> None:
    mutants.pixels("RGB").save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    chunk = b'tEXtimage-dreamer\0{"a": 1}'
    (tmp_path / "a.png").write_bytes(data[:-12] + (len(chunk) - 4).to_bytes(4, "big") + chunk
                                     + zlib.crc32(chunk).to_bytes(4, "big") + data[-12:])
    assert read_recipe(tmp_path / "a.png") == {"a": 1}


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "tif", "gif"])
def test_a_picture_without_one_is_told(tmp_path: Path, extension: str) -> None:
    mutants.pixels("RGB").save(tmp_path / f"a.{extension}")
    with pytest.raises(Mistake, match="has no recipe"):
        read_recipe(tmp_path / f"a.{extension}")


@pytest.mark.parametrize("text", ["{", "[1]", "7", "[" * 100_000, "null", "{}x", '{"seed": NaN}',
                                  '{"scale": 1e999}'])
def test_a_damaged_one_is_told(tmp_path: Path, text: str) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("image-dreamer", text)
    mutants.pixels("RGB").save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(Mistake, match="damaged"):
        read_recipe(tmp_path / "a.png")


def test_what_is_no_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    for name in ("a.png", "nosuch.png", "."):
        with pytest.raises(Mistake, match="input: "):
            read_recipe(tmp_path / name)


def test_one_that_no_picture_can_hold_is_an_error() -> None:
    with pytest.raises(ValueError, match="too long"):
        recipe.text({"a": "<" * 20_000})
    with pytest.raises(ValueError, match="JSON"):
        recipe.text({"a": float("nan")})
    assert "\n" not in recipe.text(RECIPE)
    assert recipe.text(RECIPE).isascii()


def test_one_that_no_picture_can_hold_is_told_before_the_work(tiny: Model, sky: Path, tmp_path: Path) -> None:
    """For example with a model that has a very long layer name."""
    shutil.copytree(tiny.folder, tmp_path / "long")
    net = tmp_path / "long/net.prototxt"
    net.write_text(net.read_text().replace("norm1", 60_000 * "n"))
    done = run(sky, tmp_path / "dream.png", 60_000 * "n", 1, 1, "--model", tmp_path / "long")
    assert done.returncode == 2
    assert done.stderr.startswith("dreamify: recipe: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "dream.png").exists()
    recipe.check_length({"layer": 58_000 * "n"})
    with pytest.raises(Mistake, match="JSON"):
        recipe.check_length({"step_size": float("nan")})


@pytest.mark.parametrize(("name", "value", "why"), [
    ("model", 5, "model: .*damaged: .* 5"), ("model", {"a": 1}, "model: .*damaged"),
    ("layer", ["conv1"], "layer: .*damaged"),
    ("reproducible", "yes", "reproducible: .*damaged"), ("flow", 1, "flow: .*damaged"),
    ("iterations", True, "iterations: .*damaged: .* True"),
    ("scale", "x", "scale: .*damaged: .* 'x'"),
    ("seed", [1], "seed: "), ("pan", 5, "pan: "), ("layer", "a\nb\0\ud800", "layer")])
def test_a_recipe_that_makes_no_sense_is_told_before_the_work(tiny: Model, tmp_path: Path, name: str, value: Any,
                                                              why: str) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("image-dreamer", json.dumps({"layer": "conv1", name: value}))
    mutants.pixels("RGB").save(tmp_path / "a.png", pnginfo=info)
    model = () if name == "model" else ("--model", tiny.folder)
    done = run(tmp_path / "a.png", tmp_path / "b.png", "--like", tmp_path / "a.png", *model)
    assert done.returncode == 2
    assert all(line.startswith("dreamify: ") for line in done.stderr.splitlines())
    assert re.search(why, done.stderr.splitlines()[0])
    assert not (tmp_path / "b.png").exists()


def test_what_a_recipe_leaves_open_has_its_default(tiny: Model, tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    said = dict.fromkeys(("iterations", "octaves", "step_size", "jitter", "fps", "seed", "model", "pan"))
    info.add_text("image-dreamer", json.dumps(said | {"layer": "conv1", "mask": "a\nb", "more": [1]}))
    mutants.pixels("RGB").save(tmp_path / "a.png", pnginfo=info)
    done = run(tmp_path / "a.png", tmp_path / "b.png", "--like", tmp_path / "a.png", "--model", tiny.folder)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 1 + ("octaves" in done.stderr)  # one is about the mask
    made = read_recipe(tmp_path / "b.png")
    assert (made["iterations"], made["step_size"], made["layer"]) == (10, 1.5, "conv1")
