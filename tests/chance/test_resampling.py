import numpy as np
import pytest

from mstool.chance.resampling import chance_difference
from mstool.chance.units import number_of_each, sum_by_unit


def test_units_of_another_number_are_refused():
    with pytest.raises(ValueError, match="2 units for 3 images"):
        number_of_each(3, ["a", "b"])


def test_rows_of_a_unit_are_added():
    rows = np.array([[1, 0], [2, 0], [4, 1]])
    np.testing.assert_array_equal(sum_by_unit(rows, ["b", "a", "b"]), [[5, 1], [2, 0]])
    np.testing.assert_array_equal(sum_by_unit(rows), rows)
    assert sum_by_unit(np.zeros((0, 2))).shape == (0, 2)


def test_chance_difference_agrees_with_hand_calculation():
    two, three = np.array([[0.0], [2.0]]), np.array([[1.0], [1.0], [4.0]])  # variances 2 and 3
    assert chance_difference(two, three) == pytest.approx(np.sqrt(2 / 2 + 3 / 3))
    assert chance_difference(two[:1], three) == pytest.approx(np.sqrt(3 / 1 + 3 / 3))
    assert chance_difference(two[:1], three[:1]) == 0
    columns = chance_difference(np.hstack([two, 3 * two]), np.hstack([two, two]))
    assert columns == pytest.approx(np.sqrt(((1 + 1) + (9 + 1)) / 2))
