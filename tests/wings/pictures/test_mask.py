"""Masks: white is dreamed, black keeps its pixels exactly, grey is in between."""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dreamify
from dreamer.arrays import Light, Pixels
from dreamer.errors import Mistake
from dreamer.films import sequence
from dreamer.jobs import unfinished
from dreamer.nets.model import Model
from dreamer.nets.net import Net
from dreamer.options.guide_and_mask import read_mask
from dreamer.pictures.mask import fitted, resized
from dreamer.pictures.recipe import read_recipe
from dreamer.state import State, Step
from dreamer.sums import mean_size
from helpers import noise, one_step, psnr, run, saved


def disc(height: int, width: int) -> Light:
    """A white disc with a grey rim."""
    y, x = np.mgrid[:height, :width]
    light = np.clip(510 - 1020 * np.hypot(y - height / 2, x - width / 2) / height, 0, 255)
    return np.asarray(light, np.uint8)


@pytest.mark.parametrize("options", [{"octaves": 1}, {"octaves": 4, "iterations": 3}, {"octaves": 3, "clip": False}])
def test_black_keeps_the_very_pixels(tiny: Model, options: dict[str, Any]) -> None:
    """For any mean: subtracting and adding it may change the last bit, which an 8-bit file would show."""
    odd = dataclasses.replace(tiny, mean=(103.939, 116.779, 123.68))
    image, mask = noise(97, 131), disc(97, 131)
    dreamed = dreamify.deepdream(Net(odd, "mix/output"), image, **{"iterations": 2, "step_size": 9.0} | options,
                                 mask=mask)
    black = mask == 0
    assert 0.2 < black.mean() < 0.8
    assert np.array_equal(np.uint8(dreamed[black]), image[black])
    assert np.abs(dreamed - image)[mask == 255].mean() > 5


def test_a_step_goes_as_far_as_the_mask_is_bright(tiny: Model) -> None:
    image, mask = noise(60, 80), disc(60, 80)
    net = Net(tiny, "mix/output")
    free, masked = (dreamify.deepdream(net, image, iterations=1, octaves=1, clip=False, mask=where) - image
                    for where in (None, mask))
    assert len(np.unique(mask)) > 50
    assert np.allclose(masked, free * (mask / 255.0)[..., None], atol=1e-4)


def test_nothing_shines_into_the_black_from_a_smaller_octave(tiny: Model) -> None:
    """Within the dream too, not only in its result."""
    image, mask = noise(90, 120), np.zeros((90, 120), np.uint8)
    mask[:, 61:] = 255
    seen = []
    net = Net(tiny, "mix/output")
    dreamify.deepdream(net, image, iterations=1, octaves=3, mask=mask,
                       each_step=lambda step: seen.append(step.picture.copy()))
    assert np.array_equal(seen[-1][:, mask == 0], net.preprocess(image)[:, mask == 0])


def test_a_white_mask_changes_nothing(tiny: Model) -> None:
    image, net = noise(50, 70), Net(tiny, "mix/output")
    plain, white = (dreamify.deepdream(net, image, iterations=2, octaves=2, mask=mask)
                    for mask in (None, np.full((50, 70), 255, np.uint8)))
    assert np.array_equal(plain, white)


def test_a_masked_step_has_the_same_bits_with_every_numpy(tiny: Model) -> None:
    """numpy 1 and 2 choose different types for a float32 divided by 255: every value here is float32."""
    image, mask, net, seen = noise(60, 80), disc(60, 80), Net(tiny, "mix/output"), []
    dreamify.deepdream(net, image, iterations=1, octaves=1, clip=False, step_size=3.0, mask=mask,
                       each_step=lambda step: seen.append(step.picture.copy()))
    rate = np.array(3.0 / mean_size(net.gradient), np.float32)
    share = mask.astype(np.float32) / np.array(255, np.float32)
    expected = net.preprocess(image) + rate[None, None] * share * net.gradient
    assert expected.dtype == np.float32
    assert np.array_equal(seen[0], expected)


def test_tiles_take_the_mask_as_the_whole_does(tiny: Model) -> None:
    image, mask = noise(151, 203), disc(151, 203)
    whole, _, one = one_step(tiny, "mix/output", image, mask=mask)
    tiled, _, many = one_step(tiny, "mix/output", image, 12_000, mask=mask)
    assert (one, many > 1) == (1, True)
    assert psnr(whole, tiled) >= 80


def test_a_dream_goes_on_to_the_same_picture(tiny: Model) -> None:
    image, mask, states = noise(90, 120), disc(90, 120), []
    net = Net(tiny, "mix/output")

    def keep(step: Step) -> None:
        states.append(State(step.octave, step.iteration + 1, step.picture.copy(), step.random, 0))

    whole = dreamify.deepdream(net, image, iterations=3, octaves=3, mask=mask, each_step=keep)
    for state in (states[1], states[5]):  # within an octave, and at the end of one
        assert np.array_equal(dreamify.deepdream(net, image, iterations=3, octaves=3, mask=mask, state=state), whole)


def test_what_is_not_finished_keeps_the_black_too(tiny: Model) -> None:
    """In any octave, whose picture is enlarged."""
    image, mask, net = noise(90, 120), disc(90, 120), Net(tiny, "mix/output")
    sizes, seen = dreamify.octave_sizes(90, 120, 3, 1.4), []

    def show(step: Step) -> None:
        seen.append(unfinished.picture(tiny, image, sizes, step.octave, step.picture, net.budget.allocate, mask))

    dreamify.deepdream(net, image, iterations=1, octaves=3, mask=mask, each_step=show)
    assert len(seen) == 3
    assert all(np.array_equal(dreamed[mask == 0], image[mask == 0]) for dreamed in seen)
    assert all(np.abs(dreamed - image).max() > 5 for dreamed in seen)


def test_a_moving_picture_keeps_the_black_whatever_moves(tiny: Model) -> None:
    class Moving:
        def frames(self, first: int) -> Iterator[Pixels]:
            yield from [np.roll(noise(60, 80), number, 1) for number in range(3)][first:]  # little enough for one shot

    moving: Any = Moving()
    mask, net = disc(60, 80), Net(tiny, "mix/output")
    dream = functools.partial(dreamify.deepdream, mask=mask, iterations=1, octaves=2)
    dreams = sequence.following(dream, net, moving, blend=0.5, mask=mask, carry=lambda before, frame, added: (
        np.roll(added, 30, 1), np.ones((1, 1, 1), np.float32)))
    for (dreamed, _), frame in zip(dreams, moving.frames(0), strict=True):
        assert np.array_equal(dreamed[mask == 0], frame[mask == 0])
        assert np.abs(dreamed - frame)[mask == 255].mean() > 0.5


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "1", "P", "I;16"])
def test_a_mask_is_what_is_light_and_there(tmp_path: Path, mode: str) -> None:
    mask = disc(40, 50)
    image = Image.fromarray(mask)
    if mode == "LA":  # white paint on nothing
        image = Image.merge("LA", [Image.new("L", (50, 40), 255), image])
    elif mode == "I;16":
        image = Image.fromarray(np.uint16(mask) * 257)
    else:
        image = image.convert(mode)
    image.save(tmp_path / "m.png")
    found = read_mask(tmp_path / "m.png", 10 ** 6, pytest.fail)
    wanted = np.asarray(image.convert("L")) if mode == "1" else mask
    assert np.abs(np.int16(found) - wanted).max() <= 1
    assert np.array_equal(found == 0, wanted == 0)


def test_a_mask_of_another_size_is_fitted(tmp_path: Path) -> None:
    told: list[str] = []
    mask = fitted(disc(80, 100), 40, 50, told.append)
    assert mask.shape == (40, 50)
    assert psnr(mask, disc(40, 50)) > 20
    assert not told
    fitted(disc(80, 100), 40, 80, told.append)
    assert told == ["mask: its 100×80 pixels are stretched to the picture's 80×40"]
    with pytest.raises(Mistake, match="black all over"):
        fitted(np.zeros((80, 100), np.uint8), 40, 50, told.append)


def test_the_command_takes_a_mask_and_keeps_its_checksum(tiny: Model, tmp_path: Path) -> None:
    image = saved(tmp_path / "in.png", noise(90, 120))
    mask = saved(tmp_path / "face.png", disc(180, 240))
    words = ["mix/output", 2, 3, "--model", tiny.folder, "--seed", 1]
    done = run(image, tmp_path / "out.png", *words, "--mask", mask)
    assert (done.returncode, done.stderr) == (0, "")
    before, after = (np.asarray(Image.open(tmp_path / name)) for name in ("in.png", "out.png"))
    black = resized(disc(180, 240), 90, 120) == 0
    assert np.array_equal(before[black], after[black])
    assert not np.array_equal(before, after)
    kept = read_recipe(tmp_path / "out.png")
    assert kept["mask"] == "face.png"
    assert len(kept["mask_sha256"]) == 64
    again = run(image, tmp_path / "b.png", *words[3:5], "--like", tmp_path / "out.png")
    assert "out.png was dreamed with the mask face.png; to use one here, add --mask" in again.stderr
    assert "mask" not in read_recipe(tmp_path / "b.png")
    once_more = run(image, tmp_path / "c.png", *words[3:5], "--like", tmp_path / "out.png", "--mask", mask)
    assert once_more.stderr == ""
    assert (tmp_path / "c.png").read_bytes() == (tmp_path / "out.png").read_bytes()


def test_what_is_wrong_with_a_mask_is_told_with_the_rest(tiny: Model, sky: Path, tmp_path: Path) -> None:
    black = saved(tmp_path / "black.png", np.zeros((48, 72), np.uint8))
    (tmp_path / "text.png").write_text("no picture")
    for words, said in (((black,), "mask: it is black all over"), (("nosuch.png",), "mask: no such file: nosuch.png"),
                        ((tmp_path / "text.png",), "is not a picture"), (("-",), "name a file")):
        done = run(sky, tmp_path / "out.png", "--model", tiny.folder, "--octaves", "--mask", *words)
        assert done.returncode == 2
        assert said in done.stderr
        assert "unknown option: --octaves" in done.stderr
    itself = saved(tmp_path / "mask.png", disc(48, 72))
    done = run(sky, itself, "--model", tiny.folder, "--mask", itself)
    assert done.returncode == 2
    assert "mask.png is the mask itself" in done.stderr
    assert not (tmp_path / "out.png").exists()


def test_a_folder_is_dreamed_with_a_mask_and_anew_without(tiny: Model, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    saved(tmp_path / "in/a.png", noise(90, 120))
    saved(tmp_path / "in/b.png", noise(60, 80))
    mask = saved(tmp_path / "mask.png", disc(90, 120))
    words = [tmp_path / "in", tmp_path / "out", "mix/output", 1, 1, "--seed", 1, "--model", tiny.folder]
    assert run(*words, "--mask", mask).returncode == 0
    for name, black in (("a", disc(90, 120) == 0), ("b", resized(disc(90, 120), 60, 80) == 0)):
        before, after = (np.asarray(Image.open(path)) for path in (tmp_path / f"in/{name}.png",
                                                                   tmp_path / f"out/{name}-dream.png"))
        assert np.array_equal(before[black], after[black])
        assert not np.array_equal(before, after)
    dreams = [path.read_bytes() for path in sorted((tmp_path / "out").iterdir())]
    assert run(*words, "--mask", mask).returncode == 0
    assert dreams == [path.read_bytes() for path in sorted((tmp_path / "out").iterdir())]
    assert run(*words).returncode == 0
    assert all(old != path.read_bytes() for old, path in zip(dreams, sorted((tmp_path / "out").iterdir()),
                                                             strict=True))
