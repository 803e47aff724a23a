"""Moving input: a video, or a folder of frames."""

import os
from typing import TypeAlias

from dreamer.errors import Mistake
from dreamer.films import video
from dreamer.films.frames import Frames
from dreamer.films.video import Video
from dreamer.pictures import inputs

Moving: TypeAlias = Video | Frames


def moves(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is not a still picture, but may be a video or a folder of frames."""
    if path == inputs.STANDARD or not os.path.exists(path):
        return False
    if os.path.isdir(path):
        return True
    try:
        with inputs.picture(path) as (image, _, _):
            return bool(image.format == "GIF" and image.n_frames > 1)
    except Mistake:
        return video.named_so(path) or (not inputs.is_picture(path) and video.is_video(path))
