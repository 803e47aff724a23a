"""The parts of a running studio, which its handlers share."""

import dataclasses
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dreamer.studio import commandline
from dreamer.studio.guard import Gate

FLOOR = 200 << 20  # bytes of the disk that uploads and dreams leave free


@dataclasses.dataclass
class Studio:
    """A running studio.

    folder   with the pictures
    gate     who may come in
    queue    of the dreams
    gallery  of the folder's pictures
    viewer   looks into them
    planner  what a dream will take
    ask      makes the Request of what was asked for
    command  makes the command line of a Request
    board    the state that all pages show
    uploads  the uploads that are under way
    sockets  the WebSockets that are open
    server   differs from one start of the studio to the next"""

    folder: Path
    gate: Gate
    queue: Any = None
    gallery: Any = None
    viewer: Any = None
    planner: Any = None
    ask: Any = None
    command: Any = None
    board: Any = None
    uploads: set[Any] = dataclasses.field(default_factory=set)
    sockets: set[Any] = dataclasses.field(default_factory=set)
    server: str = dataclasses.field(default_factory=lambda: secrets.token_hex(4))

    @property
    def hidden(self) -> Path:
        """The studio's own folder."""
        return self.folder / ".studio"

    def told(self, members: Mapping[str, Any]) -> str:
        """The command line for the members of a request."""
        return commandline.line(members, self.folder, self.ask, self.command)

    def free(self) -> int:
        """Bytes that are free on the disk; raises OSError."""
        return shutil.disk_usage(self.folder).free
