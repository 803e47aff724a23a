"""Dreams a picture piece by piece if the whole would not fit into memory.

A piece of a layer's activations depends only on a window of the picture. So the activations are divided
among tiles; each tile runs the net on the window that its share needs, and adds its share of the gradient.
The sum is the gradient of the whole picture, up to rounding: there are no seams. If several layers are
dreamed, a tile has a share of each, and its window covers the needs of all.
"""

import math
from typing import NamedTuple

from dreamer.nets import prototxt, shapes
from dreamer.nets.prototxt import Message

# Windows begin at multiples of this many positions of the layer (of each, if there are several). The grid of every
# layer below begins there too, and so do its Winograd tiles (2, 3 or 4 outputs wide): the sums are the same, to the
# last bit, as in the whole picture. (Otherwise ReLU and pooling would decide some near ties differently, and the match
# would fall from 155 dB to 66 dB.)
GRID = 12
# A window has this many pixels more than its share sees: in a Winograd tile, a window's edge changes the rounding of
# the tile's other outputs, as deep as 3 outputs of the first layer and 4 of the second.
MARGIN = 24


class Window(NamedTuple):
    """Along one axis: the pixels of the picture that a tile needs, and its share of the positions of each layer."""

    start: int
    size: int
    own: dict[str, slice]  # of each layer, counted from the tile's own first position


def reach(layers: list[Message], end: str, axis: str) -> tuple[int, int, int]:
    """(stride, before, after): position i of `end` sees at most pixels i * stride - before ... i * stride + after."""
    needs = {end: (1, 0, 0)}
    for layer in reversed(layers):
        tops = [needs[top] for top in prototxt.values(layer, "top") if top in needs]
        if not tops or not prototxt.values(layer, "bottom"):
            continue
        kernel, stride, pad = shapes.window(layer, axis)
        seen = (max(top[0] for top in tops) * stride,
                max(top[1] * stride + pad for top in tops),
                max(top[2] * stride + kernel - 1 - pad for top in tops))
        for bottom in prototxt.values(layer, "bottom"):
            old = needs.get(bottom, seen) if bottom not in prototxt.values(layer, "top") else seen
            needs[bottom] = max(old[0], seen[0]), max(old[1], seen[1]), max(old[2], seen[2])
    stride, before, after = needs[prototxt.value(layers[0], "top")]
    return stride, before + MARGIN, after + MARGIN


def windows(seen: dict[str, tuple[int, int, int]], lengths: dict[str, int], size: int, count: int) -> list[Window]:
    """At most `count` Windows that divide the positions of the layers along an axis of `size` pixels.

    seen     {layer: its `reach` along the axis}
    lengths  {layer: its number of positions along the axis}"""
    ahead = {layer: -(-before // stride) for layer, (stride, before, _) in seen.items()}  # positions before a share
    grid = GRID * math.lcm(*(stride for stride, _, _ in seen.values()))
    coarse = max(seen, key=lambda layer: seen[layer][:2])  # the layer whose positions are divided evenly
    step = grid // seen[coarse][0]
    ideal = (lengths[coarse] * i / count for i in range(1, count))
    numbers = sorted({round((bound - ahead[coarse]) / step) for bound in ideal})
    starts = [number * grid for number in numbers if 0 < number * step + ahead[coarse] < lengths[coarse]]
    shares = {layer: [0, *(min(max(0, start // seen[layer][0] + ahead[layer]), length) for start in starts), length]
              for layer, length in lengths.items()}

    made = []
    for number, start in enumerate([0, *starts]):
        start, stop, own = max(0, start), start + 1, {}
        for layer, (stride, _, after) in seen.items():
            first, following = shares[layer][number:number + 2]
            own[layer] = slice(first - start // stride, following - start // stride)
            if first < following:  # a window ends after all that its share sees, or with the picture
                stop = max(stop, (following - 1) * stride + after + 1)
        made.append(Window(start, min(size, stop) - start, own))
    return made


def layout(layers: list[Message], ends: list[str], height: int, width: int,
         pixels: int) -> tuple[list[Window], list[Window]]:
    """(rows, columns): the tiles of at most `pixels` pixels each that compute the fewest pixels in all.
    They divide the positions of all the layers `ends`.

    If no tiles are that small, the smallest possible tiles."""
    sizes = shapes.spatial(layers, height, width)

    def choices(axis: str, size: int) -> list[tuple[list[Window], int, int]]:
        """For 1, 2, 3… tiles along the axis: (their Windows, the pixels of the largest, the pixels of all)."""
        seen = {end: reach(layers, end, axis) for end in ends}
        lengths = {end: sizes[end][axis == "w"] for end in ends}
        most = 1 if height * width <= pixels else min(lengths.values())
        made = [windows(seen, lengths, size, count) for count in range(1, min(most, 100) + 1)]
        if most > 100:
            made.append(windows(seen, lengths, size, most))
        return [(some, max(w.size for w in some), sum(w.size for w in some)) for some in made]

    across = choices("w", width)
    pairs = [(tall * wide > pixels, tall * wide, all_down * all_across, rows, columns)
             for rows, tall, all_down in choices("h", height) for columns, wide, all_across in across]
    return min(pairs, key=lambda pair: (pair[0], pair[1] if pair[0] else pair[2]))[3:]


def overhead(rows: list[Window], columns: list[Window], height: int, width: int) -> float:
    """The pixels of all tiles together, divided by the picture's."""
    return sum(r.size for r in rows) * sum(c.size for c in columns) / (height * width)


def wrapped(window: Window, length: int, offset: int) -> list[tuple[slice, slice]]:
    """[(to, from)]: the slices that fill a window of an axis of `length` pixels, rolled by `offset`."""
    at, done, parts = (window.start - offset) % length, 0, []
    while done < window.size:
        step = min(window.size - done, length - at)
        parts.append((slice(done, done + step), slice(at, at + step)))
        at, done = 0, done + step
    return parts
