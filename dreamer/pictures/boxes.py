"""Boxes: the parts that HEIC, AVIF, JPEG XL and JPEG 2000 files consist of. Source: ISO/IEC 14496-12."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

_MOST = 4096  # boxes of one level: more is damage
LARGEST = 16 << 20  # bytes of a box that is read into memory


@dataclass
class Box:
    """`kind`: its four characters; `start`, `end`: offsets of its content in the file."""

    kind: bytes
    start: int
    end: int


def boxes(file: IO[bytes], start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes in a part of the seekable `file`, up to damage."""
    end = file.seek(0, io.SEEK_END) if end is None else end
    for _ in range(_MOST):
        file.seek(start)
        head = file.read(16)
        if start + 8 > end or len(head) < 8:
            return
        size, content = int.from_bytes(head[:4], "big"), start + 8
        if size == 1:
            size, content = int.from_bytes(head[8:], "big"), start + 16
        after = end if size == 0 else start + size
        if after < content:
            return
        yield Box(head[4:8], content, min(after, end))
        start = after


def content(file: IO[bytes], box: Box, limit: int = LARGEST) -> bytes:
    """At most `limit` bytes of what is in the box."""
    file.seek(box.start)
    return file.read(min(box.end - box.start, limit))
