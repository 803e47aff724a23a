"""Films: the endless zoom, the steps of a dream, every format. Other programs read them back."""

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

import oracle
import tinymodel
from dreamer.films import numbered
from dreamer.films.containers import container
from dreamer.films.numbered import is_frame_of
from dreamer.jobs import baton
from dreamer.machine import worker
from dreamer.machine.here import provision
from dreamer.machine.signals import Stop
from dreamer.nets.model import Model
from helpers import ROOT, decoded, made, names, probed, psnr, run, shown, start, start_slow, wait_for

HEIGHT, WIDTH = 62, 93  # of the film's frames: an odd width, though .mp4 needs an even one


@pytest.fixture
def command(tiny: Model, small: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Function of the output's name and more words that returns the command line of a dream with the tiny model."""
    def words(name: str, *more: object) -> list[str]:
        return [str(ROOT / "dreamify.py"), str(small), str(tmp_path / name), "mix/output", "2", "1", "--seed", "5",
                "--model", str(tiny.folder), *map(str, more)]
    return words


def test_the_zoom_is_the_notebooks(command: Callable[..., list[str]], tiny: Model, small: Path, tmp_path: Path) -> None:
    """Compared with the notebook's own loop around an independent dream."""
    made(command("f-%02d.png", "--zoom", 4, "--zoom-step", "0.1"))
    assert names(tmp_path) == [f"f-{number:02d}.png" for number in range(1, 5)]

    def notebook(child: worker.Worker) -> None:
        frame, s = np.asarray(Image.open(small), np.float32), 0.1
        for number in range(4):
            frame, *_ = oracle.dream(str(tiny.folder / "net.prototxt"), str(tiny.folder / "tiny.caffemodel"),
                                     tinymodel.MEAN, False, frame, "mix/output", 2, 1, seed=5 + number)
            child.send(np.uint8(frame))
            h, w = frame.shape[:2]
            frame = ndimage.affine_transform(frame, [1 - s, 1 - s, 1], [h * s / 2, w * s / 2, 0], order=1)

    frames: list[NDArray[np.uint8]] = []
    worker.run(notebook, frames.append, Stop())  # in a child: a process that uses Caffe cannot fork later
    for number, frame in enumerate(frames):
        assert psnr(np.asarray(Image.open(tmp_path / f"f-{number + 1:02d}.png")), frame) > 48, number
    assert number == 3
    recipe = json.loads(run("recipe", tmp_path / "f-03.png").stdout)
    assert (recipe["zoom"], recipe["zoom_step"], recipe["frame"], recipe["seed"]) == (4, 0.1, 3, 5)


@pytest.mark.parametrize("name", ["z.gif", "z.webp", "z.mp4", "z.mov", "z.mkv", "z.webm"])
def test_every_format_shows_the_same_frames(command: Callable[..., list[str]], tmp_path: Path, name: str,
                                            ffmpeg: None) -> None:
    told = made(command(name, "--zoom", 26, "--fps", 30, "--rotate", 3, "--pan=0.02,-0.01")).stdout
    assert "26 frames, 30 a second, 93×62 pixels, 1 octave, seed 5" in told
    assert "frame 26/26" in told
    made(command("f-%d.jpg", "--zoom", 26, "--fps", 30, "--rotate", 3, "--pan=0.02,-0.01"))
    truth = [np.asarray(Image.open(tmp_path / f"f-{number}.jpg")) for number in range(1, 27)]
    assert len({frame.tobytes() for frame in truth}) == 26
    if container(name):
        stream, whole = probed(tmp_path / name)
        assert (stream["codec_name"], stream["pix_fmt"], stream["width"], stream["height"], stream["nb_read_frames"],
                stream["r_frame_rate"], stream["avg_frame_rate"]) == (
            "vp9" if name == "z.webm" else "h264", "yuv420p", 92, 62, "26", "30/1", "30/1")
        assert {stream[f"color_{which}"] for which in ("space", "primaries", "transfer")} == {"bt709"}
        assert stream["color_range"] == "tv"
        tags = {name.lower(): text for name, text in whole["tags"].items()}
        assert json.loads(tags["comment"])["rotate"] == 3
        for ours, frame in zip(decoded(tmp_path / name), truth, strict=True):
            assert psnr(ours, frame[:, :92]) > 27  # its colours have half the resolution
    else:
        frames = shown(tmp_path / name)
        assert abs(sum(milliseconds for _, milliseconds in frames) - 26000 / 30) < 10
        for (ours, _), frame in zip(frames, truth, strict=True):
            assert psnr(ours, frame) > 29
    assert json.loads(run("recipe", tmp_path / name).stdout)["pan"] == [0.02, -0.01]
    assert len(names(tmp_path)) == 27


@pytest.mark.parametrize("name", ["z.gif", "z.mp4", "z.webm", "z-%03d.png"])
def test_kills_at_any_moment_change_nothing(command: Callable[..., list[str]], tmp_path: Path, name: str,
                                            ffmpeg: None) -> None:
    """A film in pieces: 30 frames, of which .mp4 encodes 24 at a time. Each run is killed some frames later."""
    words = command(name, "--zoom", 30)
    made(words)
    whole = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for path in tmp_path.iterdir():
        path.unlink()
    moments = random.Random(2)
    for _ in range(4):
        frames = moments.randrange(1, 9)
        with start_slow(words, 2 * frames + 4) as process:
            assert process.stdout
            for line in process.stdout:
                frames -= line.startswith("frame ")
                if not frames:
                    break
            process.kill()
        if "%" not in name:
            assert not (tmp_path / name).exists()
    assert "continues from frame" in made(words).stdout
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == whole


@pytest.mark.parametrize("name", ["z.webp", "z.mp4", "z.webm"])
def test_ctrl_c_writes_the_film_so_far(command: Callable[..., list[str]], tmp_path: Path, name: str,
                                       ffmpeg: None) -> None:
    words = command(name, "--zoom", 5000)
    with start(words) as process:
        wait_for(process, "frame 27/5000")
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - began < 25  # to its end it would take more than a minute
    assert errors.splitlines() == [f"dreamify: stopped by SIGINT: {tmp_path / name} is the dream so far; run "
                                   "the same command to continue"]
    count = json.loads(run("recipe", tmp_path / name).stdout)["unfinished"]["frame"]
    assert count >= 27
    if container(name):
        assert int(probed(tmp_path / name)[0]["nb_read_frames"]) == count
    else:
        assert len(shown(tmp_path / name)) == count
    with start(words) as process:
        wait_for(process, f"continues from frame {count + 1}")
        process.kill()


def test_before_the_first_frame_ctrl_c_keeps_what_there_is(command: Callable[..., list[str]], tmp_path: Path) -> None:
    words = command("z.gif", "--zoom", "2")
    words[4] = "100000"
    with start(words) as process:
        wait_for(process, "2 frames")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "dreamify: stopped by SIGINT: nothing was written; run the same command to continue\n"
    assert names(tmp_path) == [".z.gif.film"]
    with start([*words, "--no-resume", "--memory", "1m"]) as process:
        _, errors = process.communicate(timeout=30)
    assert "needs at least" in errors
    assert names(tmp_path) == []


def test_a_number_saves_every_step(command: Callable[..., list[str]], tmp_path: Path) -> None:
    words = command("s-%04d.png", "--max-size", "90")
    words[4:6] = ["3", "2"]
    made(words)
    assert names(tmp_path) == [f"s-{number:04d}.png" for number in range(1, 7)]
    frames = [np.asarray(Image.open(tmp_path / name)) for name in names(tmp_path)]
    assert {frame.shape for frame in frames} == {(60, 90, 3)}
    assert len({frame.tobytes() for frame in frames}) == 6
    words[2] = str(tmp_path / "still.png")
    made(words)
    assert np.array_equal(frames[-1], np.asarray(Image.open(tmp_path / "still.png")))
    assert json.loads(run("recipe", tmp_path / "s-0002.png").stdout)["unfinished"] == {"octave": 1, "iteration": 2}


@pytest.mark.parametrize("name", ["s.gif", "s.mp4"])
def test_a_film_without_a_zoom_shows_the_steps(command: Callable[..., list[str]], tmp_path: Path, name: str,
                                               ffmpeg: None) -> None:
    words = command(name)
    words[4:6] = ["60", "2"]
    made(words)
    whole = (tmp_path / name).read_bytes()
    assert len(shown(tmp_path / name) if name == "s.gif" else decoded(tmp_path / name)) == 120
    (tmp_path / name).unlink()
    with start_slow(words, 74) as process:
        wait_for(process, "octave 2/2  iteration 10/")
        process.kill()
    with start_slow(words, 14) as process:
        wait_for(process, "octave 2/2  iteration 30/")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert len(shown(tmp_path / name) if name == "s.gif" else decoded(tmp_path / name)) >= 80
    made(words)
    assert (tmp_path / name).read_bytes() == whole
    assert names(tmp_path) == [name]


def test_other_settings_and_no_resume_start_afresh(command: Callable[..., list[str]], tmp_path: Path) -> None:
    for more in ([], ["--no-resume"], ["--zoom-step", "0.2"]):
        with start([*command("z.gif", "--zoom", 500), *more]) as process:
            wait_for(process, "frame 1/500")
            process.kill()
    seedless = [word for word in command("z.gif", "--zoom", 500) if word not in ("--seed", "5")]
    with start(seedless) as process:
        wait_for(process, "frame 1/500")
        process.kill()
    with start(seedless) as process:
        wait_for(process, "continues from frame")  # usually the second one; on a busy machine, more were done
        process.kill()


def test_standard_input_can_be_zoomed_into(command: Callable[..., list[str]], small: Path, tmp_path: Path) -> None:
    words = command("z.webp", "--zoom", "2", "--flow")
    words[1] = "-"
    done = subprocess.run(words, stdin=small.open("rb"), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.decode() == "dreamify: warning: --flow has no effect because INPUT is not a video\n"
    assert len(shown(tmp_path / "z.webp")) == 2


@pytest.mark.parametrize(("name", "more", "told"), [
    ("z.png", ["--zoom", "3"], "must end in one of .gif .mkv .mov .mp4 .webm .webp, or have a number"),
    ("z.gif", ["--zoom", "0"], "zoom: '0' is not"),
    ("z.gif", ["--zoom", "3", "--zoom-step", "1"], "zoom-step: '1' is not a number"),
    ("z.gif", ["--zoom", "3", "--pan", "1"], "pan: '1' is not a pair X,Y of numbers"),
    ("z.gif", ["--zoom", "3", "--fps", "60"], "at most 50 frames a second; add --fps 50"),
    ("z.webp", ["--zoom", "3", "--fps", "100"], "at most 90 frames a second; add --fps 90"),
    ("%d-%d.png", ["--zoom", "3"], "only once"),
    ("f-%04d.mp4", ["--zoom", "3"], "must end in one of"),
    ("no/z.gif", ["--zoom", "3"], "does not exist"),
])
def test_what_cannot_be_is_told_before_the_work(command: Callable[..., list[str]], tmp_path: Path, name: str,
                                                more: list[str], told: str) -> None:
    done = subprocess.run(command(name, *more), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert told in done.stderr
    assert names(tmp_path) == []


def test_without_ffmpeg_only_containers_are_refused(command: Callable[..., list[str]], tmp_path: Path) -> None:
    environment = os.environ | {"PATH": str(tmp_path / "none")}
    words = ["/usr/bin/python3", *command("z.mp4", "--zoom", "2")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert done.stderr == ("dreamify: output: ffmpeg is not installed (.gif and .webp films do not need it); "
                           f"{provision('film')}\n")
    assert names(tmp_path) == []
    words[3] = str(tmp_path / "z.gif")
    subprocess.run(words, capture_output=True, check=True, env=environment)


def test_frames_never_overwrite_the_input(command: Callable[..., list[str]], small: Path) -> None:
    for name in ("small-%d.png", "small%d.png"):
        assert not is_frame_of(small.with_name(name), small)
    first = small.rename(small.with_name("f-7.png"))
    words = command("x", "--zoom", "9")
    words[1:3] = [str(first), str(first.with_name("f-%d.png"))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "would overwrite the input" in done.stderr
    assert names(first.parent) == ["f-7.png"]


def test_a_recipe_of_a_zoom_zooms_again(tiny: Model, sky: Path, tmp_path: Path) -> None:
    net = ("--model", tiny.folder)
    assert run(sky, tmp_path / "zoom.gif", "mix/output", 1, 1, "--zoom", 3, "--max-size", 60, *net).returncode == 0
    done = run(sky, tmp_path / "again.gif", "--like", tmp_path / "zoom.gif", "--max-size", 60, *net)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "again.gif").read_bytes() == (tmp_path / "zoom.gif").read_bytes()
    done = run(sky, tmp_path / "one.png", "--like", tmp_path / "zoom.gif", "--max-size", 60, *net)
    assert done.returncode == 0
    assert re.fullmatch(r"dreamify: warning: like: .*zoom.gif is a zoom of 3 frames.*\n", done.stderr)


@pytest.mark.parametrize(("name", "frame"), [("100%dream.png", None), ("a%dx.png", None), ("%d1.png", None),
                                             ("%04dB.png", None), ("a%d.png", "a1.png"), ("a%03d-b.png", "a001-b.png"),
                                             ("%d_.png", "1_.png")])
def test_a_number_has_no_letter_or_digit_behind_it(name: str, frame: str | None) -> None:
    assert numbered.numbered(name) == (frame is not None)
    if frame:
        assert numbered.name(name, 0).name == frame


def test_a_file_of_the_user_is_no_baton(command: Callable[..., list[str]], tmp_path: Path) -> None:
    """One that is called like the baton of a part is neither read nor changed; one of ours that is damaged is told."""
    near = tmp_path / "z.gif.baton"
    mine = [b"", b"my own notes", b'{"dream": "baton", "frames": 3, "shape": [3, 0, 0], "crc": 0}\n']
    for content in mine:
        near.write_bytes(content)
        done = made(command("z.gif", "--zoom", 3))
        assert done.stderr == (f"dreamify: warning: {near} is another file of yours: the film does not use it, and it "
                               "stays as it is\n")
        assert near.read_bytes() == content
        assert Image.open(tmp_path / "z.gif").n_frames == 3
    near.unlink()
    os.mkfifo(near)
    assert "is another file of yours" in made(command("z.gif", "--zoom", 3)).stderr
    near.unlink()
    baton.save(near, 2, None)
    near.write_bytes(near.read_bytes()[:60])
    done = run(*command("z.gif", "--zoom", 3)[1:])
    assert (done.returncode, done.stderr) == (1, f"dreamify: {near} is damaged\n")
