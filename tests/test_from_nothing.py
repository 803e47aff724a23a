"""Dreams from nothing, with the real command: each must be the dream of a picture file with the same pixels."""

import io
import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

import dreamify
from dreamer.nets.model import Model
from dreamer.pictures.nothing import Nothing
from dreamer.pictures.recipe import read_recipe
from helpers import ROOT, SLOWLY, Word, made, names, noise, pixels, run, saved, start_slow, wait_for

LAYER = ("mix/output", 2, 2)
COLOURS = {"grey": "757575", "colour:203040": "203040"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def command(tiny: Model) -> Callable[..., list[str]]:
    """Function of words that returns the command line with them and the tiny model."""
    def words(*more: object) -> list[str]:
        return [str(ROOT / "dreamify.py"), *map(str, more), "--model", str(tiny.folder)]
    return words


def file_of(word: str, width: int, height: int, seed: int) -> Path:
    """A picture file with the pixels that INPUT `word` stands for."""
    if word == "noise":
        return saved(Path(f"file-{seed}.png"), Nothing("noise", width, height).pixels(seed))
    Image.new("RGB", (width, height), f"#{COLOURS[word]}").save("file.png")
    return Path("file.png")


def films_frames(path: Word) -> list[NDArray[np.uint8]]:
    film, found = Image.open(path), []
    for number in range(film.n_frames):
        film.seek(number)
        found.append(np.asarray(film.convert("RGB")))
    return found


@pytest.mark.parametrize("word", ["noise", "grey", "colour:203040"])
@pytest.mark.parametrize("more", [(), ("--mask", "mask.png", "--guide", "guide.png"), ("--jitter", 3, "--no-clip")])
def test_it_is_the_dream_of_a_file_with_these_pixels(word: str, more: Sequence[object],
                                                     command: Callable[..., list[str]]) -> None:
    saved(Path("mask.png"), np.repeat([[0, 255]], 40, 1).astype(np.uint8))
    saved(Path("guide.png"), noise(60, 60))
    made(command(f"{word}:90x70", "a.png", *LAYER, "--seed", 5, *more))
    made(command(file_of(word, 90, 70, 5), "b.png", *LAYER, "--seed", 5, *more))
    assert np.array_equal(pixels("a.png"), pixels("b.png"))
    assert pixels("a.png").shape == (70, 90, 3)
    found, other = read_recipe("a.png"), read_recipe("b.png")
    assert found.pop("source") == f"{word}:90x70"
    assert other.pop("source_sha256")
    assert found == other
    with Image.open("a.png") as image:
        assert set(image.info) == {"image-dreamer", "icc_profile"}  # sRGB's, which every dream has
        assert "sRGB" in ImageCms.getProfileName(ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"])))


def test_the_usual_size(command: Callable[..., list[str]]) -> None:
    assert "1024×576 pixels" in made(command("gray", "a.jpg", "conv1", 1, 1)).stdout
    assert read_recipe("a.jpg")["source"] == "grey:1024x576"


def test_noise_is_made_at_the_size_that_max_size_leaves(command: Callable[..., list[str]]) -> None:
    made(command("noise:200x100", "a.png", *LAYER, "--seed", 5, "--max-size", 80))
    made(command("noise:80x40", "b.png", *LAYER, "--seed", 5))
    assert np.array_equal(pixels("a.png"), pixels("b.png"))
    assert read_recipe("a.png") == read_recipe("b.png")
    assert read_recipe("a.png")["source"] == "noise:80x40"


def test_without_a_seed_each_is_another_and_like_repeats_it(command: Callable[..., list[str]]) -> None:
    for name in ("a.png", "b.png"):
        made(command("noise:90x70", name, *LAYER))
    assert not np.array_equal(pixels("a.png"), pixels("b.png"))
    made(command("noise", "c.png", "--like", "b.png"))  # the size is left open, and comes from the recipe
    made(command("noise:90x70", "d.png", "--like", "b.png"))
    made(command("noise:80x60", "e.png", "--like", "b.png"))
    for name in ("c.png", "d.png"):
        assert Path(name).read_bytes() == Path("b.png").read_bytes()
    found = read_recipe("e.png")
    assert (found["source"], found["seed"]) == ("noise:80x60", read_recipe("b.png")["seed"])


def test_a_call_and_a_request_do_the_same(command: Callable[..., list[str]], tiny: Model) -> None:
    made(command("noise:90x70", "a.png", *LAYER, "--seed", 5))
    asked = {"input": "noise:90x70", "output": "b.png", "layer": "mix/output", "iterations": 2, "octaves": 2, "seed": 5,
             "model": str(tiny.folder)}
    done = run("--request", "-", input=json.dumps(asked))
    assert done.returncode == 0, done.stderr
    made(["/usr/bin/python3", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\nimport dreamify\n"
         f"dreamify.dreamify(**{asked | {'output': 'c.png'}!r})\n"
         f"dreamify.dreamify(output='d.png', like='c.png', model={str(tiny.folder)!r})"])  # INPUT is that of the recipe
    for name in ("b.png", "c.png", "d.png"):
        assert Path(name).read_bytes() == Path("a.png").read_bytes()


@pytest.mark.parametrize("seed", [(), ("--seed", 5)])
def test_a_stopped_one_goes_on_with_its_own_noise(command: Callable[..., list[str]], seed: tuple[object, ...]) -> None:
    words = command("noise:200x150", "a.png", "mix/output", 60, 3, *seed)
    with start_slow(words, 69) as process:
        wait_for(process, "octave 2/3  iteration 9/60")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    unfinished = read_recipe("a.png")
    assert unfinished["unfinished"]["octave"] == 2
    assert "continues from octave 2" in made(words).stdout
    assert read_recipe("a.png")["seed"] == unfinished["seed"]
    made(command("noise:200x150", "b.png", "mix/output", 60, 3, "--seed", unfinished["seed"]))
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert names(Path()) == ["a.png", "b.png"]


def test_another_size_or_word_does_not_go_on_with_it(command: Callable[..., list[str]]) -> None:
    def words(word: str) -> list[str]:
        return command(word, "a.png", "mix/output", 60, 3)

    with start_slow(words("noise:200x150"), 69) as process:
        wait_for(process, "octave 2/3  iteration 9/60")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    state = next(name for name in names(Path()) if name.endswith(".dreaming"))
    kept = Path(state).read_bytes()
    for word in ("grey:200x150", "noise:150x200"):
        Path(state).write_bytes(kept)
        assert "continues" not in made(words(word)).stdout


@pytest.mark.parametrize("more", [("--zoom", 4), ()])
def test_a_film_is_that_of_the_file_also_after_a_stop(command: Callable[..., list[str]],
                                                      more: tuple[object, ...]) -> None:
    words = command("noise:160x120", "a.gif", "mix/output", 40, 2, *more)
    with start_slow(words, 160 if more else 43) as process:
        wait_for(process, "frame 2/4" if more else "octave 2/2  iteration 3/40")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    done = made(words).stdout
    assert "continues" in done
    seed = read_recipe("a.gif")["seed"]
    assert read_recipe("a.gif")["source"] == "noise:160x120"
    made(command(file_of("noise", 160, 120, seed), "b.gif", "mix/output", 40, 2, "--seed", seed, *more))
    found, expected = films_frames("a.gif"), films_frames("b.gif")
    assert len(found) == len(expected) >= 4
    assert all(map(np.array_equal, found, expected))


def test_an_atlas_is_that_of_the_file_and_goes_on(command: Callable[..., list[str]]) -> None:
    words = command("atlas", "noise:90x70", "tiles/", "mix/*", 1, 1, "--seed", 6)
    made(words)
    made(command("atlas", file_of("noise", 90, 70, 6), "others/", "mix/*", 1, 1, "--seed", 6))
    assert names(Path("tiles")) == names(Path("others"))
    assert len(names(Path("tiles"))) == 3
    for name in names(Path("tiles")):
        assert np.array_equal(pixels(f"tiles/{name}"), pixels(f"others/{name}"))
    times = {name: os.stat(f"tiles/{name}").st_mtime_ns for name in names(Path("tiles"))}
    assert made(words).stderr == ""
    assert times == {name: os.stat(f"tiles/{name}").st_mtime_ns for name in times}  # nothing was dreamed again
    made(command("atlas", "grey:90x70", "tiles/", "mix/*", 1, 1, "--seed", 6))
    assert {read_recipe(f"tiles/{name}")["source"] for name in times} == {"grey:90x70"}


def test_a_sheet_and_a_page_show_the_noise(command: Callable[..., list[str]]) -> None:
    made(command("atlas", "noise:256x200", "a.png", "mix/*", 1, 1, "--seed", 6))
    first = Nothing("noise", 256, 200).pixels(6)
    sheet = pixels("a.png")
    assert any(np.array_equal(sheet[y:y + 200, x:x + 256], first) for y in range(20) for x in range(20))
    assert read_recipe("a.png")["source"] == "noise:256x200"
    made(command("atlas", "noise", "a.html", "mix/output", 1, 1))
    page = Path("a.html").read_text()
    assert "<code>" in page
    assert "noise dream-mix-output.png mix/output 1 1" in page


def test_events_and_preview(command: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    words = command("noise:300x200", "a.png", "mix/output", 20, 2, "--events", "events.jsonl", "--preview", "now.png")
    monkeypatch.setenv("SLOW_SECONDS", "0.03")  # the first preview comes after 0.3 s
    made([SLOWLY, *words[1:]])
    events = [json.loads(line) for line in Path("events.jsonl").read_text().splitlines()]
    assert events[-1] == {"event": "finished", "output": "a.png"}
    began = next(event for event in events if event["event"] == "began")
    assert (began["sizes"][-1], began["seed"]) == ([200, 300], read_recipe("a.png")["seed"])
    assert pixels("now.png").shape == (200, 300, 3)
    assert 80 < pixels("now.png").mean() < 150  # not the black picture that stands for the noise


def test_a_file_of_that_name_wins(command: Callable[..., list[str]]) -> None:
    saved(Path("file.png"), noise(50, 60))
    os.rename("file.png", "noise")
    made(command("noise", "a.png", *LAYER, "--seed", 5))
    assert pixels("a.png").shape == (50, 60, 3)
    assert "source" not in read_recipe("a.png")
    made(command("noise:70x50", "b.png", *LAYER, "--seed", 5))
    assert read_recipe("b.png")["source"] == "noise:70x50"
    done = run("./grey", "c.png")
    assert (done.returncode, done.stderr) == (2, "dreamify: input: no such file: ./grey\n")


@pytest.mark.parametrize("source", ["/etc/passwd", "noise", 5, ["noise:5x5"], "noise:5x5:5x5"])
def test_a_recipe_with_another_source_is_damaged(source: Any, command: Callable[..., list[str]]) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("image-dreamer", json.dumps({"layer": "conv1", "source": source}))
    Image.new("RGB", (9, 9)).save("a.png", pnginfo=info)
    done = run(*command("noise", "b.png", "--like", "a.png")[1:])
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("dreamify: like: source: the recipe in a.png is damaged")
    assert dreamify.ask({"output": "b.png", "like": "a.png"}).input is None


def test_it_has_the_least_size_of_its_layer(command: Callable[..., list[str]]) -> None:
    done = run(*command("noise:3x2", "a.png", "after", 1, 1)[1:])
    assert done.returncode == 2
    assert "needs at least" in done.stderr
    assert "the picture has 3×2" in done.stderr
