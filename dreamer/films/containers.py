"""The containers of films with sound: what each of them can hold, and how its pictures are encoded."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_EXACT = ("-threads", "1", "-flags:v", "+bitexact")  # with more threads, each machine would give a different film
_H264 = ("-c:v", "libx264", "-bf", "0", "-crf", "16",
         "-x264-params", "rc-lookahead=8", *_EXACT)  # 40 takes twice the memory to save 3 % of the size
# 24 dreamed frames of 640×480 at the same quality (41 dB): H.264 1.07 s, 1.42 MB; VP9 1.85 s, 1.56 MB; AV1 (SVT, preset
# 8) 2.20 s, 1.46 MB, but SVT refuses pictures below 64×64, and fewer players have AV1
_VP9 = ("-c:v", "libvpx-vp9", "-crf", "17", "-b:v", "0", *_EXACT)
_TEXT = ("mov_text",)


class Container(NamedTuple):
    """What a container holds; names of codecs and encoders are ffmpeg's.

    muxer      ffmpeg's name of it
    pictures   words that encode the pictures
    slow       words for their encoder that make the film small
    hurry      words for it that save time
    memory     bytes per pixel that it takes, measured at 1920×1080
    sound      codecs of sound that it holds and players know; () for all
    encoder    words that encode other sound
    subtitles  codecs of subtitles that it holds
    text       encoder for other subtitles that are text
    isom       whether it is of the family of MP4, which holds sound from before the first picture (decoders of AAC
               need some to begin), counts time in units of any length, and shows the name of a track's handler as its
               title
    languages  {name of a language: the name that it has for it}, where that differs
    more       other words for the muxer"""

    muxer: str
    pictures: tuple[str, ...]
    slow: tuple[str, ...]
    hurry: tuple[str, ...]
    memory: int
    sound: tuple[str, ...]
    encoder: tuple[str, ...]
    subtitles: tuple[str, ...]
    text: str
    isom: bool
    languages: Mapping[str, str]
    more: tuple[str, ...]


_AAC = ("aac", "-b:{}", "192k")
_MP4 = Container(
    "mp4", _H264, ("-preset", "medium"), ("-preset", "ultrafast"), 100,
    ("aac", "ac3", "alac", "eac3", "mp3", "opus"), _AAC, _TEXT, "mov_text", True, {},
    ("-movflags", "+faststart"))
_PCM = ("pcm_s16be", "pcm_s16le", "pcm_s24be", "pcm_s24le", "pcm_s32be", "pcm_s32le", "pcm_f32be", "pcm_f32le")
# QuickTime numbers the languages; ffmpeg finds the number by one name only
_QUICKTIME = {"cze": "ces", "deu": "ger", "ell": "gre", "fre": "fra", "isl": "ice", "mkd": "mac", "nld": "dut",
              "rum": "ron", "slo": "slk", "sqi": "alb", "swe": "sve", "zho": "chi"}

CONTAINERS = {
    ".mkv": Container(
        "matroska", _H264, ("-preset", "medium"), ("-preset", "ultrafast"), 100,
        (), ("flac",), ("ass", "dvb_subtitle", "dvd_subtitle", "hdmv_pgs_subtitle", "subrip", "webvtt"), "subrip",
        False, {}, ("-default_mode", "passthrough")),
    ".mov": _MP4._replace(muxer="mov", sound=("aac", "ac3", "alac", "eac3", "mp3", *_PCM), languages=_QUICKTIME),
    ".mp4": _MP4,
    ".webm": Container(
        "webm", _VP9, ("-deadline", "good", "-cpu-used", "4"), ("-deadline", "realtime", "-cpu-used", "8"), 150,
        # libopus refuses the layout 5.1(side), as AC-3 has it
        ("opus", "vorbis"), ("libopus", "-b:{}", "192k", "-filter:{}", "aformat=channel_layouts=7.1|5.1|stereo|mono"),
        ("webvtt",), "webvtt", False, {}, ("-default_mode", "passthrough")),
}


def container(path: str | os.PathLike[str]) -> Container | None:
    """The Container that the name of a film means; None if it means none of them."""
    return CONTAINERS.get(Path(path).suffix.lower())
