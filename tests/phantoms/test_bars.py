"""Scale bar and information bar."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstool.phantoms.bars import (
    LIGHT,
    burn_scale_bar,
    choose_bar_length,
    draw_info_bar,
    draw_text,
    info_bar_height,
)


@given(width=st.integers(64, 8192), pixel_size_um=st.floats(1e-3, 10))
def test_bar_length_is_round_and_about_a_fifth_of_the_image(width, pixel_size_um):
    length_um = choose_bar_length(width, pixel_size_um)

    assert f"{length_um:e}"[0] in "125"
    assert 0.12 < length_um / (width * pixel_size_um) < 0.33


def test_text_zooms_without_a_change_of_shape():
    np.testing.assert_array_equal(draw_text("10 UM", zoom=3)[1::3, 1::3], draw_text("10 UM"))


def longest_run(row):
    """Length of the longest run of light pixels."""
    padded = np.concatenate([[False], row == LIGHT, [False]])
    ends = np.flatnonzero(np.diff(padded.astype(int)))
    return int((ends[1::2] - ends[::2]).max(initial=0))


@pytest.mark.parametrize("shape", [(64, 64), (300, 400), (512, 512)])
def test_burned_bar_is_as_long_as_it_says(shape):
    burned, length_um = burn_scale_bar(np.full(shape, 0.5), 0.1, bottom=shape[0])

    runs = [longest_run(row) for row in burned]
    assert max(runs) == round(length_um / 0.1)
    assert np.mean(burned == 0.5) > 0.8


def test_burned_bar_stays_above_the_bottom_row_given():
    burned, _ = burn_scale_bar(np.full((100, 100), 0.5), 0.1, bottom=60)

    assert np.all(burned[60:] == 0.5)
    assert np.any(burned[:60] != 0.5)


@pytest.mark.parametrize("shape", [(64, 64), (512, 512), (300, 2000)])
def test_info_bar_is_a_dark_strip_with_light_marks(shape):
    strip = draw_info_bar(shape, 0.1)

    assert strip.shape == (info_bar_height(shape), shape[1])
    assert 0.01 < np.mean(strip[1:] == LIGHT) < 0.5
    assert longest_run(strip[4]) == round(choose_bar_length(shape[1], 0.1) / 0.1)
