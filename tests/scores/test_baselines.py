from itertools import permutations, product

import numpy as np
import pytest
from skimage.filters import threshold_otsu

from mstool.errors import InputError
from mstool.scores.baselines import (
    majority_baseline,
    match_regions,
    otsu_labels,
    relabel_regions,
)
from mstool.scores.confusion import confusion_matrix
from mstool.scores.contract import DEFINITIONS
from mstool.scores.metrics import accuracy, mean_iou


def test_majority_is_the_commonest_true_class_of_all_images():
    confusions = np.array([[[3, 1], [0, 1]], [[0, 0], [5, 3]]])
    assert majority_baseline(confusions).tolist() == [[[0, 4], [0, 1]], [[0, 0], [0, 8]]]


def test_majority_does_not_depend_on_the_prediction():
    truth = np.random.default_rng(0).integers(0, 3, (10, 10))
    good = confusion_matrix(truth, truth, 3)
    poor = confusion_matrix(truth, np.zeros_like(truth), 3)
    assert np.array_equal(majority_baseline(good[None]), majority_baseline(poor[None]))


def test_majority_of_an_uneven_image_has_high_accuracy_and_low_mean_iou():
    baseline = majority_baseline(np.array([[[80, 0], [20, 0]]]))[0]
    assert accuracy(baseline) == 0.8 and mean_iou(baseline) == 0.4


def test_two_regions_agree_with_otsu():
    rng = np.random.default_rng(0)
    image = np.where(rng.random((40, 40)) < 0.3, 60, 170) + rng.integers(-40, 40, (40, 40))
    image = image.astype(np.uint8)
    assert np.array_equal(otsu_labels(image, 2), image > threshold_otsu(image))


@pytest.mark.parametrize("n_classes", [2, 3, 4, 5, 6, 9])
@pytest.mark.parametrize("scale", [1, 257, 0.1], ids=["8-bit", "16-bit", "float"])
def test_well_separated_grey_levels_become_the_regions(n_classes, scale):
    rng = np.random.default_rng(n_classes)
    truth = rng.integers(0, n_classes, (30, 30))
    levels = np.linspace(20, 235, n_classes)[truth] + rng.integers(-4, 5, truth.shape)
    image = (levels * scale).astype({1: np.uint8, 257: np.uint16, 0.1: np.float32}[scale])
    assert np.array_equal(otsu_labels(image, n_classes), truth)


def test_colour_image_is_divided_by_luminance():
    image = np.array([[(0, 0, 255), (0, 255, 0)], [(0, 255, 0), (0, 0, 255)]], np.uint8)
    assert otsu_labels(image, 2).tolist() == [[0, 1], [1, 0]]
    with_alpha = np.dstack([image, np.array([[0, 0], [255, 255]], np.uint8)])
    assert otsu_labels(with_alpha, 2).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_constant_image_is_one_region(dtype):
    assert not otsu_labels(np.full((4, 4), 7, dtype), 3).any()


def test_image_with_fewer_grey_levels_has_fewer_regions():
    image = np.array([[9, 200], [200, 9]], np.uint8)
    assert otsu_labels(image, 4).tolist() == [[0, 1], [1, 0]]


def test_one_class_is_one_region():
    assert not otsu_labels(np.arange(100, dtype=np.uint8).reshape(10, 10), 1).any()


def test_hot_pixels_do_not_spoil_the_threshold():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (100, 100))
    image = (1000 + 100 * truth + rng.integers(0, 50, truth.shape)).astype(np.uint16)
    image[3, 4] = 65535
    truth[3, 4] = 1
    assert np.array_equal(otsu_labels(image, 2), truth)


def test_yes_no_image_is_its_own_regions():
    image = np.array([[True, False, True]])
    assert otsu_labels(image, 2).tolist() == [[1, 0, 1]]


def test_nan_in_the_image_is_refused():
    with pytest.raises(InputError, match="1 pixels are NaN"):
        otsu_labels(np.array([[0.0, np.nan]]), 2)


def test_regions_in_reverse_order_are_matched():
    confusion = np.array([[0, 1, 9], [2, 8, 0], [7, 0, 1]])
    assert match_regions(confusion).tolist() == [2, 1, 0]


def test_two_regions_may_share_a_class():
    # Regions 0 and 1 are halves of class 0; the few pixels of class 1 are not worth a region.
    confusion = np.array([[50, 49, 0], [0, 1, 0], [0, 0, 50]])
    assert match_regions(confusion).tolist() == [0, 0, 2]


@pytest.mark.parametrize("seed", range(3))
def test_match_is_the_best_of_all_maps(seed):
    confusion = np.random.default_rng(seed).integers(0, 30, (3, 3))
    best = max(
        mean_iou(confusion @ (np.array(classes)[:, None] == np.arange(3)))
        for classes in product(range(3), repeat=3)
    )
    assert mean_iou(relabel_regions(confusion, match_regions(confusion))) == best


def test_match_of_many_classes_is_no_worse_than_any_permutation():
    confusion = np.random.default_rng(0).integers(0, 30, (6, 6))
    best = max(mean_iou(confusion[:, list(order)]) for order in permutations(range(6)))
    found = mean_iou(relabel_regions(confusion, match_regions(confusion)))
    # The same sum of six quotients, in another order.
    assert found >= best - 1e-12


def test_match_without_pixels_gives_some_class():
    assert match_regions(np.zeros((2, 2), int)).shape == (2,)


def test_relabelling_moves_columns_of_every_image():
    confusions = np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
    assert relabel_regions(confusions, np.array([1, 1])).tolist() == [
        [[0, 3], [0, 7]],
        [[0, 11], [0, 15]],
    ]


def test_another_threshold_can_beat_the_one_of_otsu():
    rng = np.random.default_rng(0)
    truth = (rng.random((256, 256)) < 0.03).astype(np.uint8)
    image = rng.normal(100, 15, truth.shape) + 80 * truth
    image = image.clip(0, 255).astype(np.uint8)
    confusion = confusion_matrix(truth, otsu_labels(image, 2), 2)
    otsu = mean_iou(relabel_regions(confusion, match_regions(confusion)))
    assert otsu < 0.55
    assert mean_iou(confusion_matrix(truth, (image > 140).astype(np.uint8), 2)) > 0.85
    assert "Other thresholds may score more" in DEFINITIONS["baselines"]
