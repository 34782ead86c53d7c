import numpy as np
import pytest

from mstool.scores.metrics import accuracy, iou, mean_iou
from mstool.scores.statistics import (
    difference_of_sets,
    leave_out,
    mean_iou_with_interval,
    score_intervals,
    scores_of_sums,
    unit_sums,
)


def random_confusions(n_images, n_classes, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 50, (n_images, n_classes, n_classes)) + 60 * np.eye(n_classes, dtype=int)


def test_scores_of_sums_are_those_of_pooled_counts():
    confusions = random_confusions(6, 3, 0)
    pooled = confusions.sum(axis=0)
    found = scores_of_sums(unit_sums(confusions).sum(axis=0))
    expected = [mean_iou(pooled), mean_iou(confusions).mean(), accuracy(pooled), *iou(pooled)]
    np.testing.assert_allclose(found, expected)


def test_leaving_out_is_scoring_the_rest():
    confusions, units = random_confusions(5, 3, 1), ["a", "b", "a", "c", "c"]
    left_out, whole = leave_out(unit_sums(confusions, units), scores_of_sums)
    for row, name in zip(left_out, "abc", strict=True):
        rest = confusions[[unit != name for unit in units]]
        np.testing.assert_allclose(row, scores_of_sums(unit_sums(rest).sum(axis=0)))
    assert whole[0] == pytest.approx(mean_iou(confusions.sum(axis=0)))


def test_interval_holds_the_score_and_stays_between_0_and_1():
    confusions = random_confusions(5, 3, 5)
    confusions[0] = np.diag([900, 1, 1])
    found = score_intervals(confusions)
    for name, value in (("mean_iou", mean_iou), ("accuracy", accuracy)):
        low, high = getattr(found.scores, name)
        assert 0 <= low < value(confusions.sum(axis=0)) < high <= 1


def test_identical_images_do_not_tell_how_images_vary():
    confusions = np.repeat(random_confusions(1, 3, 0), 6, axis=0)
    assert np.isnan(score_intervals(confusions).scores.mean_iou).all()


def test_three_images_give_nan_and_four_do_not():
    for n, is_undefined in ((1, True), (3, True), (4, False)):
        found = score_intervals(random_confusions(n, 3, 0))
        assert found.n_units == n
        for interval in vars(found.scores).values():
            assert np.isnan(interval).all() == is_undefined
    assert found.scores.iou.shape == (3, 2) and found.scores.image_mean_iou.shape == (2,)


def test_many_images_of_three_specimens_give_nan():
    found = score_intervals(random_confusions(6, 2, 0), units=["s", "t", "u"] * 2)
    assert found.n_units == 3 and np.isnan(found.scores.mean_iou).all()


def test_no_images_give_nan():
    found = score_intervals(np.zeros((0, 2, 2), int))
    assert found.n_units == 0 and np.isnan(found.scores.iou).all()


def test_images_of_one_specimen_count_as_one():
    confusions = random_confusions(4, 2, 1)
    doubled = np.repeat(confusions, 2, axis=0)
    by_unit = score_intervals(doubled, units=np.repeat(["a", "b", "c", "d"], 2).tolist())
    alone = score_intervals(confusions)
    assert by_unit.n_units == 4
    for name, interval in vars(alone.scores).items():
        np.testing.assert_allclose(getattr(by_unit.scores, name), interval)


def test_like_images_of_one_specimen_widen_the_interval():
    confusions = np.repeat(random_confusions(4, 2, 2), 5, axis=0)
    units = np.repeat(["a", "b", "c", "d"], 5).tolist()
    low, high = score_intervals(confusions, units).scores.mean_iou
    naive_low, naive_high = score_intervals(confusions).scores.mean_iou
    assert high - low > 1.5 * (naive_high - naive_low)


def test_class_of_three_images_has_no_interval_and_of_four_it_has():
    confusions = random_confusions(6, 2, 3)
    confusions[:, 1] = confusions[:, :, 1] = 0
    confusions[:3, 1, 1], confusions[:3, 1, 0] = [5, 6, 7], [1, 3, 2]
    assert np.isnan(score_intervals(confusions).scores.iou[1]).all()
    confusions[3, 1] = [2, 5]
    low, high = score_intervals(confusions).scores.iou[1]
    assert low < 23 / 31 < high


def test_class_that_no_image_has_gets_nan():
    confusions = random_confusions(5, 3, 4)
    confusions[:, 2] = confusions[:, :, 2] = 0
    found = score_intervals(confusions).scores
    assert np.isnan(found.iou[2]).all()
    expected = score_intervals(confusions[:, :2, :2]).scores.mean_iou
    np.testing.assert_allclose(found.mean_iou, expected)


def test_image_without_pixels_does_not_count_in_the_image_mean():
    confusions = random_confusions(5, 2, 0)
    confusions[0] = 0
    value = scores_of_sums(unit_sums(confusions).sum(axis=0))[1]
    assert value == pytest.approx(mean_iou(confusions[1:]).mean())


def test_higher_level_gives_a_wider_interval():
    confusions = random_confusions(10, 2, 3)
    narrow = score_intervals(confusions, level=0.5).scores.accuracy
    wide = score_intervals(confusions, level=0.99).scores.accuracy
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_mean_iou_with_interval_pools_specimens():
    confusions = random_confusions(8, 2, 0)
    units = ["a", "a", "b", "b", "c", "c", "d", "d"]
    value, interval = mean_iou_with_interval(confusions, units, level=0.8)
    expected = score_intervals(confusions, units, level=0.8).scores.mean_iou
    assert value == mean_iou(confusions.sum(axis=0))
    np.testing.assert_array_equal(interval, expected)


def test_difference_of_a_set_and_its_copy_is_wider_than_either_score():
    confusions = random_confusions(8, 2, 0)
    found = difference_of_sets(confusions, confusions)
    low, high = found.mean_iou
    assert (low + high) / 2 == pytest.approx(0)
    # the error of independent scores is the root of two times that of one, with twice the freedom
    width = np.ptp(score_intervals(confusions).scores.mean_iou)
    assert 1.1 * width < high - low < 2**0.5 * width


def test_a_class_that_few_units_of_one_set_have_has_no_difference():
    ours, theirs = random_confusions(8, 3, 0), random_confusions(8, 3, 1)
    theirs[3:, 2] = theirs[3:, :, 2] = 0
    found = difference_of_sets(ours, theirs)
    assert np.isfinite([*found.iou[:2], found.mean_iou]).all()
    assert np.isnan(found.iou[2]).all()
    units = [list("abcdefgh"), list("aabbccdd")]
    assert np.isfinite(difference_of_sets(ours, theirs, units).accuracy).all()
    units[1] = list("aabbcccc")
    assert np.isnan(difference_of_sets(ours, theirs, units).accuracy).all()
