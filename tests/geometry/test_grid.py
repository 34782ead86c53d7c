import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstool.errors import UsageError
from mstool.geometry.grid import plan_windows, spread_starts

SIZES = st.integers(1, 40)


@st.composite
def grids(draw):
    size = draw(SIZES)
    return (
        draw(st.integers(1, 150)),
        draw(st.integers(1, 150)),
        size,
        draw(st.integers(0, size - 1)),
    )


@given(grids())
def test_windows_cover_every_pixel_and_lie_inside(grid):
    height, width, size, overlap = grid
    covered = np.zeros((height, width), bool)
    for window in plan_windows(height, width, size, overlap):
        assert window.end_row <= height
        assert window.end_col <= width
        assert (window.height, window.width) == (min(size, height), min(size, width))
        covered[window.slices] = True
    assert covered.all()


@given(st.integers(1, 500), st.integers(1, 60), st.data())
def test_neighbours_share_at_least_the_overlap_and_are_spread_evenly(length, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    starts = spread_starts(length, size, overlap)
    strides = np.diff(starts)
    assert (size - strides >= overlap).all()
    assert strides.size == 0 or np.ptp(strides) <= 1
    assert starts == sorted(set(starts))


def test_no_tile_more_than_needed():
    assert spread_starts(10, size=4, overlap=0) == [0, 3, 6]
    assert spread_starts(8, size=4, overlap=0) == [0, 4]


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (4, 4), (4, -1), (4, 9)])
def test_impossible_grid_is_refused_and_not_clamped(size, overlap):
    with pytest.raises(UsageError, match=r"--size|--overlap"):
        spread_starts(10, size, overlap)
