"""From where to where: INPUT is a picture, a video, or a folder of either, and OUTPUT what that can become. Here it is
seen whether they can be read and written, before any work is done."""

import functools
import os
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from dreamer.arrays import Light
from dreamer.errors import Wrong
from dreamer.films import flow, frames, moving, names, video
from dreamer.options import outputs
from dreamer.options.understood import Subject, Understood
from dreamer.pictures import inputs, reading, writing
from dreamer.pictures.mask import fitted
from dreamer.pictures.picture import Picture

_Warn = Callable[[str], None]


def find(asked: Understood, wrong: Wrong, warn: _Warn, sheet: bool) -> Subject | None:
    """See where INPUT and OUTPUT are, "" where they are not named, and read what is there; None where that is a folder
    of pictures. What is wrong with them is noted.

    warn   is called with a line on what is lost
    sheet  whether OUTPUT is to be an atlas"""
    if sheet:
        return find_picture(asked, wrong, warn, sheet)
    if _is_video(asked):
        return _find_video(asked, wrong, warn)
    if asked.watch or (asked.input and os.path.isdir(asked.input)):
        _check_folders(asked, wrong)
        return None
    return find_picture(asked, wrong, warn)


def find_picture(asked: Understood, wrong: Wrong, warn: _Warn, sheet: bool = False) -> Subject | None:
    """Read the picture, and see whether the dream can be written, or a `sheet` of dreams. None where it cannot."""
    film = not sheet and (asked.zoom is not None or names.always_film(asked.output))
    if sheet and inputs.STANDARD in (asked.input, asked.output):
        wrong.append("atlas: INPUT and OUTPUT must be files, not -, so that a stopped atlas can continue")
    if not asked.input:
        wrong.append("input: name a picture")
    if not asked.output:
        if asked.input and os.path.isfile(asked.input) and video.named_so(asked.input):
            wrong.append(f"output: name a film for the dream of the video {asked.input}: {' '.join(names.FILMS)}")
            return None
        wrong.append("output: name the file for the dream")
    else:
        if video.named_so(asked.input) and os.path.isfile(asked.input):
            wrong.append(f"input: {asked.input} is a video: OUTPUT must be a film, without --zoom")
            return None
        with wrong.noted():
            check = outputs.check_atlas if sheet else outputs.check_film if film else outputs.check_picture
            check(asked.output, asked.input or None, asked.force)
    if asked.flow or asked.blend:
        warn("--flow and --blend have no effect here: INPUT is not a video")
    if not asked.input or (wrong and asked.input == inputs.STANDARD):  # which may be slow
        return None
    with wrong.noted():
        picture = reading.read(asked.input, asked.max_size, asked.max_pixels, asked.keep_location, warn)
        rate = Fraction(asked.fps).limit_denominator(1001)
        if not wrong and film:
            outputs.check_film_fits(asked.output, picture, rate, bool(asked.zoom), warn)
        elif not wrong and not sheet:
            outputs.check_picture_fits(asked.output, picture, warn)
        return Subject(picture, None, film, rate, asked.fps, 0.0, _where(asked, picture.pixels.shape, warn))
    return None


def _where(asked: Understood, shape: tuple[int, ...], warn: _Warn) -> Light | None:
    return None if asked.light is None else fitted(asked.light, shape[0], shape[1], warn)


def _is_video(asked: Understood) -> bool:
    """Whether a film is to be made of a moving picture."""
    return bool(asked.input and asked.output and not asked.watch and not asked.zoom
                and names.may_be_film(asked.output) and moving.moves(asked.input))


def _find_video(asked: Understood, wrong: Wrong, warn: _Warn) -> Subject | None:
    """See what the video, or the folder of frames, is, and whether the film can be written."""
    with wrong.noted():
        outputs.check_film(asked.output, asked.input, asked.force)
    with wrong.noted():
        if asked.flow:
            flow.opencv()
    with wrong.noted():
        found = _opened(asked, warn)
        picture = Picture(np.zeros(found.shape, np.uint8))
        if not wrong:
            outputs.check_film_fits(asked.output, picture, found.rate, True, warn)
        blend = asked.blend if asked.blend is not None else flow.BLEND if asked.flow else 0.0
        return Subject(picture, found, True, found.rate, float(found.rate), blend, _where(asked, found.shape, warn))
    return None


def _opened(asked: Understood, warn: _Warn) -> moving.Moving:
    if not os.path.isdir(asked.input):
        return video.opened(asked.input, asked.max_size, asked.max_pixels, warn)
    read = functools.partial(reading.read, max_size=asked.max_size, max_pixels=asked.max_pixels)
    return frames.opened(asked.input, Fraction(asked.fps).limit_denominator(1001), asked.max_size, asked.max_pixels,
                         read)


def _check_folders(asked: Understood, wrong: Wrong) -> None:
    """See whether the dreams of a folder can be written."""
    if not os.path.isdir(asked.input):
        wrong.append(f"watch: {asked.input} is not a folder")
    if asked.zoom:
        wrong.append("zoom: a zoom begins with one picture, and INPUT is a folder")
    with wrong.noted():
        outputs.check_path(asked.output)
    if os.path.isdir(asked.output):
        with wrong.noted():
            outputs.check_folder(asked.output)
    elif (os.path.lexists(asked.output) or asked.output == inputs.STANDARD
          or os.path.splitext(asked.output)[1].lower() in writing.FORMATS):
        wrong.append(f"output: {asked.output} is not a folder; INPUT is one, so OUTPUT must be a folder too")
    else:
        with wrong.noted():
            outputs.check_folder(os.path.dirname(os.path.realpath(asked.output)))
