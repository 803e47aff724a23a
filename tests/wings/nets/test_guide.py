"""Guided dreams, compared with the reference, and with all dot products at once in double precision."""

import functools
import os
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dreamify
import oracle
import tinymodel
from dreamer.errors import Mistake
from dreamer.nets import layers, model
from dreamer.nets.guide import Guide, Seen
from dreamer.nets.net import Net
from dreamer.options.guide_and_mask import read_guide
from dreamer.pictures.recipe import read_recipe
from helpers import ROOT, dream, noise, one_step, photo, psnr, run, start_slow, wait_for


def test_agrees_with_the_reference(googlenet: model.Model, reference: Path) -> None:
    known = np.load(reference / "flowers-guided-3b-1x1.npz")
    net = Net(googlenet, "inception_3b/output")
    picture, _ = dream(net, photo("flowers.jpg"), seed=0, iterations=1, octaves=1, guide=Guide(photo("cat.jpg")))
    assert psnr(picture, known["picture"]) >= 90
    error = np.linalg.norm(net.gradient - known["first_gradient"]) / np.linalg.norm(known["first_gradient"])
    assert error < 5e-3


def test_agrees_with_the_oracle_on_the_small_net(sky: Path) -> None:
    found = model.find(model.SPARE)
    image, guide = (np.asarray(Image.open(sky).resize(size)) for size in ((180, 120), (100, 130)))
    options: dict[str, Any] = {"iterations": 2, "octaves": 2, "seed": 3}
    picture, _ = dream(Net(found, "inception_3b/output"), image, guide=Guide(guide), **options)
    expected, _, _ = oracle.dream(found.prototxt_path(), str(found.weights_path()), found.mean, True, image,
                                  "inception_3b/output", guide=guide, **options)
    assert psnr(picture, expected) > 38


@pytest.mark.parametrize("layer", ["conv1", "mix/output"])
def test_agrees_with_the_oracle_on_the_tiny_net(tiny: model.Model, layer: str) -> None:
    options: dict[str, Any] = {"iterations": 2, "octaves": 2, "seed": 3, "step_size": 4.0}
    picture, _ = dream(Net(tiny, layer), noise(41, 53), guide=Guide(noise(60, 37, 2)), **options)
    expected, _, _ = oracle.dream(tiny.prototxt_path(), str(tiny.weights_path()), tinymodel.MEAN, False, noise(41, 53),
                                  layer, guide=noise(60, 37, 2), **options)
    assert psnr(picture, expected) > 60


@pytest.mark.parametrize(("positions", "filters"), [(512, 4096), (7, 5), (1, 1), (100, 30)])
def test_a_block_at_a_time_finds_what_all_at_once_would(monkeypatch: pytest.MonkeyPatch, positions: int,
                                                        filters: int) -> None:
    monkeypatch.setattr("dreamer.nets.guide.POSITIONS", positions)
    monkeypatch.setattr("dreamer.nets.guide.FILTERS", filters)
    rng = np.random.RandomState(0)
    x, y = rng.randn(11, 9, 10).astype(np.float32), rng.randn(61, 11).astype(np.float32)
    products, best = Seen(y).match(x)
    exact = x.reshape(11, 90).astype(np.float64).T @ y.astype(np.float64).T
    assert np.allclose(products, exact.max(1), rtol=1e-5)
    assert np.array_equal(best.reshape(11, 90), y[exact.argmax(1)].T)


def test_memory_stays_flat() -> None:
    """All dot products at once would take 576 MB here."""
    rng = np.random.RandomState(0)
    x, y = rng.randn(2, 100, 120).astype(np.float32), rng.randn(12_000, 2).astype(np.float32)
    tracemalloc.start()
    seen = Seen(y)
    products, best = seen.match(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak + seen.bytes < 60 << 20
    some = rng.permutation(12_000)[:50]
    exact = x.reshape(2, -1)[:, some].astype(np.float64).T @ y.astype(np.float64).T
    assert np.allclose(products[some], exact.max(1), rtol=1e-5)
    assert (y[exact.argmax(1)] == best.reshape(2, -1)[:, some].T).all(1).mean() > 0.95  # some are nearly ties


@pytest.mark.parametrize("text", ["mix/output:2-5", "conv1+mix/3x3:0,4*-2", "mix/*"])
def test_channels_and_sums_are_guided_too(tiny: model.Model, text: str) -> None:
    what, _ = layers.parse(text, tiny)
    net = Net(tiny, what)
    objectives: list[dreamify.Objective] = [functools.partial(dreamify.objective_guide, seen=seen)
                                            for seen in Guide(noise(30, 44, 2)).seen(net)]
    net.budget.fit(41, 53)
    net.resize(41, 53)
    picture, guide = net.preprocess(noise(41, 53)), net.preprocess(noise(30, 44, 2))
    before = picture.copy()
    dreamify.make_step(net, picture, np.random.RandomState(0), 1.5, 0, False, objectives)
    _, sums = oracle.gradient_of_sum(tiny.prototxt_path(), str(tiny.weights_path()), before, what.terms, guide)
    ours = net.gradient / np.linalg.norm(net.gradient)  # a single term is not normalised
    assert np.linalg.norm(ours - sums / np.linalg.norm(sums)) < 1e-4


def test_a_guided_dream_grows_towards_its_guide(tiny: model.Model) -> None:
    _, objectives = dream(Net(tiny, "mix/output"), noise(41, 53), guide=Guide(noise(30, 44, 2)), iterations=5,
                          octaves=1, step_size=0.5, jitter=0)
    assert objectives == sorted(objectives)
    assert objectives[-1] > objectives[0]


def test_tiles_give_the_dream_of_the_whole(googlenet: model.Model, sky: Path) -> None:
    """The guide goes through the net in tiles too."""
    image, guide = (np.asarray(Image.open(sky).resize(size)) for size in ((480, 320), (330, 330)))
    whole, value, one = one_step(googlenet, "inception_3b/5x5_reduce", image, guide=Guide(guide))
    tiled, tiled_value, many = one_step(googlenet, "inception_3b/5x5_reduce", image, 280 * 280, guide=Guide(guide))
    assert (one, many > 1) == (1, True)
    assert psnr(whole, tiled) >= 80
    assert tiled_value == pytest.approx(value, rel=1e-6)


def test_the_guide_is_looked_at_once_and_counted_in_the_memory(tiny: model.Model) -> None:
    net, guide = Net(tiny, "mix/output"), Guide(noise(30, 44, 2))
    before = net.budget.base
    seen = guide.seen(net)
    assert net.budget.base - before == seen[0].bytes >= 2 * 4 * 10 * 7 * 10
    assert guide.seen(net) is seen
    assert net.budget.base - before == seen[0].bytes
    assert guide.seen(Net(tiny, "conv1")) is not seen


def test_a_guide_that_is_dropped_no_longer_counts(tiny: model.Model) -> None:
    """Six dreams with one net, each with its own guide."""
    net, bases = Net(tiny, "mix/output"), []
    bare = net.budget.base
    for seed in range(6):
        dreamify.deepdream(net, noise(41, 53), iterations=1, octaves=1, guide=Guide(noise(60, 90, seed)))
        bases.append(net.budget.base)
    assert set(bases) == {bare}
    first, second = (Guide(noise(60, 90, seed)) for seed in (1, 2))
    counted = [first.seen(net)[0].bytes, second.seen(net)[0].bytes]
    assert net.budget.base == bare + sum(counted)  # both guides still exist
    del first
    assert net.budget.base == bare + counted[1]


# the command ---------------------------------------------------------------------------------------------

@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Paths of an input and two guides."""
    for name, size, seed in (("in", (60, 80), 1), ("guide", (90, 70), 2), ("other", (90, 70), 3)):
        Image.fromarray(noise(*size, seed)).save(tmp_path / f"{name}.png")
    return [tmp_path / f"{name}.png" for name in ("in", "guide", "other")]


def test_the_command_takes_a_guide_and_its_recipe_asks_for_it(tiny: model.Model, tmp_path: Path,
                                                              pictures: list[Path]) -> None:
    image, guide, other = pictures
    words, net = ["mix/output", 2, 2, "--seed", 1], ["--model", tiny.folder]
    done = run(image, tmp_path / "a.png", *words, *net, "--guide", guide, "--guide-size", 50)
    assert (done.returncode, done.stderr) == (0, "")
    kept = read_recipe(tmp_path / "a.png")
    assert (kept["guide"], kept["guide_size"], len(kept["guide_sha256"])) == ("guide.png", 50, 64)
    run(image, tmp_path / "plain.png", *words, *net)
    assert not {"guide", "guide_size", "guide_sha256"} & set(read_recipe(tmp_path / "plain.png"))

    like = [image, tmp_path / "b.png", *net, "--like", tmp_path / "a.png"]
    done = run(*like)  # the guide is in the same folder
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").unlink()
    (tmp_path / "elsewhere").mkdir()
    guide = guide.rename(tmp_path / "elsewhere/guide.png")
    for _ in range(2):  # the second time, a different picture has the guide's name
        done = run(*like)
        assert done.returncode == 2
        assert done.stderr == (f"dreamify: like: {tmp_path}/a.png was guided by guide.png; "
                               "name that picture with --guide\n")
        shutil.copyfile(other, tmp_path / "guide.png")
    done = run(*like, "--guide", guide)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()
    done = run(*like, "--guide", other)
    assert done.returncode == 0
    assert done.stderr == (f"dreamify: warning: like: {tmp_path}/a.png was guided by guide.png, but {other} "
                           "is a different picture\n")
    dreams = {(tmp_path / f"{name}.png").read_bytes() for name in ("a", "b", "plain")}
    assert len(dreams) == 3


def test_the_guides_size_matters(tiny: model.Model, pictures: list[Path]) -> None:
    sizes = [read_guide(pictures[1], longest, 5, 10 ** 6, pytest.fail).shape for longest in (512, 45)]
    assert sizes == [(90, 70, 3), (45, 35, 3)]


def test_what_is_wrong_with_a_guide_is_told_with_the_rest(tiny: model.Model, tmp_path: Path,
                                                          pictures: list[Path]) -> None:
    Image.fromarray(noise(90, 2)).save(tmp_path / "slip.png")
    for words, said in (((tmp_path / "slip.png",), "the guide has 2×90"),
                        (("nosuch.png",), "guide: no such file: nosuch.png"), (("-",), "guide: only INPUT can be"),
                        ((pictures[1], "--guide-size", "x"), "guide-size: 'x' is not a whole number"),
                        ((tmp_path / "out.png",), "out.png is the guide itself")):
        done = run(pictures[0], tmp_path / "out.png", "--model", tiny.folder, "--guide", *words)
        assert done.returncode == 2
        assert said in done.stderr
    assert not (tmp_path / "out.png").exists()
    with pytest.raises(Mistake, match="pixels on each side"):
        Guide(noise(90, 2)).seen(Net(tiny, "mix/output"))


def test_a_reproducible_guided_dream_has_the_same_bits_on_any_machine(tmp_path: Path, sky: Path) -> None:
    words = ["inception_3b/output+inception_4a/1x1*0.5", 2, 2, "--seed", 1, "--max-size", 150, "--guide", sky,
             "--guide-size", 100, "--model", model.SPARE, "--reproducible", "--quiet"]
    for name, isa, threads in (("a", "", 2), ("b", "avx2", 1)):
        done = run(sky, tmp_path / f"{name}.png", *words, "--threads", threads,
                   env=os.environ | ({"NATIVE_ISA": isa} if isa else {}))
        if done.returncode == 1 and "no AVX2" in done.stderr:
            pytest.skip("this processor has no AVX2")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.slow
def test_a_sum_with_a_guide_and_a_mask_goes_on_to_the_same_bytes(tiny: model.Model, sky: Path, tmp_path: Path,
                                                                 pictures: list[Path]) -> None:
    mask = tmp_path / "mask.png"
    Image.fromarray(np.uint8(np.tile(np.arange(256), (9, 1)))).save(mask)
    command = [sky, tmp_path / "a.png", "mix/1x1*-1+conv1:2-4", 30, 2, "--seed", 1, "--max-size", 150, "--guide",
               pictures[1], "--mask", mask, "--model", tiny.folder]
    with start_slow([ROOT / "dreamify.py", *map(str, command)], 35) as process:
        wait_for(process, "octave 2/2  iteration 5/30")
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 143
    done = run(*command)
    assert "continues from octave 2, iteration" in done.stdout
    command[1] = tmp_path / "b.png"
    assert run(*command).returncode == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
