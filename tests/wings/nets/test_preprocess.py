"""A picture in the net's format, and back."""

import numpy as np

import tinymodel
from dreamer.nets import net
from dreamer.nets.model import Model


def test_preprocessing_follows_the_models_mean_and_order(tiny: Model) -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    ours = net.Net(tiny, "conv1")
    data = ours.preprocess(image)
    assert data.dtype == np.float32
    assert np.array_equal(data[0], np.float32(image[..., 0]) - tinymodel.MEAN[0])  # rgb
    assert np.array_equal(ours.deprocess(data), image)
