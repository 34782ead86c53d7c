import numpy as np
import pytest
from scipy import stats

from mstool.chance.power import least_difference, units_needed


@pytest.mark.parametrize("n_units", [4, 8, 30])
def test_least_difference_is_found_in_eighty_of_a_hundred_studies(n_units):
    shift = least_difference(0.3, n_units)
    studies = np.random.default_rng(n_units).normal(shift, 0.3, (8000, n_units))
    p = stats.ttest_1samp(studies, 0, axis=1).pvalue
    assert np.mean(p <= 0.05) == pytest.approx(0.8, abs=0.015)  # over three standard errors


def test_units_needed_are_the_fewest():
    for difference in (0.5, 0.1, 0.02):
        n = units_needed(difference, 0.2)
        assert least_difference(0.2, n) <= difference
        assert n == 4 or least_difference(0.2, n - 1) > difference


def test_no_difference_needs_no_number_of_units():
    assert units_needed(0.0, 0.1) is None
    assert units_needed(1e-6, 0.1) is None
    assert units_needed(0.1, float("nan")) is None
    assert units_needed(-0.1, 0.1) == units_needed(0.1, 0.1)


def test_few_units_show_nothing():
    assert np.isnan(least_difference(0.1, 3))
    assert least_difference(0.0, 4) == 0
