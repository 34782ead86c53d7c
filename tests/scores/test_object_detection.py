import numpy as np
import pytest
from skimage.measure import label, regionprops

from mstool.scores.object_detection import ObjectCounts, count_objects, score_objects


def test_found_missed_and_made_up_objects_by_hand():
    truth = np.array(
        [
            [1, 1, 0, 1, 0, 0, 0],
            [1, 1, 0, 1, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0],
        ],
        np.uint8,
    )
    mask = np.array(
        [
            [1, 1, 0, 1, 0, 0, 1],  # 3 of 4 pixels found; 1 of 2 is no match; one made up
            [1, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0],
        ],
        np.uint8,
    )
    counts = count_objects(truth, mask, 1)
    assert counts == ObjectCounts(n_truth=2, n_mask=3, n_matched=1, iou_sum=0.75)
    scores = score_objects(counts)
    assert (scores.precision, scores.recall) == pytest.approx((1 / 3, 1 / 2))
    assert scores.f1 == pytest.approx(2 / 5)
    assert scores.matched_iou == 0.75


def test_pieces_that_touch_at_a_corner_are_one():
    diagonal = np.eye(3, dtype=np.uint8)
    assert count_objects(diagonal, diagonal, 1) == ObjectCounts(1, 1, 1, 1.0)


def test_ignored_pixels_belong_to_no_object():
    truth = np.array([[1, 1, 255, 255, 1]], np.uint8)
    mask = np.array([[1, 1, 1, 1, 0]], np.uint8)
    assert count_objects(truth, mask, 1) == ObjectCounts(2, 1, 1, 1.0)


def test_without_objects_nothing_is_defined():
    nothing = np.zeros((2, 2), np.uint8)
    scores = score_objects(count_objects(nothing, nothing, 1))
    assert np.isnan(list(vars(scores).values())).all()


def test_objects_that_are_all_missed_have_no_precision():
    scores = score_objects(ObjectCounts(n_truth=3))
    assert np.isnan(scores.precision) and scores.recall == scores.f1 == 0


def test_counts_add_up():
    assert ObjectCounts(1, 2, 1, 0.6) + ObjectCounts(3, 4, 2, 1.6) == ObjectCounts(4, 6, 3, 2.2)


@pytest.mark.parametrize("seed", range(5))
def test_matches_agree_with_trying_all_pairs(seed):
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.random((12, 12)) < 0.3, np.ones((3, 3))).astype(np.uint8)
    mask = truth.copy()
    mask[rng.random(mask.shape) < 0.15] = 0
    mask[rng.random(mask.shape) < 0.02] = 1
    sides = [
        [set(map(tuple, region.coords)) for region in regionprops(label(labels, connectivity=2))]
        for labels in (truth, mask)
    ]
    ious = [len(a & b) / len(a | b) for a in sides[0] for b in sides[1]]
    matched = [value for value in ious if value > 0.5]
    counts = count_objects(truth, mask, 1)
    assert (counts.n_truth, counts.n_mask) == (len(sides[0]), len(sides[1]))
    assert counts.n_matched == len(matched) > 0
    assert counts.iou_sum == pytest.approx(sum(matched))
