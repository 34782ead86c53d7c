import numpy as np
import pytest
from scipy import ndimage

from mstool.explanations.dealt_labels import permute_components, weigh_labels
from mstool.explanations.verdicts import Thresholds, judge_labels


def test_components_keep_their_shape_and_the_classes_their_number():
    labels = np.zeros((40, 40), np.uint8)
    for row in range(2, 38, 6):
        for col in range(2, 38, 6):
            labels[row : row + 3, col : col + 3] = 1 + (row + col) % 4 // 2
    labels[0] = 255
    dealt = permute_components(labels, np.random.default_rng(0))
    np.testing.assert_array_equal(dealt == 255, labels == 255)
    assert (dealt != labels).mean() > 0.05
    for index in (0, 1, 2):
        blobs, n = ndimage.label(labels == index)
        assert all(len(np.unique(dealt[blobs == number])) == 1 for number in range(1, n + 1))
    assert np.isin(dealt, (0, 1, 2, 255)).all()


def test_nothing_to_deal_changes_nothing():
    rng = np.random.default_rng(0)
    for labels in (np.full((4, 4), 255, np.uint8), np.ones((4, 4), np.uint8)):
        np.testing.assert_array_equal(permute_components(labels, rng), labels)


def test_labels_count_only_with_a_gap_between_networks_that_learnt():
    limits = Thresholds()
    assert judge_labels(0.3, 0.97, limits) == "pass"
    assert judge_labels(0.1, 0.97, limits) == "inconclusive"
    assert judge_labels(0.3, 0.6, limits) == "inconclusive"
    assert judge_labels(float("nan"), 0.97, limits) == "inconclusive"


def test_maps_are_nearer_to_the_network_that_learnt_the_same():
    rng = np.random.default_rng(0)
    own, other, window = rng.normal(size=(9, 9)), rng.normal(size=(9, 9)), np.ones((9, 9), bool)
    found = weigh_labels([own], [-own], [other], [window], 0.97, Thresholds())
    assert found.retrained == pytest.approx(1)
    assert found.gap == found.retrained - found.permuted > 0.5
    assert found.verdict == "pass"
    dead = weigh_labels([own], [own], [np.zeros((9, 9))], [window], 0.97, Thresholds())
    assert (np.isnan(dead.gap), dead.verdict) == (True, "inconclusive")
