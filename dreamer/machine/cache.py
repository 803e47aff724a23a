"""What one run leaves for the next, in the user's cache folder: files that may be deleted at any time. Without the
folder, because it cannot be made or belongs to somebody else, everything is found anew, and nobody is told."""

import contextlib
import os
from pathlib import Path

from dreamer.machine import files


def read(name: str) -> bytes | None:
    """What is kept as `name`; None if there is nothing."""
    try:
        folder = place()
        return (folder / name).read_bytes() if folder and _is_ours(folder) else None
    except OSError:
        return None


def keep(name: str, data: bytes) -> None:
    """Keep `data` as `name`, whole or not at all, if that is possible."""
    with contextlib.suppress(OSError):
        if not (folder := place()):
            return
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(0o700)  # earlier versions left that to the umask
        if _is_ours(folder):
            with files.replacing(folder / name) as file:
                file.write(data)


def bound(pattern: str, most: int) -> None:
    """Delete the oldest of the files whose names match the pattern, until `most` are left."""
    with contextlib.suppress(OSError):
        if (folder := place()) and _is_ours(folder):
            for old in sorted(folder.glob(pattern), key=lambda each: each.stat().st_mtime)[:-most]:
                old.unlink()


def place() -> Path | None:
    """The folder, which may not exist yet; None for a user without a home."""
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    base = chosen if os.path.isabs(chosen) else os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base, "image-dreamer") if os.path.isabs(base) else None


def _is_ours(folder: Path) -> bool:
    """Whether only this user can have written what is in the folder. Raises OSError."""
    status = folder.stat()
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022
