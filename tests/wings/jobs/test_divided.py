"""Films that other machines dream in parts are, byte for byte, the films that this machine dreams alone."""

import contextlib
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dreamify
from dreamer import perform
from dreamer.errors import Failure, Stopped
from dreamer.films.muxed import PIECE
from dreamer.jobs import divided, events
from dreamer.jobs.divided import Undreamed
from dreamer.jobs.elsewhere import Elsewhere, Result, Unit
from dreamer.jobs.events import Event
from dreamer.nets.model import Model
from dreamer.options.request import Request
from helpers import mounted, noise, saved, start_slow, wait_for
from nearby import Nearby

SHOTS = ["frame 1", "frames 2 to 25", "frames 26 to 34", "frames 35 to 40"]  # see shots()

Film = Callable[..., dict[str, bytes]]


@pytest.fixture
def ask(tiny: Model, tmp_path: Path) -> Callable[..., Request]:
    """Function of a folder, an output and arguments of dreamify that returns the Request, with the tiny model."""
    def asked(folder: str, output: str, **given: Any) -> Request:
        (tmp_path / folder).mkdir(exist_ok=True)
        return dreamify.ask({"output": tmp_path / folder / output, "layer": "mix/output", "iterations": 2,
                             "octaves": 2, "seed": 5, "model": tiny.folder} | given)
    return asked


@pytest.fixture
def film(ask: Callable[..., Request], tmp_path: Path) -> Film:
    """Function that dreams a film, alone or elsewhere, in the folder of that name, and returns {name: bytes} of what is
    then there. More arguments are those of dreamify."""
    def dreamed(folder: str, output: str, elsewhere: Elsewhere | None = None,
                listen: Callable[[Event], None] = lambda event: None, stop: threading.Event | None = None,
                **given: Any) -> dict[str, bytes]:
        if given.get("flow"):
            pytest.importorskip("cv2", reason="no OpenCV: ./provision.sh film")
        nearby = elsewhere or Nearby()
        request = ask(folder, output, farm="tls://farm" if elsewhere else "none", **given)
        perform.one(request, listen, deepdream=dreamify.deepdream, step=dreamify.make_step,
                    sizes=dreamify.octave_sizes, stop=stop, farm=lambda _: nearby)
        return {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}
    return dreamed




def warnings(told: list[Event]) -> list[Event]:
    """The warnings among the events."""
    return [event for event in told if isinstance(event, events.Warned)]


def encoded(frames: Path, path: Path, *options: str, sound: bool = False) -> Path:
    """A video of the frames, 25 a second."""
    tone = ["-f", "lavfi", "-i", "sine=440:r=44100:d=1.2"] if sound else []
    subprocess.run(["ffmpeg", "-v", "error", "-framerate", "25", "-i", frames / "%d.png", *tone, "-c:v", "libx264",
                    "-crf", "12", "-pix_fmt", "yuv420p", *options, path], check=True)
    return path


@pytest.fixture
def shots(frames: Path, tmp_path: Path) -> Path:
    """A folder of 40 frames with cuts before the 2nd and the 35th. The 2nd to 29th are noise, in which each is as
    unlike the one before as at a cut."""
    folder = tmp_path / "shots"
    folder.mkdir()
    for number in range(40):
        if 1 <= number < 29:
            saved(folder / f"{number}.png", np.repeat(np.repeat(noise(8, 14, number), 8, 0), 7, 1))
        else:
            moving = np.asarray(Image.open(frames / f"{number % 30 + 1}.png"))
            saved(folder / f"{number}.png", moving[::-1] if number >= 34 else moving)
    return folder


@pytest.mark.parametrize(("output", "asked"), [
    ("f.mp4", {}), ("f.mkv", {"no_sound": True, "keep_colours": True}), ("f.mkv", {"flow": True, "strength": 60}),
    ("f.webm", {"start": "0:00.2", "end": 0.6}), ("f.gif", {"fps": 10}), ("f.webp", {"blend": 0.4, "smooth": 0.5}),
    ("f-%03d.jpg", {"max_size": 50}), ("f-%d.tif", {"blend": 1, "no_clip": True, "pyramid": True})])
def test_a_video(film: Film, frames: Path, tmp_path: Path, ffmpeg: None, output: str, asked: dict[str, Any]) -> None:
    video = encoded(frames, tmp_path / "in.mkv", "-c:a", "flac", sound=True)
    nearby = Nearby()
    assert film("farm", output, nearby, input=video, **asked) == film("alone", output, input=video, **asked)
    assert len(nearby.units) == (1 if {"start", "fps"} & set(asked) else 2)


@pytest.mark.parametrize("marks", [["-flags", "+ilme+ildct", "-x264-params", "interlaced=1:tff=1"],
                                   ["-color_primaries", "bt2020", "-colorspace", "bt2020nc", "-color_trc",
                                    "arib-std-b67"],
                                   ["-vf", "settb=1/25,setpts=N+3*gte(N\\,7)+5*gte(N\\,26)", "-vsync", "0"]])
def test_interlaced_and_hdr_videos_and_those_without_a_rate(film: Film, frames: Path, tmp_path: Path, ffmpeg: None,
                                                            marks: list[str]) -> None:
    video = encoded(frames, tmp_path / "in.mkv", *marks)
    assert film("farm", "f.mp4", Nearby(), input=video) == film("alone", "f.mp4", input=video)


@pytest.mark.parametrize("asked", [{}, {"blend": 0.7}, {"flow": True}])
def test_shots(film: Film, shots: Path, small: Path, tmp_path: Path, asked: dict[str, Any]) -> None:
    """With a mask and a guide, which travel too. Nothing is carried over a cut, and a shot is divided too."""
    mask = saved(tmp_path / "mask.png", np.uint8(np.linspace(0, 255, 64 * 98)).reshape(64, 98))
    given = asked | {"input": shots, "mask": mask, "guide": small, "guide_size": 60}
    nearby = Nearby(seed=2)
    assert film("farm", "f-%02d.png", nearby, **given) == film("alone", "f-%02d.png", **given)
    assert {unit.name for unit in nearby.units} == (
        set(SHOTS) if asked else
        {"frames 1 to 24", "frames 25 to 40"})
    if asked:  # of one shot, the second part waits for the first; other shots do not
        order = [unit.name for unit in nearby.units]
        assert order.index(SHOTS[1]) < order.index(SHOTS[2])
        assert order != SHOTS


@pytest.mark.parametrize("output", ["z.gif", "z.mp4", "z-%02d.png"])
def test_a_zoom(film: Film, small: Path, ffmpeg: None, output: str) -> None:
    asked = {"input": small, "zoom": 30, "rotate": 2, "pan": "0.01,0.02", "keep_colours": True, "strength": 80}
    nearby = Nearby()
    assert film("farm", output, nearby, **asked) == film("alone", output, **asked)
    assert [unit.name for unit in nearby.units] == ["frames 1 to 24", "frames 25 to 30"]


def test_one_sees_it_grow(film: Film, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames that come back are previews."""
    monkeypatch.setattr("dreamer.jobs.preview.SECONDS", 0)
    told, asked = list[Event](), {"input": small, "zoom": 3}
    assert (film("farm", "z.gif", Nearby(), told.append, preview=tmp_path / "seen.png", **asked)
            == film("alone", "z.gif", **asked))
    seen = [event for event in told if isinstance(event, events.PreviewWritten)]
    assert seen
    assert (seen[0].width, seen[0].height) == Image.open(tmp_path / "seen.png").size == Image.open(small).size


def test_a_zoom_into_noise_has_the_seed_that_was_picked(film: Film) -> None:
    nearby = Nearby()
    made = film("farm", "z-%d.png", nearby, input="noise:90x60", zoom=3, seed=None)
    seed = nearby.units[0].request["seed"]
    assert made == film("alone", "z-%d.png", input="noise:90x60", zoom=3, seed=seed)


def stopped_elsewhere(film: Film, output: str, given: dict[str, Any]) -> list[str]:
    """Stop the film elsewhere when some of its frames are there; returns the names of the Units that came back."""
    nearby, stop = Nearby(seed=1), threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, events.FrameDone) and event.frame >= 7:
            stop.set()

    with pytest.raises(Stopped, match="run the same command to continue"):
        film("farm", output, nearby, listen, stop, **given)
    return [unit.name for unit in nearby.units]


def stopped_here(request: Request) -> None:
    """Stop the film of 40 frames when this machine has dreamed some of them."""
    with start_slow(shlex.split(dreamify.command(request)), 4 * 9) as process:
        wait_for(process, "frame 9/40")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert "run the same command to continue" in told


@pytest.mark.parametrize("output", ["f.mp4", "f-%02d.png"])
@pytest.mark.parametrize("asked", [{}, {"flow": True}])
@pytest.mark.parametrize(("first", "then"), [("here", "elsewhere"), ("elsewhere", "here"), ("elsewhere", "elsewhere")])
def test_a_stopped_film_goes_on_anywhere(ask: Callable[..., Request], film: Film, shots: Path, ffmpeg: None,
                                         output: str, asked: dict[str, Any], first: str, then: str) -> None:
    given, units, nearby, told = asked | {"input": shots}, list[str](), Nearby(seed=2), list[Event]()
    if first == "here":
        stopped_here(ask("farm", output, **given))
    else:
        units = stopped_elsewhere(film, output, given)
    there = film("farm", output, None if then == "here" else nearby, told.append, **given)
    assert there == film("alone", output, **given)
    done = next(event.after[0] for event in told if isinstance(event, events.Began))
    assert 7 <= done < 40
    if then == "elsewhere":
        assert nearby.units
    if first == then:
        assert sorted([*units, *(unit.name for unit in nearby.units)]) == sorted(
            SHOTS if asked else ["frames 1 to 24", "frames 25 to 40"])


def test_before_the_first_frames_a_stop_keeps_those_after_them(film: Film, shots: Path) -> None:
    """The first part fails, and the others come back."""
    nearby = Nearby(fails=lambda unit: "the machine is gone" if unit.name == SHOTS[0] else "")
    with pytest.raises(Undreamed, match=f"{SHOTS[0]} could not be dreamed: the machine is gone; .* continue$"):
        film("farm", "f.gif", nearby, input=shots, blend=0.5)
    assert sorted(unit.name for unit in nearby.units) == sorted(SHOTS)
    again = Nearby()
    assert film("farm", "f.gif", again, input=shots, blend=0.5) == film("alone", "f.gif", input=shots, blend=0.5)
    assert [unit.name for unit in again.units] == SHOTS[:1]


def test_what_goes_on_from_a_lost_part_is_not_tried(film: Film, shots: Path) -> None:
    nearby = Nearby(fails=lambda unit: "out of memory" if unit.name == SHOTS[1] else "")
    with pytest.raises(Undreamed, match=f"{SHOTS[1]} could not be dreamed: out of memory; "):
        film("farm", "f-%d.png", nearby, input=shots, flow=True)
    assert sorted(unit.name for unit in nearby.units) == sorted({*SHOTS} - {SHOTS[2]})


def test_of_what_came_back_damaged_the_rest_is_kept(film: Film, frames: Path) -> None:
    def cut(result: Result) -> Result:
        return result._replace(files={name: content[:100] if name.endswith("/000007.png") else content
                                      for name, content in result.files.items()})

    with pytest.raises(Undreamed, match="frame 7 could not be dreamed: it came back damaged; .*continue$"):
        film("farm", "f.gif", Nearby(spoils=cut), input=frames)
    with pytest.raises(Undreamed, match=r"could not be dreamed: out/000001\.png did not come back; .*continue$"):
        film("farm", "f.gif", Nearby(spoils=lambda _: Result({})), input=frames)
    again = Nearby()
    assert film("farm", "f.gif", again, input=frames) == film("alone", "f.gif", input=frames)
    assert {unit.name for unit in again.units} == {"frame 7"}


def test_a_video_whose_end_is_missing(film: Film, frames: Path, tmp_path: Path, ffmpeg: None) -> None:
    whole = encoded(frames, tmp_path / "whole.mp4", "-movflags", "+faststart", "-g", "5").read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[:len(whole) * 2 // 3])
    here, there = list[Event](), list[Event]()
    assert (film("farm", "f.mp4", Nearby(), there.append, input=tmp_path / "half.mp4", blend=0.2)
            == film("alone", "f.mp4", None, here.append, input=tmp_path / "half.mp4", blend=0.2))
    assert warnings(there) == warnings(here)


@pytest.mark.parametrize("asked", [{}, {"blend": 0.5}])
def test_a_frame_that_cannot_be_read_ends_the_film_there(film: Film, frames: Path, tmp_path: Path,
                                                         asked: dict[str, Any]) -> None:
    given = asked | {"input": shutil.copytree(frames, tmp_path / "in")}
    damaged = tmp_path / "in" / "28.png"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:len(whole) // 2])
    for folder, elsewhere in (("farm", Nearby()), ("alone", None)):
        with pytest.raises(Failure, match="28.png"):
            film(folder, "f-%02d.png", elsewhere, **given)
    dreams = [{path.name: path.read_bytes() for path in (tmp_path / folder).glob("f-*")}
              for folder in ("farm", "alone")]
    assert dreams[0] == dreams[1]
    assert len(dreams[0]) == 27


def test_only_so_many_frames_wait_on_the_disk(film: Film, frames: Path, tmp_path: Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """One machine takes all that it can get; the first part comes back last of those that it has."""
    monkeypatch.setattr(divided, "AHEAD", 2 * PIECE)
    folder, waiting = tmp_path / "long", list[int]()
    folder.mkdir()
    for number in range(5 * PIECE):
        shutil.copy(frames / f"{number % 30 + 1}.png", folder / f"{number}.png")

    def look(unit: Unit) -> str:
        waiting.append(len(list((tmp_path / "farm").glob(".*/parts/*"))))
        return ""

    nearby = Nearby(workers=100, fails=look)
    made = film("farm", "f.gif", nearby, input=folder, iterations=1, octaves=1)
    assert len(nearby.units) == 5
    assert max(waiting) == 2 * PIECE
    assert made == film("alone", "f.gif", input=folder, iterations=1, octaves=1)


@pytest.mark.parametrize("asked", [{}, {"blend": 0.5}])
def test_a_full_disk_loses_nothing(film: Film, shots: Path, tmp_path: Path, asked: dict[str, Any]) -> None:
    given = asked | {"input": shots}
    with mounted(tmp_path / "farm", "8m") as folder:
        def fill(unit: Unit) -> str:
            if unit.name.endswith("40"):
                with contextlib.suppress(OSError), (folder / "filler").open("wb") as file:
                    while True:
                        file.write(bytes(4096))
                        file.flush()
            return ""

        with pytest.raises(Failure, match="No space left on device; .*continue$"):
            film("farm", "f.gif", Nearby(1, fails=fill), **given)
        (folder / "filler").unlink()
        assert film("farm", "f.gif", Nearby(), **given) == film("alone", "f.gif", **given)
