import numpy as np
import pytest

from mstool.errors import LabelError
from mstool.scores import confusion as confusion_module
from mstool.scores.confusion import confusion_matrix


def test_rows_are_truth_and_columns_prediction():
    truth = np.array([[0, 0, 1], [1, 2, 2]], np.uint8)
    prediction = np.array([[0, 1, 1], [1, 0, 2]], np.uint8)
    confusion = confusion_matrix(truth, prediction, 3)
    assert confusion.dtype == np.int64
    assert confusion.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]


def test_ignored_truth_is_left_out_whatever_is_predicted():
    truth = np.array([[255, 255, 255, 1]], np.uint8)
    prediction = np.array([[0, 255, 77, 1]], np.uint8)
    assert confusion_matrix(truth, prediction, 2).tolist() == [[0, 0], [0, 1]]


def test_all_ignored_gives_zeros():
    ignored = np.full((3, 3), 255, np.uint8)
    assert not confusion_matrix(ignored, ignored, 4).any()


@pytest.mark.parametrize("n_classes", [1, 2, 16, 255])
def test_it_agrees_with_counting_pixel_by_pixel(n_classes):
    rng = np.random.default_rng(n_classes)
    truth = rng.integers(0, n_classes, (15, 17)).astype(np.uint8)
    prediction = rng.integers(0, n_classes, (15, 17)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.2] = 255
    expected = np.zeros((n_classes, n_classes), int)
    for true, predicted in zip(truth.flat, prediction.flat, strict=True):
        if true != 255:
            expected[true, predicted] += 1
    assert np.array_equal(confusion_matrix(truth, prediction, n_classes), expected)


def test_bytes_are_counted_as_other_integers_are(monkeypatch):
    monkeypatch.setattr(confusion_module, "_CHUNK", 7)  # which divides no row
    rng = np.random.default_rng(2)
    truth, prediction = rng.integers(0, 5, (2, 10, 13)).astype(np.uint8)
    truth[3, ::2] = 255
    prediction[3, ::2] = 99
    fast = confusion_matrix(truth[:, ::-1], prediction[:, ::-1], 5)
    assert np.array_equal(fast, confusion_matrix(truth.astype(int), prediction.astype(int), 5))
    assert fast.sum() == 130 - 7


def test_a_class_can_be_the_ignored_one():
    truth, prediction = np.array([[0, 1, 1]], np.uint8), np.array([[0, 1, 0]], np.uint8)
    assert confusion_matrix(truth, prediction, 2, ignore_index=0).tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize("dtype", [np.uint8, int])
def test_wrong_values_are_refused_in_every_type(dtype):
    truth, prediction = np.array([[0, 1]], dtype), np.array([[0, 2]], dtype)
    with pytest.raises(LabelError, match="prediction is 2 in 1 pixels, first at 0, 1"):
        confusion_matrix(truth, prediction, 2)
    with pytest.raises(LabelError, match="truth is 2 in 1 pixels, first at 0, 1"):
        confusion_matrix(prediction, truth, 2)


def test_row_bands_sum_to_the_whole():
    rng = np.random.default_rng(1)
    truth, prediction = rng.integers(0, 3, (2, 10, 7))
    bands = [
        confusion_matrix(truth[rows], prediction[rows], 3)
        for rows in (slice(0, 4), slice(4, 4), slice(4, 10))
    ]
    assert np.array_equal(sum(bands), confusion_matrix(truth, prediction, 3))


@pytest.mark.parametrize("value", [255, 2, -1])
def test_prediction_that_is_no_class_is_refused_where_truth_has_one(value):
    truth, prediction = np.array([[0, 1]]), np.array([[0, value]])
    with pytest.raises(LabelError, match=f"prediction is {value} in 1 pixels, first at 0, 1"):
        confusion_matrix(truth, prediction, 2)


def test_truth_that_is_no_class_is_refused():
    with pytest.raises(LabelError, match="truth is 7 .* neither a class nor ignored"):
        confusion_matrix(np.array([[0], [7]]), np.array([[0], [0]]), 2)


def test_different_sizes_are_refused():
    with pytest.raises(LabelError, match=r"\(1, 2\), truth \(2, 1\)"):
        confusion_matrix(np.zeros((2, 1), int), np.zeros((1, 2), int), 2)


def test_probabilities_are_refused():
    with pytest.raises(LabelError, match="prediction has values of type float32"):
        confusion_matrix(np.zeros((2, 2), int), np.zeros((2, 2), np.float32), 2)
