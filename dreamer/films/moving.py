"""Moving input: a video, an animated picture, or a folder of frames."""

import os
from typing import TypeAlias

from dreamer.errors import Mistake
from dreamer.films import animated, video
from dreamer.films.animated import Animated
from dreamer.films.frames import Frames
from dreamer.films.video import Video
from dreamer.pictures import inputs

Moving: TypeAlias = Video | Animated | Frames


def moves(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is not a still picture, but may be a video, an animated picture or a folder of frames."""
    if path == inputs.STANDARD or not os.path.exists(path):
        return False
    if os.path.isdir(path):
        return True
    try:
        return animated.is_animated(path)
    except Mistake:
        return video.named_so(path) or (inputs.kind(path) is None and video.is_video(path))
