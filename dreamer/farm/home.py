"""The folder of a worker on this machine's disk, in which its units are dreamed; it is gone when the worker is."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dreamer.errors import Failure

_PREFIX, _LOCK = "image-dreamer-worker-", "in-use"


@contextlib.contextmanager
def home() -> Iterator[Path]:
    """A new folder that only this user can read. Those that killed workers left are removed first. Raises Failure."""
    base = Path(os.environ.get("TMPDIR") or "/var/tmp")
    _sweep(base)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        try:
            with open(folder / _LOCK, "wb") as lock:
                with contextlib.suppress(OSError):  # some file systems have no locks: then nothing is swept there
                    fcntl.flock(lock, fcntl.LOCK_EX)
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise Failure(f"{error.filename or base}: {error.strerror}; TMPDIR names another folder") from None


def _sweep(base: Path) -> None:
    """Remove the folders of this user's workers that have ended."""
    for folder in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid == os.geteuid() and not folder.is_symlink():
                with open(folder / _LOCK, "rb") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
