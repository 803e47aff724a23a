"""The checksum of a file of weights. It is remembered from run to run, because computing GoogLeNet's takes 25 to 100
ms, a tenth of a small dream; that of a picture is not. A file is the same while its size, times and inode are."""

import json
import os
import re
import time

from dreamer.machine import cache, files

KEPT = 32  # checksums
SETTLED = 2.0  # seconds since the last change; a file system may count times in steps of two seconds
_NAME = "weights.json"


def sha256(path: str | os.PathLike[str]) -> str:
    """The sha256 of the weights at `path`, in hexadecimal. Raises OSError."""
    like = _like(path)
    known = _known()
    if like in known:
        return known[like]
    began = time.time()
    found = files.sha256(path)
    if began - _changed(path) > SETTLED and _like(path) == like:  # else another change may leave the same time
        newest = [*({**_known(), like: found}).items()][-KEPT:]
        cache.keep(_NAME, json.dumps(dict(newest), indent=0).encode())
    return found


def _known() -> dict[str, str]:
    """{what a file was like: its checksum}, of earlier runs; empty if what is kept is damaged."""
    try:
        found = json.loads(cache.read(_NAME) or b"{}")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {like: text for like, text in found.items() if isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text)}


def _like(path: str | os.PathLike[str]) -> str:
    """What distinguishes the file from any other, and from itself after a change."""
    status = os.stat(path)
    return " ".join(map(str, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)))


def _changed(path: str | os.PathLike[str]) -> float:
    """When the file was last changed, in seconds since 1970."""
    status = os.stat(path)
    return max(status.st_mtime, status.st_ctime)
