#!/usr/bin/python3
"""Makes the pictures of the README, and the tiles of the studio, with the program itself:

    $ tests/gallery/make.py              # all of them, in some minutes
    $ tests/gallery/make.py eyes zoom    # some of them
    $ tests/gallery/make.py tiles-daydream

The command of a picture is its caption in the README. With its seed, the dream is the same on each machine with AVX2.
The dream is shrunk, and stored as a JPEG. A model's tiles are one WebP picture in the model's folder.
"""

import functools
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT)]

import dreamify  # noqa: E402
from dreamer import errors  # noqa: E402
from dreamer.nets import layers, model  # noqa: E402
from dreamer.nets.net import Net  # noqa: E402
from dreamer.options.sizes import least_side  # noqa: E402
from dreamer.state import Step  # noqa: E402

WIDTH = 640  # of a picture in the gallery
WHOLE = 1400  # of a picture as wide as the page
THUMB = 240  # of a layer's picture
GAP = 6  # between pictures in a strip
TILE, COLUMNS = 96, 9  # pixels of a side of a tile; tiles in a row
PAPER = (255, 255, 255)
BEFORE = "tests/pictures/dandelions.jpg"


class Item(NamedTuple):
    """A picture of the gallery.

    command  a line of bash that writes the dreams, dream*.png
    arrange  function of the dreams, a list of Image, that returns the picture"""

    command: str
    arrange: Callable[[list[Image.Image]], Image.Image] = lambda dreams: shrunk(dreams[0], WIDTH)


def shrunk(image: Image.Image, width: int) -> Image.Image:
    """`image`, no wider than `width`."""
    image = image.convert("RGB")
    return image.resize((width, round(image.height * width / image.width)), Image.LANCZOS, reducing_gap=None)


def row(images: Sequence[Image.Image], width: int = WHOLE) -> Image.Image:
    """The images side by side, with the same height, `width` pixels wide in total."""
    height = min(image.height for image in images)
    images = [shrunk(image, round(image.width * height / image.height)) for image in images]
    whole = Image.new("RGB", (sum(image.width for image in images) + (len(images) - 1) * GAP, height), PAPER)
    left = 0
    for image in images:
        whole.paste(image, (left, 0))
        left += image.width + GAP
    return shrunk(whole, width)


def small_row(images: Sequence[Image.Image]) -> Image.Image:
    """The images side by side, less wide than the page."""
    return row(images, 1000)


def beside_its_photo(dreams: list[Image.Image]) -> Image.Image:
    """The photo and its dream."""
    return row([Image.open(ROOT / BEFORE), dreams[0]])


def film_strip(dreams: list[Image.Image]) -> Image.Image:
    """Six frames of a film, with the first and the last."""
    return row([dreams[number] for number in np.linspace(0, len(dreams) - 1, 6).round().astype(int)])


DREAM = "./dreamify.py tests/pictures/"
ITEMS = {
    "classic": Item(f"{DREAM}dandelions.jpg dream.png --seed 1", beside_its_photo),
    "eyes": Item(f"{DREAM}sky.jpg dream.png inception_4b/pool --seed 1"),
    "birds": Item(f"{DREAM}sky.jpg dream.png inception_4e/1x1 20 5 --seed 1"),
    "buildings": Item(f"{DREAM}sky.jpg dream.png inception_4d/3x3 20 5 --seed 1"),
    "impressionist": Item(f"{DREAM}coffee.jpg dream.png inception_3b/5x5_reduce --seed 1"),
    "guided": Item(f"{DREAM}dandelions.jpg dream.png inception_4c/output 20 --guide tests/pictures/raccoon.jpg "
                   "--seed 1"),
    "channel": Item(f"{DREAM}dandelions.jpg dream.png inception_4d/output:21 20 5 --seed 1"),
    "mask": Item(f"{DREAM}coffee.jpg dream.png inception_4c/output 20 5 --mask tests/pictures/coffee-mask.png "
                 "--seed 1"),
    "octaves": Item(f"for n in 1 2 4 6; do {DREAM}dandelions.jpg dream-$n.png inception_4c/output 10 $n --seed 1; done",
                    row),
    "things": Item("for n in banana lion 'sports car' basketball; do ./dreamify.py noise:448x448 \"dream-$n.png\" "
                   '"class:$n" --seed 1; done', lambda dreams: row([dreams[at] for at in (0, 2, 3, 1)])),
    "channels": Item(f"for c in strongest5 weakest5; do {DREAM}dandelions.jpg dream-$c.png inception_4c/output:$c 20 "
                     "--seed 1; done", row),
    "flamingos": Item(f"{DREAM}sky.jpg dream.png class:flamingo --seed 1"),
    "smooth": Item(f"for n in 0 1 3; do {DREAM}dandelions.jpg dream-$n.png inception_4c/output 20 --smooth $n "
                   "--seed 1; done", row),
    "pyramid": Item(f"{DREAM}dandelions.jpg dream-1.png inception_4c/output 20 --seed 1; "
                    f"{DREAM}dandelions.jpg dream-2.png inception_4c/output 20 --pyramid --seed 1", small_row),
    "keep-colours": Item(f"{DREAM}coffee.jpg dream-1.png inception_4c/output 20 --seed 1; "
                         f"{DREAM}coffee.jpg dream-2.png inception_4c/output 20 --keep-colours --seed 1", small_row),
    "strength": Item(f"for n in 30 60 90; do {DREAM}coffee.jpg dream-$n.png inception_4c/output 20 --strength $n "
                     "--seed 1; done", small_row),
    "zoom": Item(f"{DREAM}sky.jpg dream-%04d.png --zoom 60 --max-size 480 --seed 1", film_strip),
}

LAYERS = ("conv2/3x3", "inception_3a/output", "inception_3b/5x5_reduce", "inception_3b/output", "inception_4a/output",
          "inception_4b/pool", "inception_4c/output", "inception_4d/1x1", "inception_4d/3x3", "inception_4d/pool_proj",
          "inception_4e/output", "inception_5a/3x3")
LAYER_COMMAND = f"{DREAM}dandelions.jpg dream.png LAYER 20 --max-size 480 --seed 1"


def file_of(layer: str) -> str:
    """Name of the file with a layer's picture, beside this script."""
    return f"{layer.removeprefix('inception_').replace('/', '-')}.jpg"


def dreamed(command: str) -> list[Image.Image]:
    """The dreams that a command writes, a list of Image."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("dreamify.py", "tests"):
            os.symlink(ROOT / name, Path(folder, name))
        subprocess.run(["bash", "-ec", command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        dreams = [Image.open(path) for path in sorted(Path(folder).glob("dream*.png"))]
        for image in dreams:
            image.load()
    return dreams


def shown(change: NDArray[Any]) -> Image.Image:
    """A change of a picture (h, w, 3) as an Image: grey where nothing changes."""
    return Image.fromarray(np.uint8(np.clip(128 + 40 * change / change.std(), 0, 255)))


def diagram() -> Image.Image:
    """How it works, drawn from what the classic dream computes.

    The upper row shows one step: the picture, the picture rolled by the jitter, the gradient, and the result of ten
    such steps. The lower row shows what has been added after each octave, from the smallest to the largest."""
    image = np.asarray(Image.open(ROOT / BEFORE))
    net = Net(model.find("bvlc_googlenet"), "inception_4c/output")
    sizes = dreamify.octave_sizes(image.shape[0], image.shape[1], 4, 1.4)
    offset = tuple(int(part) for part in np.random.RandomState(1).randint(-32, 33, 2))
    steps, gradients = {}, {}

    def keep(step: Step) -> None:
        planes = step.picture.copy()
        gradients[step.octave, step.iteration] = net.gradient[::-1].transpose(1, 2, 0).copy()
        steps[step.octave, step.iteration] = np.clip(net.deprocess(planes), 0, 255)

    whole = dreamify.deepdream(net, image, seed=1, each_step=keep)
    first = shrunk(Image.fromarray(image), sizes[0][1])
    rolled = Image.fromarray(np.roll(np.asarray(first), (offset[1], offset[0]), (0, 1)))
    above = [first, rolled, shown(gradients[0, 0]), Image.fromarray(np.uint8(steps[0, 9]))]
    below = []
    for octave, (height, width) in enumerate(sizes):
        dream = whole if octave == len(sizes) - 1 else steps[octave, 9]
        base = np.asarray(Image.fromarray(image).resize((width, height), Image.BOX), np.float32)
        below.append(shown(dream - base))
    rows = [row([shrunk(part, sizes[-1][1]) for part in above]), stairs(below, WHOLE)]
    made = Image.new("RGB", (WHOLE, sum(part.height for part in rows) + 4 * GAP), PAPER)
    made.paste(rows[0], (0, 0))
    made.paste(rows[1], (0, rows[0].height + 4 * GAP))
    return made


def stairs(images: Sequence[Image.Image], width: int) -> Image.Image:
    """The images side by side, in their own sizes, aligned at the bottom."""
    whole = Image.new("RGB", (sum(image.width for image in images) + (len(images) - 1) * 2 * GAP,
                              max(image.height for image in images)), PAPER)
    left = 0
    for image in images:
        whole.paste(image, (left, whole.height - image.height))
        left += image.width + 2 * GAP
    return shrunk(whole, width)


def of_item(item: Item) -> Image.Image:
    """The dreams of an Item's command, arranged."""
    return item.arrange(dreamed(item.command))


def of_layer(layer: str) -> Image.Image:
    """A layer's dream, small."""
    return shrunk(dreamed(LAYER_COMMAND.replace("LAYER", layer))[0], THUMB)


def studio_page() -> Image.Image:
    """The studio's page in the dark, with three dreams of the sample photos; needs Chromium and Selenium."""
    sys.path[:0] = [str(ROOT / "tests")]
    from browser import Page, Served, window
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "photos")
        folder.mkdir()
        studio = Served(folder)
        driver = window(size=(1400, 860))
        try:
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
                "features": [{"name": "prefers-color-scheme", "value": "dark"}]})
            page = Page(driver, studio)
            for sample, form in (("coffee", {"layer": "inception_3b/5x5_reduce"}), ("raccoon", {"layer": "birds"}),
                                 ("dandelions", {})):
                page.open(seed=1, **form)
                if page.find("#open-new").is_displayed():
                    page.click("#open-new")
                page.sample(sample)
                page.dream()
                page.shows("done", 300)
            page.until("document.querySelectorAll('#strip img').length === 6 && "
                       "[...document.querySelectorAll('#strip img')].every(one => one.naturalWidth)")
            time.sleep(1)
            return Image.open(io.BytesIO(driver.get_screenshot_as_png()))
        finally:
            driver.quit()
            studio.stop()


def tiles_of(name: str) -> Image.Image:
    """A tile for each layer of the model, in the order of `keys`: a square of the dandelions, dreamed at twice a tile's
    size, because a layer shows little of what it likes in 96 pixels."""
    found = model.find(name)
    whole = Image.new("RGB", (COLUMNS * TILE, -(-len(found.keys) // COLUMNS) * TILE))
    photo = Image.open(ROOT / BEFORE)
    left = (photo.width - photo.height) // 2
    square = photo.crop((left, 0, left + photo.height, photo.height)).resize((2 * TILE, 2 * TILE), Image.LANCZOS)
    for number, key in enumerate(found.keys):
        octaves = min(3, octaves_for(found, key))
        dream = dreamify.deepdream(Net(found, key), np.asarray(square), iterations=20, octaves=octaves, seed=1)
        tile = Image.fromarray(np.uint8(np.clip(dream, 0, 255))).resize((TILE, TILE), Image.LANCZOS)
        whole.paste(tile, (number % COLUMNS * TILE, number // COLUMNS * TILE))
    return whole


def octaves_for(chosen: model.Model, key: str) -> int:
    """The number of octaves of a tile's dream that are large enough for the layer."""
    least = least_side(chosen, layers.parse(key, chosen)[0])
    return sum(min(size) >= least for size in dreamify.octave_sizes(2 * TILE, 2 * TILE, 3, 1.4))


def main(names: Sequence[str]) -> None:
    """Make the pictures with these names; all if no names are given."""
    made: dict[str, Callable[[], Image.Image]] = {
        name: functools.partial(of_item, item) for name, item in ITEMS.items()}
    made |= {file_of(layer)[:-4]: functools.partial(of_layer, layer) for layer in LAYERS}
    made["how"], made["studio"] = diagram, studio_page
    made |= {f"tiles-{name}": functools.partial(tiles_of, name) for name in model.names() if model.find(name).described}
    if unknown := set(names) - set(made):
        sys.exit(f"make.py: no picture is called {', '.join(sorted(unknown))}; there are: {' '.join(made)}")
    try:
        model.find("bvlc_googlenet").weights_path()# fails if they are missing; otherwise another net would dream
    except errors.Failure as error:
        sys.exit(f"make.py: {error}")
    for name in names or made:
        if name.startswith("tiles-"):
            path = model.MODELS / name.removeprefix("tiles-") / "tiles.webp"
            made[name]().save(path, quality=70, method=6)
        else:
            path = HERE / f"{name}.jpg"
            made[name]().convert("RGB").save(path, quality=80, optimize=True, progressive=True)
        print(f"{path.name}: {path.stat().st_size // 1000} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
