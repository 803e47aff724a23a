"""Folders that this machine shares with a host or over a network: others write there too, and some operations fail
that work on a local disk."""

import contextlib
import os
import re

# File systems that only this kernel writes to; all others (virtiofs, 9p, vboxsf, nfs, cifs, fuse…) are shared.
LOCAL = {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "reiserfs", "tmpfs", "xfs",
         "zfs"}


def shared(folder: str | os.PathLike[str]) -> bool:
    """Whether other machines may write to the file system of `folder`."""
    return filesystem(folder) not in LOCAL


def filesystem(folder: str | os.PathLike[str]) -> str:
    """The type of the file system of `folder`, as the kernel calls it; "" if the kernel does not say."""
    path, best, kind = os.path.realpath(folder), "", ""
    with contextlib.suppress(OSError), open("/proc/self/mountinfo") as file:
        for line in file:
            mount, _, rest = line.partition(" - ")
            # spaces in a path are written in octal
            point = re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), mount.split()[4])
            if os.path.commonpath([path, point]) == point and len(point) >= len(best):
                best, kind = point, rest.split()[0]
    return kind
