"""Simulated annotators."""

import json

import numpy as np
import pytest

from mstool.errors import LabelError, UsageError
from mstool.phantoms import RaterHabits, draw_habits, rate_labels
from mstool.phantoms.raters import fill_ignored, miss_regions

STEADY = {"shift_rms_um": 0.0, "miss_probability": 0.0}


def half_plane(shape=(400, 400)):
    labels = np.zeros(shape, np.uint8)
    labels[shape[0] // 2 :] = 1
    return labels


def rate(labels, habits, **key):
    return rate_labels(labels, 0.1, habits, **{"seed": 1, "index": 0, "rater": 0, **key})


def test_rater_without_error_draws_the_truth():
    rating = rate(half_plane(), RaterHabits(**STEADY))

    np.testing.assert_array_equal(rating.labels, half_plane())
    assert rating.parameters["changed_fraction"] == 0


def test_boundary_shifts_by_the_rms_asked_for():
    habits = RaterHabits(shift_rms_um=0.4, shift_length_um=1.5, miss_probability=0)

    shifts_px = np.concatenate(
        [np.sum(rate(half_plane(), habits, index=i).labels == 0, axis=0) - 200 for i in range(6)]
    )

    assert abs(np.sqrt(np.mean(shifts_px**2.0)) * 0.1 - 0.4) < 0.08


def test_certain_miss_takes_all_small_regions_and_no_large_one():
    labels = np.zeros((40, 40), np.uint8)
    labels[2:5, 2:5] = 1  # 9 px = 0.09 um^2
    labels[10:20, 10:20] = 1  # 100 px = 1 um^2
    labels[12:14, 12:14] = 2  # 4 px inside it
    habits = RaterHabits(shift_rms_um=0, small_area_um2=0.5, miss_probability=1)

    rating = rate(labels, habits)

    expected = np.zeros_like(labels)
    expected[10:20, 10:20] = 1
    np.testing.assert_array_equal(rating.labels, expected)
    assert rating.parameters["n_missed_regions"] == 2
    np.testing.assert_allclose(rating.parameters["missed_area_um2"], [0.09, 0.04])


def test_miss_probability_is_the_share_of_small_regions_missed():
    labels = np.zeros((200, 200), np.uint8)
    labels[::4, ::4] = 1
    habits = RaterHabits(small_area_um2=1.0, miss_probability=0.3)

    _, missed = miss_regions(labels, habits, 0.1, np.random.default_rng(0))

    assert abs(len(missed) / 2500 - 0.3) < 0.04  # 4 standard deviations


def test_region_without_a_neighbour_is_not_missed():
    labels = np.ones((4, 4), np.uint8)
    labels[2:] = 255
    habits = RaterHabits(small_area_um2=100.0, miss_probability=1)

    rating = rate(labels, habits)

    np.testing.assert_array_equal(rating.labels, labels)


def test_ignored_pixels_stay_where_they_are():
    labels = half_plane((100, 100))
    labels[80:] = 255

    rated = rate(labels, RaterHabits(shift_rms_um=1.0)).labels

    np.testing.assert_array_equal(rated == 255, labels == 255)


def test_ignored_pixels_are_filled_from_the_nearest():
    labels = np.array([[0, 255, 255, 1], [0, 255, 255, 1]], np.uint8)

    assert fill_ignored(labels).tolist() == [[0, 0, 1, 1]] * 2


def test_wholly_ignored_label_map_is_refused():
    with pytest.raises(LabelError, match="every pixel is ignored"):
        rate(np.full((8, 8), 255, np.uint8), RaterHabits())


def test_rating_is_repeatable_and_raters_differ():
    labels = half_plane((100, 100))
    habits = RaterHabits(shift_rms_um=0.5)

    first = rate(labels, habits, rater=1)

    assert first.labels.tobytes() == rate(labels, habits, rater=1).labels.tobytes()
    assert np.any(first.labels != rate(labels, habits, rater=2).labels)
    assert np.any(first.labels != rate(labels, habits, rater=1, index=1).labels)


def test_habits_are_those_of_the_rater_and_differ_between_raters():
    assert draw_habits(3, 0) == draw_habits(3, 0)
    assert len({draw_habits(3, rater) for rater in range(6)}) == 6


def test_parameters_come_back_from_json():
    parameters = rate(half_plane((64, 64)), RaterHabits()).parameters

    assert json.loads(json.dumps(parameters, allow_nan=False)) == parameters
    np.testing.assert_allclose(parameters["applied_shift_rms_um"], 0.3)


@pytest.mark.parametrize(
    "bad",
    [
        {"shift_rms_um": -1},
        {"shift_rms_um": float("nan")},
        {"shift_length_um": 0},
        {"small_area_um2": float("inf")},
        {"miss_probability": 1.1},
    ],
)
def test_impossible_habits_are_refused(bad):
    with pytest.raises(UsageError, match=next(iter(bad))):
        RaterHabits(**bad)
