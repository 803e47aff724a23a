"""A folder of files that can be made again, such as thumbnails. It is bounded: the oldest go. Anybody may remove any of
its files at any time."""

import contextlib
import os
import stat
from pathlib import Path

_OFTEN = 200  # files are added between two looks at the size of the folder
_SPARE = 0.9  # of the bound is left when files are removed


class Store:
    """Such a folder, which is made when it is needed.

    folder  its path
    count   the most files that it may hold
    room    the most bytes that they may have together"""

    def __init__(self, folder: Path, count: int, room: int) -> None:
        self._folder, self._count, self._room = folder, count, room
        self._added = _OFTEN  # so that the first file that is added leads to a look

    def path(self, name: str) -> Path:
        """Where the file `name` is, or would be."""
        return self._folder / name

    def there(self, name: str, used: bool = False) -> bool:
        """Whether the file is there and not empty, as after a power cut. `used`: count it as new from now on."""
        path = self.path(name)
        try:
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode) or not status.st_size:
                return False
            if used:
                os.utime(path)
        except OSError:
            return False
        return True

    def text(self, name: str) -> str:
        """The content of a text file; "" if it is not there."""
        try:
            return self.path(name).read_text("utf-8")
        except (OSError, ValueError):
            return ""

    def keep(self, name: str, text: str) -> None:
        """Write a text file, whole or not at all, if the disk has room. It is not synced, because it can be made again:
        that would take longer than all the rest."""
        part = self.path(f"{name}.part")
        with contextlib.suppress(OSError):
            self.make()
            part.write_text(text, "utf-8")
            os.replace(part, self.path(name))
            self.added()

    def make(self) -> None:
        """Make the folder, and the one in which it is, unless they are there. Raises OSError: a folder with photos that
        is gone (with its disk, say) does not come back without them."""
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(mode=0o700, exist_ok=True)

    def added(self) -> None:
        """To be called after a file was added: removes the oldest files if there are too many."""
        self._added += 1
        if self._added <= _OFTEN:
            return
        self._added = 0
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            found = [(status.st_mtime_ns, status.st_size, entry.path) for entry in entries
                     if (status := _status(entry))]
            self._remove(sorted(found))

    def _remove(self, found: list[tuple[int, int, str]]) -> None:
        """Remove the first of these (time, bytes, path) if they are too many."""
        count, room = len(found), sum(size for _, size, _ in found)
        if count <= self._count and room <= self._room:
            return
        for _, size, path in found:
            if count <= self._count * _SPARE and room <= self._room * _SPARE:
                return
            with contextlib.suppress(OSError):
                os.unlink(path)
            count, room = count - 1, room - size


def _status(entry: "os.DirEntry[str]") -> os.stat_result | None:
    with contextlib.suppress(OSError):
        return entry.stat(follow_symlinks=False)
    return None
