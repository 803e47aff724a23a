"""Files that appear whole or not at all, and belong to whom the folder belongs."""

import contextlib
import os
import tempfile
from pathlib import Path


@contextlib.contextmanager
def replacing(path, folder=None):
    """An open binary file that becomes the file at `path` when the block ends well, and vanishes otherwise.

    It is made in the same folder (or another one on that disk), synced to disk and renamed; where `path` is a link,
    what it points to is replaced. Raises OSError."""
    path = Path(os.path.realpath(path))
    with tempfile.NamedTemporaryFile(dir=folder or path.parent, prefix=".dreamer-", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            give(file.name, path.parent)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def give(path, folder):
    """Give the file or folder `path` the mode of any new one and, where we are root, the owner of `folder`.

    Root is who runs a container, and the folder is the user's own, shared with it."""
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(path, (0o777 if os.path.isdir(path) else 0o666) & ~umask)
    if os.geteuid() == 0:
        owner = os.stat(folder)
        with contextlib.suppress(PermissionError):  # a root without this right (docker's --cap-drop ALL)
            os.chown(path, owner.st_uid, owner.st_gid)


def make_folder(path):
    """Make the folder `path` where it is not there; raises OSError."""
    if not os.path.isdir(path):
        os.mkdir(path)
        give(path, Path(os.path.realpath(path)).parent)
