"""Picture and sound of videos from cameras, receivers and phones stay together; each video is made by the test."""

import functools
import json
import re
import subprocess
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interlaced import fields

import dreamify
from dreamer import perform
from dreamer.arrays import Pixels
from dreamer.errors import Mistake, Stopped
from dreamer.films import times, video
from dreamer.jobs import events
from dreamer.nets.model import Model
from helpers import ROOT, made, names, probed, run

pytestmark = pytest.mark.usefixtures("ffmpeg")

FLASH, BEEP = 0.8, 1.0  # seconds at which the picture is white and the tone sounds, for a tenth of a second
SIZE = "96x64"


def encode(path: Path, *options: str, rate: str = "25", flash: float | None = FLASH, beep: float | None = BEEP,
           seconds: float = 2, size: str = SIZE, before: str = "", sound: tuple[str, ...] = ("-c:a", "mp2")) -> Path:
    """A black video with a flash, and silence with a beep, of which None is none; `before` filters the picture."""
    white = f",drawbox=c=white:t=fill:enable='between(t,{flash},{flash + 0.1})'" if flash else ""
    tone = f"if(between(t,{beep},{beep + 0.1}),sin(880*2*PI*t),0)" if beep else "0"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"color=black:s={size}:r={rate}{white}{before}",
                    "-f", "lavfi", "-i", f"aevalsrc='{tone}':s=48000:c=stereo", "-t", str(seconds), "-pix_fmt",
                    "yuv420p", *sound, *options, path], check=True)
    return path


def flash_and_beep(path: Path) -> tuple[float, float]:
    """When the picture is first white, and when the tone begins, in seconds on one clock, as ffmpeg detects them."""
    said = subprocess.run(["ffmpeg", "-hide_banner", "-i", path, "-map", "0:v:0", "-map", "0:a:0", "-vf",
                           "blackdetect=d=0.05:pix_th=0.3", "-af", "silencedetect=n=-30dB:d=0.05", "-f", "null", "-"],
                          capture_output=True, text=True, check=True).stderr
    flash, beep = re.search(r"black_end:([\d.]+)", said), re.search(r"silence_end: ([\d.]+)", said)
    assert flash
    assert beep
    return float(flash[1]), float(beep[1])


def of_fields(folder: Path) -> Path:
    """Fifty frames of two field pictures each, with sound, as a television station sends them."""
    shown = [(235, 235) if FLASH <= number / 25 < FLASH + 0.1 else (16, 16) for number in range(50)]
    (folder / "fields.h264").write_bytes(fields(shown))
    encode(folder / "sound.ts")
    subprocess.run(["ffmpeg", "-v", "error", "-framerate", "25", "-i", folder / "fields.h264", "-i",
                    folder / "sound.ts", "-map", "0:v", "-map", "1:a", "-c", "copy", folder / "fields.ts"], check=True)
    return folder / "fields.ts"


def joined(folder: Path, *more: str) -> Path:
    """Two recordings, one after the other; both count their time from 0. The flash and the beep are in the second."""
    first = encode(folder / "1.ts", flash=None, beep=None)
    second = encode(folder / "2.ts", *more)
    (folder / "joined.ts").write_bytes(first.read_bytes() + second.read_bytes())
    return folder / "joined.ts"


def cut(folder: Path) -> Path:
    """A recording that begins in the middle of a group of pictures: its sound can be decoded before its picture."""
    whole = encode(folder / "whole.ts", "-g", "20").read_bytes()
    (folder / "cut.ts").write_bytes(whole[len(whole) // 188 // 5 * 188:])
    return folder / "cut.ts"


def steady(rate: str, folder: Path) -> Path:
    """Half a second of a video with this rate."""
    return encode(folder / "a.mp4", "-c:a", "aac", rate=rate, flash=0.2, beep=0.3, seconds=0.5)


def hdr(transfer: str, folder: Path) -> Path:
    """A video in HDR, as phones make it."""
    return encode(folder / "a.mov", "-c:v", "libx265", "-x265-params", "log-level=error", "-pix_fmt", "yuv420p10le",
                  "-color_primaries", "bt2020", "-colorspace", "bt2020nc", "-color_trc", transfer, "-c:a", "aac")


KINDS: dict[str, tuple[Callable[[Path], Path], int | None, Fraction, str]] = {
    # name: (function that makes it, its frames, its rate, what is said about it)
    "field pictures": (of_fields, 50, Fraction(25), "is interlaced"),
    "joined": (joined, 100, Fraction(25), "jump at 0:02;"),
    "jumping": (lambda folder: joined(folder, "-output_ts_offset", "600"), 100, Fraction(25), "jump at 0:02;"),
    "cut": (cut, None, Fraction(25), ""),
    "MPEG-2 in fields": (lambda folder: encode(folder / "a.mpg", "-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-top",
                                               "1"), 50, Fraction(25), "is interlaced"),
    "DV": (lambda folder: encode(folder / "a.dv", "-c:v", "dvvideo", "-s", "720x576", sound=("-c:a", "pcm_s16le")), 50,
           Fraction(25), "is interlaced"),
    **{name: (functools.partial(hdr, transfer), 50, Fraction(25), "")
       for name, transfer in (("HLG", "arib-std-b67"), ("PQ", "smpte2084"))},
    "late sound": (lambda folder: encode(folder / "a.mkv", "-c:a", "aac", "-af", "adelay=0"), 50, Fraction(25), ""),
    "variable": (lambda folder: encode(folder / "a.mkv", "-vsync", "0", before=",select='not(mod(n,3)-1)+lt(n,5)'"),
                 None, Fraction(25), ""),
    **{f"{rate} a second": (functools.partial(steady, rate), round(Fraction(rate) / 2), Fraction(rate), "")
       for rate in ("24", "30000/1001", "60", "240")},
}


@pytest.mark.parametrize("kind", KINDS)
def test_picture_and_sound_stay_together(tiny: Model, tmp_path: Path, kind: str) -> None:
    make, count, rate, told = KINDS[kind]
    (tmp_path / "made").mkdir()
    source = make(tmp_path / "made")
    done = made([str(ROOT / "dreamify.py"), str(source), str(tmp_path / "out.mp4"), "mix/output", "1", "1", "--model",
                 str(tiny.folder), "--step-size", "0.001", "--max-size", "96"])
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == bool(told)
    stream, whole = probed(tmp_path / "out.mp4")
    shown = int(stream["nb_read_frames"])
    if count is None:
        count = shown
        assert abs(float(stream["duration"]) - float(shown / rate)) < 1 / rate
    else:
        assert (shown, Fraction(stream["r_frame_rate"])) == (count, rate)
        assert abs(float(stream["duration"]) - count / rate) <= 1 / rate
    assert whole["nb_streams"] == 2
    before, after = flash_and_beep(source), flash_and_beep(tmp_path / "out.mp4")
    assert abs((after[1] - after[0]) - (before[1] - before[0])) <= 0.02, (before, after)
    assert names(tmp_path) == ["made", "out.mp4"]


def combed(frame: Pixels) -> float:
    """How much the rows of a frame (h, w, 3) differ from the mean of their neighbours."""
    grey = np.asarray(frame, float).mean(2)
    return float(np.abs(grey[1:-1] - (grey[:-2] + grey[2:]) / 2).mean())


@pytest.mark.parametrize("words", [("a.dv", "-s", "720x576", "-c:v", "dvvideo", "-pix_fmt", "yuv420p", "-top", "0"),
                                   ("a.mpg", "-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-top", "1", "-q:v", "2")])
def test_two_fields_become_one_picture(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A bar that moves, in fields: it has no teeth, and no frame is lost. With --no-deinterlace they stay."""
    first = "bottom" if words[0] == "a.dv" else "top"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=black:s=180x144:r=50:d=0.4[a];"
                    "color=white:s=20x144:r=50:d=0.4[b];[a][b]overlay=x=10+n*6,scale=720:576:flags=neighbor,"
                    f"tinterlace=mode=interleave_{first},setsar=16/15", *words[1:], tmp_path / words[0]], check=True)
    told = list[str]()
    path = str(tmp_path / words[0])
    mended, kept = (list(video.opened(path, None, 10 ** 8, told.append, deinterlace=how).frames())
                    for how in (True, False))
    assert len(mended) == len(kept) == 10
    assert [line for line in told if "interlaced" in line] == told[:1]
    assert combed(mended[5]) < 0.25 * combed(kept[5])


@pytest.mark.parametrize("more", [(), ("-flags", "+ilme+ildct", "-top", "1")], ids=["frames", "fields"])
def test_a_size_that_changes_loses_no_frame(tmp_path: Path, more: tuple[str, ...]) -> None:
    """As when television goes from one programme to the next: all frames get the first one's size, also after a stop.
    Of fields, ffmpeg loses one frame there."""
    parts = [encode(tmp_path / f"{number}.ts", "-c:v", "mpeg2video", "-output_ts_offset", str(number), *more, size=size,
                    flash=0.2, seconds=0.6) for number, size in enumerate((SIZE, "192x128"))]
    (tmp_path / "a.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    found = video.opened(str(tmp_path / "a.ts"), None, 10 ** 8)
    whole = list(found.frames())
    assert len(found.which) == 29  # of 30: the decoder loses one
    assert len(whole) == 29 - bool(more)
    for first in (10, 20):
        rest = list(found.frames(first))
        assert len(rest) == len(whole) - first
        assert np.abs(np.subtract(rest, whole[first:], dtype=float)).mean() < 1


def test_a_part_of_a_video(tmp_path: Path) -> None:
    path = str(encode(tmp_path / "a.mp4", "-c:a", "aac"))

    def part(**more: Any) -> video.Video:
        return video.opened(path, None, 10 ** 8, **more)

    found = part(start=0.4, end=1.2)
    assert found.which == list(range(10, 30))
    assert abs(found.begin - 0.4) < 1e-9
    bright = [float(frame.mean()) > 128 for frame in found.frames()]
    assert [number for number, white in enumerate(bright) if white] == [10, 11, 12]
    assert [float(frame.mean()) > 128 for frame in found.frames(9)] == bright[9:]
    slow = part(fps=10, end=1)
    assert (slow.rate, slow.which, slow.ticks) == (Fraction(10), [0, 2, 5, 7, 10, 12, 15, 17, 20, 22], [1] * 10)
    fast = part(fps=50, start=1.8)
    assert (fast.rate, fast.which, fast.ticks) == (Fraction(50), [45, 46, 47, 48, 49], [2] * 5)
    for words, why in (({"start": 5}, "start: the last frame of the video is shown at 0:01.96, before 0:05"),
                       ({"start": 1, "end": 0.5}, "end: the video shows no frame between 0:01 and 0:00.5")):
        with pytest.raises(Mistake, match=why):
            part(**words)


def test_a_part_has_its_own_sound(tiny: Model, tmp_path: Path) -> None:
    source = encode(tmp_path / "a.mp4", "-c:a", "aac")
    made([str(ROOT / "dreamify.py"), str(source), str(tmp_path / "out.mp4"), "mix/output", "1", "1", "--model",
          str(tiny.folder), "--step-size", "0.001", "--start", "0:00.4", "--end", "1.6", "--fps", "12.5"])
    stream, whole = probed(tmp_path / "out.mp4")
    assert (stream["nb_read_frames"], Fraction(stream["r_frame_rate"])) == ("15", Fraction(25, 2))
    assert abs(float(whole["duration"]) - 1.2) < 0.08
    flash, beep = flash_and_beep(tmp_path / "out.mp4")
    assert abs(beep - (BEEP - 0.4)) < 0.02
    assert abs(flash - (FLASH - 0.4)) < 0.08
    told = json.loads(run("recipe", tmp_path / "out.mp4").stdout)
    assert (told["start"], told["end"], told["fps"]) == (0.4, 1.6, 12.5)


def test_what_took_long_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The times of a long video are found once; those of a changed file anew. Damaged ones are found again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(times, "LONG", -1)
    monkeypatch.setattr(times, "KEPT", 2)
    path = encode(tmp_path / "a.mp4", "-c:a", "aac", seconds=1)
    looked = list[float]()

    def found() -> times.Times:
        return times.found(str(path), "mov,mp4", (), looked.append)

    first = found()
    (kept,) = (tmp_path / "cache/image-dreamer").iterdir()
    monkeypatch.setattr(times, "_decoded", None)  # is not called
    assert found() == first
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(times, "LONG", -1)
    monkeypatch.setattr(times, "KEPT", 2)
    kept.write_text("{")
    assert found() == first
    for seconds in (0.4, 0.6, 0.8):
        encode(path, "-c:a", "aac", seconds=seconds)
        assert len(found().shown) == round(25 * seconds)
    assert len(names(tmp_path / "cache/image-dreamer")) == 2


def test_that_frames_are_counted_is_told(tmp_path: Path, tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the event `counted`, about once a second; a stop ends it at once."""
    source = encode(tmp_path / "a.mp4", "-c:a", "aac", "-preset", "ultrafast", seconds=40, size="640x360")
    monkeypatch.setattr(times, "LOOK", -1)
    monkeypatch.setattr(times, "_PIPE", 4096)  # or a fast ffmpeg has told all by the second look
    stop, told = threading.Event(), list[events.Event]()

    def listen(event: events.Event) -> None:
        told.append(event)
        if len(told) == 3:
            stop.set()

    request = dreamify.ask({"input": source, "output": tmp_path / "out.gif", "model": tiny.folder})
    with pytest.raises(Stopped):
        perform.one(request, listen, deepdream=dreamify.deepdream, step=dreamify.make_step,
                    sizes=dreamify.octave_sizes, stop=stop)
    first, _, third, last = told
    assert isinstance(last, events.Stopped)
    assert isinstance(first, events.Counted)
    assert isinstance(third, events.Counted)
    assert first.name == str(source)
    assert 0 <= first.seconds < third.seconds < 40 <= first.whole < 40.1
