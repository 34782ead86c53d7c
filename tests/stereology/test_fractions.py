import numpy as np
import pytest

from mstool.errors import LabelError
from mstool.stereology.fractions import phase_fraction, phase_fraction_from_counts


def test_ignored_pixels_are_in_neither_numerator_nor_denominator():
    labels = np.array([[0, 0, 1], [255, 255, 255]], np.uint8)
    assert phase_fraction(labels, 3) == pytest.approx([2 / 3, 1 / 3, 0])


def test_all_ignored_gives_nan():
    assert np.isnan(phase_fraction(np.full((2, 2), 255, np.uint8), 2)).all()


def test_fractions_sum_to_one():
    labels = np.random.default_rng(0).integers(0, 7, (20, 30))
    assert phase_fraction(labels, 7).sum() == pytest.approx(1)


@pytest.mark.parametrize("value", [3, -1, 254])
def test_value_that_is_no_class_is_refused(value):
    with pytest.raises(LabelError, match=f"label {value} is neither a class, 0 to 2"):
        phase_fraction(np.array([[0, value]]), 3)


def test_floats_are_refused():
    with pytest.raises(LabelError, match="float64"):
        phase_fraction(np.zeros((2, 2)), 3)


def test_another_ignore_index_is_honoured():
    assert phase_fraction(np.array([[0, 9, 1, 1]]), 2, ignore_index=9) == pytest.approx(
        [1 / 3, 2 / 3]
    )


def test_counts_of_many_images_give_a_row_each_and_nan_where_empty():
    fractions = phase_fraction_from_counts(np.array([[1, 3], [0, 0]]))
    assert fractions[0].tolist() == [0.25, 0.75]
    assert np.isnan(fractions[1]).all()
