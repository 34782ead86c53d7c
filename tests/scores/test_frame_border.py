import numpy as np
import pytest

from mstool.scores.frame_border import leave_out_border


def test_bands_of_rows_are_cut_as_the_whole():
    labels = np.arange(42, dtype=np.uint8).reshape(7, 6)
    whole = leave_out_border(labels, 0, 7, 2)
    assert np.argwhere(whole != 255).tolist() == [[row, col] for row in (2, 3, 4) for col in (2, 3)]
    for n_rows in (1, 2, 3):
        bands = [
            leave_out_border(labels[row : row + n_rows], row, 7, 2) for row in range(0, 7, n_rows)
        ]
        assert np.array_equal(np.concatenate(bands), whole)


@pytest.mark.parametrize("border", [0, 1])
def test_type_is_kept(border):
    assert leave_out_border(np.ones((3, 3), np.uint8), 0, 3, border).dtype == np.uint8


def test_without_a_border_nothing_is_left_out():
    labels = np.ones((2, 2), np.uint8)
    assert np.array_equal(leave_out_border(labels, 0, 2, 0), labels)
