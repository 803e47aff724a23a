"""How a giant picture is cut into cells, and dealt out."""

import itertools
from collections import Counter

import numpy as np
import pytest

from dreamer.farm.cells import Cells, dealt, of
from dreamer.nets import model, shapes, tiles
from dreamer.sums import BLOCK, block_sums

LAYER = "inception_3b/output"
LAYERS = shapes.cut(model.find("bvlc_googlenet").net, [LAYER])


@pytest.mark.parametrize(("height", "width", "pixels"), [
    (700, 1100, 90_000), (1500, 900, 250_000), (600, 600, 70_000), (500, 3000, 400_000)])
def test_the_pieces_of_a_window_are_the_rolled_picture(height: int, width: int, pixels: int) -> None:
    rows, columns = tiles.layout(LAYERS, [LAYER], height, width, pixels)
    picture = np.random.default_rng(0).random((3, height, width), dtype=np.float32)
    cells = Cells(rows, columns, height, width)
    held = [of(picture, area).copy() for area in cells.areas]
    assert len(held) == len(rows) * len(columns) > 3
    for oy, ox in ((0, 0), (32, -32), (-17, 5)):
        rolled = np.roll(picture, (oy, ox), (1, 2))
        for row, column in itertools.product(rows, columns):
            window = np.full((3, row.size, column.size), np.nan, np.float32)
            for piece in cells.pieces(row, column, oy, ox):
                of(window, piece.there)[...] = of(held[piece.cell], piece.within)
            assert np.array_equal(window, rolled[:, row.start:row.start + row.size,
                                                 column.start:column.start + column.size])


def test_each_block_of_the_sums_is_in_one_cell() -> None:
    height, width = 1500, 2100
    rows, columns = tiles.layout(LAYERS, [LAYER], height, width, 400_000)
    picture = np.random.default_rng(0).random((3, height, width), dtype=np.float32)
    found = [number for area in Cells(rows, columns, height, width).areas
             for number in block_sums(of(picture, area), np.abs)]
    assert sorted(found) == sorted(block_sums(picture, np.abs))
    assert len(found) == -(-height // BLOCK) * -(-width // BLOCK)


@pytest.mark.parametrize("places", [[1], [1, 1], [4, 1, 1], [1] * 10, [3, 2, 1, 7]])
@pytest.mark.parametrize(("down", "across"), [(7, 14), (1, 5), (6, 5), (25, 38)])
def test_cells_are_dealt_evenly(places: list[int], down: int, across: int) -> None:
    """Each machine has its share, to one cell."""
    held = Counter(dealt(places, down, across))
    for number, mine in enumerate(places):
        assert abs(held[number] - down * across * mine / sum(places)) < 1


def test_the_cells_of_a_machine_are_neighbours() -> None:
    """Ten machines and 7 × 14 cells: each has about 3 × 3. Row by row, each had one border more for each cell."""
    held = np.reshape(dealt([1] * 10, 7, 14), (7, 14))
    borders = np.sum(held[1:] != held[:-1]) + np.sum(held[:, 1:] != held[:, :-1])
    rows = np.arange(98).reshape(7, 14) // 9.8 // 1
    assert borders < 0.75 * (np.sum(rows[1:] != rows[:-1]) + np.sum(rows[:, 1:] != rows[:, :-1]))
