#!/usr/bin/python3
"""A shared folder, simulated: a FUSE file system that passes everything on to another folder, except the operations
that virtiofs, 9p, vboxsf, NFS or SMB refuses.

    $ tests/quirks.py FOLDER MOUNTPOINT QUIRK…    # runs until it is unmounted

Needs root and python3-fusepy."""

import errno
import os
import sys
import time
from collections.abc import Collection
from typing import Any, NoReturn

try:
    import fusepy  # Debian's name for it
except ModuleNotFoundError:
    fusepy = None

fuse: Any = fusepy  # None if it is not installed
Operations: Any = fuse.Operations if fuse else object

QUIRKS = {
    "sync": "fsync is not known",
    "replace": "nothing is renamed over a file that is there",
    "busy": "what is open is neither renamed nor removed, nor renamed over",
    "owner": "modes, owners and times stay as they are",
    "links": "no links of either kind",
    "map": "files are not mapped into memory",
    "case": "names are found whatever their case",
    "inode": "a file has another inode number every half second",
}


def refuse(number: int) -> NoReturn:
    raise fuse.FuseOSError(number)


class Quirky(Operations):
    """The folder `root`, with some of the QUIRKS."""

    def __init__(self, root: str, quirks: Collection[str]) -> None:
        self._root, self._quirks = root, quirks
        self._open: dict[int, str] = {}  # file number: path

    def _path(self, path: str) -> str:
        found = self._root
        for part in filter(None, path.split("/")):
            if "case" in self._quirks and os.path.isdir(found) and not os.path.lexists(f"{found}/{part}"):
                part = next((name for name in os.listdir(found) if name.lower() == part.lower()), part)
            found = f"{found}/{part}"
        return found

    def _refuse_busy(self, *paths: str) -> None:
        if "busy" in self._quirks and set(paths) & set(self._open.values()):
            refuse(errno.ETXTBSY)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        status = os.lstat(self._path(path))
        names = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_atime", "st_mtime", "st_ctime")
        found = {name: getattr(status, name) for name in names}
        if "inode" in self._quirks and not os.path.isdir(self._path(path)):
            found["st_ino"] += int(time.time() * 2) << 32
        return found

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(self._path(path))]

    def readlink(self, path: str) -> str:
        return os.readlink(self._path(path))

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(self._path(path), mode)

    def rmdir(self, path: str) -> None:
        os.rmdir(self._path(path))

    def create(self, path: str, mode: int, fi: object = None) -> int:
        number = os.open(self._path(path), os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)
        self._open[number] = self._path(path)
        return number

    def open(self, path: str, flags: int) -> int:
        number = os.open(self._path(path), flags & ~os.O_EXCL)
        self._open[number] = self._path(path)
        return number

    def release(self, path: str, fh: int) -> None:
        del self._open[fh]
        os.close(fh)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        os.truncate(self._path(path), length)

    def flush(self, path: str, fh: int) -> None:
        pass

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        if "sync" in self._quirks:
            refuse(errno.EINVAL)

    def unlink(self, path: str) -> None:
        self._refuse_busy(self._path(path))
        os.unlink(self._path(path))

    def rename(self, old: str, new: str) -> None:
        self._refuse_busy(self._path(old), self._path(new))
        if "replace" in self._quirks and os.path.lexists(self._path(new)):
            refuse(errno.EEXIST)
        os.rename(self._path(old), self._path(new))

    def chmod(self, path: str, mode: int) -> None:
        if "owner" in self._quirks:
            refuse(errno.EPERM)
        os.chmod(self._path(path), mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        if "owner" in self._quirks:
            refuse(errno.EPERM)
        os.chown(self._path(path), uid, gid)

    def utimens(self, path: str, times: tuple[float, float] | None = None) -> None:
        if "owner" in self._quirks:
            refuse(errno.EPERM)
        os.utime(self._path(path), times)

    def link(self, target: str, source: str) -> None:
        if "links" in self._quirks:
            refuse(errno.EPERM)
        os.link(self._path(source), self._path(target))

    def symlink(self, target: str, source: str) -> None:
        if "links" in self._quirks:
            refuse(errno.EPERM)
        os.symlink(source, self._path(target))

    def statfs(self, path: str) -> dict[str, int]:
        status = os.statvfs(self._path(path))
        return {name: getattr(status, name) for name in ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail",
                                                         "f_files", "f_ffree", "f_namemax")}


if __name__ == "__main__":
    folder, mountpoint, *chosen = sys.argv[1:]
    if set(chosen) - set(QUIRKS):
        sys.exit(__doc__)
    # hard_remove: delete open files at once, instead of renaming them to .fuse_hidden…
    fuse.FUSE(Quirky(folder, chosen), mountpoint, foreground=True, nothreads=True, allow_other=True, use_ino=True,
              hard_remove=True, attr_timeout=0, entry_timeout=0, negative_timeout=0, fsname="quirks",
              **({"direct_io": True} if "map" in chosen else {}))
