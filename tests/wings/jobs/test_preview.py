"""The picture that shows the dream so far, with the real command."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamer.jobs.preview import LONGEST, SECONDS, SHARE, Preview
from dreamer.nets.model import Model
from dreamer.pictures.picture import Picture
from dreamer.pictures.recipe import read_recipe
from helpers import ROOT, noise, pixels, saved, start, wait_for

NOTHING = Picture(np.zeros((9, 9, 3), np.uint8))


def so_far(tmp_path: Path, *words: object) -> tuple[Path, list[dict[str, Any]]]:
    """(path of the preview, preview events) of a dream that is stopped after its first preview."""
    path, happened = tmp_path / "so far.png", tmp_path / "happened"
    command = [ROOT / "dreamify.py", *words, "--quiet", "--preview", path, "--events", happened]
    with start([*map(str, command)]) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if happened.exists() and '"preview"' in happened.read_text():
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    told = [json.loads(line) for line in happened.read_text().splitlines()]
    return path, [event for event in told if event["event"] == "preview"]


def test_a_preview_shows_the_dream_so_far(dreaming: list[str], tmp_path: Path) -> None:
    long = [word if word != "150" else "100000" for word in dreaming]
    with start([*long, "--preview", str(tmp_path / "so far.jpg")]) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "so far.jpg").exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        assert Image.open(tmp_path / "so far.jpg").size == (720, 480)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.mark.parametrize("more", [[], ["--zoom", 100]], ids=["picture", "film"])
def test_it_has_at_most_1280_pixels_on_its_longest_side(tiny: Model, tmp_path: Path, more: list[Any]) -> None:
    assert LONGEST == 1280
    saved(tmp_path / "in.png", (np.mgrid[:1500, :900].sum(0)[..., None] // 10 % 256 * [1, 0.5, 0.25]).astype(np.uint8))
    output = tmp_path / ("out.gif" if more else "out.png")
    path, told = so_far(tmp_path, tmp_path / "in.png", output, "conv1", 1 if more else 100_000, 1, "--model",
                        tiny.folder, "--seed", 1, *more)
    size = Image.open(path).size
    assert size == (768, 1280)
    assert {(event["path"], event["width"], event["height"]) for event in told} == {(str(path), *size)}
    shown, photo = pixels(path).astype(float), np.asarray(Image.open(tmp_path / "in.png").resize(size))
    assert 1 < np.abs(shown - photo).mean() < 60  # it shows this picture, dreamed


@pytest.mark.parametrize("octave", [1, 2])
def test_transparency_is_shown_too(tiny: Model, tmp_path: Path, octave: int) -> None:
    """In a smaller octave, and in the last."""
    clear = np.zeros((750, 1500), np.uint8)
    clear[:, 500:] = 255
    saved(tmp_path / "in.png", np.dstack([np.kron(noise(50, 100), np.ones((15, 15, 1), np.uint8)), clear]))
    path, told = so_far(tmp_path, tmp_path / "in.png", tmp_path / "out.png", "conv1", 100_000, 3 - octave, "--model",
                        tiny.folder, "--seed", 1)
    shown = pixels(path)
    assert shown.shape == (640, 1280, 4)
    assert (told[-1]["width"], told[-1]["height"]) == (1280, 640)
    edge = 1280 * 500 // 1500
    assert (shown[:, :edge - 8, 3] == 0).all()
    assert (shown[:, edge + 8:, 3] == 255).all()


def test_a_mask_spares_what_it_spares(tiny: Model, tmp_path: Path) -> None:
    saved(tmp_path / "in.png", np.full((700, 1400, 3), (90, 120, 60), np.uint8))
    mask = np.zeros((700, 1400), np.uint8)
    mask[:, 700:] = 255
    saved(tmp_path / "mask.png", mask)
    path, told = so_far(tmp_path, tmp_path / "in.png", tmp_path / "out.png", "mix/output", 100_000, 2, "--model",
                        tiny.folder, "--seed", 1, "--mask", tmp_path / "mask.png")
    shown = pixels(path).astype(float)
    assert shown.shape == (640, 1280, 3)
    assert (told[-1]["width"], told[-1]["height"]) == (1280, 640)
    change = np.abs(shown - (90, 120, 60)).mean(2)
    assert (change[:, :630] == 0).all()
    assert change[:, 650:].mean() > 1


def test_the_dream_hardly_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a simulated clock: at least 0.3 seconds between two previews, at most 8 % of the time for
    all but the first."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    preview, moments = Preview(tmp_path / "a.png"), []

    def picture() -> Picture:
        now[0] += 0.03
        return NOTHING
    for _ in range(10_000):
        if preview.is_due():
            moments.append(now[0])
            preview.write(picture)
        now[0] += 0.01
    gaps = np.diff(moments)
    assert moments[0] - 100 >= SECONDS
    assert gaps.min() >= SECONDS
    assert (len(moments) - 1) * 0.03 <= SHARE * (now[0] - 100)
    assert len(moments) * 0.03 > 0.8 * SHARE * (now[0] - 100)  # and not less often than necessary


def test_one_that_cannot_be_written_counts_all_the_same(tmp_path: Path) -> None:
    preview = Preview(tmp_path / "no/a.png")
    preview.is_due()
    for _ in range(2):
        with pytest.raises(Exception, match="could not be written|No such file"):
            preview.write(lambda: NOTHING)
        assert not preview.is_due()


def test_a_preview_that_fails_where_nothing_can_be_said_ends_no_dream(sky: Path, tiny: Model, tmp_path: Path) -> None:
    """/dev/full accepts neither the preview nor the warning."""
    (tmp_path / "so far").mkdir()
    preview = tmp_path / "so far/preview.png"
    with open("/dev/full", "w") as full:
        process = subprocess.Popen(
            [ROOT / "dreamify.py", sky, tmp_path / "dream.png", "mix/output", "400", "1", "--model", tiny.folder,
             "--preview", preview], stdout=subprocess.PIPE, stderr=full, text=True)
        wait_for(process, "iteration 1/400")
        (tmp_path / "so far").rename(tmp_path / "gone")
        process.communicate(timeout=120)
    assert process.returncode == 0
    assert read_recipe(tmp_path / "dream.png")["iterations"] == 400
