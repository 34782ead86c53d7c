"""Black and white of stored values, in whatever unit they are."""

import numpy as np
import pytest

from mstool.shift.grey_levels import levels_of, to_unit


def test_black_and_white_of_heights_in_metres_are_those_that_occur():
    levels = levels_of("float32", [(5e-8, 6e-8), (4e-8, 5e-8)])
    assert levels == (4e-8, 6e-8)
    assert to_unit(np.float32([[5e-8]]), levels) == pytest.approx(0.5)


def test_one_value_is_black():
    levels = levels_of("float32", [(3e9, 3e9)])
    assert to_unit(np.full((2, 2), 3e9, np.float32), levels).tolist() == [[0, 0], [0, 0]]
