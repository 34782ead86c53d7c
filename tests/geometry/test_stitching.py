import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mstool.errors import InputError
from mstool.geometry.blend import blend_profile, blend_window
from mstool.geometry.grid import plan_windows
from mstool.geometry.stitch import stitch_bands, stitch_tiles
from mstool.geometry.window import Window

BLENDS = ("crop", "flat", "hann", "gaussian")


@st.composite
def cuts(draw):
    size = draw(st.integers(1, 16))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    return shape, size, draw(st.integers(0, size - 1)), draw(st.sampled_from(BLENDS))


@settings(max_examples=60)
@given(cuts())
def test_cut_then_stitch_is_the_identity(cut):
    (height, width), size, overlap, blend = cut
    image = np.random.default_rng(0).random((2, height, width), np.float32)
    windows = plan_windows(height, width, size, overlap)
    tiles = [(window, image[(slice(None), *window.slices)]) for window in windows]
    stitched = stitch_tiles(tiles, height, width, blend, overlap // 2)
    np.testing.assert_allclose(stitched, image, atol=1e-5)  # float32 sums of a few weights


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_weights_are_above_zero_and_at_most_one(blend, size):
    profile = blend_profile(blend, size, halo=size // 4)
    window = blend_window(blend, profile, profile)
    assert window.shape == (size, size)
    assert (window > 0).all()
    assert (window <= 1).all()


def test_crop_takes_the_tile_in_whose_core_a_pixel_lies():
    windows = [Window(0, 0, 4, 4), Window(0, 2, 4, 4)]
    tiles = [(window, np.full((1, 4, 4), value, float)) for value, window in enumerate(windows)]
    stitched = stitch_tiles(tiles, 4, 6, "crop", halo=1)
    np.testing.assert_allclose(stitched[0, 0], [0, 0, 0, 1, 1, 1], atol=1e-6)


def test_bands_are_no_taller_than_a_tile():
    windows = plan_windows(100, 10, 8, 2)
    tiles = ((window, np.ones((1, window.height, window.width))) for window in windows)
    bands = list(stitch_bands(tiles, 100, 10))
    assert max(band.shape[1] for band in bands) <= 8
    assert sum(band.shape[1] for band in bands) == 100


def test_missing_tile_names_the_first_bare_pixel():
    windows = [window for window in plan_windows(8, 8, 4, 0) if window != Window(0, 4, 4, 4)]
    tiles = [(window, np.ones((1, 4, 4))) for window in windows]
    with pytest.raises(InputError, match="row 0, column 4"):
        stitch_tiles(tiles, 8, 8)


@pytest.mark.parametrize("left", [slice(0, 2), slice(0, 4, 2), slice(0, 0)])
def test_missing_rows_are_found(left):
    windows = [Window(row, 0, 4, 8) for row in (0, 4, 8, 12)][left]
    with pytest.raises(InputError, match="predict"):
        stitch_tiles([(window, np.ones((1, 4, 8))) for window in windows], 16, 8)


def test_tiles_out_of_order_are_refused():
    tiles = [(Window(row, 0, 4, 4), np.ones((1, 4, 4))) for row in (4, 0)]
    with pytest.raises(InputError, match="order|covers"):
        stitch_tiles(tiles, 8, 4)
