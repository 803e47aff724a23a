"""Paints sky.jpg, the sample photo: clouds over hills, made only of noise.

    $ python3 sky.py sky.jpg
"""

import sys

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

HEIGHT, WIDTH = 480, 720


def noise(rng: np.random.Generator, height: int, width: int, grain: float,
          roughness: float = 0.55) -> NDArray[np.float64]:
    """Fractal noise, 0..1: finer and finer random fields, each `roughness` times as strong as the one before."""
    total, weight = np.zeros((height, width)), 1.0
    while grain >= 1:
        field = rng.random((int(height / grain) + 4, int(width / grain) + 4))
        fine = ndimage.zoom(field, grain, order=3)
        top, left = rng.integers(0, max(1, int(grain)), 2)
        total += weight * fine[top:top + height, left:left + width]
        grain, weight = grain / 2, weight * roughness
    total -= total.min()
    total /= np.ptp(total)
    return total


def smooth(low: float, high: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def paint(seed: int = 2) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH] / HEIGHT
    picture = np.stack([35 + 150 * y, 88 + 120 * y, 178 + 60 * y], -1)

    plane = noise(rng, 1200, 1600, 256)  # the clouds lie in a plane and shrink towards the horizon
    depth = 1 / (1.12 - np.minimum(y, 0.95))
    rows = np.clip(depth * 190, 0, 1199)
    columns = np.clip(800 + (x - 0.75) * depth * 420, 0, 1599)
    thickness = ndimage.map_coordinates(plane, [rows, columns], order=1)
    density = (thickness - thickness.min()) / np.ptp(thickness)  # of the visible part
    cover = smooth(0.40, 0.68, density)
    below = ndimage.map_coordinates(plane, [np.clip(rows - 14, 0, 1199), np.clip(columns - 10, 0, 1599)], order=1)
    light = 238 + 260 * np.clip(thickness - below, -0.22, 0.07) - 50 * smooth(0.7, 1.0, density)
    cloud = light[..., None] * np.array([1.0, 1.0, 1.015])
    picture += cover[..., None] * (cloud - picture)

    ridges = ((0.74, 0.10, (128, 152, 170)), (0.82, 0.09, (84, 116, 98)), (0.90, 0.07, (50, 82, 44)))
    for base, rise, colour in ridges:
        line = base - rise * (noise(rng, 8, WIDTH, 220, 0.42)[4] - 0.3)
        texture = 0.72 + 0.5 * noise(rng, HEIGHT, WIDTH, 24, 0.75)
        land = smooth(-0.002, 0.002, y - line)[..., None]
        picture += land * (texture[..., None] * np.array(colour) - picture)
    painted: NDArray[np.uint8] = np.clip(picture, 0, 255).astype(np.uint8)
    return painted


if __name__ == "__main__":
    Image.fromarray(paint()).save(sys.argv[1], quality=88)
