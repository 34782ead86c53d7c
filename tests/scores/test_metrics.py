import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mstool.scores.confusion import confusion_matrix
from mstool.scores.metrics import (
    accuracy,
    average_metrics,
    compute_metrics,
    dice,
    iou,
    kappa,
    mcc,
    mean_iou,
    mean_iou_of_truth,
    precision,
    recall,
)

# Class 0: tp 4, fn 1, fp 2.  Class 1: tp 3, fn 2, fp 1.  Class 2 is absent.
BY_HAND = np.array([[4, 1, 0], [2, 3, 0], [0, 0, 0]])

confusions = st.integers(1, 5).flatmap(
    lambda n: arrays(np.int64, (n, n), elements=st.integers(0, 9) | st.just(0))
)


def test_scores_agree_with_hand_calculation():
    metrics = compute_metrics(BY_HAND)
    assert metrics.iou[:2] == pytest.approx([4 / 7, 3 / 6])
    assert metrics.dice[:2] == pytest.approx([8 / 11, 6 / 9])
    assert metrics.precision[:2] == pytest.approx([4 / 6, 3 / 4])
    assert metrics.recall[:2] == pytest.approx([4 / 5, 3 / 5])
    assert metrics.accuracy == pytest.approx(7 / 10)
    assert metrics.mean_iou == pytest.approx((4 / 7 + 3 / 6) / 2)


def test_a_pixel_of_a_class_that_is_not_there_does_not_make_the_better_prediction_the_worse():
    worse = 100 * BY_HAND
    better = np.array([[499, 0, 1], *worse[1:]])  # one pixel of 500 is taken for the absent class
    assert mean_iou(better) < mean_iou(worse)
    assert mean_iou_of_truth(better) == pytest.approx((499 / 700 + 3 / 5) / 2)
    assert mean_iou_of_truth(worse) == mean_iou(worse) == pytest.approx((4 / 7 + 3 / 6) / 2)
    assert np.isnan(mean_iou_of_truth(np.zeros((2, 2))))


def test_kappa_and_mcc_agree_with_hand_calculation():
    # support 5, 5, 0; predicted 6, 4, 0; chance (30 + 20) / 100
    assert kappa(BY_HAND) == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert mcc(BY_HAND) == pytest.approx((10 * 7 - 50) / np.sqrt((100 - 50) * (100 - 52)))


@pytest.mark.parametrize("score", [kappa, mcc])
def test_chance_scores_zero_and_the_truth_one(score):
    assert score(np.diag([5, 7, 2])) == 1
    assert score(np.outer([2, 3, 5], [4, 4, 2])) == pytest.approx(0)


def test_one_class_alone_has_no_kappa_and_no_mcc():
    assert np.isnan(kappa(np.diag([5, 0]))) and np.isnan(mcc(np.diag([5, 0])))
    assert kappa([[5, 3], [0, 0]]) == 0 and np.isnan(mcc([[5, 3], [0, 0]]))


def test_many_pixels_do_not_overflow():
    many = BY_HAND * 10**9
    assert kappa(many) == pytest.approx(kappa(BY_HAND))
    assert mcc(many) == pytest.approx(mcc(BY_HAND))


@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_kappa_and_mcc_agree_with_scikit_learn(n_classes):
    oracle = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(n_classes)
    truth = rng.integers(0, n_classes, 500)
    prediction = np.where(rng.random(500) < 0.6, truth, rng.integers(0, n_classes, 500))
    confusion = confusion_matrix(truth[None], prediction[None], n_classes)
    assert kappa(confusion) == pytest.approx(oracle.cohen_kappa_score(truth, prediction), abs=1e-9)
    assert mcc(confusion) == pytest.approx(oracle.matthews_corrcoef(truth, prediction), abs=1e-9)


def test_absent_class_scores_nan():
    metrics = compute_metrics(BY_HAND)
    for scores in (metrics.iou, metrics.dice, metrics.precision, metrics.recall):
        assert np.isnan(scores[2])


def test_perfect_prediction_with_an_absent_class_has_mean_iou_one():
    assert mean_iou(np.diag([5, 7, 0])) == 1


def test_class_predicted_but_not_true_has_iou_zero_and_no_recall():
    confusion = np.array([[3, 1], [0, 0]])
    assert iou(confusion).tolist() == [0.75, 0]
    assert mean_iou(confusion) == 0.375
    assert np.isnan(recall(confusion)[1]) and precision(confusion)[1] == 0


def test_class_true_but_never_predicted_has_iou_zero_and_no_precision():
    confusion = np.array([[3, 0], [1, 0]])
    assert iou(confusion)[1] == 0
    assert np.isnan(precision(confusion)[1]) and recall(confusion)[1] == 0


def test_without_pixels_every_score_is_nan():
    metrics = compute_metrics(np.zeros((2, 2), int))
    assert np.isnan(metrics.mean_iou) and np.isnan(metrics.accuracy)
    assert np.isnan(metrics.iou).all()


def test_scores_agree_with_sets_of_pixels():
    rng = np.random.default_rng(4)
    truth, prediction = rng.integers(0, 4, (2, 12, 12))
    confusion = confusion_matrix(truth, prediction, 4)
    for index in range(4):
        true, predicted = truth == index, prediction == index
        assert iou(confusion)[index] == (true & predicted).sum() / (true | predicted).sum()
    assert accuracy(confusion) == (truth == prediction).mean()


@settings(max_examples=100, deadline=None)
@given(confusions)
def test_dice_is_2j_over_1_plus_j(confusion):
    jaccard = iou(confusion)
    # One division each: equal to a few units in the last place.
    np.testing.assert_allclose(dice(confusion), 2 * jaccard / (1 + jaccard), rtol=1e-14)


@settings(max_examples=100, deadline=None)
@given(confusions)
def test_swapping_truth_and_prediction_swaps_precision_and_recall(confusion):
    np.testing.assert_array_equal(precision(confusion), recall(confusion.T))
    np.testing.assert_array_equal(iou(confusion), iou(confusion.T))


@settings(max_examples=100, deadline=None)
@given(confusions)
def test_defined_scores_lie_between_zero_and_one(confusion):
    for score in (iou, dice, precision, recall, accuracy, mean_iou):
        values = score(confusion)
        assert ((values >= 0) & (values <= 1) | np.isnan(values)).all()


@settings(max_examples=50, deadline=None)
@given(confusions)
def test_more_pixels_of_the_same_kind_change_nothing(confusion):
    np.testing.assert_array_equal(iou(3 * confusion), iou(confusion))


def test_stack_of_matrices_gives_a_stack_of_scores():
    stack = np.stack([BY_HAND, 2 * BY_HAND.T])
    assert np.array_equal(iou(stack)[1], iou(BY_HAND.T), equal_nan=True)
    assert mean_iou(stack).shape == (2,)


def test_image_mean_leaves_out_images_where_the_score_is_undefined():
    images = np.array([[[2, 2], [0, 0]], [[3, 0], [0, 1]], [[0, 0], [0, 0]]])
    metrics = average_metrics(images)
    assert metrics.iou == pytest.approx([(0.5 + 1) / 2, (0 + 1) / 2])
    assert metrics.recall == pytest.approx([(0.5 + 1) / 2, 1])
    assert metrics.mean_iou == pytest.approx((0.25 + 1) / 2)
    assert metrics.accuracy == pytest.approx((0.5 + 1) / 2)


def test_image_mean_of_images_without_pixels_is_nan():
    assert np.isnan(average_metrics(np.zeros((2, 2, 2), int)).mean_iou)
