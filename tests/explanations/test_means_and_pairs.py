import numpy as np
import pytest

from mstool.explanations.means import finite_mean, unit_means
from mstool.explanations.paired import compare_pairs


def test_units_count_once_however_many_regions_they_have():
    values = [[1.0, 10.0], [3.0, np.nan], [7.0, 30.0], [np.nan, np.nan]]
    means = unit_means(values, ["b", "b", "a", "c"])
    np.testing.assert_array_equal(means, [[2, 10], [7, 30], [np.nan, np.nan]])


def test_mean_of_what_is_a_number():
    assert finite_mean([1.0, np.nan, 3.0]) == 2
    assert np.isnan(finite_mean([np.nan]))
    assert np.isnan(finite_mean([]))


def test_pairs_that_are_not_defined_do_not_count():
    ours = [1.0, 2.0, np.nan, 3.0, 4.0]
    control = [0.0, np.nan, 0.0, 0.0, 0.0]
    found = compare_pairs(ours, control, 0.1)
    assert found.n_pairs == 3
    assert found.p == pytest.approx(2**-3)


def test_what_is_better_may_be_less():
    less, more = np.full(6, 0.2), np.full(6, 0.9)
    assert compare_pairs(less, more, 0.05, is_more_better=False).p == pytest.approx(2**-6)
    assert compare_pairs(less, more, 0.05).p == 1


def test_an_advantage_below_the_margin_is_shown_to_be_so():
    control = np.linspace(0, 0.5, 6)
    assert compare_pairs(control, control, 0.05).p_equal == pytest.approx(2**-6)
    assert compare_pairs(control + 0.04, control, 0.05).p_equal == pytest.approx(2**-6)
    assert compare_pairs(control - 0.3, control, 0.05).p_equal == pytest.approx(2**-6)
    assert compare_pairs(control + 0.06, control, 0.05).p_equal == 1
