"""Files that appear whole or not at all, and belong to whom the folder belongs.

So they do on folders that are shared with a host or over a network too, where this or that cannot be: syncing,
changing modes and owners, locks, renaming or removing what is open, renaming over what is there."""

import contextlib
import errno
import fcntl
import functools
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from dreamer.errors import Mistake

_PREFIX, _SUFFIX = ".dreamer-", ".part"  # of the names of files that are not whole yet


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], folder: str | os.PathLike[str] | None = None) -> Iterator[IO[bytes]]:
    """An open binary file that becomes the file at `path` when the block ends well, and vanishes otherwise.

    It is made in the same folder (or another one on that disk), synced to disk and renamed; where `path` is a link,
    what it points to is replaced. Raises OSError."""
    path = Path(os.path.realpath(path))
    with _part(folder or path.parent) as file:
        try:
            yield file
            file.flush()
            if not _sync(file):
                file.close()  # the next that may tell that a disk is full
            give(file.name, path.parent)
            try:
                os.replace(file.name, path)  # while it is locked
            except OSError:
                file.close()
                move(file.name, path)
        except BaseException:
            file.close()
            os.unlink(file.name)
            raise


def _sync(file: IO[bytes]) -> bool:
    """Have the file on the disk; returns whether its file system knows how to. Raises OSError where the disk is full,
    or broken."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EROFS):
            raise
        return False
    return True


def move(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """os.replace, also where nothing may be renamed over a file that is there: that one is moved out of the way, and
    comes back if need be. Raises OSError."""
    try:
        os.replace(path, target)
    except OSError:
        if not os.path.isfile(target):
            raise
        old = f"{path}.old"  # unlike the names that are swept away
        os.replace(target, old)
        try:
            os.replace(path, target)
        except BaseException:
            os.replace(old, target)
            raise
        os.unlink(old)


def _part(folder: str | os.PathLike[str]) -> IO[bytes]:
    """An open file with a new name in `folder`, locked, so that `sweep` knows that somebody writes it."""
    while True:
        file = tempfile.NamedTemporaryFile(dir=folder, prefix=_PREFIX, suffix=_SUFFIX, delete=False)  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody is about to sweep it away
            file.close()
            continue
        except OSError:  # not every shared folder has locks; nor is it swept then
            return file
        if os.path.exists(file.name):
            return file
        file.close()  # it was swept away before it was locked


def check(folder: str | os.PathLike[str]) -> None:
    """Raise OSError unless files can be made in `folder`: on shared folders what access(2) says is not always so."""
    with _part(folder) as file:
        pass
    with contextlib.suppress(FileNotFoundError):  # somebody swept it away
        os.unlink(file.name)


def entries(folder: str | os.PathLike[str]) -> list[Path]:
    """What is in a folder; raises Mistake where it cannot be read."""
    try:
        return list(Path(folder).iterdir())
    except OSError as error:
        raise Mistake(f"input: {folder} cannot be read: {error.strerror}") from None


def foreign(path: str | os.PathLike[str]) -> str | None:
    """What to write instead of a path as Windows has it, which here would be an odd name in the current folder; None if
    it is none, or if there is such a file."""
    text = os.fspath(path)
    drive = re.match(r"([A-Za-z]):[\\/]", text)
    if not ("\\" in text or drive) or os.path.lexists(text):
        return None
    there = text.replace("\\", "/")
    if not drive:
        return f"write {there}"
    mounted = f"/mnt/{drive[1].lower()}"  # in WSL
    return f"write {mounted}{there[2:]}" if os.path.isdir(mounted) else (
        f"name the file as this machine sees it, such as ./{there.rpartition('/')[2]}")


def natural(name: str) -> tuple[list[int | str], str]:
    """A key by which names come in the order that people count: frame2 before frame10."""
    parts: list[int | str] = list(re.split(r"([0-9]+)", name.lower()))
    parts[1::2] = map(int, parts[1::2])
    return parts, name


def check_here() -> None:
    """Raise Mistake where the current folder has been removed: no relative path means anything there."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise Mistake("the folder that you are in was removed: go to another one") from None


def sweep(folder: str | os.PathLike[str]) -> None:
    """Remove from `folder` what writers left that were killed."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if (entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX)
                    and entry.is_file(follow_symlinks=False)):
                with contextlib.suppress(OSError), open(entry.path, "r+b") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    try:
                        os.unlink(entry.path)
                    except OSError:
                        file.close()
                        os.unlink(entry.path)


def give(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> None:
    """Give the file or folder `path` the mode of any new one and, where we are root, the owner of `folder`.

    Root is who runs a container, and the folder is the user's own, shared with it."""
    with contextlib.suppress(OSError):  # a share has modes of its own
        os.chmod(path, (0o777 if os.path.isdir(path) else 0o666) & ~_umask())
    if os.geteuid() == 0:
        owner = os.stat(folder)
        with contextlib.suppress(OSError):  # and owners; and not every root has this right (docker's --cap-drop ALL)
            os.chown(path, owner.st_uid, owner.st_gid)


def _umask() -> int:
    """That of this process. The kernel tells it; os.umask would change it for a moment, for all threads."""
    with open("/proc/self/status") as file:
        return next((int(line.split()[1], 8) for line in file if line.startswith("Umask:")), 0o022)


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make the folder `path` where it is not there; raises OSError."""
    if not os.path.isdir(path):
        os.mkdir(path)
        give(path, Path(os.path.realpath(path)).parent)


def sha256(path: str | os.PathLike[str]) -> str:
    """The checksum of a file, in hexadecimal. It is computed anew when the file is not what it was."""
    status = os.stat(path)
    return _sha256(os.fspath(path), (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns,
                                     status.st_ctime_ns))


@functools.lru_cache(100)
def _sha256(path: str, _like: tuple[int, ...]) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
