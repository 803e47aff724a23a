"""A dream packed for another machine: its Request with relative paths, and the files that it reads."""

import dataclasses
import os
from pathlib import Path
from typing import Any, NamedTuple

from dreamer.nets import checksum, model
from dreamer.options.understood import Understood
from dreamer.options.values import NONE

_AT_HOME = ("like", "preview", "events", "memory", "threads", "no_resume", "watch", "recursive", "quiet",
            "force")  # what does not travel: the machine that asks follows it, or the one that dreams has its own


class Packed(NamedTuple):
    """What another machine needs for a dream.

    request  members of the Request; its paths are relative to an empty folder
    files    {relative path: the file's path here}: a guide, a mask, and a model that is not in models/
    weights  sha256 of the weights that the machine must have itself; None if they are among `files`"""

    request: dict[str, Any]
    files: dict[str, Path]
    weights: str | None


def packed(understood: Understood, source: str, output: str) -> Packed:
    """Pack the dream of `source` into the file or folder `output`: two relative paths, but `source` may also be noise
    and the like. The caller adds the file `source`."""
    members = dataclasses.asdict(understood.request)
    members = {name: value for name, value in members.items() if name not in _AT_HOME and value is not None}
    members |= {"input": source, "output": output, "farm": NONE}
    files = {}
    for name in ("guide", "mask"):  # the recipe records their names
        if (path := getattr(understood, name)) is not None:
            members[name] = f"{name}/{os.path.basename(path)}"
            files[members[name]] = Path(path)
    weights = understood.model.weights_path(understood.weights)
    ours = understood.model.folder.parent == model.MODELS
    members["model"] = understood.model.name if ours else f"model/{understood.model.name}"
    if not ours:
        files |= {f"model/{understood.model.name}/{path.name}": path
                  for path in sorted(understood.model.folder.iterdir()) if path.is_file()}
    if ours and understood.weights is None:
        return Packed(members, files, checksum.sha256(weights))
    if understood.weights is not None or weights.parent != understood.model.folder:
        members["weights"] = f"weights/{weights.name}"
        files[members["weights"]] = weights
    return Packed(members, files, None)
