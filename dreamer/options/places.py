"""Checks, before any work is done, whether INPUT (a picture, video or folder) can be read, and whether OUTPUT fits it
and can be written."""

import functools
import os
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from dreamer.arrays import Light
from dreamer.errors import Mistake, Wrong
from dreamer.films import animated, flow, frames, moving, names, video
from dreamer.options import outputs
from dreamer.options.understood import Subject, Understood
from dreamer.pictures import inputs, nothing, reading, writing
from dreamer.pictures.mask import fitted
from dreamer.pictures.nothing import Nothing
from dreamer.pictures.picture import Picture

_Warn = Callable[[str], None]
Look = Callable[[float, float], None]


def find(asked: Understood, wrong: Wrong, warn: _Warn, sheet: bool, look: Look) -> Subject | None:
    """Check INPUT and OUTPUT, which are "" if not given, and read the input. None for a folder of pictures, and if the
    input cannot be read. Errors are added to `wrong`.

    warn   called with a line about each thing that is lost
    sheet  whether OUTPUT is to be an atlas
    look   called about once a second while the frames of a video are counted, as in video.opened"""
    if sheet:
        return find_picture(asked, wrong, warn, sheet)
    if _is_video(asked):
        return _find_video(asked, wrong, warn, look)
    if asked.pictures is not None:
        _check_pictures(asked, wrong)
        return None
    if asked.watch or (asked.input and os.path.isdir(asked.input)):
        _check_folders(asked, wrong)
        return None
    return find_picture(asked, wrong, warn)


def find_picture(asked: Understood, wrong: Wrong, warn: _Warn, sheet: bool = False) -> Subject | None:
    """Read the picture, and check whether its dream, or a `sheet` of them, can be written. None if it is unreadable."""
    film = not sheet and (asked.zoom is not None or names.always_film(asked.output))
    if sheet and inputs.STANDARD in (asked.input, asked.output):
        wrong.append("atlas: INPUT and OUTPUT must be files, not -, so that a stopped atlas can continue")
    if not asked.input:
        wrong.append("input: name a picture")
    if not asked.output:
        if asked.input and os.path.isfile(asked.input) and video.named_so(asked.input):
            wrong.append(f"output: {asked.input} is a video; name a film for its dream ({' '.join(names.FILMS)}, or "
                         "frame-%04d.png)")
            return None
        wrong.append("output: name the file for the dream")
    else:
        if video.named_so(asked.input) and os.path.isfile(asked.input):
            needs = ("no --zoom" if names.may_be_film(asked.output) and asked.zoom else
                     f"a film as OUTPUT ({' '.join(names.FILMS)}, or frame-%04d.png)")
            wrong.append(f"input: {asked.input} is a video, and its dream needs {needs}")
            return None
        with wrong.noted():
            check = outputs.check_atlas if sheet else outputs.check_film if film else outputs.check_picture
            check(asked.output, asked.input or None, asked.force)
    if not asked.input or (wrong and asked.input == inputs.STANDARD):  # reading it may be slow
        return None
    with wrong.noted():
        made = _from_nothing(asked)
        picture = Picture(made.black()) if made else reading.read(asked.input, asked.max_size, asked.max_pixels,
                                                                  asked.keep_location, warn)
        fps = asked.fps or float(names.RATE)
        rate = Fraction(fps).limit_denominator(1001)
        if not wrong and film:
            outputs.check_film_fits(asked.output, picture, rate, bool(asked.zoom), warn)
        elif not wrong and not sheet:
            outputs.check_picture_fits(asked.output, picture, warn)
        return Subject(picture, None, film, rate, fps, 0.0, _where(asked, picture.pixels.shape, warn), made)
    return None


def _from_nothing(asked: Understood) -> Nothing | None:
    """What INPUT stands for; None if it is a file. Noise is made at its final size, because shrinking would smooth
    it."""
    found = nothing.find(asked.input, asked.max_pixels)
    return found and Nothing(found.word, *reading.shrunk((found.width, found.height), asked.max_size))


def _where(asked: Understood, shape: tuple[int, ...], warn: _Warn) -> Light | None:
    return None if asked.light is None else fitted(asked.light, shape[0], shape[1], warn)


def _is_video(asked: Understood) -> bool:
    """Whether INPUT is a video or a folder of frames, and OUTPUT a film of it."""
    return bool(asked.input and asked.output and not asked.watch and not asked.zoom
                and names.may_be_film(asked.output) and moving.moves(asked.input))


def _find_video(asked: Understood, wrong: Wrong, warn: _Warn, look: Look) -> Subject | None:
    """Open the video or folder of frames, and check whether the film can be written. None if it cannot be opened."""
    with wrong.noted():
        outputs.check_film(asked.output, asked.input, asked.force)
    with wrong.noted():
        if asked.flow:
            flow.opencv()
    with wrong.noted():
        found = _opened(asked, warn, look)
        picture = Picture(np.zeros(found.shape, np.uint8))
        if not wrong:
            outputs.check_film_fits(asked.output, picture, found.rate, True, warn)
        blend = asked.blend if asked.blend is not None else flow.BLEND if asked.flow else 0.0
        return Subject(picture, found, True, found.rate, float(found.rate), blend, _where(asked, found.shape, warn))
    return None


def _opened(asked: Understood, warn: _Warn, look: Look) -> moving.Moving:
    # the rate in a recipe that is followed is that of another video
    fps = None if asked.request.fps == asked.followed.get("fps") else asked.fps
    if not os.path.isdir(asked.input):
        if inputs.kind(asked.input) in animated.KINDS:
            return animated.opened(asked.input, asked.max_size, asked.max_pixels, warn, asked.start, asked.end, fps)
        return video.opened(asked.input, asked.max_size, asked.max_pixels, warn, asked.start, asked.end, fps,
                            not asked.no_deinterlace, look)
    read = functools.partial(reading.read, max_size=asked.max_size, max_pixels=asked.max_pixels)
    return frames.opened(asked.input, Fraction(asked.fps or names.RATE).limit_denominator(1001), asked.max_size,
                         asked.max_pixels, read, warn)


def _check_pictures(asked: Understood, wrong: Wrong) -> None:
    """Note what is wrong with several pictures and the folder for their dreams."""
    assert asked.pictures is not None  # noqa: S101
    if asked.watch:
        wrong.append("watch: name one folder to watch, not pictures")
    for path in asked.pictures:
        if os.path.isfile(path) and not os.path.getsize(path):
            continue  # reported in its turn, like a damaged one
        if nothing.named(path):
            wrong.append(f"input: {path} is not a file: dream it by itself, with a file as OUTPUT")
            continue
        with wrong.noted(), inputs.opened(path):
            if video.named_so(path):
                raise Mistake(f"input: {path} is a video: dream it by itself, with a film as OUTPUT")
    called: dict[str, str] = {}
    for path in asked.pictures:
        if (other := called.setdefault(writing.dream_name(os.path.basename(path)), path)) != path:
            wrong.append(f"input: the dreams of {other} and {path} would have the same name")
        dream = os.path.join(asked.output, writing.dream_name(os.path.basename(path)))
        with wrong.noted():
            if os.path.isfile(dream):
                outputs.check_none_of(asked.pictures, dream)
                if not asked.force:
                    outputs.check_ours(dream)
    _check_target(asked, wrong)


def _check_folders(asked: Understood, wrong: Wrong) -> None:
    """Check whether the dreams of a folder can be written."""
    if not os.path.isdir(asked.input):
        wrong.append(f"watch: {asked.input} is not a folder")
    _check_target(asked, wrong)


def _check_target(asked: Understood, wrong: Wrong) -> None:
    """Note what is wrong with the folder for dreams."""
    if asked.zoom:
        wrong.append("zoom: a zoom needs a single picture")
    with wrong.noted():
        outputs.check_path(asked.output)
    if os.path.isdir(asked.output):
        with wrong.noted():
            outputs.check_folder(asked.output, asked.force)
    elif video.named_so(asked.output) and not (names.may_be_film(asked.output) or asked.watch or asked.pictures):
        with wrong.noted():
            outputs.check_film(asked.output)  # says which films can be written
    elif (os.path.lexists(asked.output) or asked.output == inputs.STANDARD or names.may_be_film(asked.output)
          or video.named_so(asked.output) or os.path.splitext(asked.output)[1].lower() in writing.FORMATS):
        wrong.append(f"output: {asked.output} is not a folder; the dreams of several pictures need one")
    else:
        with wrong.noted():
            outputs.check_folder(os.path.dirname(os.path.realpath(asked.output)), asked.force)
