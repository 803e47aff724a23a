"""Files that appear whole or not at all, and belong to the folder's owner.

This also works on folders shared with a host or over a network, where some operations may fail: syncing, changing
modes and owners, locking, renaming or removing open files, renaming over existing files."""

import contextlib
import difflib
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

_PREFIX, _SUFFIX = ".dreamer-", ".part"  # of the names of unfinished files


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], folder: str | os.PathLike[str] | None = None) -> Iterator[IO[bytes]]:
    """An open binary file that becomes the file at `path` when the block ends well, and vanishes otherwise.

    It is made in the same folder (or in `folder`, on the same disk), synced to disk and renamed. If `path` is a link,
    its target is replaced. Raises OSError."""
    path = Path(os.path.realpath(path))
    with _part(folder or path.parent) as file:
        try:
            yield file
            file.flush()
            if not sync(file):
                file.close()  # the next call that may report a full disk
            give(file.name, path.parent)
            try:
                os.replace(file.name, path)  # while it is still locked
            except OSError:
                file.close()
                move(file.name, path)
        except BaseException:
            file.close()
            os.unlink(file.name)
            raise


def sync(file: IO[bytes]) -> bool:
    """Sync the file to the disk; returns whether its file system supports that. Raises OSError if the disk is full or
    broken."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EROFS):
            raise
        return False
    return True


def move(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """os.replace, even if the file system cannot rename over an existing file: that file is then moved out of the way,
    and moved back on an error. Raises OSError."""
    try:
        os.replace(path, target)
    except FileNotFoundError:
        raise
    except OSError:
        if not os.path.isfile(target):
            raise
        old = f"{path}.old"  # sweep() does not remove such names
        os.replace(target, old)
        try:
            os.replace(path, target)
        except BaseException:
            os.replace(old, target)
            raise
        os.unlink(old)


def _part(folder: str | os.PathLike[str]) -> IO[bytes]:
    """A new open file in `folder`, locked so that `sweep` knows that it is being written."""
    while True:
        file = tempfile.NamedTemporaryFile(dir=folder, prefix=_PREFIX, suffix=_SUFFIX, delete=False)  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another process is about to sweep it away
            file.close()
            continue
        except OSError:  # some shared folders have no locks; sweep() removes nothing there
            return file
        if os.path.exists(file.name):
            return file
        file.close()  # it was swept away before it was locked


def check(folder: str | os.PathLike[str]) -> None:
    """Raise OSError unless files can be made in `folder`: on shared folders, access(2) is not always right."""
    with _part(folder) as file:
        pass
    with contextlib.suppress(FileNotFoundError):  # another process swept it away
        os.unlink(file.name)


def check_name(path: str | os.PathLike[str]) -> None:
    """Raise OSError if a file system refuses this name, which may be too long for it or have a character that it does
    not know."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(path)


def entries(folder: str | os.PathLike[str]) -> list[Path]:
    """The paths in a folder; raises Mistake if it cannot be read."""
    try:
        return list(Path(folder).iterdir())
    except OSError as error:
        raise Mistake(f"input: {folder} cannot be read: {error.strerror}") from None


def is_url(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is a URL, and no file that exists."""
    return bool(re.match(r"(https?|ftp|file|data):/*\S", os.fspath(path), re.I)) and not os.path.lexists(path)


def foreign(path: str | os.PathLike[str]) -> str | None:
    """What to do instead of naming a URL or a Windows path, which would be an odd name in the current folder; None if
    `path` is neither, or if it exists."""
    text = os.fspath(path)
    if is_url(text):
        return "a URL is not a file: download it first"
    drive = re.match(r"([A-Za-z]):[\\/]", text)
    if not ("\\" in text or drive) or os.path.lexists(text):
        return None
    there = text.replace("\\", "/")
    if not drive:
        return f"write {there}"
    mounted = f"/mnt/{drive[1].lower()}"  # in WSL
    return f"write {mounted}{there[2:]}" if os.path.isdir(mounted) else (
        f"name the file as this machine sees it, such as ./{there.rpartition('/')[2]}")


def hint(path: str | os.PathLike[str]) -> str:
    """What to put behind a message that there is no file `path`: what foreign() says, or a file with a similar name; ""
    if there is neither."""
    if instead := foreign(path):
        return f"; {instead}"
    folder, name = os.path.split(os.fspath(path))
    try:
        there = {other.lower(): other for other in os.listdir(folder or os.curdir)}
    except (OSError, ValueError):
        return ""
    near = difflib.get_close_matches(name.lower(), there, 1, 0.8)
    return f"; did you mean {os.path.join(folder, there[near[0]])}?" if near else ""


def natural(name: str) -> tuple[list[int | str], str]:
    """A sort key that puts names in the order in which people count: frame2 before frame10."""
    parts: list[int | str] = list(re.split(r"([0-9]+)", name.lower()))
    parts[1::2] = map(int, parts[1::2])
    return parts, name


def check_here() -> None:
    """Raise Mistake if the current folder was removed: relative paths would mean nothing."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise Mistake("the current folder was removed; change to another folder") from None


def sweep(folder: str | os.PathLike[str]) -> None:
    """Remove the unfinished files of killed writers from `folder`."""
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
    """Give the file or folder `path` the mode of a new one and, if we are root, the owner of `folder`.

    A container runs as root, but a folder shared with it belongs to the user."""
    with contextlib.suppress(OSError):  # a shared folder may have fixed modes
        os.chmod(path, (0o777 if os.path.isdir(path) else 0o666) & ~_umask())
    if os.geteuid() == 0:
        owner = os.stat(folder)
        with contextlib.suppress(OSError):  # or fixed owners; and root may lack this right (docker's --cap-drop ALL)
            os.chown(path, owner.st_uid, owner.st_gid)


def _umask() -> int:
    """The umask of this process, from the kernel: os.umask would change it for a moment, for all threads."""
    with open("/proc/self/status") as file:
        return next((int(line.split()[1], 8) for line in file if line.startswith("Umask:")), 0o022)


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make the folder `path` unless it exists; raises OSError."""
    if not os.path.isdir(path):
        os.mkdir(path)
        give(path, Path(os.path.realpath(path)).parent)


def sha256(path: str | os.PathLike[str]) -> str:
    """The checksum of a file, in hexadecimal. It is computed again only if the file has changed."""
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
