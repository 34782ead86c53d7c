import numpy as np
import pytest

from mstool.chance.resampling import chance_difference, percentile_interval, resample_mean
from mstool.chance.units import number_of_each, sum_by_unit


def test_units_of_another_number_are_refused():
    with pytest.raises(ValueError, match="2 units for 3 images"):
        number_of_each(3, ["a", "b"])


def test_rows_of_a_unit_are_added():
    rows = np.array([[1, 0], [2, 0], [4, 1]])
    np.testing.assert_array_equal(sum_by_unit(rows, ["b", "a", "b"]), [[5, 1], [2, 0]])
    np.testing.assert_array_equal(sum_by_unit(rows), rows)
    assert sum_by_unit(np.zeros((0, 2))).shape == (0, 2)


def test_interval_leaves_out_as_much_above_as_below():
    values = np.random.default_rng(0).permutation(201.0 * np.arange(5)[:, None] + np.arange(201))
    values = np.sort(values.ravel())
    assert percentile_interval(values) == pytest.approx(0.025 * 1004 + np.array([0, 0.95 * 1004]))
    assert percentile_interval(values, 0.5) == pytest.approx([0.25 * 1004, 0.75 * 1004])


def test_interval_of_each_column_leaves_its_undefined_resamples_out():
    table = np.stack([np.arange(101.0), np.full(101, np.nan), np.arange(101.0)], axis=1)
    table[51:, 2] = np.nan
    found = percentile_interval(table)
    np.testing.assert_allclose(found, [[2.5, 97.5], [np.nan, np.nan], [1.25, 48.75]])


# a specimen of three images and one of one: a resample has 0, 1 or 2 of either
VALUES, UNITS = np.array([[0.0], [0.0], [0.0], [1.0]]), ["a", "a", "a", "b"]


def test_mean_of_a_resample_is_over_the_images_that_were_drawn():
    means = resample_mean(VALUES, 0, UNITS)[:, 0]
    # twice a, one of either (one image of four), twice b
    assert sorted(set(means)) == [0, 0.25, 1]
    assert [np.mean(means == value) for value in (0, 0.25, 1)] == pytest.approx(
        [0.25, 0.5, 0.25], abs=0.04
    )


def test_mean_without_units_draws_images():
    assert sorted(set(resample_mean(VALUES, 0)[:, 0])) == [0, 0.25, 0.5, 0.75, 1]


def test_chance_difference_agrees_with_hand_calculation():
    two, three = np.array([[0.0], [2.0]]), np.array([[1.0], [1.0], [4.0]])  # variances 2 and 3
    assert chance_difference(two, three) == pytest.approx(np.sqrt(2 / 2 + 3 / 3))
    assert chance_difference(two[:1], three) == pytest.approx(np.sqrt(3 / 1 + 3 / 3))
    assert chance_difference(two[:1], three[:1]) == 0
    columns = chance_difference(np.hstack([two, 3 * two]), np.hstack([two, two]))
    assert columns == pytest.approx(np.sqrt(((1 + 1) + (9 + 1)) / 2))
