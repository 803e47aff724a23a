"""What is in a video beside its pictures gets into the film, in time. ffmpeg and ffprobe are the judges."""

import json
import os
import re
import struct
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamer.films import tracks
from dreamer.films.containers import CONTAINERS
from dreamer.films.muxed import Muxed
from dreamer.films.video import Video
from dreamer.nets.model import Model
from dreamer.pictures.picture import Picture
from helpers import ROOT, Word, decoded, made, names, search

pytestmark = pytest.mark.usefixtures("ffmpeg")

DATE = "2024-05-06T07:08:09.000000Z"
FLASH = 0.6  # seconds at which the picture becomes white, and at which the first sound begins
COUNT = 30  # frames, 25 per second
SUBTITLES = "1\n00:00:00,200 --> 00:00:00,500\nHello\n\n2\n00:00:00,700 --> 00:00:01,000\nWorld\n"
CHAPTERS = """;FFMETADATA1
[CHAPTER]
TIMEBASE=1/1000
START=0
END=400
title=One\\; \\= \\#1
[CHAPTER]
TIMEBASE=1/1000
START=400
END=1200
title=Zwei
"""
CODECS = {".mp4": ("aac", "mov_text"), ".mkv": ("libopus", "ass"), ".mov": ("pcm_s16le", "mov_text"),
          ".webm": ("libvorbis", "webvtt")}


def ffmpeg(*words: Word) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *words], check=True)


def flashing(path: Path, *words: Word, pictures: str = "libx264") -> Path:
    """A video that flashes and beeps at FLASH; a second sound hums all the time. The words may name more inputs.
    The inputs are the pictures, the beep, the hum."""
    long = f"d={COUNT / 25}"
    ffmpeg("-f", "lavfi", "-i", f"color=black:s=96x64:r=25:{long},drawbox=c=white:t=fill:enable='gte(t,{FLASH})'",
           "-f", "lavfi", "-i", f"sine=1000:r=48000:{long},volume='between(t,{FLASH},{FLASH + 0.2})':eval=frame",
           "-f", "lavfi", "-i", f"sine=300:r=48000:{long}", *words, "-c:v", pictures, path)
    return path


@pytest.fixture(scope="session", params=CODECS)
def talking(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video with two sounds, subtitles, chapters and a date."""
    folder, (sound, text) = tmp_path_factory.mktemp("talking"), CODECS[request.param]
    (folder / "text.srt").write_text(SUBTITLES)
    (folder / "chapters").write_text(CHAPTERS)
    return flashing(
        folder / f"in{request.param}", "-i", folder / "text.srt", "-f", "ffmetadata", "-i", folder / "chapters",
        *(word for number in range(4) for word in ("-map", str(number))), "-map_chapters", "4", "-c:a", sound,
        "-c:s", text, "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=ita", "-metadata:s:a:1",
        "title=My remarks", "-metadata:s:a:1", "handler_name=My remarks", "-disposition:a:0", "0", "-disposition:a:1",
        "default", "-metadata:s:s:0", "language=fra", "-metadata", f"creation_time={DATE}",
        "-metadata", "title=A day at sea", "-metadata", "artist=Ida",
        pictures="libvpx-vp9" if request.param == ".webm" else "libx264")


@pytest.fixture
def command(tiny: Model, tmp_path: Path) -> Callable[..., list[str]]:
    """Function of input, output and more words that returns the command line of a dream that changes almost nothing."""
    def words(source: Path, name: str, *more: object) -> list[str]:
        return [str(ROOT / "dreamify.py"), str(source), str(tmp_path / name), "mix/output", "1", "1", "--seed", "5",
                "--step-size", "0.001", "--model", str(tiny.folder), *map(str, more)]
    return words


def told(path: Word) -> dict[str, Any]:
    """What ffprobe says about a film: streams by kind, chapters, format."""
    words = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_chapters", "-show_format", "-of",
             "json", path]
    found: dict[str, Any] = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    return found | {kind: [stream for stream in found["streams"] if stream["codec_type"] == kind]
                    for kind in ("video", "audio", "subtitle")}


def tag(part: dict[str, Any], name: str) -> str | None:
    return next((text for key, text in part.get("tags", {}).items() if key.lower() == name), None)


def moments(path: Word) -> tuple[float, float]:
    """(seconds of the flash, seconds of the first sound's beep), on one clock."""
    said = subprocess.run(
        ["ffmpeg", "-i", path, "-map", "0:v:0", "-map", "0:a:0", "-vf", "blackdetect=d=0.04:pix_th=0.3", "-af",
         "silencedetect=n=-30dB:d=0.05", "-f", "null", "-"], capture_output=True, text=True, check=True).stderr
    return float(search(r"black_end:([\d.]+)", said)[1]), float(search(r"silence_end: ([\d.]+)", said)[1])


def said_at(path: Word) -> list[tuple[float, str]]:
    """[(seconds from the first picture, text)] of the subtitles."""
    text = subprocess.run(["ffmpeg", "-v", "error", "-copyts", "-i", path, "-map", "0:s:0", "-f", "srt", "-"],
                          capture_output=True, text=True, check=True).stdout
    start = float(told(path)["video"][0].get("start_time", 0))
    return [(float(second.replace(",", ".")) - start, re.sub("<.*?>", "", words))
            for second, words in re.findall(r"00:00:(\d\d,\d+) -->.*\n(.*)", text)]


@pytest.mark.parametrize("extension", CONTAINERS)
def test_all_is_kept_and_in_time(command: Callable[..., list[str]], talking: Path, tmp_path: Path,
                                 extension: str) -> None:
    film = tmp_path / f"out{extension}"
    assert made(command(talking, film.name, "--quiet")).stderr == ""
    assert names(tmp_path) == [film.name]
    before, after = told(talking), told(film)
    assert after["video"][0]["nb_read_frames"] == str(COUNT)
    assert after["video"][0]["avg_frame_rate"] == "25/1"
    assert abs(float(after["format"]["duration"]) - COUNT / 25) < 0.05  # the last packet of Opus is longer
    (flash, beep), (ours, our_beep) = moments(talking), moments(film)
    assert abs((our_beep - ours) - (beep - flash)) < 0.02, (ours, our_beep)
    lead = float(after["video"][0]["start_time"]) - float(after["format"]["start_time"])
    assert abs(ours - lead - FLASH) < 0.01
    languages = {"eng": "eng", "ita": "ita", "fra": "fra", "fre": "fra"}
    assert (tag(after["format"], "title"), tag(after["format"], "artist")) == ("A day at sea", "Ida")
    assert [languages[str(tag(stream, "language"))] for stream in after["audio"]] == ["eng", "ita"]
    assert [languages[str(tag(stream, "language"))] for stream in after["subtitle"]] == ["fra"]
    assert [stream["disposition"]["default"] for stream in after["audio"]] == [0, 1]
    name = "handler_name" if CONTAINERS[extension].isom else "title"
    assert [tag(stream, name) == "My remarks" for stream in after["audio"]] == [False, True]
    for shown, (second, words) in zip(said_at(film), ((0.2, "Hello"), (0.7, "World")), strict=True):
        assert abs(shown[0] - second) < 0.05
        assert shown[1] == words
    for ours_, theirs in zip(after["chapters"], before["chapters"], strict=True):
        assert ours_["tags"]["title"] == theirs["tags"]["title"]
        assert all(abs(float(ours_[end]) - float(theirs[end])) < 0.04 for end in ("start_time", "end_time"))
    assert after["chapters"][0]["tags"]["title"] == "One; = #1"
    assert tag(after["format"], "creation_time") == DATE


@pytest.mark.parametrize("extension", CONTAINERS)
@pytest.mark.parametrize("talking", [".mkv"], indirect=True)
def test_without_sound_the_rest_stays(command: Callable[..., list[str]], talking: Path, tmp_path: Path,
                                      extension: str) -> None:
    made(command(talking, f"out{extension}", "--no-sound"))
    after = told(tmp_path / f"out{extension}")
    assert after["audio"] == []
    assert len(after["subtitle"]) == 1
    assert len(after["chapters"]) == 2


@pytest.mark.parametrize(("source", "words", "output", "codec"), [
    ("low.avi", ("-c:a", "libmp3lame", "-ar", "11025"), ".mp4", "aac"),  # MP4 does not hold it, though it holds MP3
    ("low.avi", ("-c:a", "libmp3lame", "-ar", "11025"), ".mkv", "mp3"),
    ("six.mkv", ("-c:a", "ac3", "-ac", "6"), ".webm", "opus"),  # 5.1(side), which libopus refuses
    ("plain.mov", ("-c:a", "pcm_s16le"), ".mp4", "aac"),
    ("plain.mov", ("-c:a", "pcm_s16le"), ".mov", "pcm_s16le"),
    ("old.ts", ("-c:a", "mp2"), ".mp4", "aac"),  # its sound begins before its pictures
    ("old.ts", ("-c:a", "aac"), ".mkv", "aac"),
])
def test_sound_that_does_not_fit_is_encoded(command: Callable[..., list[str]], tmp_path: Path, source: str,
                                            words: tuple[str, ...], output: str, codec: str) -> None:
    pictures = "mpeg4" if source == "low.avi" else "libx264"
    flashing(tmp_path / source, "-map", "0", "-map", "1", *words, pictures=pictures)
    done = made(command(tmp_path / source, f"out{output}", "--quiet"))
    assert done.stderr == ""
    assert [stream["codec_name"] for stream in told(tmp_path / f"out{output}")["audio"]] == [codec]
    (flash, beep), (ours, our_beep) = moments(tmp_path / source), moments(tmp_path / f"out{output}")
    assert abs((our_beep - ours) - (beep - flash)) < 0.02


def test_sound_that_is_only_announced_does_no_harm(command: Callable[..., list[str]], tmp_path: Path) -> None:
    """A recording of television whose second sound has not begun yet: ffmpeg refuses all, if that is among it."""
    flashing(tmp_path / "two.ts", "-map", "0", "-map", "1", "-map", "2", "-c:a", "mp2")
    whole = (tmp_path / "two.ts").read_bytes()
    packets = [whole[at:at + 188] for at in range(0, len(whole), 188)]
    (tmp_path / "one.ts").write_bytes(b"".join(each for each in packets if each[1] & 31 != 1 or each[2] != 2))
    done = made(command(tmp_path / "one.ts", "out.mkv"))
    assert search("warning: (.*)", done.stderr)[1] == "the film cannot keep: sound 2 (mp3)"
    assert [stream["codec_name"] for stream in told(tmp_path / "out.mkv")["audio"]] == ["mp2"]


@pytest.mark.parametrize("extension", CONTAINERS)
def test_sound_that_begins_late_stays_late(command: Callable[..., list[str]], tmp_path: Path, extension: str) -> None:
    flashing(tmp_path / "plain.mkv", "-map", "0", "-map", "1", "-c:a", "aac")
    twice = ("-i", tmp_path / "plain.mkv", "-itsoffset", "0.3", "-i", tmp_path / "plain.mkv")
    ffmpeg(*twice, "-map", "0:v", "-map", "1:a", "-c", "copy", tmp_path / "late.mkv")
    made(command(tmp_path / "late.mkv", f"out{extension}"))
    (flash, beep), (ours, our_beep) = moments(tmp_path / "late.mkv"), moments(tmp_path / f"out{extension}")
    assert beep - flash > 0.25
    assert abs((our_beep - ours) - (beep - flash)) < 0.02


def test_subtitles_that_are_pictures_need_mkv(command: Callable[..., list[str]], tmp_path: Path) -> None:
    """Two empty screens, as a Blu-ray has them."""
    def screen(second: float) -> bytes:
        head = b"PG" + struct.pack(">II", round(second * 90000), 0)
        return head + b"\x16\x00\x0b" + struct.pack(">HHBHBBBB", 96, 64, 16, 0, 128, 0, 0, 0) + head + b"\x80\0\0"

    (tmp_path / "a.sup").write_bytes(screen(0.2) + screen(0.6))
    flashing(tmp_path / "in.mkv", "-i", tmp_path / "a.sup", "-map", "0", "-map", "1", "-map", "3", "-c:s", "copy")
    assert [stream["codec_name"] for stream in told(tmp_path / "in.mkv")["subtitle"]] == ["hdmv_pgs_subtitle"]
    done = made(command(tmp_path / "in.mkv", "out.mp4", "--quiet"))
    assert done.stderr == "dreamify: warning: the film cannot keep: subtitles (hdmv_pgs_subtitle); a .mkv keeps them\n"
    done = made(command(tmp_path / "in.mkv", "out.mkv", "--quiet"))
    assert done.stderr == ""
    assert len(told(tmp_path / "out.mkv")["subtitle"]) == 1


def test_sound_that_nobody_knows_is_named_before_the_work(command: Callable[..., list[str]], tmp_path: Path) -> None:
    flashing(tmp_path / "in.avi", "-map", "0", "-map", "1", "-map", "2", "-c:a", "pcm_s16le", pictures="mpeg4")
    whole = (tmp_path / "in.avi").read_bytes()
    at = whole.index(b"strf", whole.index(b"auds")) + 8
    (tmp_path / "in.avi").write_bytes(whole[:at] + b"\x34\x72" + whole[at + 2:])  # no such codec
    for extension in (".mkv", ".mp4"):
        done = made(command(tmp_path / "in.avi", f"out{extension}"))
        assert search("warning: the film cannot keep: (.*)", done.stderr)[1] == "sound 1 (unknown)"
        assert len(told(tmp_path / f"out{extension}")["audio"]) == 1


@pytest.mark.parametrize("name", ["out.gif", "out.webp", "out%d.png"])
@pytest.mark.parametrize("talking", [".mp4"], indirect=True)
def test_films_of_pictures_alone_say_what_they_lack(command: Callable[..., list[str]], talking: Path,
                                                    name: str) -> None:
    assert made(command(talking, name, "--quiet")).stderr == (
        "dreamify: warning: the film cannot keep: sound 1 (aac, eng), sound 2 (aac, ita), subtitles (mov_text, fra), "
        "chapters, the date of the recording, the title, the artist; a .mkv keeps them\n")
    assert made(command(talking, name, "--quiet", "--no-sound", "--force")).stderr.count("sound") == 0


@pytest.mark.parametrize("extension", CONTAINERS)
@pytest.mark.parametrize("talking", [".mkv"], indirect=True)
def test_a_part_of_a_video_keeps_its_part_of_all(talking: Path, tmp_path: Path, extension: str) -> None:
    """From 0.4 to 1 s."""
    there = told(talking)
    start = float(there["video"][0]["start_time"]) - float(there["format"]["start_time"])
    pixels = decoded(talking)
    video = Video(str(talking), (64, 96, 3), Fraction(25), [1] * 15, list(range(10, 25)), begin=start + 0.4,
                  end=start + 1, tracks=tracks.found(there))
    film = tmp_path / f"out{extension}"
    (tmp_path / "in").mkdir()
    reel = Muxed(str(film), CONTAINERS[extension], tmp_path / "in", Fraction(25), [1] * 15, (64, 96), video,
                 video.tracks)
    assert reel.begin() == []
    for number in range(15):
        reel.keep(number, Picture(pixels[10 + number].astype(np.float32)))
    reel.finish(15, {})
    after, (flash, beep) = told(film), moments(film)
    assert after["video"][0]["nb_read_frames"] == "15"
    assert abs(float(after["format"]["duration"]) - 0.6) < 0.04
    wanted = moments(talking)
    assert abs((beep - flash) - (wanted[1] - wanted[0])) < 0.02
    assert [words for _, words in said_at(film)] == ["World"]
    assert abs(said_at(film)[0][0] - 0.3) < 0.05
    assert [(round(float(each["start_time"]), 2), round(float(each["end_time"]), 2), each["tags"]["title"])
            for each in after["chapters"]] == [(0, 0.6, "Zwei")]


def test_what_ffprobe_does_not_know_is_no_error() -> None:
    assert tracks.found({}) == tracks.NOTHING
    found = tracks.found({"streams": [{"index": 0}, {"index": 1, "codec_type": "audio"}],
                          "chapters": [{"start_time": "N/A", "end_time": "1"}], "format": {"start_time": "N/A"}})
    assert (found.tracks, found.others) == ((), ("sound (unknown)",))
    assert found.chapters == (tracks.Chapter(0, 1, ""),)
    assert os.linesep not in tracks.ffmetadata([tracks.Chapter(2, 3, "late")], 0, 1).strip()
