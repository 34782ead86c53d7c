import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mstool.geometry.padding import pad_by_reflection
from mstool.geometry.resample import (
    axis_weights,
    nearest_indices,
    pick_window,
    resample,
    resample_bands,
    resample_window,
    scaled_length,
)
from mstool.geometry.window import Window

LENGTHS = st.integers(1, 40)


def reader(image):
    return lambda row, col, height, width: image[row : row + height, col : col + width]


@given(LENGTHS, LENGTHS)
def test_weights_sum_to_one_and_keep_constants(n_in, n_out):
    weights = axis_weights(n_in, n_out)
    assert weights.shape == (n_out, n_in)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    assert weights.data.min() > 0


def test_same_length_changes_nothing():
    np.testing.assert_array_equal(axis_weights(5, 5).toarray(), np.eye(5))


def test_doubling_interpolates_linearly_by_hand():
    doubled = axis_weights(2, 4) @ np.array([0.0, 4.0])
    np.testing.assert_allclose(doubled, [0, 1, 3, 4])


def test_halving_averages_so_that_stripes_do_not_alias():
    stripes = np.tile([0.0, 1.0], 20)
    halved = axis_weights(40, 20) @ stripes
    np.testing.assert_allclose(halved[1:-1], 0.5, atol=1e-6)


@settings(max_examples=40)
@given(LENGTHS, LENGTHS, st.floats(0.3, 3), st.data())
def test_window_equals_the_same_window_of_the_whole(height, width, scale, data):
    image = np.random.default_rng(1).random((height, width), np.float32)
    rows = axis_weights(height, scaled_length(height, scale))
    cols = axis_weights(width, scaled_length(width, scale))
    whole = resample(image, rows, cols)
    row, col = (
        data.draw(st.integers(0, whole.shape[0] - 1)),
        data.draw(st.integers(0, whole.shape[1] - 1)),
    )
    window = Window(row, col, whole.shape[0] - row, whole.shape[1] - col)
    cut = resample_window(reader(image), window, rows, cols)
    np.testing.assert_array_equal(cut, whole[window.slices])


@settings(max_examples=40)
@given(LENGTHS, LENGTHS, LENGTHS, LENGTHS, st.integers(1, 9))
def test_bands_give_the_same_as_the_whole(height, width, tall, wide, n_rows):
    image = np.random.default_rng(2).random((2, height, width), np.float32)
    bands = (image[:, row : row + n_rows] for row in range(0, height, n_rows))
    result = np.concatenate(list(resample_bands(bands, (height, width), (tall, wide))), axis=1)
    rows, cols = axis_weights(height, tall), axis_weights(width, wide)
    expected = resample(image.transpose(1, 2, 0), rows, cols).transpose(2, 0, 1)
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_labels_are_picked_and_never_mixed():
    labels = np.array([[0, 9], [9, 0]])
    indices = nearest_indices(2, 4)
    picked = pick_window(reader(labels), Window(0, 1, 4, 3), indices, indices)
    np.testing.assert_array_equal(picked, [[0, 9, 9], [0, 9, 9], [9, 0, 0], [9, 0, 0]])


def test_colour_is_resampled_by_channel():
    image = np.random.default_rng(3).random((6, 7, 3), np.float32)
    rows, cols = axis_weights(6, 9), axis_weights(7, 5)
    result = resample(image, rows, cols)
    assert result.shape == (9, 5, 3)
    np.testing.assert_allclose(result[..., 1], resample(image[..., 1], rows, cols), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 9, 3)])
def test_reflection_fills_up_and_leaves_the_rest(shape):
    image = np.random.default_rng(4).random(shape)
    padded = pad_by_reflection(image, 8, 8)
    assert padded.shape[:2] == (8, max(8, shape[1]))
    np.testing.assert_array_equal(padded[: shape[0], : shape[1]], image)
