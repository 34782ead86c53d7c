import numpy as np
import pytest

from mstool.chance.power import least_difference
from mstool.chance.swaps import smallest_swap_p
from mstool.scores.statistics import Scored
from mstool.scores.versus import (
    assumed_least_difference,
    can_distinguish,
    compare_scores,
    correct_for_number,
)


def draw_two(n_images, gain, seed, scatter=0.03):
    """Confusions of two models on the same micrographs; the first is right more often by `gain`."""
    rng = np.random.default_rng(seed)
    shared = rng.uniform(0.6, 0.9, n_images)
    sides = []
    for more in (gain, 0):
        right = np.clip(shared + more + rng.normal(0, scatter, n_images), 0.05, 0.99)
        first, second = np.rint(6000 * right).astype(int), np.rint(4000 * right).astype(int)
        rows = [[first, 6000 - first], [4000 - second, second]]
        sides.append(np.moveaxis(np.array(rows), -1, 0))
    return sides


def test_turned_round_the_comparison_has_the_other_sign():
    ours, theirs = draw_two(8, 0.02, 0)
    one, other = compare_scores(ours, theirs, None, 0), compare_scores(theirs, ours, None, 0)
    np.testing.assert_allclose(one.difference, -other.difference)
    np.testing.assert_allclose(one.interval, -other.interval[:, ::-1])
    np.testing.assert_allclose(one.p, other.p)
    assert one.n_needed == other.n_needed


def test_clear_advantage_has_the_smallest_p_and_an_interval_without_0():
    found = compare_scores(*draw_two(8, 0.1, 1), None, 0)
    assert found.smallest_p == smallest_swap_p(8) == found.p[0]
    assert 0 < found.interval[0, 0] < found.difference[0] < found.interval[0, 1]
    assert found.least_difference[0] < found.difference[0]
    assert found.n_needed[0] == 6  # fewer would do for the interval, and give no p of 5 %


def test_the_same_masks_do_not_differ():
    ours, _ = draw_two(6, 0, 0)
    found = compare_scores(ours, ours, None, 0)
    assert (found.difference == 0).all() and (found.p == 1).all()
    assert np.isnan(found.interval).all()
    assert found.n_needed[0] is None


def test_specimens_are_swapped_as_a_whole():
    ours, theirs = draw_two(8, 0.1, 1)
    found = compare_scores(ours, theirs, ["a", "a", "b", "b", "c", "c", "d", "d"], 0)
    assert found.n_units == 4
    assert found.p[0] == smallest_swap_p(4) == 0.125


def test_class_that_only_one_side_has_is_undefined_and_the_rest_is_not():
    ours, theirs = (np.pad(one, ((0, 0), (0, 1), (0, 1))) for one in draw_two(6, 0.05, 2))
    theirs[0, 0, 0] -= 5
    theirs[0, 0, 2] += 5
    found = compare_scores(ours, theirs, None, 0)
    assert np.isnan(found.difference[5]) and np.isnan(found.p[5])
    assert np.isfinite(found.p[:5]).all()


def test_class_of_three_units_has_no_interval():
    ours, theirs = (np.pad(one, ((0, 0), (0, 1), (0, 1))) for one in draw_two(6, 0.05, 2))
    for confusions, right in ((ours, [50, 60, 80]), (theirs, [40, 45, 50])):
        confusions[:3, 2, 2] = right
        confusions[:3, 2, 0] = 100 - np.array(right)
    found = compare_scores(ours, theirs, None, 0)
    assert np.isnan(found.interval[5]).all() and np.isfinite(found.interval[:5]).all()
    assert found.difference[5] > 0
    theirs[3, 0, 0] -= 5
    theirs[3, 0, 2] += 5  # a fourth unit, in which one side alone sees the class
    assert np.isfinite(compare_scores(ours, theirs, None, 0).interval).all()
    assert np.isfinite(compare_scores(theirs, ours, None, 0).interval).all()


def test_swaps_that_leave_a_score_undefined_do_not_make_p_small():
    ours, theirs = (np.pad(one, ((0, 0), (0, 1), (0, 1))) for one in draw_two(6, 0, 2))
    for confusions, image in ((ours, 0), (theirs, 1)):  # either sees a class that is not there
        confusions[image, 0, 0] -= 5
        confusions[image, 0, 2] += 5
    found = compare_scores(ours, theirs, None, 0)
    assert found.difference[5] == 0 and found.p[5] == 1


def test_other_truth_is_refused():
    ours, theirs = draw_two(5, 0, 0)
    with pytest.raises(ValueError, match="same truth"):
        compare_scores(ours, theirs + 1, None, 0)


def test_holm_corrects_each_score_for_the_number_of_comparisons():
    ours, theirs = draw_two(8, 0.1, 1)
    _, like = draw_two(8, 0.1, 3)
    found = [compare_scores(ours, theirs, None, 0), compare_scores(like, theirs, None, 0)]
    first, second = correct_for_number(found)
    np.testing.assert_allclose(first[:3], np.minimum(1, 2 * found[0].p[:3]))
    np.testing.assert_allclose(second[:3], np.maximum(first, found[1].p)[:3])


def test_classes_are_corrected_for_their_number_too():
    found = compare_scores(*draw_two(8, 0.1, 1), None, 0)
    (corrected,) = correct_for_number([found])
    np.testing.assert_array_equal(corrected[:3], found.p[:3])
    np.testing.assert_allclose(corrected[3:], 2 * found.p[3:])  # both of the smallest p
    both = np.hstack([one[3:] for one in correct_for_number([found, found])])
    np.testing.assert_allclose(both, 4 * found.smallest_p)


def test_six_units_can_distinguish_two_and_not_three():
    assert [can_distinguish(n) for n in (4, 5, 6)] == [False, False, True]
    assert can_distinguish(6, 1) and not can_distinguish(6, 2)
    assert can_distinguish(30, 4)


def test_false_alarms_are_as_rare_as_promised():
    """Two models that differ by chance alone, 8 micrographs, 500 studies."""
    p, held = [], []
    for seed in range(500):
        found = compare_scores(*draw_two(8, 0, seed), None, seed)
        p.append(found.p[0])
        held.append(found.interval[0, 0] <= 0 <= found.interval[0, 1])
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_least_difference_is_told_apart_in_most_studies():
    least = compare_scores(*draw_two(200, 0, 0), None, 0).least_difference[2] * np.sqrt(200 / 10)
    told = [compare_scores(*draw_two(10, least, seed), None, 0).p[2] <= 0.05 for seed in range(300)]
    assert 0.68 <= np.mean(told) <= 0.92  # ten units need a little more than two hundred suggest


def test_assumed_difference_is_that_of_a_model_as_variable():
    ours, _ = draw_two(20, 0, 0)
    found = assumed_least_difference(ours, None)
    assert isinstance(found, Scored)
    shares = np.trace(ours, axis1=1, axis2=2) / 10_000
    # two that vary alike and correlate by 3/4 differ with half the variance of either
    expected = least_difference(shares.std(ddof=1) * np.sqrt(0.5), 20)
    assert found.accuracy == pytest.approx(expected)
