import numpy as np
import pytest

from mstool.geometry.length import Length
from mstool.scores.boundary_agreement import (
    count_boundaries,
    pool_boundaries,
    score_boundaries,
)
from mstool.scores.contours import trace_contours

# The boundary lies between columns 2 and 3, and in the mask between columns 3 and 4.
TRUTH = np.array([[0, 0, 0, 1, 1, 1, 1]] * 4, np.uint8)
MASK = np.array([[0, 0, 0, 0, 1, 1, 1]] * 4, np.uint8)


def scores_of(truth, mask, tolerance, n_classes=2):
    return score_boundaries(count_boundaries(truth, mask, n_classes, tolerance))


def blobs(seed, n_classes=3, ignored=0.02):
    """Two label maps that are alike."""
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, n_classes, (5, 6)), np.ones((4, 4))).astype(np.uint8)
    mask = np.roll(truth, rng.integers(-2, 3, 2), (0, 1))
    mask[rng.random(mask.shape) < 0.02] = 0
    truth[rng.random(truth.shape) < ignored] = 255
    return truth, mask


def directed(contour, other):
    """Distance of each pixel of a contour to the nearest of another, all pairs tried."""
    a, b = np.argwhere(contour), np.argwhere(other)
    return np.linalg.norm(a[:, None] - b, axis=2).min(axis=1)


def test_shift_by_a_pixel_by_hand():
    near, far = scores_of(TRUTH, MASK, 1), scores_of(TRUTH, MASK, 0.5)
    assert near.boundary_f1.tolist() == [1, 1]
    assert far.boundary_f1.tolist() == [0, 0]
    assert near.hausdorff95.tolist() == near.surface_distance.tolist() == [1, 1]
    # rims one pixel wide: class 0 has column 2 and column 3, which share nothing
    assert near.boundary_iou.tolist() == [0, 0]
    # rims two pixels wide: columns 1, 2 and 2, 3; columns 3, 4 and 4, 5
    assert scores_of(TRUTH, MASK, 2).boundary_iou == pytest.approx([1 / 3, 1 / 3])


def test_same_maps_agree_in_all():
    scores = scores_of(TRUTH, TRUTH, 2)
    assert scores.boundary_iou.tolist() == scores.boundary_f1.tolist() == [1, 1]
    assert scores.hausdorff95.tolist() == scores.surface_distance.tolist() == [0, 0]


def test_boundary_on_one_side_alone_scores_zero_and_has_no_distance():
    nothing = np.zeros_like(TRUTH)
    scores = scores_of(TRUTH, nothing, 2)
    assert scores.boundary_f1.tolist() == scores.boundary_iou.tolist() == [0, 0]
    assert scores.boundary_recall.tolist() == [0, 0]
    assert np.isnan(scores.boundary_precision).all()
    assert np.isnan(scores.hausdorff95).all() and np.isnan(scores.surface_distance).all()
    assert count_boundaries(TRUTH, nothing, 2, 2).n_unmatched.tolist() == [4, 4]


def test_class_without_a_boundary_on_both_sides_is_nan():
    scores = scores_of(TRUTH, MASK, 2, n_classes=3)
    for values in vars(scores).values():
        assert np.isnan(values[2]) and not np.isnan(values[:2]).any()


def test_what_the_mask_says_of_ignored_pixels_is_nothing():
    truth, other = TRUTH.copy(), MASK.copy()
    truth[:2] = 255
    other[:2] = np.random.default_rng(0).integers(0, 2, (2, 7))
    for found, expected in zip(
        vars(scores_of(truth, other, 2)).values(),
        vars(scores_of(TRUTH[2:], MASK[2:], 2)).values(),
        strict=True,
    ):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tolerance", [1, 1.5, 3])
def test_scores_agree_with_all_pairs_of_pixels(seed, tolerance):
    truth, mask = blobs(seed)
    scores = scores_of(truth, mask, tolerance, n_classes=3)
    mask = np.where(truth == 255, 255, mask).astype(np.uint8)
    whole = [trace_contours(labels) for labels in (truth, mask)]
    everywhere = np.ones(truth.shape, bool)
    near = [(directed(everywhere, one) < tolerance).reshape(truth.shape) for one in whole]
    for index in range(3):
        sides = [one & (labels == index) for one, labels in zip(whole, (truth, mask), strict=True)]
        there, back = directed(*sides), directed(*sides[::-1])
        both = np.concatenate([there, back])
        rims = [one & (labels == index) for one, labels in zip(near, (truth, mask), strict=True)]
        expected = {
            "boundary_precision": (back <= tolerance).mean(),
            "boundary_recall": (there <= tolerance).mean(),
            "hausdorff95": np.percentile(both, 95),
            "surface_distance": both.mean(),
            "boundary_iou": (rims[0] & rims[1]).sum() / (rims[0] | rims[1]).sum(),
        }
        precision, recall = expected["boundary_precision"], expected["boundary_recall"]
        expected["boundary_f1"] = 2 * precision * recall / (precision + recall)
        for name, value in expected.items():
            assert getattr(scores, name)[index] == pytest.approx(value, abs=1e-12), name


def test_pooled_scores_are_those_of_maps_side_by_side():
    pairs = [blobs(seed, ignored=0) for seed in (1, 2)]
    gap = np.full((20, 50), 255, np.uint8)
    truths, masks = ([pair[side] for pair in pairs] for side in (0, 1))
    joined = scores_of(
        np.hstack([truths[0], gap, truths[1]]), np.hstack([masks[0], gap, masks[1]]), 2, 3
    )
    pooled = score_boundaries(pool_boundaries([count_boundaries(*pair, 3, 2) for pair in pairs]))
    for found, expected in zip(vars(pooled).values(), vars(joined).values(), strict=True):
        assert found == pytest.approx(expected, abs=1e-12)


def test_distances_scale_and_shares_do_not():
    counts = count_boundaries(*blobs(3), 3, 2)
    plain, scaled = score_boundaries(counts), score_boundaries(counts.scaled(0.1))
    assert scaled.hausdorff95 == pytest.approx(plain.hausdorff95 * 0.1)
    assert scaled.surface_distance == pytest.approx(plain.surface_distance * 0.1)
    assert np.array_equal(scaled.boundary_iou, plain.boundary_iou)


@pytest.mark.parametrize("seed", range(4))
def test_distances_agree_with_medpy_on_objects_inside_the_frame(seed):
    """At the edge they differ: there MedPy draws a boundary, and we draw none."""
    oracle = pytest.importorskip("medpy.metric.binary")
    truth, mask = (np.pad(labels % 2, 3) for labels in blobs(seed, ignored=0))
    scores = scores_of(truth, mask, 2)
    sides = [trace_contours(labels) & (labels == 1) for labels in (truth, mask)]
    n_truth, n_mask = map(np.count_nonzero, sides)
    assert scores.hausdorff95[1] == pytest.approx(oracle.hd95(mask, truth), abs=1e-9)
    means = oracle.asd(mask, truth), oracle.asd(truth, mask)
    expected = (n_mask * means[0] + n_truth * means[1]) / (n_mask + n_truth)
    assert scores.surface_distance[1] == pytest.approx(expected, abs=1e-9)


def test_the_same_tolerance_in_micrometres_scores_the_same():
    truth = np.repeat([[0] * 10 + [1] * 10], 8, axis=0).astype(np.uint8)
    mask = np.roll(truth, 3, axis=1)
    mask[:, :3] = 0
    tolerances = [Length(3, "px").in_pixels(None), Length(0.3, "um").in_pixels(0.1)]
    f1 = [score_boundaries(count_boundaries(truth, mask, 2, t)).boundary_f1 for t in tolerances]
    assert f1[0].tolist() == f1[1].tolist() == [1.0, 1.0]
