"""Paired tests: exact where all swaps are taken, and true to the name of a p-value."""

from itertools import product

import numpy as np
import pytest

from mstool.chance.p_values import p_value
from mstool.chance.swaps import (
    is_enumerated,
    least_attainable_p,
    least_pairs,
    sign_flip_p,
    smallest_swap_p,
    swap_pairs,
)


def ratio(sums):
    """A measure of sums that is not the mean of those of units."""
    return sums[..., :1] / sums[..., 1:2]


def random_pairs(n_units, rng):
    ours = rng.uniform(0.2, 1, (n_units, 2)) * [0.5, 1.0]
    theirs = rng.uniform(0.2, 1, (n_units, 2)) * [0.5, 1.0]
    return ours, theirs


def test_sign_flips_are_enumerated_and_one_sided():
    assert sign_flip_p(np.full(8, 1.0)) == pytest.approx(least_attainable_p(8))
    assert sign_flip_p(np.full(8, -1.0)) == 1
    assert sign_flip_p(np.full(20, 1.0)) == pytest.approx(least_attainable_p(20))
    assert np.isnan(sign_flip_p([1.0]))


@pytest.mark.parametrize(("alpha", "n"), [(0.05, 6), (0.01, 8), (0.1, 5), (0.0625, 6)])
def test_fewest_pairs_are_those_that_can_reach_half_of_alpha(alpha, n):
    assert least_pairs(alpha) == n
    assert least_attainable_p(n) < alpha / 2 <= least_attainable_p(n - 1)


@pytest.mark.parametrize("n_units", [2, 5, 8])
def test_exact_p_is_that_of_every_way_to_swap(n_units):
    ours, theirs = random_pairs(n_units, np.random.default_rng(n_units))
    found = np.abs(swap_pairs(ours, theirs, ratio, seed=0)[:, 0])
    both = np.stack([ours, theirs])
    every = []
    for sides in product((0, 1), repeat=n_units):
        ours_now = both[list(sides), range(n_units)].sum(axis=0)
        theirs_now = both[[1 - side for side in sides], range(n_units)].sum(axis=0)
        every.append(abs(ratio(ours_now) - ratio(theirs_now))[0])
    assert is_enumerated(n_units)
    assert found[0] == pytest.approx(every[0])
    np.testing.assert_allclose(np.sort(np.tile(found, 2)), np.sort(every), atol=1e-12)
    assert p_value(found) == pytest.approx(np.mean(np.array(every) >= every[0] - 1e-12))


def test_smallest_p_is_reached_when_every_unit_says_the_same():
    for n_units in (4, 9, 15, 16, 40):
        ours = np.ones((n_units, 2))
        statistics = np.abs(swap_pairs(ours, ours * [0.5, 1.0], ratio, seed=0)[:, 0])
        assert p_value(statistics) == smallest_swap_p(n_units)


def test_many_units_are_drawn_by_the_seed():
    ours, theirs = random_pairs(20, np.random.default_rng(0))
    one, again, other = (swap_pairs(ours, theirs, ratio, seed) for seed in (1, 1, 2))
    assert one.shape == (10_000, 1)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    assert one[0] == other[0]


@pytest.mark.parametrize("n_units", [6, 18])
def test_p_is_uniform_where_there_is_no_difference(n_units):
    rng = np.random.default_rng(3)
    p = []
    for _ in range(600):
        ours, theirs = random_pairs(n_units, rng)
        p.append(p_value(np.abs(swap_pairs(ours, theirs, ratio, seed=0)[:, 0])))
    for level in (0.0625, 0.25, 0.5, 0.75):  # multiples of 1/32, which six units can give
        # three standard errors of 600 studies
        assert np.mean(np.array(p) <= level + 1e-9) == pytest.approx(
            level, abs=3 * np.sqrt(level * (1 - level) / 600)
        )
