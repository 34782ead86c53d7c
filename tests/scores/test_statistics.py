import numpy as np
import pytest

from mstool.scores.metrics import accuracy, iou, mean_iou
from mstool.scores.statistics import (
    bootstrap_intervals,
    mean_iou_with_interval,
    percentile_interval,
    resample_iou,
    resample_mean,
)


def random_confusions(n_images, n_classes, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 50, (n_images, n_classes, n_classes)) + 60 * np.eye(n_classes, dtype=int)


def test_intervals_agree_with_resampling_one_by_one():
    confusions, n_images = random_confusions(8, 3, 0), 8
    found = bootstrap_intervals(confusions, seed=1)
    rng = np.random.default_rng(2)
    drawn = [confusions[rng.integers(n_images, size=n_images)] for _ in range(2000)]
    expected = {
        "mean_iou": [mean_iou(images.sum(axis=0)) for images in drawn],
        "accuracy": [accuracy(images.sum(axis=0)) for images in drawn],
        "iou": [iou(images.sum(axis=0)) for images in drawn],
        "image_mean_iou": [mean_iou(images).mean() for images in drawn],
    }
    for name, values in expected.items():
        interval = np.percentile(values, [2.5, 97.5], axis=0).T
        # Two sets of 2000 resamples: the ends of 95 % move by about 5 % of the width.
        width = np.max(interval[..., 1] - interval[..., 0])
        np.testing.assert_allclose(getattr(found, name), interval, atol=0.15 * width)


def test_same_seed_gives_the_same_intervals():
    confusions = random_confusions(5, 2, 0)
    one, two = (bootstrap_intervals(confusions, seed=3) for _ in range(2))
    assert np.array_equal(one.mean_iou, two.mean_iou)
    assert not np.array_equal(one.iou, bootstrap_intervals(confusions, seed=4).iou)


def test_interval_holds_the_pooled_score():
    confusions = random_confusions(12, 3, 5)
    low, high = bootstrap_intervals(confusions, seed=0).mean_iou
    assert low < mean_iou(confusions.sum(axis=0)) < high


def test_identical_images_have_an_interval_without_width():
    confusions = np.repeat(random_confusions(1, 3, 0), 6, axis=0)
    intervals = bootstrap_intervals(confusions, seed=0)
    expected = mean_iou(confusions[0])
    assert intervals.mean_iou == pytest.approx([expected, expected])
    assert intervals.image_mean_iou == pytest.approx([expected, expected])


def test_one_image_gives_nan():
    intervals = bootstrap_intervals(random_confusions(1, 3, 0), seed=0)
    assert intervals.n_units == 1
    for interval in (intervals.mean_iou, intervals.iou, intervals.accuracy):
        assert np.isnan(interval).all()
    assert intervals.iou.shape == (3, 2) and intervals.image_mean_iou.shape == (2,)


def test_many_images_of_one_specimen_give_nan():
    intervals = bootstrap_intervals(random_confusions(4, 2, 0), seed=0, units=["s"] * 4)
    assert np.isnan(intervals.mean_iou).all()


def test_no_images_give_nan():
    intervals = bootstrap_intervals(np.zeros((0, 2, 2), int), seed=0)
    assert intervals.n_units == 0 and np.isnan(intervals.iou).all()


def test_images_of_one_specimen_are_drawn_together():
    confusions = random_confusions(3, 2, 1)
    doubled = np.repeat(confusions, 2, axis=0)
    by_unit = bootstrap_intervals(doubled, seed=0, units=["a", "a", "b", "b", "c", "c"])
    alone = bootstrap_intervals(confusions, seed=0)
    assert by_unit.n_units == 3
    assert by_unit.mean_iou == pytest.approx(alone.mean_iou)
    assert by_unit.image_mean_iou == pytest.approx(alone.image_mean_iou)


def test_like_images_of_one_specimen_widen_the_interval():
    confusions = np.repeat(random_confusions(4, 2, 2), 5, axis=0)
    units = np.repeat(["a", "b", "c", "d"], 5)
    low, high = bootstrap_intervals(confusions, seed=0, units=units).mean_iou
    naive_low, naive_high = bootstrap_intervals(confusions, seed=0).mean_iou
    assert high - low > 1.5 * (naive_high - naive_low)


def test_class_that_vanishes_in_some_resamples_keeps_an_interval():
    confusions = np.zeros((4, 2, 2), int)
    confusions[:, 0, 0] = 10
    confusions[0, 1] = [4, 6]
    intervals = bootstrap_intervals(confusions, seed=0)
    assert intervals.iou[1] == pytest.approx([0.6, 0.6])


def test_class_that_no_image_has_gets_nan():
    confusions = np.zeros((4, 2, 2), int)
    confusions[:, 0, 0] = 10
    intervals = bootstrap_intervals(confusions, seed=0)
    assert np.isnan(intervals.iou[1]).all()
    assert intervals.mean_iou.tolist() == [1, 1]


def test_image_without_pixels_does_not_count_in_the_image_mean():
    confusions = np.concatenate([np.zeros((1, 2, 2), int), np.repeat([np.eye(2, dtype=int)], 3, 0)])
    assert bootstrap_intervals(confusions, seed=0).image_mean_iou.tolist() == [1, 1]


def test_higher_level_gives_a_wider_interval():
    confusions = random_confusions(10, 2, 3)
    narrow = bootstrap_intervals(confusions, seed=0, level=0.5).accuracy
    wide = bootstrap_intervals(confusions, seed=0, level=0.99).accuracy
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_units_of_another_number_are_refused():
    with pytest.raises(ValueError, match="2 units for 3 images"):
        bootstrap_intervals(random_confusions(3, 2, 0), seed=0, units=["a", "b"])


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


def test_iou_of_resamples_is_that_of_pooled_specimens():
    confusions = np.array([[[9, 1], [0, 10]]] * 3 + [[[0, 10], [10, 0]]])
    mean, by_class = resample_iou(confusions, 0, UNITS)
    drawn = ([3], [0, 1, 2, 3], [0, 1, 2])
    expected = [mean_iou(confusions[images].sum(axis=0)) for images in drawn]
    assert sorted(set(mean.round(12))) == pytest.approx(expected)
    np.testing.assert_allclose(by_class.mean(axis=1), mean)
    assert not np.array_equal(mean, resample_iou(confusions, 1, UNITS)[0])


def test_mean_iou_with_interval_pools_and_draws_specimens():
    confusions = random_confusions(6, 2, 0)
    units = ["a", "a", "b", "b", "c", "c"]
    value, interval = mean_iou_with_interval(confusions, 7, units, level=0.8)
    expected = bootstrap_intervals(confusions, 7, units, level=0.8)
    assert value == mean_iou(confusions.sum(axis=0))
    np.testing.assert_array_equal(interval, expected.mean_iou)
