"""A giant picture that is cut into cells, each of which one machine holds: which pieces of which cells a tile's window
consists of."""

import bisect
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from numpy.typing import NDArray

from dreamer.nets import tiles
from dreamer.nets.tiles import Window
from dreamer.sums import BLOCK

Area: TypeAlias = tuple[slice, slice]  # rows and columns
Name: TypeAlias = int | str  # of a cell, or of a window's gradient


class Piece(NamedTuple):
    """What a window and a cell have in common.

    cell    number of the cell
    within  the piece's place in the cell, and `there` in the window"""

    cell: int
    within: Area
    there: Area


class Wanted(NamedTuple):
    """A piece that goes into another array.

    worker  address of the worker that holds it
    name    of the cell or gradient
    within  the piece's place there
    there   where it goes"""

    worker: str
    name: Name
    within: Area
    there: Area


class Cells:
    """The cells of a picture of height × width pixels, one for each tile, which it surrounds as long as the picture is
    not rolled. They are numbered like the tiles, and cut where the blocks of dreamer.sums begin, so that each block is
    in one cell.

    rows, columns  the tiles' Windows
    areas          of each cell, in the picture"""

    def __init__(self, rows: Sequence[Window], columns: Sequence[Window], height: int, width: int) -> None:
        self._tall, self._wide = _cuts(rows, height), _cuts(columns, width)
        self.areas = [(slice(top, bottom), slice(left, right))
                      for top, bottom in zip(self._tall, self._tall[1:], strict=False)
                      for left, right in zip(self._wide, self._wide[1:], strict=False)]

    def pieces(self, row: Window, column: Window, oy: int, ox: int) -> Iterator[Piece]:
        """The pieces of a window of the picture, rolled by oy rows and ox columns."""
        across = len(self._wide) - 1
        sides = [*_spans(self._wide, column, ox)]
        for down, rows, to_rows in _spans(self._tall, row, oy):
            for along, columns, to_columns in sides:
                yield Piece(down * across + along, (rows, columns), (to_rows, to_columns))


def of(planes: NDArray[Any], area: Area) -> NDArray[Any]:
    """That area of `planes` (3, h, w) or (h, w), as a view."""
    return planes[..., area[0], area[1]]


def dealt(places: Sequence[int], down: int, across: int) -> list[int]:
    """Which machine holds each of the down × across cells, as evenly as possible: a run of neighbours each, whose
    borders are short.

    places  of each machine: how many tiles it computes at a time"""
    each = down * across / sum(places)  # cells of a place
    high = max(1, min(down, round(each ** 0.5)))
    order = sorted(range(down * across), key=lambda cell: (cell // across // high, cell % across, cell // across))
    bounds = [sum(places[:number + 1]) * each for number in range(len(places))]
    held = [0] * len(order)
    for at, cell in enumerate(order):
        held[cell] = min(bisect.bisect_right(bounds, at + 0.5), len(places) - 1)
    return held


def _cuts(windows: Sequence[Window], length: int) -> list[int]:
    """Where cells begin and end along an axis: in the middle of what two windows have in common, nearly."""
    middles = [(after.start + before.start + before.size) / 2
               for before, after in zip(windows, windows[1:], strict=False)]
    return [0, *(min(length, BLOCK * round(middle / BLOCK)) for middle in middles), length]


def _spans(cuts: list[int], window: Window, offset: int) -> Iterator[tuple[int, slice, slice]]:
    """(number of a cell, what of it, where in the window) along an axis."""
    for there, source in tiles.wrapped(window, cuts[-1], offset):
        at = source.start
        while at < source.stop:
            cell = bisect.bisect_right(cuts, at) - 1
            end = min(source.stop, cuts[cell + 1])
            to = there.start + at - source.start
            yield cell, slice(at - cuts[cell], end - cuts[cell]), slice(to, to + end - at)
            at = end
