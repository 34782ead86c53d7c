"""Grey levels of the classes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mstool.phantoms.grey_values import histogram_distance, match_classes


def test_distance_by_hand():
    # at grey 2 one class is half done, the other not begun
    image = np.array([[1, 3], [2, 4]])
    labels = np.array([[0, 0], [1, 1]])

    assert histogram_distance(image, labels, n_classes=2) == 0.5


def test_equal_greys_have_no_distance():
    labels = np.array([[0, 1, 255]])

    assert histogram_distance(np.array([[3, 3, 9]]), labels, n_classes=2) == 0.0


def test_distance_of_one_class_alone_is_nan():
    assert np.isnan(histogram_distance(np.ones((2, 2)), np.zeros((2, 2), int), n_classes=2))


@given(seed=st.integers(0, 10_000), share=st.floats(0.1, 0.9), offset=st.floats(-5, 5))
@settings(max_examples=20, deadline=None)
def test_matched_classes_are_alike_and_keep_their_order(seed, share, offset):
    rng = np.random.default_rng(seed)
    labels = (rng.random((80, 80)) < share).astype(np.uint8)
    image = rng.normal(size=labels.shape) * (1 + labels) + offset * labels

    matched = match_classes(image, labels, mean=0.4, spread=0.1)

    smallest = np.bincount(labels.ravel()).min()
    assert histogram_distance(matched, labels, 2) <= 2 / smallest + 2 / 1024
    assert abs(matched.mean() - 0.4) < 0.01
    for index in range(2):
        own = labels == index
        assert np.all(np.diff(matched[own][np.argsort(image[own])]) >= 0)
