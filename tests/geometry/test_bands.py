import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mstool.errors import InputError
from mstool.geometry.bands import stitch_bands, stitch_tiles
from mstool.geometry.blend import blend_weights, depth_in_tile
from mstool.geometry.grid import plan_windows
from mstool.geometry.window import Window

AVERAGES = ("flat", "hann", "gaussian")
BLENDS = ("crop", *AVERAGES)


@st.composite
def cuts(draw):
    size = draw(st.integers(1, 16))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    return shape, size, draw(st.integers(0, size - 1))


def numbered(windows, n_channels=1):
    """Tiles of which each holds its own number, so that a pixel tells where it came from."""
    for number, window in enumerate(windows):
        yield window, np.full((n_channels, window.height, window.width), number, np.float32)


def deepest_tile(windows, height, width):
    """Number of the tile that each pixel belongs to, pixel by pixel and from the words alone."""
    found = np.zeros((height, width))
    for row, col in np.ndindex(height, width):
        depths = []
        for window in windows:
            edges = [
                (row - window.row + 1, window.row > 0),
                (window.end_row - row, window.end_row < height),
                (col - window.col + 1, window.col > 0),
                (window.end_col - col, window.end_col < width),
            ]
            is_inside = min(distance for distance, _ in edges) > 0
            known = [distance for distance, is_edge_of_tile in edges if is_edge_of_tile]
            depths.append(min(known, default=np.inf) if is_inside else 0)
        found[row, col] = depths.index(max(depths))
    return found


@settings(max_examples=60)
@given(cuts(), st.sampled_from(BLENDS))
def test_cut_then_stitch_is_the_identity(cut, blend):
    (height, width), size, overlap = cut
    image = np.random.default_rng(0).random((2, height, width), np.float32)
    windows = plan_windows(height, width, size, overlap)
    tiles = [(window, image[(slice(None), *window.slices)]) for window in windows]
    stitched = stitch_tiles(tiles, height, width, blend)
    # float32 sums of a few weights; crop takes the values as they are
    np.testing.assert_allclose(stitched, image, rtol=0, atol=0 if blend == "crop" else 1e-5)


@pytest.mark.parametrize("blend", AVERAGES)
@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_weights_are_above_zero_and_at_most_one(blend, size):
    weights = blend_weights(blend, size, 5)
    assert weights.shape == (size, 5)
    assert (weights > 0).all()
    assert (weights <= 1).all()


@pytest.mark.parametrize(
    ("window", "shape", "depth"),
    [
        (Window(0, 0, 3, 3), (3, 3), [[np.inf] * 3] * 3),
        (Window(1, 1, 3, 3), (9, 9), [[1, 1, 1], [1, 2, 1], [1, 1, 1]]),
        (Window(0, 0, 3, 3), (9, 9), [[3, 2, 1], [2, 2, 1], [1, 1, 1]]),
        (Window(6, 0, 3, 3), (9, 3), [[1, 1, 1], [2, 2, 2], [3, 3, 3]]),
    ],
    ids=["whole-image", "inside", "corner", "bottom"],
)
def test_depth_counts_from_edges_that_are_none_of_the_image(window, shape, depth):
    assert depth_in_tile(window, *shape).tolist() == depth


@pytest.mark.parametrize(
    ("starts", "size", "width", "expected"),
    [
        ((0, 2), 4, 6, [0, 0, 0, 1, 1, 1]),  # an even overlap is halved
        ((0, 2), 5, 7, [0, 0, 0, 0, 1, 1, 1]),  # the middle of an odd one is the first tile's
        ((0, 1, 3), 5, 8, [0, 0, 0, 1, 1, 2, 2, 2]),  # three tiles over one pixel, unevenly
        ((0, 2, 3), 5, 8, [0, 0, 0, 0, 1, 2, 2, 2]),
        ((0, 4), 4, 8, [0, 0, 0, 0, 1, 1, 1, 1]),  # no overlap
    ],
)
def test_crop_takes_each_pixel_from_the_tile_it_lies_deepest_in(starts, size, width, expected):
    windows = [Window(0, start, 2, size) for start in starts]
    across = stitch_tiles(numbered(windows), 2, width, "crop")
    assert across[0].tolist() == [expected] * 2
    windows = [Window(start, 0, size, 2) for start in starts]
    down = stitch_tiles(numbered(windows), width, 2, "crop")
    assert down[0].T.tolist() == [expected] * 2


@settings(max_examples=60)
@given(cuts())
def test_crop_agrees_with_a_search_over_all_tiles(cut):
    (height, width), size, overlap = cut
    windows = plan_windows(height, width, size, overlap)
    stitched = stitch_tiles(numbered(windows), height, width, "crop")
    np.testing.assert_array_equal(stitched[0], deepest_tile(windows, height, width))


@pytest.mark.parametrize("own_height", [1, 3, 7, 12])
@pytest.mark.parametrize("blend", BLENDS)
def test_height_of_the_bands_changes_nothing(blend, own_height):
    # bands are as tall as the first tile, or the tallest since
    windows = [Window(0, 0, own_height, 1), *(Window(row, 0, 3, 4) for row in range(10))]
    windows += [window for window in plan_windows(12, 11, 5, 3) if window.col > 0]
    tiles = dict(numbered(sorted(windows)))
    whole = stitch_tiles(tiles.items(), 12, 11, blend)
    np.testing.assert_allclose(whole[0], by_definition(tiles, 12, 11, blend), rtol=1e-5)


def by_definition(tiles, height, width, blend):
    """The whole image at once, without bands."""
    if blend == "crop":
        return deepest_tile(list(tiles), height, width)
    total, weight = np.zeros((height, width)), np.zeros((height, width))
    for window, values in tiles.items():
        own = blend_weights(blend, window.height, window.width)
        total[window.slices] += own * values[0]
        weight[window.slices] += own
    return total / weight


def test_bands_are_no_taller_than_a_tile():
    bands = list(stitch_bands(numbered(plan_windows(100, 10, 8, 2)), 100, 10))
    assert max(band.shape[1] for band in bands) <= 8
    assert sum(band.shape[1] for band in bands) == 100


def test_missing_tile_names_the_first_bare_pixel():
    windows = [window for window in plan_windows(8, 8, 4, 0) if window != Window(0, 4, 4, 4)]
    with pytest.raises(InputError, match="row 0, column 4"):
        stitch_tiles(numbered(windows), 8, 8)


@pytest.mark.parametrize("blend", BLENDS)
def test_gaps_that_are_allowed_are_zero_in_every_channel(blend):
    tiles = [(Window(3, 1, 2, 2), np.ones((2, 2, 2), np.float32))]
    stitched = np.concatenate(list(stitch_bands(tiles, 9, 4, blend, allow_gaps=True)), axis=1)
    assert stitched.shape == (2, 9, 4)
    assert np.argwhere(stitched[1]).tolist() == [[3, 1], [3, 2], [4, 1], [4, 2]]
    np.testing.assert_array_equal(stitched[0], stitched[1])


@pytest.mark.parametrize("left", [slice(0, 2), slice(0, 4, 2), slice(0, 0)])
def test_missing_rows_are_found(left):
    windows = [Window(row, 0, 4, 8) for row in (0, 4, 8, 12)][left]
    with pytest.raises(InputError, match="predict"):
        stitch_tiles(numbered(windows), 16, 8)


@pytest.mark.parametrize("second", [Window(0, 4, 4, 4), Window(4, 0, 4, 4)], ids=["row", "column"])
def test_tiles_out_of_order_are_refused(second):
    tiles = numbered([Window(4, 4, 4, 4), second])
    with pytest.raises(InputError, match="out of order"):
        list(stitch_bands(tiles, 8, 8, allow_gaps=True))
