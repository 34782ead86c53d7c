from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mstool.errors import UsageError
from mstool.splits.folds import assign_folds, holdout, leave_one_out


def numbered(n_groups):
    return [f"g{i:03}" for i in range(n_groups)]


def unevenness(folds, groups, counts, n_folds):
    shares = counts / counts.sum(axis=0)
    totals = np.zeros((n_folds, counts.shape[1]))
    for group, share in zip(groups, shares, strict=True):
        totals[folds[group]] += share
    return ((totals - 1 / n_folds) ** 2).sum()


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 25), st.integers(2, 8), st.integers(0, 5))
def test_every_group_has_a_fold_and_sizes_differ_by_one_at_most(n_groups, n_folds, seed):
    n_folds = min(n_folds, n_groups)
    counts = np.random.default_rng(seed).integers(0, 1000, (n_groups, 3))
    folds = assign_folds(numbered(n_groups), counts, n_folds, seed)
    sizes = Counter(folds.values())
    assert set(folds) == set(numbered(n_groups))
    assert set(sizes) == set(range(n_folds))
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_images_of_one_group_get_one_fold():
    groups = ["a", "a", "b", "c", "b", "d"]
    folds = assign_folds(groups, np.ones((6, 2)), 2, 0)
    assert sorted(folds) == ["a", "b", "c", "d"]


def test_rare_class_is_spread_over_the_folds():
    counts = np.full((9, 2), [1000, 0])
    counts[[0, 1, 2], 1] = 10
    folds = assign_folds(numbered(9), counts, 3, 0)
    assert {folds["g000"], folds["g001"], folds["g002"]} == {0, 1, 2}


@pytest.mark.parametrize("seed", range(4))
def test_balance_is_near_the_best_there_is(seed):
    groups = numbered(8)
    counts = np.random.default_rng(seed).integers(1, 100, (8, 2))
    found = unevenness(assign_folds(groups, counts, 2, 0), groups, counts, 2)
    every = [
        unevenness(dict(zip(groups, folds, strict=True)), groups, counts, 2)
        for folds in product(range(2), repeat=8)
        if sum(folds) == 4
    ]
    # Swaps stop at a local optimum; the best 10 % of all 70 divisions is near enough.
    assert found <= np.quantile(every, 0.1)


def test_folds_do_not_depend_on_the_order_of_images():
    rng = np.random.default_rng(0)
    groups, counts = numbered(10), rng.integers(0, 99, (10, 3))
    order = rng.permutation(10)
    shuffled = assign_folds([groups[i] for i in order], counts[order], 3, 5)
    assert shuffled == assign_folds(groups, counts, 3, 5)


def test_seed_decides_between_equal_groups():
    folds = [tuple(assign_folds(numbered(8), None, 2, seed).values()) for seed in range(5)]
    assert len(set(folds)) > 1
    assert folds[3] == tuple(assign_folds(numbered(8), None, 2, 3).values())


def test_more_folds_than_groups_names_both_numbers():
    with pytest.raises(UsageError, match="6 folds asked for, but there are only 4 groups"):
        assign_folds(numbered(4), None, 6, 0)


def test_one_fold_is_refused():
    with pytest.raises(UsageError, match="1 folds asked for"):
        assign_folds(numbered(4), None, 1, 0)


def test_unlabelled_images_are_divided_by_number():
    folds = assign_folds(numbered(6), np.zeros((6, 2)), 3, 0)
    assert sorted(Counter(folds.values()).values()) == [2, 2, 2]


def test_leave_one_out_gives_each_group_its_own_fold():
    assert leave_one_out(["b", "a", "b", "c"]) == {"a": 0, "b": 1, "c": 2}


def test_leave_one_out_of_one_group_is_refused():
    with pytest.raises(UsageError, match="there are 1"):
        leave_one_out(["a", "a"])


@pytest.mark.parametrize(
    ("n_groups", "fraction", "sizes"),
    [(20, 0.2, (4, 4, 12)), (10, 0.15, (2, 2, 6)), (5, 0.01, (1, 1, 3)), (3, 0.3, (1, 1, 1))],
)
def test_holdout_takes_the_fraction_twice(n_groups, fraction, sizes):
    folds = Counter(holdout(numbered(n_groups), None, fraction, 0).values())
    assert tuple(folds[fold] for fold in range(3)) == sizes


def test_holdout_gives_test_its_share_of_a_rare_class():
    counts = np.full((15, 2), [1000, 0])
    counts[:5, 1] = 10
    folds = holdout(numbered(15), counts, 0.2, 1)
    rare = Counter(folds[name] for name in numbered(5))
    assert rare == {0: 1, 1: 1, 2: 3}


@pytest.mark.parametrize("fraction", [0, 0.5, -0.1, float("nan")])
def test_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(UsageError, match="between 0 and 0.5"):
        holdout(numbered(9), None, fraction, 0)


def test_holdout_that_leaves_no_training_group_is_refused():
    with pytest.raises(UsageError, match="leaves none for training"):
        holdout(numbered(2), None, 0.2, 0)
