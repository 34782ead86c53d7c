"""Two pixels of phase 0 and one of phase 1, by hand."""

import numpy as np
import pytest

from mstool.shift.readings import add_readings, read_prediction

# probabilities of phase 1, of which phase 1 is predicted in the last pixel alone
SECOND = np.array([[0.2, 0.4, 0.9]])
PROBABILITIES = np.stack([1 - SECOND, SECOND])
TRUTH = np.array([[0, 1, 255]], np.uint8)


def read(truth=None, views=()):
    return read_prediction(PROBABILITIES, views, truth)


def test_sums_over_pixels():
    found = read()
    assert found.n_px == 3
    assert found.counts.tolist() == [2, 1]
    assert found.mass == pytest.approx([1.5, 1.5])
    assert found.soft_overlap == pytest.approx([0.8 + 0.6, 0.9])
    assert found.fractions == pytest.approx([2 / 3, 1 / 3])
    assert found.confusion is None and np.isnan(found.mean_iou)
    assert found.mean_confidence == pytest.approx((0.8 + 0.6 + 0.9) / 3, abs=1 / 200)


def test_soft_iou_is_overlap_over_union():
    # phase 0: 1.4 of 1.5 + 2 - 1.4; phase 1: 0.9 of 1.5 + 1 - 0.9
    assert read().soft_iou == pytest.approx((1.4 / 2.1 + 0.9 / 1.6) / 2)


def test_sure_prediction_expects_to_be_right():
    sure = np.eye(2)[:, [[0, 1, 1]]]
    assert read_prediction(sure, []).soft_iou == 1


def test_phase_that_is_nowhere_predicted_does_not_count_in_soft_iou():
    with_third = np.concatenate([PROBABILITIES, np.zeros((1, 1, 3))])
    assert read_prediction(with_third, []).soft_iou == pytest.approx(read().soft_iou)


def test_truth_is_in_the_rows_and_ignored_pixels_are_in_none():
    assert read(TRUTH).confusion.tolist() == [[1, 0], [1, 0]]
    assert read(TRUTH).mean_iou == pytest.approx((1 / 2 + 0) / 2)


def test_certainty_is_one_where_sure_and_none_where_all_phases_are_alike():
    sure = read_prediction(np.eye(3)[:, :1, None], [])
    torn = read_prediction(np.full((3, 1, 1), 1 / 3), [])
    assert np.flatnonzero(sure.certainty).tolist() == [199]
    assert np.flatnonzero(torn.certainty).tolist() == [0]
    two_of_three = read_prediction(np.array([0.5, 0.5, 0])[:, None, None], [])
    certainty = 1 - np.log(2) / np.log(3)
    assert np.flatnonzero(two_of_three.certainty).tolist() == [int(200 * certainty)]


def test_views_are_compared_with_the_prediction():
    same, other = np.array([[0, 0, 1]], np.uint8), np.array([[0, 1, 1]], np.uint8)
    assert read(views=[same, same]).self_consistency == 1
    found = read(views=[other])
    assert found.agreement.tolist() == [[1, 1], [0, 1]]
    assert found.self_consistency == pytest.approx(1 / 2)


def test_readings_of_fields_add_up_to_that_of_both():
    one, other = read(TRUTH, [TRUTH % 2]), read_prediction(PROBABILITIES[::-1], [], TRUTH)
    both = add_readings([one, other])
    for name in ("n_px", "confidence", "certainty", "counts", "mass", "soft_overlap", "confusion"):
        np.testing.assert_array_equal(
            getattr(both, name), getattr(one, name) + getattr(other, name), name
        )
