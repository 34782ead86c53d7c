"""Images that stand in for micrographs."""

import numpy as np
import pytest

from mstool.phantoms.stand_in import make_stand_in


@pytest.mark.parametrize(
    ("mean", "dtype", "shape"),
    [((100.0,), "uint8", (40, 60)), ((0.5, 0.4, 0.3), "float32", (40, 60, 3))],
)
def test_it_has_the_grey_levels_and_type_that_are_asked_for(mean, dtype, shape):
    std = [value / 5 for value in mean]
    image = make_stand_in((40, 60), mean, std, dtype)
    assert (image.shape, image.dtype) == (shape, np.dtype(dtype))
    channels = image.reshape(40 * 60, -1).astype(float)
    np.testing.assert_allclose(channels.mean(0), mean, rtol=0.02)
    np.testing.assert_allclose(channels.std(0), std, rtol=0.15)


def test_integers_are_cut_at_their_limits_and_not_wrapped():
    image = make_stand_in((40, 40), [250.0], [60.0], "uint8")
    assert np.mean(image == 255) > 0.2
    assert np.mean(image < 50) < 0.01


def test_it_has_structure_of_every_size():
    image = make_stand_in((64, 64), [0.0], [1.0], "float32")
    blocks = [image.reshape(64 // n, n, 64 // n, n).mean((1, 3)).std() for n in (1, 4, 16)]
    assert min(blocks) > 0.3


def test_the_same_image_every_time():
    first, second = (make_stand_in((8, 8), [9.0], [3.0], "uint16") for _ in range(2))
    assert np.array_equal(first, second)
