"""Dreams with rules for their steps, finished: as pictures, previews, films of steps, atlases, and when they are
stopped. Compared with dreamify.deepdream, whose dream is finished here."""

import functools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slowly
from numpy.typing import NDArray

import dreamify
from dreamer import perform, steps
from dreamer.arrays import Pixels
from dreamer.errors import Stopped
from dreamer.films import sequence
from dreamer.jobs import events, unfinished
from dreamer.jobs.atlas import tile_name
from dreamer.nets.model import Model
from dreamer.nets.net import Net
from dreamer.pictures.finish import Finish
from dreamer.pictures.picture import eight_bit
from dreamer.state import Step
from helpers import noise, pixels, saved

HOW: list[dict[str, Any]] = [{"smooth": 1.5}, {"pyramid": True}, {"smooth": 1, "pyramid": True}, {"keep_colours": True},
                             {"strength": 40}, {"smooth": 2, "keep_colours": True, "strength": 60}]
FINISHED: dict[str, Any] = {"keep_colours": True, "strength": 60}


@pytest.fixture
def image(tmp_path: Path) -> NDArray[np.uint8]:
    """The pixels of in.png."""
    made = noise(62, 83)
    saved(tmp_path / "in.png", made)
    return made


def asked(tmp_path: Path, model: Model, output: str, **more: Any) -> dict[str, Any]:
    """A dream of two octaves with two steps each."""
    return {"input": str(tmp_path / "in.png"), "output": str(tmp_path / output), "layer": "mix/output", "iterations": 2,
            "octaves": 2, "model": str(model.folder), "seed": 4, "quiet": True} | more


def expected(net: Net, image: Pixels, smooth: float | None = None, pyramid: bool = False, keep_colours: bool = False,
             strength: float = 100, **more: Any) -> Pixels:
    """The finished dream."""
    step = functools.partial(dreamify.make_step, change=steps.rule(smooth, pyramid))
    return Finish(keep_colours, strength)(
        dreamify.deepdream(net, image, 2, 2, seed=4, step=step, **more), image)


@pytest.mark.parametrize("how", HOW, ids=str)
def test_a_picture(tiny: Model, image: NDArray[np.uint8], tmp_path: Path, how: dict[str, Any]) -> None:
    dreamify.dreamify(**asked(tmp_path, tiny, "out.png", **how))
    found = pixels(tmp_path / "out.png")
    assert np.array_equal(found, eight_bit(expected(Net(tiny, "mix/output"), image, **how)))
    dreamify.dreamify(**asked(tmp_path, tiny, "plain.png"))
    assert not np.array_equal(found, pixels(tmp_path / "plain.png"))


def test_the_usual_values_give_the_usual_bytes(tiny: Model, image: NDArray[np.uint8], tmp_path: Path) -> None:
    dreamify.dreamify(**asked(tmp_path, tiny, "a.png"))
    dreamify.dreamify(**asked(tmp_path, tiny, "b.png", strength="100", pyramid=False, keep_colours=False))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert np.array_equal(pixels(tmp_path / "a.png"), eight_bit(expected(Net(tiny, "mix/output"), image)))


def test_what_a_mask_keeps_stays_exactly(tiny: Model, image: NDArray[np.uint8], tmp_path: Path) -> None:
    mask = np.zeros((62, 83), np.uint8)
    mask[20:50, 30:60] = 255
    saved(tmp_path / "mask.png", mask)
    dreamify.dreamify(**asked(tmp_path, tiny, "out.png", mask=str(tmp_path / "mask.png"), **HOW[-1]))
    found = pixels(tmp_path / "out.png")
    assert np.array_equal(found[mask == 0], image[mask == 0])
    assert np.abs(found[mask == 255] - image[mask == 255].astype(float)).mean() > 1
    assert np.array_equal(found, eight_bit(expected(Net(tiny, "mix/output"), image, mask=mask, **HOW[-1])))


def test_a_film_of_the_steps_shows_each_step_finished(tiny: Model, image: NDArray[np.uint8], tmp_path: Path) -> None:
    dreamify.dreamify(**asked(tmp_path, tiny, "f-%d.png", **FINISHED))
    net, sizes = Net(tiny, "mix/output"), dreamify.octave_sizes(62, 83, 2, 1.4)
    seen = list[Pixels]()

    def show(step: Step) -> None:
        so_far = unfinished.picture(tiny, image, sizes, step.octave, step.picture, net.budget.allocate)
        seen.append(eight_bit(Finish(**FINISHED)(so_far, image)))
    dreamify.deepdream(net, image, 2, 2, seed=4, each_step=show)
    assert len(seen) == 4
    for number, frame in enumerate(seen, 1):
        assert np.array_equal(pixels(tmp_path / f"f-{number}.png"), frame), number
    dreamify.dreamify(**asked(tmp_path, tiny, "out.png", **FINISHED))
    assert np.array_equal(pixels(tmp_path / "out.png"), seen[-1])


def test_a_film_of_frames_is_finished_with_its_frames(tiny: Model, image: NDArray[np.uint8], tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    frames = [np.roll(image, number, 1) // 2 for number in range(3)]
    for number, frame in enumerate(frames):
        saved(tmp_path / f"frames/{number}.png", frame)
    how = asked(tmp_path, tiny, "f-%d.png", blend=0.5, **HOW[-1]) | {"input": str(tmp_path / "frames")}
    dreamify.dreamify(**how)

    class Moving:
        def frames(self, first: int = 0) -> Iterator[Pixels]:
            yield from frames[first:]
    moving: Any = Moving()
    dream = functools.partial(dreamify.deepdream, iterations=2, octaves=2, step=functools.partial(
        dreamify.make_step, change=steps.smooth(2)))
    shown = sequence.following(dream, Net(tiny, "mix/output"), moving, 0.5, seed=4, finish=Finish(True, 60))
    for number, (_, frame) in enumerate(shown, 1):
        assert np.array_equal(pixels(tmp_path / f"f-{number}.png"), eight_bit(frame)), number
    assert number == 3


def test_a_process_with_threads_gives_the_same(tiny: Model, image: NDArray[np.uint8], tmp_path: Path) -> None:
    """Its dreams run in a new interpreter, which gets the rule as a pickle."""
    dreamify.dreamify(**asked(tmp_path, tiny, "a.png", pyramid=True, **HOW[-1]))
    end = threading.Event()
    beside = threading.Thread(target=end.wait)
    beside.start()
    try:
        dreamify.dreamify(**asked(tmp_path, tiny, "b.png", pyramid=True, **HOW[-1]))
    finally:
        end.set()
        beside.join()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_preview_is_finished(tiny: Model, image: NDArray[np.uint8]) -> None:
    sizes = dreamify.octave_sizes(62, 83, 2, 1.4)
    mask = np.full((62, 83), 255, np.uint8)
    mask[:30] = 0
    plain, finished = (unfinished.Small(tiny, image, sizes, 40, mask, finish)
                       for finish in (Finish(), Finish(**FINISHED)))
    base = unfinished.Small(tiny, image, sizes, 40)
    for octave, (height, width) in enumerate(sizes):
        dreamed = noise(height, width, 5).transpose(2, 0, 1).astype(np.float32) - 100
        before = plain.picture(octave, dreamed.copy())
        base.picture(octave, dreamed.copy())
        assert np.array_equal(finished.picture(octave, dreamed.copy()), Finish(**FINISHED)(before, base._bases[-1]))


def test_an_atlas_has_them_too(tiny: Model, image: NDArray[np.uint8], tmp_path: Path) -> None:
    (tmp_path / "tiles").mkdir()
    dreamify.atlas(str(tmp_path / "in.png"), f"{tmp_path}/tiles/", "mix/output", 2, 2, model=tiny.folder, seed=4,
                   quiet=True, **HOW[-1])
    found = pixels(tmp_path / "tiles" / tile_name("mix/output"))
    assert np.array_equal(found, eight_bit(expected(Net(tiny, "mix/output"), image, **HOW[-1])))
    dreamify.atlas(str(tmp_path / "in.png"), tmp_path / "atlas.html", "mix/output", 2, 2, model=tiny.folder, seed=4,
                   quiet=True, **HOW[-1])
    assert "--smooth 2.0 --keep-colours --strength 60" in (tmp_path / "atlas.html").read_text().replace(
        "--smooth 2 ", "--smooth 2.0 ")


@pytest.mark.parametrize(("name", "zoom", "iterations"), [("out.png", None, 300), ("f-%d.png", 3, 100)])
def test_what_is_stopped_goes_on_with_what_was_not_finished(tiny: Model, image: NDArray[np.uint8], tmp_path: Path,
                                                            name: str, zoom: int | None, iterations: int,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command goes on, and gives the same bytes as a run in one."""
    settings: dict[str, Any] = HOW[-1] | {"zoom": zoom, "iterations": iterations, "step_size": 0.1}
    (tmp_path / "whole").mkdir()
    dreamify.dreamify(**asked(tmp_path, tiny, f"whole/{name}", **settings))
    stop, steps_done = threading.Event(), list[object]()

    def listen(event: object) -> None:
        if isinstance(event, events.Stepped):
            steps_done.append(event)
        if len(steps_done) == 250:
            stop.set()
    request = dreamify.ask(asked(tmp_path, tiny, name, **settings))
    one = functools.partial(perform.one, request, step=dreamify.make_step, sizes=dreamify.octave_sizes)
    monkeypatch.setenv("SLOW_AFTER", "250")
    with pytest.raises(Stopped):
        one(listen, deepdream=slowly.deepdream, stop=stop)
    if not zoom:  # what was written is finished too: no pixel is further from the photo than the mixture allows
        half = pixels(tmp_path / name).astype(float)
        assert np.abs(half - image).max() <= 0.6 * 255 + 1
        assert not np.array_equal(half, pixels(tmp_path / "whole" / name))
    one(lambda event: None, deepdream=dreamify.deepdream)
    there = sorted((tmp_path / "whole").iterdir())
    assert len(there) == (zoom or 1)
    for path in there:
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_a_program_that_has_another_step_gets_it_with_the_rule(tiny: Model, image: NDArray[np.uint8],
                                                              tmp_path: Path) -> None:
    """perform.one hands its `step` to `deepdream` only if a rule is asked for."""
    for how, wanted in (({}, False), ({"smooth": 0}, False), ({"pyramid": True}, True)):
        name = f"{len(how)}{wanted}.png"
        perform.one(dreamify.ask(asked(tmp_path, tiny, name, no_resume=True, force=True, **how)), lambda event: None,
                    deepdream=_telling, step=dreamify.make_step, sizes=dreamify.octave_sizes)
        assert (pixels(tmp_path / name).max() == 255) == wanted, how


def _telling(net: Net, image: Pixels, **more: Any) -> Pixels:
    """White if a step is given, else black."""
    net.budget.fit(*image.shape[:2])
    assert "step" not in more or more["step"].func is dreamify.make_step
    return np.full(image.shape, 255 if "step" in more else 0, np.float32)
