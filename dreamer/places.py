"""From where to where: INPUT is a picture, a video, or a folder of either, and OUTPUT what that can become. Here it is
seen whether they can be read and written, before any work is done."""

import functools
import os
from fractions import Fraction

import numpy as np

from dreamer import atlas, flow, inputs, masks, pictures, reel, video
from dreamer.errors import Wrong
from dreamer.settings import Settings

BLEND = 0.75  # of --flow


def find(settings: Settings, wrong: Wrong, sheet: bool) -> None:
    """See where INPUT and OUTPUT are; what is wrong with them is noted.

    sheet  whether OUTPUT is to be an atlas"""
    if settings.watch and settings.input is None:
        settings.input = os.curdir
    if sheet:
        find_picture(settings, wrong, sheet)
    elif _is_video(settings):
        _find_video(settings, wrong)
    elif settings.watch or (settings.input and os.path.isdir(settings.input)):
        _find_folders(settings, wrong)
    else:
        find_picture(settings, wrong)


def find_picture(settings: Settings, wrong: Wrong, sheet: bool = False) -> None:
    """Read the picture, and see whether the dream can be written, or a `sheet` of dreams."""
    if sheet and inputs.STANDARD in (settings.input, settings.output):
        wrong.append("atlas: INPUT and OUTPUT are files: what is stopped shall go on another time")
    if settings.input is None:
        wrong.append("input: name a picture")
    if settings.output is None:
        wrong.append("output: name the file for the dream")
    else:
        if settings.input is not None and video.named_so(settings.input) and os.path.isfile(settings.input):
            wrong.append(f"input: {settings.input} is a video: OUTPUT must be a film, and there is nothing to zoom")
            return
        settings.film = not sheet and (settings.zoom is not None or reel.always_film(settings.output))
        settings.rate = Fraction(settings.fps).limit_denominator(1001)
        check_output = (atlas if sheet else reel if settings.film else pictures).check_output
        with wrong.noted():
            check_output(settings.output, settings.input, settings.force)
    if settings.flow or settings.blend:
        settings.warnings.append("flow and blend are for videos: here they do nothing")
    if settings.input is None or (wrong and settings.input == inputs.STANDARD):  # which may be slow
        return
    with wrong.noted():
        settings.picture = pictures.read(settings.input, max_size=settings.max_size, max_pixels=settings.max_pixels,
                                         keep_location=settings.keep_location, warn=settings.warnings.append)
        if not wrong and settings.film:
            reel.check_fits(settings.output, settings.picture, settings.rate, bool(settings.zoom),
                            settings.warnings.append)
        elif not wrong and not sheet:
            pictures.check_fits(settings.output, settings.picture, settings.warnings.append)
        _fit_mask(settings, settings.picture.pixels.shape)


def _fit_mask(settings: Settings, shape: tuple[int, ...]) -> None:
    if settings.light is not None:
        settings.where = masks.fitted(settings.light, shape[0], shape[1], settings.warnings.append)


def _is_video(settings: Settings) -> bool:
    """Whether a film is to be made of a moving picture."""
    return (settings.input is not None and settings.output is not None and not settings.watch and not settings.zoom
            and reel.may_be_film(settings.output) and video.moves(settings.input))


def _find_video(settings: Settings, wrong: Wrong) -> None:
    """See what the video, or the folder of frames, is, and whether the film can be written."""
    settings.film, settings.rate = True, Fraction(settings.fps).limit_denominator(1001)
    if settings.blend is None:
        settings.blend = BLEND if settings.flow else 0.0
    with wrong.noted():
        reel.check_output(settings.output, settings.input, settings.force)
    with wrong.noted():
        if settings.flow:
            flow.opencv()
    with wrong.noted():
        read = functools.partial(pictures.read, max_size=settings.max_size, max_pixels=settings.max_pixels)
        found = video.opened(settings.input, settings.rate, settings.max_size, settings.max_pixels, read,
                             settings.warnings.append)
        settings.rate, settings.fps = found.rate, float(found.rate)
        settings.picture = pictures.Picture(np.zeros(found.shape, np.uint8))
        settings.video = found
        if not wrong:
            reel.check_fits(settings.output, settings.picture, settings.rate, True, settings.warnings.append)
        _fit_mask(settings, found.shape)


def _find_folders(settings: Settings, wrong: Wrong) -> None:
    """See whether the dreams of a folder can be written."""
    if not os.path.isdir(settings.input):
        wrong.append(f"watch: INPUT must be a folder, and {settings.input} is none")
    if settings.zoom:
        wrong.append("zoom: a zoom begins with one picture, and INPUT is a folder")
    settings.output = settings.input if settings.output is None else settings.output
    if os.path.isdir(settings.output):
        with wrong.noted():
            pictures.check_folder(settings.output)
    elif (os.path.lexists(settings.output) or settings.output == inputs.STANDARD
          or os.path.splitext(settings.output)[1].lower() in pictures.FORMATS):
        wrong.append(f"output: {settings.output} is no folder: name one for the dreams of a folder")
    else:
        with wrong.noted():
            pictures.check_folder(os.path.dirname(os.path.realpath(settings.output)))
