"""What is in a video beside its pictures (sound, subtitles, chapters, the date of the recording), and how it gets into
a film.

All times are seconds on ffmpeg's clock, see Tracks.clock."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dreamer.errors import Failure
from dreamer.films.containers import Container
from dreamer.machine import ffmpeg, files

_PICTURES = ("dvb_subtitle", "dvb_teletext", "dvd_subtitle", "hdmv_pgs_subtitle", "xsub")  # subtitles that are no text
_UNKNOWN = "unknown"  # a codec
_FLAGS = ("default", "dub", "original", "comment", "forced", "hearing_impaired", "visual_impaired")
_TEXTS = ("title", "artist", "album", "genre", "copyright")  # not the place
_NAMELESS = ("SoundHandler", "SubtitleHandler", "Core Media Audio", "Core Media Text")  # what encoders write unasked


@dataclass(frozen=True)
class Track:
    """A sound or subtitles.

    index     its number among the streams of the file
    kind      "sound" or "subtitles"
    number    its number among those, counted from 1; None if there is only one
    codec     ffmpeg's name of its codec
    language  as the file names it; "" if it does not
    title     the same
    flags     what it is marked as: "default", "forced" and the like"""

    index: int
    kind: str
    number: int | None
    codec: str
    language: str
    title: str
    flags: tuple[str, ...]

    def __str__(self) -> str:
        """For people: sound 2 (dts, eng)."""
        what = f"{self.kind} {self.number}" if self.number else self.kind
        return f"{what} ({', '.join(filter(None, (self.codec, self.language)))})"

    def ways(self, container: Container) -> list[tuple[str, ...]]:
        """How it may get into the container, the best way first: words for ffmpeg behind -c, with {} for the stream."""
        held = container.sound if self.kind == "sound" else container.subtitles
        coded = (container.encoder if self.kind == "sound" else () if self.codec in _PICTURES else (container.text,))
        copied = self.codec in held or (self.kind == "sound" and not held)
        return [("copy",)] * copied + [coded] * bool(coded)


@dataclass(frozen=True)
class Chapter:
    """A chapter of a film, from `begin` to `end`."""

    begin: float
    end: float
    title: str


@dataclass(frozen=True)
class Tracks:
    """What is in a video beside its pictures.

    tracks    its sounds and subtitles
    chapters  its chapters
    date      of the recording, as the file gives it; "" if it does not
    texts     (name, text) of what is said about the whole: its title, artist and the like
    others    what no film keeps, for people
    streams   numbers of the streams that set the clock, beside the pictures"""

    tracks: tuple[Track, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    date: str = ""
    texts: tuple[tuple[str, str], ...] = ()
    others: tuple[str, ...] = ()
    streams: tuple[int, ...] = ()

    def clock(self) -> list[str]:
        """An output without effect, for ffmpeg. Its clock begins with the earliest stream that it reads, and jumps in
        time are mended by all streams that it reads; so each run that tells or cuts times has this output."""
        return ["-map", "0:v:0", *(word for index in self.streams for word in ("-map", f"0:{index}")), "-c", "copy",
                "-f", "null", "-"]

    def silent(self) -> "Tracks":
        """The same without the sounds."""
        return replace(self, tracks=tuple(track for track in self.tracks if track.kind != "sound"))

    def named(self) -> list[str]:
        """All of it, for people."""
        return [*map(str, self.tracks), *["chapters"] * bool(self.chapters),
                *["the date of the recording"] * bool(self.date), *(f"the {name}" for name, _ in self.texts),
                *self.others]

    def nowhere(self) -> set[str]:
        """What of it no film keeps, not even an .mkv."""
        return {*self.others, *(str(track) for track in self.tracks if track.codec == _UNKNOWN)}


NOTHING = Tracks()


def found(told: Mapping[str, Any]) -> Tracks:
    """The Tracks of a file that ffprobe describes with -show_streams, -show_chapters and -show_format."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for stream in told.get("streams", []):
        kinds.setdefault(stream.get("codec_type", ""), []).append(stream)
    tracks, others = list[Track](), list[str]()
    for kind, name in (("sound", "audio"), ("subtitles", "subtitle")):
        for number, stream in enumerate(kinds.get(name, ()), 1):
            track = _track(stream, kind, number if len(kinds[name]) > 1 else None)
            if kind == "sound" and int(stream.get("sample_rate", 0)) <= 0:  # announced only, and ffmpeg refuses it
                others.append(str(track))
            else:
                tracks.append(track)
    others += ["the cover" if stream.get("disposition", {}).get("attached_pic") else "another video"
               for stream in kinds.get("video", [])[1:]]
    whole = told.get("format", {})
    start = _seconds(whole.get("start_time"))
    chapters = [Chapter(_seconds(each.get("start_time")) - start, _seconds(each.get("end_time")) - start,
                        _tags(each).get("title", "")) for each in told.get("chapters", [])]
    return Tracks(tuple(tracks), tuple(chapters), _tags(whole).get("creation_time", ""),
                  tuple((name, text) for name in _TEXTS if (text := _tags(whole).get(name, ""))),
                  tuple(others + ["attached files"] * bool(kinds.get("attachment"))),
                  tuple(track.index for track in tracks))


def extract(path: str, beside: Tracks, container: Container, folder: Path, begin: float,
            end: float | None) -> list[Track]:
    """Write the sounds and subtitles `beside` the pictures of the file at `path` into the file "tracks" in `folder`, in
    the form in which the container holds them, from `begin` to `end` (None: to its end); times count from `begin`.
    Returns those that it cannot hold; without any others, no file is written. Raises OSError, also for a full disk."""
    source, cut = (*ffmpeg.SAFE, "-i", ffmpeg.local(path)), _cut(begin, end, container)

    def written(ways: Mapping[Track, tuple[str, ...]]) -> bool:
        """Write the tracks, each in its way; returns whether there are any and that is possible."""
        if not ways:
            return False
        with contextlib.suppress(Failure), files.replacing(folder / "tracks") as file:
            with ffmpeg.running(
                    *source, *_mapped(ways, container), "-map_metadata", "-1", "-map_chapters", "-1", *cut,
                    "-flags:a", "+bitexact", "-fflags", "+bitexact", "-f", container.muxer, "-y",
                    ffmpeg.inside(file.name), *beside.clock(), folder=folder):
                pass
            return True
        return False

    options = {track: ways for track in beside.tracks if (ways := track.ways(container))}
    chosen = {track: ways[0] for track, ways in options.items()}
    if not written(chosen):  # some are not as the container wants them, so each is tried alone
        working = {track: [way for way in ways if written({track: way})] for track, ways in options.items()}
        chosen = {track: ways[0] for track, ways in working.items() if ways}
        if not written(chosen):
            chosen = {}
            (folder / "tracks").unlink(missing_ok=True)
    return [track for track in beside.tracks if track not in chosen]


def ffmetadata(chapters: Iterable[Chapter], begin: float, end: float) -> str:
    """The chapters from `begin` to `end`, their times counted from `begin`, in the language ffmetadata."""
    lines = [";FFMETADATA1"]
    for chapter in chapters:
        first, last = (round((min(max(time, begin), end) - begin) * 10 ** 6) for time in (chapter.begin, chapter.end))
        if first < last:
            title = "".join(f"\\{c}" if c in "=;#\\\n" else c for c in chapter.title)
            lines += ["[CHAPTER]", "TIMEBASE=1/1000000", f"START={first}", f"END={last}", f"title={title}"]
    return "\n".join(lines) + "\n"


def _mapped(ways: Mapping[Track, tuple[str, ...]], container: Container) -> list[str]:
    """Words that select the tracks, each with its way into the container, and with its language, title and flags."""
    words: list[str] = []
    for number, (track, (codec, *more)) in enumerate(ways.items()):
        words += ["-map", f"0:{track.index}", f"-c:{number}", codec, *(word.format(number) for word in more),
                  f"-disposition:{number}", "+".join(track.flags) or "0"]
        for name, text in (("language", container.languages.get(track.language, track.language)),
                           ("title", track.title), ("handler_name", track.title if container.isom else "")):
            words += [f"-metadata:s:{number}", f"{name}={text}"] if text else []
    return words


def _cut(begin: float, end: float | None, container: Container) -> list[str]:
    """Words that cut the part. -ss drops all sound from before `begin`, also the bit that decoders need to begin."""
    words = [] if container.isom and abs(begin) < 1e-3 else ["-ss", f"{begin:.6f}"]
    return words if end is None else [*words, "-t", f"{max(0, end - begin):.6f}"]


def _track(stream: Mapping[str, Any], kind: str, number: int | None) -> Track:
    tags, marks = _tags(stream), stream.get("disposition", {})
    language, name = tags.get("language", ""), tags.get("handler_name", "")
    return Track(stream["index"], kind, number, stream.get("codec_name", _UNKNOWN),
                 "" if language == "und" else language, tags.get("title") or ("" if name in _NAMELESS else name),
                 tuple(flag for flag in _FLAGS if marks.get(flag)))


def _tags(part: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a part of the file: containers differ in the case of their names."""
    return {name.lower(): text for name, text in part.get("tags", {}).items()}


def _seconds(text: str | None) -> float:
    """What ffprobe says of a time; 0 if it is not known."""
    try:
        return float(text or 0)
    except ValueError:  # "N/A"
        return 0.0
