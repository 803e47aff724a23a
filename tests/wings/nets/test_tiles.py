"""Tiles: the dream of the whole picture, piece by piece."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreamer.nets import shapes, tiles
from dreamer.nets.model import Model
from helpers import one_step, psnr


@pytest.mark.parametrize(("layer", "size", "pixels", "jitter"), [
    ("inception_4c/output", (720, 480), 480 * 470, 32),
    ("inception_4c/output", (719, 333), 160_000, 700),  # odd sides, and rolled further than the height
    ("inception_3b/5x5_reduce", (300, 200), 120 * 120, 32),
    ("conv2/3x3", (500, 300), 160 * 160, 3),
])
def test_tiles_give_the_dream_of_the_whole(googlenet: Model, sky: Path, layer: str, size: tuple[int, int], pixels: int,
                                           jitter: int) -> None:
    image = np.asarray(Image.open(sky).resize(size))
    whole, value, one = one_step(googlenet, layer, image, jitter=jitter)
    tiled, tiled_value, many = one_step(googlenet, layer, image, pixels, jitter=jitter)
    assert one == 1
    assert many > 1
    assert psnr(whole, tiled) >= 80
    assert tiled_value == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("layer", ["conv1", "pool1", "mix/3x3", "mix/output", "after"])
def test_tiles_give_the_dream_of_the_whole_at_any_layer(tiny: Model, layer: str) -> None:
    image = np.random.RandomState(0).randint(0, 256, (151, 203, 3)).astype(np.uint8)
    whole, value, _ = one_step(tiny, layer, image)
    for pixels in (1, 12_000, 20_000):
        tiled, tiled_value, many = one_step(tiny, layer, image, pixels)
        assert many > 1
        assert psnr(whole, tiled) >= 80
        assert tiled_value == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(("height", "width", "pixels"),
                         [(1080, 1920, 500_000), (90, 4000, 60_000), (2160, 3840, 10 ** 9)])
def test_a_layout_covers_the_layer_and_keeps_its_bound(googlenet: Model, height: int, width: int, pixels: int) -> None:
    layers, end = shapes.cut(googlenet.net, ["inception_4c/output"]), "inception_4c/output"
    rows, columns = tiles.layout(layers, [end], height, width, pixels)
    for made, along, size in ((rows, 0, height), (columns, 1, width)):
        owned = [w.start // 16 + i for w in made for i in range(w.own[end].start, w.own[end].stop)]
        assert owned == list(range(shapes.spatial(layers, height, width)[end][along]))
        assert all(w.start >= 0 and w.start + w.size <= size for w in made)
    assert max(r.size for r in rows) * max(c.size for c in columns) <= pixels
    assert tiles.overhead(rows, columns, height, width) < 3
