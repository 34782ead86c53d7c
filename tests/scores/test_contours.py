import numpy as np
import pytest

from mstool.scores import contours
from mstool.scores.contours import grow, trace_contours


def labels_of(seed, shape=(13, 17), n_classes=3, ignored=0.1):
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, n_classes, shape), np.ones((2, 2))).astype(np.uint8)
    labels[rng.random(labels.shape) < ignored] = 255
    return labels


def by_brute_force(labels):
    """Contours, pixel by pixel."""
    found = np.zeros(labels.shape, bool)
    for row, col in np.ndindex(labels.shape):
        for down, across in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            there = row + down, col + across
            if min(there) < 0 or there[0] >= labels.shape[0] or there[1] >= labels.shape[1]:
                continue
            pair = {labels[row, col], labels[there]}
            found[row, col] |= len(pair) == 2 and 255 not in pair
    return found


def test_contour_is_on_both_sides_and_not_on_the_edge():
    labels = np.zeros((4, 4), np.uint8)
    labels[2:, 2:] = 1
    assert trace_contours(labels).astype(int).tolist() == [
        [0, 0, 0, 0],
        [0, 0, 1, 1],
        [0, 1, 1, 1],
        [0, 1, 1, 0],
    ]


def test_rim_of_ignored_pixels_is_no_contour():
    assert not trace_contours(np.array([[0, 0, 255, 1, 1]], np.uint8)).any()


@pytest.mark.parametrize("seed", range(3))
def test_contours_agree_with_looking_at_each_pixel(seed):
    labels = labels_of(seed)
    assert np.array_equal(trace_contours(labels), by_brute_force(labels))


@pytest.mark.parametrize("reach", [0.5, 1, 1.5, 2, 2.3, 5])
@pytest.mark.parametrize("band", [1, 40, 10**6])
def test_grown_contours_agree_with_all_distances(reach, band, monkeypatch):
    monkeypatch.setattr(contours, "_BAND_PIXELS", band)
    contour = np.random.default_rng(0).random((19, 11)) < 0.02
    assert contour.any()
    places = np.argwhere(np.ones_like(contour))
    distances = np.linalg.norm(places[:, None] - np.argwhere(contour), axis=2).min(axis=1)
    expected = (distances < reach).reshape(contour.shape)
    assert np.array_equal(grow(contour, reach), expected)


def test_nothing_grows_to_nothing():
    assert not grow(np.zeros((3, 3), bool), 2).any()
