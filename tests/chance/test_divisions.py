import numpy as np
import pytest

from mstool.chance.divisions import divide, draw_sides, smallest_p, weights_of
from mstool.chance.p_values import holm, p_value
from mstool.shift import distances


def test_few_units_are_enumerated_and_the_real_division_comes_first():
    real = np.array([True, True, True, False, False, False])
    sides = draw_sides(real, 999, 0)
    assert sides.shape == (20, 6)
    np.testing.assert_array_equal(sides[0], real)
    assert len(np.unique(sides, axis=0)) == 20
    values = np.array([0.0, 0.1, 0.2, 5.0, 5.1, 5.2])[:, None]
    gap = distances.mean_difference(values, *weights_of(sides, np.arange(6)))
    assert p_value(gap) == smallest_p(3, 3, 999) == 0.1


def test_specimens_change_sides_as_a_whole():
    division = divide(["A", "A", "B", "C"], ["A", "D", "E", "E"], 99, 0)
    assert division.n_units == (3, 3)
    assert len(set(division.unit[:2].tolist())) == 1
    assert division.unit[0] != division.unit[4]  # one name in both sets is two specimens


def test_corrected_p_values_do_not_fall_and_nan_does_not_count():
    corrected = holm({"a": 0.01, "b": float("nan"), "c": 0.02})
    assert corrected["a"] == pytest.approx(0.02)
    assert corrected["c"] == pytest.approx(0.02)
    assert np.isnan(corrected["b"])


def test_holm_by_hand():
    # sorted 0.01 * 4, 0.013 * 3, 0.02 * 2 (raised to the one before), 0.9
    corrected = holm({"a": 0.9, "b": 0.01, "c": 0.013, "d": 0.02})
    assert corrected == pytest.approx({"a": 0.9, "b": 0.04, "c": 0.04, "d": 0.04})


def test_corrected_p_values_stay_at_or_below_1():
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1, "b": 1}


def test_many_units_are_drawn_at_random_with_the_seed():
    real = np.arange(30) < 12
    one, same, other = (draw_sides(real, 50, seed) for seed in (1, 1, 2))
    assert one.shape == (51, 30)
    assert (one.sum(axis=1) == 12).all()
    np.testing.assert_array_equal(one[0], real)
    np.testing.assert_array_equal(one, same)
    assert (one[1:] != other[1:]).any()
    assert smallest_p(12, 18, 50) == 1 / 51


def test_more_draws_than_there_are_divisions_allow_no_smaller_p():
    assert smallest_p(7, 7, 9_999) == 2 / 3432
    assert smallest_p(7, 7, 999) == 1 / 1000


def test_a_division_without_a_value_makes_no_p_smaller():
    assert p_value(np.array([5.0, np.nan, 2.0, 3.0])) == 2 / 4


def test_real_division_counts_among_all():
    assert p_value(np.array([5.0, 1.0, 2.0, 3.0])) == 1 / 4
    assert p_value(np.array([1.0, 1.0, 2.0, 3.0])) == 1
    assert np.isnan(p_value(np.array([np.nan, 1.0])))
