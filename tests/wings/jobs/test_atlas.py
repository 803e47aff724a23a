"""The atlas: one picture at many layers, with the real command."""

import base64
import html
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import tinymodel
from dreamer.jobs.atlas import tile_name
from dreamer.nets.model import Model
from dreamer.pictures.recipe import read_recipe
from helpers import ROOT, children, names, psnr, run, start_slow, wait_for


@pytest.fixture
def photo(sky: Path, tmp_path: Path) -> Path:
    """A picture of 120×80 pixels."""
    path = tmp_path / "a photo.png"
    Image.open(sky).resize((120, 80)).save(path)
    return path


def figures(path: Path) -> list[tuple[str, NDArray[np.float64], str, str]]:
    """[(name, decoded picture, command, words)] of a page."""
    found = re.findall(r'<figure tabindex="0"><img alt="([^"]*)" src="data:image/jpeg;base64,([^"]*)">\n'
                       r"<figcaption><b>([^<]*)</b> ([^<]*)<code>([^<]*)</code></figcaption></figure>",
                       path.read_text())
    folder = path.with_suffix(".d")
    folder.mkdir()
    made = []
    for number, (name, data, told, words, command) in enumerate(found):
        assert name == told
        (folder / f"{number}.jpg").write_bytes(base64.b64decode(data, validate=True))
        made.append((html.unescape(name), np.asarray(Image.open(folder / f"{number}.jpg"), np.float64),
                     html.unescape(command), html.unescape(words)))
    return made


def test_octaves_that_are_too_small_are_told_once_for_all_layers(photo: Path, tiny: Model, tmp_path: Path) -> None:
    done = run("atlas", photo, tmp_path / "all.png", "*", 1, 20, "--model", tiny.folder, "--jitter", 5)
    assert done.returncode == 0
    assert re.fullmatch(r"dreamify: warning: \d of the 7 layers get fewer than 20 octaves, because the smallest would "
                        r"be too small for them\n", done.stderr)


def test_a_page_shows_every_layer_at_its_size_with_the_command_that_dreams_it(photo: Path, tiny: Model,
                                                                              tmp_path: Path) -> None:
    done = run("atlas", photo, tmp_path / "all.html", "*", 2, 2, "--model", tiny.folder, "--full", "--jitter", 5,
               "--step-size", 9)
    assert (done.returncode, done.stderr) == (0, "")
    *taken, last = done.stdout.splitlines()
    assert [line.split()[1] for line in taken] == tinymodel.KEYS
    assert last == f"{tmp_path}/all.html: done"
    assert names(tmp_path) == ["a photo.png", "all.html"]
    assert not re.search(r"https?:|<link|<iframe", (tmp_path / "all.html").read_text())  # it needs nothing else
    (caption, original, *_), *dreams = figures(tmp_path / "all.html")
    assert caption == "the picture"
    assert original.shape == (80, 120, 3)
    assert [name for name, *_ in dreams] == tinymodel.KEYS
    for name, pixels, command, _ in dreams[::3]:
        words = shlex.split(command)
        assert words[0] == "./dreamify.py"
        again = run(*words[1:], cwd=tmp_path)
        assert again.returncode == 0, again.stderr
        made = tmp_path / f"dream-{name.replace('/', '-')}.png"
        exact = np.asarray(Image.open(made), np.float64)
        assert read_recipe(made)["layer"] == name
        assert psnr(pixels, exact) > 30
        assert psnr(pixels, exact) > psnr(pixels, original) + 5


def test_the_command_of_a_small_dream_dreams_the_picture_at_its_own_size(photo: Path, tiny: Model,
                                                                         tmp_path: Path) -> None:
    done = run("atlas", photo, tmp_path / "all.html", "mix/output", "--model", tiny.folder, "--max-size", 100)
    assert (done.returncode, done.stderr) == (0, "")
    (_, original, *_), (_, dream, command, _) = figures(tmp_path / "all.html")
    assert original.shape == dream.shape == (67, 100, 3)
    *_, source, output, layer, seed, zero, model, folder = shlex.split(command)  # no options with default values
    assert [source, output, layer] == [str(photo), "dream-mix-output.png", "mix/output"]
    assert [seed, zero, model, folder] == ["--seed", "0", "--model", str(tiny.folder)]


def test_a_sheet_has_the_picture_and_every_dream_in_order(photo: Path, tiny: Model, tmp_path: Path) -> None:
    done = run("atlas", photo, tmp_path / "sheet.png", "mix/*", 2, 2, "--model", tiny.folder, "--seed", 3, "--max-size",
               60)
    assert done.returncode == 0, done.stderr
    assert read_recipe(tmp_path / "sheet.png")["seed"] == 3  # so that it is never dreamed like a photo
    there = np.asarray(Image.open(tmp_path / "sheet.png"), np.float64)
    wanted = [Image.open(photo).resize((60, 40), Image.LANCZOS)]
    for number, layer in enumerate(["mix/1x1", "mix/3x3", "mix/output"]):
        one = tmp_path / f"{number}.png"
        assert run(photo, one, layer, 2, 2, "--model", tiny.folder, "--seed", 3, "--max-size", 60).returncode == 0
        wanted.append(Image.open(one))
    places = []
    for picture in wanted:
        pixels = np.asarray(picture.convert("RGB"), np.float64)
        places.append(min((((there[y:y + 40, x:x + 60] - pixels) ** 2).sum(), y, x)
                          for y in range(there.shape[0] - 39) for x in range(there.shape[1] - 59)))
    assert [place[0] for place in places] == [0, 0, 0, 0]
    assert [place[1:] for place in places] == sorted(place[1:] for place in places)


def test_channels_of_a_layer(photo: Path, tiny: Model, tmp_path: Path) -> None:
    done = run("atlas", photo, tmp_path / "c.html", "mix/3x3:1,4-5", 1, 1, "--model", tiny.folder)
    assert done.returncode == 0, done.stderr
    _, *dreams = figures(tmp_path / "c.html")
    assert [name for name, *_ in dreams] == ["mix/3x3:1", "mix/3x3:4", "mix/3x3:5"]
    assert not np.array_equal(dreams[0][1], dreams[1][1])


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_what_is_stopped_or_killed_goes_on(photo: Path, tiny: Model, tmp_path: Path, how: signal.Signals) -> None:
    words = [str(word) for word in (ROOT / "dreamify.py", "atlas", photo, tmp_path / "all.png", "mix/*", 150, 2,
                                    "--model", tiny.folder)]
    folder = tmp_path / ".all.png.atlas"
    with start_slow(words, 301) as process:
        wait_for(process, "2/3  ")
        kept = folder / "mix-1x1.png"
        before = kept.stat().st_mtime_ns
        while not children(process.pid):
            time.sleep(0.01)
        process.send_signal(how)
        _, errors = process.communicate(timeout=30)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert errors == ("dreamify: stopped by SIGINT: 1 of 3 dreams are saved; run the same command to continue\n")
    assert not (tmp_path / "all.png").exists()
    assert kept.stat().st_mtime_ns == before
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["2/3", "3/3", f"{tmp_path}/all.png:"]
    assert names(tmp_path) == ["a photo.png", "all.png"]


# in a folder ---------------------------------------------------------------------------------------------

def tiles(photo: Path, tiny: Model, output: str, *more: object) -> "subprocess.CompletedProcess[str]":
    return run("atlas", photo, output, "mix/*", 2, 2, "--model", tiny.folder, *more)


@pytest.mark.parametrize("output", ["tiles/", "there", "there/"])
def test_in_a_folder_each_dream_stays_as_a_file(photo: Path, tiny: Model, tmp_path: Path, output: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/notes.txt").write_text("mine")
    done = tiles(photo, tiny, f"{tmp_path}/{output}", "--max-size", 60)
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / output
    assert [name for name in names(folder) if name != "notes.txt"] == ["mix-1x1.png", "mix-3x3.png", "mix-output.png"]
    assert [name for name in names(tmp_path) if not (tmp_path / name).is_dir()] == ["a photo.png"]
    assert (tmp_path / "there/notes.txt").read_text() == "mine"
    one = tmp_path / "one.png"
    assert run(photo, one, "mix/3x3", 2, 2, "--model", tiny.folder, "--seed", 0, "--max-size", 60).returncode == 0
    assert (folder / "mix-3x3.png").read_bytes() == one.read_bytes()
    before = (folder / "mix-3x3.png").stat().st_mtime_ns
    done = tiles(photo, tiny, f"{tmp_path}/{output}", "--max-size", 60)  # all are there
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    assert (folder / "mix-3x3.png").stat().st_mtime_ns == before


def test_a_stopped_one_in_a_folder_goes_on(photo: Path, tiny: Model, tmp_path: Path) -> None:
    words = [str(word) for word in (ROOT / "dreamify.py", "atlas", photo, f"{tmp_path}/tiles/", "mix/*", 150, 2,
                                    "--model", tiny.folder)]
    with start_slow(words, 301) as process:
        wait_for(process, "2/3  ")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, "1 of 3 dreams are saved" in errors) == (143, True)
    assert "mix-1x1.png" in names(tmp_path / "tiles")
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()[:-1]] == ["2/3", "3/3"]


def test_in_a_folder_nothing_is_lost(photo: Path, tiny: Model, tmp_path: Path) -> None:
    folder = tmp_path / "tiles"
    folder.mkdir()
    (folder / "mix-3x3.png").write_text("mine")
    source = folder / "mix-output.png"
    assert run(photo, source, "conv1", 1, 1, "--model", tiny.folder).returncode == 0  # a dream, and now the input
    before = source.read_bytes()
    done = tiles(source, tiny, str(folder))
    assert done.returncode == 2
    assert [line.split()[2] for line in done.stderr.splitlines()] == [f"{folder}/mix-3x3.png", str(source)]
    assert names(folder) == ["mix-3x3.png", "mix-output.png"]
    assert (source.read_bytes(), (folder / "mix-3x3.png").read_text()) == (before, "mine")
    assert tiles(photo, tiny, str(folder), "--force").returncode == 0
    assert read_recipe(folder / "mix-3x3.png")["layer"] == "mix/3x3"


@pytest.mark.parametrize(("output", "told"), [("no/tiles/", "cannot write into"), ("file/", "is not a folder"),
                                              ("a photo.png/", "is not a folder")])
def test_a_folder_that_cannot_be(photo: Path, tiny: Model, tmp_path: Path, output: str, told: str) -> None:
    (tmp_path / "file").touch()
    done = tiles(photo, tiny, f"{tmp_path}/{output}")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert re.search(told, done.stderr)


def test_no_two_layers_have_one_file() -> None:
    odd = ["a/b", "a-b", "a%2Fb", "a%2Db", "a--b", "a//b", "mix/3x3:4", "mix/3x3:4-5", "ü/ ", "-", "/", "%", "a.png"]
    assert tile_name("inception_4c/output") == "inception_4c-output.png"
    assert len({tile_name(name) for name in odd}) == len(odd)
    assert [unquote(tile_name(name).removesuffix(".png").replace("-", "/")) for name in odd] == odd
    assert not [name for name in odd if "/" in tile_name(name)]


# ---------------------------------------------------------------------------------------------------------

def test_dreams_of_another_picture_or_recipe_are_not_taken(photo: Path, tiny: Model, sky: Path, tmp_path: Path) -> None:
    folder = tmp_path / ".all.png.atlas"
    folder.mkdir()
    assert run(sky, folder / tile_name("mix/1x1"), "mix/1x1", 1, 1, "--model", tiny.folder, "--seed", 0, "--max-size",
               120).returncode == 0
    seventh = ("--model", tiny.folder, "--seed", 7)
    assert run(photo, folder / tile_name("mix/3x3"), "mix/3x3", 1, 1, *seventh).returncode == 0
    assert run(photo, folder / tile_name("mix/output"), "mix/output", 1, 1, "--model", tiny.folder, "--seed",
               0).returncode == 0
    done = run("atlas", photo, tmp_path / "all.png", "mix/*", 1, 1, "--model", tiny.folder)
    assert [line.split()[0] for line in done.stdout.splitlines()[:-1]] == ["1/3", "2/3"]


def test_layers_that_are_too_deep_for_the_picture_are_left_out(tmp_path: Path, tiny: Model) -> None:
    Image.new("RGB", (40, 1)).save(tmp_path / "a.png")
    done = run("atlas", tmp_path / "a.png", tmp_path / "some.jpg", "*", 1, 1, "--model", tiny.folder)
    assert done.returncode == 0
    assert "the picture is too small for 6 of the 7 layers; they are left out: pool1, norm1" in done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()[:-1]] == ["conv1"]
    done = run("atlas", tmp_path / "a.png", tmp_path / "none.jpg", "mix/*", 1, 1, "--model", tiny.folder)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_wrong_use_is_told(photo: Path, tiny: Model, tmp_path: Path) -> None:
    done = run("atlas", photo, tmp_path / "a.gif", "mix/*+conv1*2", "--bogus", "--model", tiny.folder)
    assert done.returncode == 2
    assert ".html" in done.stderr
    assert "--bogus" in done.stderr
    for words in ([photo, tmp_path / "a.png", "nothing*"], [photo, tmp_path / "a.png", "conv1*2"], ["-", "a.png"],
                  [photo], [], [photo, photo]):
        done = run("atlas", *words, "--model", tiny.folder)
        assert done.returncode == 2, words
        assert done.stderr.startswith("dreamify: ")
        assert "Traceback" not in done.stderr
    assert names(tmp_path) == ["a photo.png"]
