"""Options that were given but have no effect on this dream."""

import inspect
from collections.abc import Mapping
from typing import Any

from dreamer.films import animated, frames, sequence
from dreamer.nets.guide import SIZE
from dreamer.options.understood import Understood

_ZOOM = {name: parameter.default for name, parameter in inspect.signature(sequence.zooming).parameters.items()
         if name in ("zoom_step", "rotate")} | {"pan": "0,0"}
_DECODED = {"no_deinterlace": False, "no_sound": False}
_VIDEO = {"start": None, "end": None} | _DECODED


def idle(asked: Understood) -> list[str]:
    """Warnings, one line for each reason."""
    subject = asked.subject
    film, moving = (subject.film, subject.moving) if subject else (False, None)
    reasons: list[tuple[Mapping[str, Any], bool, str]] = [
        (_ZOOM, not asked.zoom, "without --zoom"),
        ({"fps": None}, not film, "because OUTPUT is not a film"),
        (_VIDEO | {"flow": False, "blend": None}, moving is None, "because INPUT is not a video"),
        (_VIDEO, isinstance(moving, frames.Frames), "because INPUT is a folder of frames"),
        (_DECODED, isinstance(moving, animated.Animated), "because INPUT is an animated picture"),
        ({"recursive": False}, subject is not None or asked.pictures is not None,
         "because INPUT is not a folder of pictures"),
        ({"guide_size": SIZE}, asked.guide is None, "without --guide"),
    ]
    recipe = {name: tuple(value) if isinstance(value, list) else value for name, value in asked.followed.items()}
    told = []
    for options, without_effect, why in reasons:
        # a value from the command line is text, so that even a typed default counts as given; one of --like does not
        given = [f"--{name.replace('_', '-')}" for name, default in options.items() if getattr(asked.request, name)
                 not in (default, (0, 0) if name == "pan" else default, recipe.get(name, default))]
        if given and without_effect:
            told.append(f"{' and '.join(given)} {'have' if len(given) > 1 else 'has'} no effect {why}")
    return told
