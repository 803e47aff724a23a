"""Folders that this machine shares with a host, or over a network: others write there too, and not all that a disk of
our own can do can be done there."""

import contextlib
import os
import re

# File systems that nobody but this kernel writes to; any other (virtiofs, 9p, vboxsf, nfs, cifs, fuse…) is shared.
LOCAL = {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "reiserfs", "tmpfs", "xfs",
         "zfs"}


def shared(folder: str | os.PathLike[str]) -> bool:
    """Whether `folder` is on a file system that others than this kernel may write to."""
    return filesystem(folder) not in LOCAL


def filesystem(folder: str | os.PathLike[str]) -> str:
    """The type of the file system that `folder` is on, as the kernel calls it; "" where it does not say."""
    path, best, kind = os.path.realpath(folder), "", ""
    with contextlib.suppress(OSError), open("/proc/self/mountinfo") as file:
        for line in file:
            mount, _, rest = line.partition(" - ")
            # blanks in a path are written in octal
            point = re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), mount.split()[4])
            if os.path.commonpath([path, point]) == point and len(point) >= len(best):
                best, kind = point, rest.split()[0]
    return kind
