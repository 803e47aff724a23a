"""Videos as input: every kind that cameras make, and some that they do not."""

import json
import os
import random
import re
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dreamer.errors import Mistake
from dreamer.films.video import first, opened
from dreamer.nets.model import Model
from helpers import FRAMES, PYTHON, ROOT, Word, decoded, made, names, probed, run, start_slow, wait_for

pytestmark = pytest.mark.usefixtures("ffmpeg")

COUNT, HEIGHT, WIDTH = FRAMES


def encode(frames: Path, path: Path, *options: str, before: Sequence[str] = ("-framerate", "24000/1001"),
           sound: bool = True) -> Path:
    """Encode a video of the frames, with a tone."""
    tone = ["-f", "lavfi", "-i", "sine=440:r=44100:d=1.25"] if sound else []
    codec = ["-c:v", "libx264", "-crf", "12", "-pix_fmt", "yuv420p"]
    subprocess.run(["ffmpeg", "-v", "error", *before, "-i", frames / "%d.png", *tone, *codec, *options, path],
                   check=True)
    return path


@pytest.fixture(scope="session")
def video(frames: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The frames as .mp4, 24000/1001 per second, with a tone in AAC."""
    return encode(frames, tmp_path_factory.mktemp("video") / "in.mp4", "-c:a", "aac")


@pytest.fixture
def command(tiny: Model, tmp_path: Path) -> Callable[..., list[str]]:
    """Function of input, output and more words that returns the command line of a dream with the tiny model."""
    def words(source: Path, name: str, *more: object) -> list[str]:
        return [str(ROOT / "dreamify.py"), str(source), str(tmp_path / name), "mix/output", "2", "1", "--seed", "5",
                "--model", str(tiny.folder), *map(str, more)]
    return words


def sound_of(path: Path) -> bytes:
    """A checksum of the encoded sound."""
    return subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-map", "0:a", "-c", "copy", "-f", "md5", "-"],
                          capture_output=True, check=True).stdout


def test_each_frame_is_dreamed_and_rate_and_sound_stay(command: Callable[..., list[str]], video: Path,
                                                       tmp_path: Path) -> None:
    told = made(command(video, "out.mp4")).stdout
    assert f"{COUNT} frames, 23.976 a second, {WIDTH}×{HEIGHT} pixels" in told
    stream, whole = probed(tmp_path / "out.mp4")
    assert (stream["codec_name"], stream["r_frame_rate"], stream["avg_frame_rate"], stream["nb_read_frames"],
            stream["width"], stream["height"]) == ("h264", "24000/1001", "24000/1001", str(COUNT), WIDTH, HEIGHT)
    assert whole["nb_streams"] == 2
    assert sound_of(tmp_path / "out.mp4") == sound_of(video)
    assert json.loads(run("recipe", tmp_path / "out.mp4").stdout)["blend"] == 0
    assert names(tmp_path) == ["out.mp4"]


def test_a_frame_is_dreamed_as_a_picture_is(command: Callable[..., list[str]], video: Path, tmp_path: Path) -> None:
    made(command(video, "f-%d.png", "--max-size", "50"))
    subprocess.run(["ffmpeg", "-v", "error", "-i", video, "-vf", f"select=eq(n\\,7),scale=50:{round(50 * 64 / 98)}:"
                    "flags=lanczos", "-frames:v", "1", tmp_path / "eighth.png"], check=True)
    made(command(tmp_path / "eighth.png", "dream.png"))
    ours, alone = (np.asarray(Image.open(tmp_path / name)) for name in ("f-8.png", "dream.png"))
    assert ours.shape == (33, 50, 3)
    assert np.array_equal(ours, alone)


def test_the_first_frame_is_found_alone(video: Path, tmp_path: Path) -> None:
    assert np.array_equal(first(video, WIDTH * HEIGHT), next(opened(str(video), None, WIDTH * HEIGHT).frames()))
    with pytest.raises(Mistake, match="more than 100 pixels"):
        first(video, 100)
    (tmp_path / "bad.mp4").write_bytes(video.read_bytes()[:3000])
    with pytest.raises(Mistake, match=r"bad\.mp4"):
        first(tmp_path / "bad.mp4", WIDTH * HEIGHT)


def test_a_video_turned_by_the_camera_is_upright(command: Callable[..., list[str]], frames: Path,
                                                 tmp_path: Path) -> None:
    encode(frames, tmp_path / "flat.mp4", "-frames:v", "3", sound=False)
    mark = ["ffmpeg", "-v", "error", "-y"]
    words: list[Word] = ["-i", tmp_path / "flat.mp4", "-c", "copy", tmp_path / "turned.mp4"]
    if subprocess.run([*mark, "-display_rotation", "90", *words], capture_output=True, check=False).returncode:
        subprocess.run([*mark, *words[:-1], "-metadata:s:v", "rotate=90", words[-1]], check=True)  # before ffmpeg 6
    stream, _ = probed(tmp_path / "turned.mp4")
    assert abs(stream["side_data_list"][0]["rotation"]) == 90
    made(command(tmp_path / "turned.mp4", "out.mp4"))
    stream, _ = probed(tmp_path / "out.mp4")
    assert (stream["width"], stream["height"], stream["nb_read_frames"]) == (HEIGHT, WIDTH, "3")


def test_pixels_that_are_not_square_become_so(command: Callable[..., list[str]], frames: Path, tmp_path: Path) -> None:
    encode(frames, tmp_path / "wide.mp4", "-frames:v", "2", "-aspect", "2:1", sound=False)
    made(command(tmp_path / "wide.mp4", "out.mp4"))
    assert probed(tmp_path / "out.mp4")[0]["width"] == 128


@pytest.mark.parametrize("marks", ["colorspace=unknown", "colorspace=bt709"])
def test_colours_come_through(command: Callable[..., list[str]], tmp_path: Path, marks: str) -> None:
    """An unmarked video of 720 rows is not old television (BT.601): its red is red."""
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=0xc83c28:s=1280x720", "-frames:v", "1", "-vf",
                    f"scale=out_color_matrix=bt709,format=yuv420p,setparams={marks}", "-c:v", "libx264",
                    tmp_path / "in.mp4"], check=True)
    words = command(tmp_path / "in.mp4", "out%d.png", "--max-size", "64", "--step-size", "0.001")
    assert made(words).stderr == ""
    colour = np.asarray(Image.open(tmp_path / "out1.png")).reshape(-1, 3).mean(0)
    assert np.abs(colour - (200, 60, 40)).max() < 7, colour  # with the matrix of old television it would be 15


def test_frames_of_varying_length_are_shown_as_long(command: Callable[..., list[str]], frames: Path,
                                                    tmp_path: Path) -> None:
    """Five frames at 0, 1, 4, 5 and 12 twenty-fifths of a second."""
    at = "eq(N\\,1)+4*eq(N\\,2)+5*eq(N\\,3)+12*eq(N\\,4)"
    encode(frames, tmp_path / "vary.mkv", "-vf", f"settb=1/25,setpts={at}", "-vsync", "0", "-frames:v", "5",
           before=("-framerate", "25"), sound=False)
    told = made(command(tmp_path / "vary.mkv", "out.mp4")).stdout
    rate = re.search(r"5 frames, (25|50) a second", told)
    assert rate
    times = int(rate[1]) // 25  # 50 with ffmpeg 7, which reads the file so
    shown = decoded(tmp_path / "out.mp4").astype(int)
    assert len(shown) > 12 * times
    changes = [number for number in range(1, len(shown)) if np.abs(shown[number] - shown[number - 1]).mean() > 2]
    assert changes == [times, 4 * times, 5 * times, 12 * times]


def test_a_moving_gif_is_a_video(command: Callable[..., list[str]], frames: Path, tmp_path: Path) -> None:
    first, *rest = (Image.open(frames / f"{number}.png") for number in range(1, 6))
    first.save(tmp_path / "in.gif", save_all=True, append_images=rest, duration=[40, 40, 120, 40, 40])
    made(command(tmp_path / "in.gif", "out.gif"))
    film = Image.open(tmp_path / "out.gif")
    assert film.n_frames == 5
    lengths = []
    for number in range(5):
        film.seek(number)
        lengths.append(film.info["duration"])
    assert lengths[:4] == [40, 40, 120, 40]


def flicker(cv2: Any, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Mean change of a dreamed pixel from frame to frame, along the input's flow (Farneback)."""
    changes = []
    grid = np.dstack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))).astype(np.float32)
    for number in range(1, len(before)):
        grey = [cv2.cvtColor(before[number - back], cv2.COLOR_RGB2GRAY) for back in (0, 1)]
        way = grid + cv2.calcOpticalFlowFarneback(*grey, None, 0.5, 4, 15, 3, 5, 1.1, 0)
        seen, dreamed = (cv2.remap(film[number - 1], way, None, cv2.INTER_LINEAR).astype(int)
                         for film in (before, after))
        sure = np.abs(seen - before[number]).mean(2) < 15
        changes.append(np.abs(dreamed - after[number])[sure].mean())
    return float(np.mean(changes))


def test_with_flow_a_dream_does_not_flicker(video: Path, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2", reason="no OpenCV: ./provision.sh film")
    short = tmp_path / "short.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-i", video, "-frames:v", "8", "-crf", "12", short], check=True)
    found = {}
    for name, more in (("plain.mp4", []), ("flow.mp4", ["--flow"])):
        made([str(ROOT / "dreamify.py"), str(short), str(tmp_path / name), "inception_4c/output", "4", "1", "--seed",
              "1", "--model", "daydream", *more])
        found[name] = flicker(cv2, decoded(short), decoded(tmp_path / name))
        assert np.abs(decoded(short).astype(int) - decoded(tmp_path / name)).mean() > 2
    assert found["flow.mp4"] < 0.6 * found["plain.mp4"], found
    assert json.loads(run("recipe", tmp_path / "flow.mp4").stdout)["flow"] is True


def test_kills_at_any_moment_change_nothing(command: Callable[..., list[str]], video: Path, tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="no OpenCV: ./provision.sh film")
    words = command(video, "out.mp4", "--flow")
    made(words)
    whole = (tmp_path / "out.mp4").read_bytes()
    (tmp_path / "out.mp4").unlink()
    moments = random.Random(3)
    for _ in range(3):
        lines = moments.randrange(4, 12)
        with start_slow(words, 2 * lines) as process:
            assert process.stdout
            for _ in range(lines):
                process.stdout.readline()
            process.kill()
        assert not (tmp_path / "out.mp4").exists()
    assert "continues from frame" in made(words).stdout
    assert (tmp_path / "out.mp4").read_bytes() == whole
    assert names(tmp_path) == ["out.mp4"]


def test_ctrl_c_writes_the_film_so_far_with_as_much_sound(command: Callable[..., list[str]], video: Path,
                                                          tmp_path: Path) -> None:
    words = command(video, "out.mp4")
    words[4] = "60"
    with start_slow(words, 360) as process:
        wait_for(process, "frame 6/")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    stream, whole = probed(tmp_path / "out.mp4")
    count = int(stream["nb_read_frames"])
    assert 6 <= count < COUNT
    assert whole["nb_streams"] == 2
    assert abs(float(whole["duration"]) - count * 1001 / 24000) < 0.05


def test_a_longer_video_takes_no_more_memory(command: Callable[..., list[str]], tmp_path: Path) -> None:
    # in a small process, because the kernel counts the one that starts it, and the tests' own is large
    measure = ("import os, sys\npid = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])\n"
               "_, status, used = os.wait4(pid, 0)\nprint(status, used.ru_maxrss >> 10)")
    most = {}
    for count in (5, 45):
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=640x360", "-frames:v", str(count),
                        tmp_path / f"{count}.mp4"], check=True)
        words = command(tmp_path / f"{count}.mp4", f"{count}.webp", "--quiet")
        status, most[count] = map(int, made([PYTHON, "-c", measure, *words]).stdout.split())  # MB of the largest
        assert status == 0
    assert most[45] < most[5] + 12, most  # 40 frames are 27 MB


@pytest.mark.parametrize(("name", "content", "told"), [
    ("a.mp4", b"these are words", "neither a picture nor a video"),
    ("a.mp4", b"", "is empty"),
    ("a.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "neither a picture nor a video"),
    ("a.mp4", b"ffconcat version 1.0\nfile in.mp4\n", "neither a picture nor a video"),
    ("a.mkv", "half", "neither a picture nor a video"),
    ("a.mp4", "sound", "contains no video"),
    ("a.mp4", None, "no such file"),
])
def test_what_is_no_video_is_told_in_one_line(command: Callable[..., list[str]], video: Path, tmp_path: Path, name: str,
                                              content: bytes | str | None, told: str) -> None:
    source = tmp_path / name
    if content == "half":
        source.write_bytes(video.read_bytes()[:5000])
    elif content == "sound":
        subprocess.run(["ffmpeg", "-v", "error", "-i", video, "-vn", "-c", "copy", source], check=True)
    elif isinstance(content, bytes):
        source.write_bytes(content)
    before = names(tmp_path)
    done = subprocess.run(command(source, "out.mp4"), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert told in done.stderr
    assert names(tmp_path) == before


def test_a_video_that_is_cut_short_is_dreamed_so_far(command: Callable[..., list[str]], frames: Path,
                                                     tmp_path: Path) -> None:
    whole = encode(frames, tmp_path / "whole.ts", sound=False).read_bytes()
    (tmp_path / "half.ts").write_bytes(whole[:len(whole) // 2])
    made(command(tmp_path / "half.ts", "out.mp4"))
    assert 3 < int(probed(tmp_path / "out.mp4")[0]["nb_read_frames"]) < COUNT


@pytest.mark.parametrize(("name", "more", "told"), [
    ("out.png", [], "is a video, and its dream needs a film as OUTPUT"),
    ("out.mp4", ["--zoom", "3"], "is a video, and its dream needs no --zoom"),
    ("out.mp4", ["--max-pixels", "100"], "more than 100 pixels"),
    ("out.mp4", ["--blend", "2"], "blend: '2' is not"),
    ("f-%d.xyz", [], "must end in one of"),
])
def test_what_cannot_be_is_told_before_the_work(command: Callable[..., list[str]], video: Path, tmp_path: Path,
                                                name: str, more: list[str], told: str) -> None:
    done = subprocess.run(command(video, name, *more), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert told in done.stderr
    assert names(tmp_path) == []


def test_flow_without_opencv_says_how_to_get_it(command: Callable[..., list[str]], video: Path, tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/cv2.py").write_text("raise ImportError")
    done = subprocess.run(command(video, "out.mp4", "--flow"), capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": str(tmp_path / "modules")})
    assert done.returncode == 2
    assert done.stderr == "dreamify: flow: OpenCV is not installed; run ./provision.sh film\n"
