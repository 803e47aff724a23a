"""The camera's move from one frame of a zoom to the next."""

import numpy as np

from dreamer.films.camera import moved


def test_the_camera_turns_moves_and_meets_no_border() -> None:
    image = np.random.RandomState(0).randint(0, 256, (40, 40, 3)).astype(np.uint8)
    turned = moved(image, 0, 90, (0, 0))
    clockwise = np.roll(np.rot90(image, -1), 1, 1)
    assert np.abs(turned[1:-1, 1:-1] - clockwise[1:-1, 1:-1]).max() < 1e-3
    right = moved(image, 0, 0, (0.25, 0))
    assert np.abs(right[:, :30] - image[:, 10:]).max() < 1e-3
    assert np.abs(right[:, 30:] - image[:, 29:39][:, ::-1]).max() < 1e-3
    down = moved(image, 0, 0, (0, 0.5))
    assert np.abs(down[:20] - image[20:]).max() < 1e-3
    grey = np.full((30, 50, 3), 77, np.uint8)
    assert np.abs(moved(grey, -0.5, 33, (0.3, -0.4)) - 77).max() < 1e-3
    assert (right.shape, right.dtype) == (image.shape, np.dtype(np.float32))
