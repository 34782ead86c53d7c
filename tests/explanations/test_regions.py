import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from mstool.explanations.field_of_view import Field, how_well_placed, select_pixels
from mstool.explanations.regions import LEAST_PX, describe_sample, draw_regions
from mstool.geometry.grid import plan_windows
from mstool.geometry.window import Window


def field_of(region, name="a", group=None):
    probabilities = np.stack([~region, region]).astype(np.float32)
    image = np.zeros((*region.shape, 1), np.float32)
    window = Window(0, 0, *region.shape)
    return Field(name, name, group or name, image, None, window, None, probabilities, region)


def squares(edge, n=1, size=12):
    """Field with n squares, evenly spread along its diagonal."""
    region = np.zeros((edge, edge), bool)
    for start in np.linspace(0, edge - size, n).astype(int):
        region[start : start + size, start : start + size] = True
    return region


@pytest.mark.parametrize(
    ("name", "micrograph", "stem"),
    [("a.b.tif", "a.b.tif", "a.b"), ("a.b_r00000_c00064", "a.b.tif", "a.b_r00000_c00064")],
)
def test_tiles_have_no_suffix_to_lose(name, micrograph, stem):
    field = field_of(np.ones((9, 9), bool), name)
    assert replace(field, micrograph=micrograph).stem == stem


def test_regions_are_spread_over_micrographs():
    fields = [field_of(squares(400, 8), name) for name in "abc"]
    regions = draw_regions(fields, 6, 64, 0)
    assert [region.field for region in regions] == list("abcabc")
    assert describe_sample(regions).n_micrographs == 3
    assert describe_sample(regions).n_overlapping == 0


def test_fields_of_one_micrograph_and_micrographs_of_one_group_wait_for_others():
    origins = [("a", "x"), ("a", "x"), ("b", "x"), ("c", "y"), ("c", "y")]
    fields = [
        replace(field_of(squares(100), f"tile{number}", group), micrograph=micrograph)
        for number, (micrograph, group) in enumerate(origins)
    ]
    regions = draw_regions(fields, 5, 64, 0)
    assert [region.micrograph for region in regions] == list("acbca")


def test_windows_overlap_only_where_there_is_no_other_place_in_any_field():
    crowded, roomy = field_of(squares(200, 10), "crowded"), field_of(squares(1400, 10), "roomy")
    regions = draw_regions([crowded, roomy], 6, 128, 0)
    assert describe_sample(regions).n_overlapping == 0
    assert sum(region.field == "roomy" for region in regions) >= 4
    more = draw_regions([crowded], 4, 128, 0)
    assert len(more) == 4
    assert describe_sample(more).n_overlapping > 0


def test_no_pixel_is_drawn_twice():
    region = np.ones((80, 96), bool)
    seen = np.zeros(region.shape, int)
    regions = draw_regions([field_of(region)], 9, 64, 0)
    assert len(regions) > 3  # of one component
    for found in regions:
        cut = np.s_[found.row : found.row + 64, found.col : found.col + 64]
        seen[cut] += found.inside
    assert seen.max() == 1


def test_regions_of_small_fields_leave_room_around_them():
    for region in draw_regions([field_of(np.ones((60, 80), bool))], 3, 192, 0):
        assert 0 < region.inside.sum() <= np.pi * 21**2


def test_a_point_is_asked_about_in_the_field_in_whose_middle_it_lies():
    probabilities = np.zeros((2, 512, 512))
    windows = plan_windows(1000, 1000, 512, 0)

    def placed(window):
        return how_well_placed(select_pixels("point", (510, 505), 1, probabilities, None, window))

    assert sum(placed(window)[0] for window in windows) == 4  # fields overlap
    assert max(windows, key=placed) == Window(488, 488, 512, 512)
    assert how_well_placed(np.zeros((9, 9), bool)) == (0, -np.inf)


def test_groups_are_the_units():
    fields = [field_of(squares(100), name, group) for name, group in ("ax", "bx", "cy")]
    sample = describe_sample(draw_regions(fields, 8, 64, 0))
    assert (sample.n_micrographs, sample.n_units, sample.n_regions) == (3, 2, 3)


def test_specks_are_left_alone_where_there_are_larger_regions():
    region = squares(300, 2)
    region[150, ::3] = True
    assert {int(r.inside.sum()) for r in draw_regions([field_of(region)], 8, 64, 0)} == {144}


@pytest.mark.parametrize("shape", [np.s_[40:41, 90:91], np.s_[50:51, :], np.s_[10:12, 10:13]])
def test_a_point_a_line_and_a_speck_are_regions_where_there_is_nothing_else(shape):
    region = np.zeros((100, 120), bool)
    region[shape] = True
    regions = draw_regions([field_of(region)], 3, 64, 0)
    assert 1 <= len(regions) <= 3
    assert all(region.inside.any() for region in regions)


def test_thousands_of_specks_cost_next_to_nothing():
    region = np.zeros((512, 512), bool)
    region[::6, ::6] = region[1::6, ::6] = True
    assert region.sum() < 2 * 7400 and LEAST_PX > 2
    fields = [field_of(region)]
    tracemalloc.start()
    regions = draw_regions(fields, 8, 192, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(regions) == 8
    assert peak < 30e6  # eight windows are 8 x 192 x 192 x 7 bytes, and some maps of the field


def test_same_seed_same_regions():
    fields = [field_of(squares(300, 6))]
    first, second, other = (draw_regions(fields, 4, 64, seed) for seed in (1, 1, 2))
    places = [[(r.row, r.col) for r in regions] for regions in (first, second, other)]
    assert places[0] == places[1] != places[2]


PROBABILITIES = np.array(
    [
        [[0.9, 0.45, 0.1, 0.1, 0.9, 0.2]],
        [[0.1, 0.55, 0.9, 0.9, 0.1, 0.8]],
    ]
)


@pytest.mark.parametrize(
    ("kind", "numbers", "expected"),
    [
        ("class", (), [0, 1, 1, 1, 0, 1]),
        ("component", (1,), [0, 1, 1, 1, 0, 0]),
        ("component", (2,), [0, 0, 0, 0, 0, 1]),
        ("component", (3,), [0, 0, 0, 0, 0, 0]),
        ("errors", (), [0, 0, 1, 0, 0, 0]),
        ("uncertain", (), [0, 1, 0, 0, 0, 0]),
        ("boundary", (), [1, 1, 0, 1, 1, 1]),
        ("point", (7, 12), [0, 0, 1, 0, 0, 0]),
        ("box", (0, 13, 9, 2), [0, 0, 0, 1, 1, 0]),
        ("box", (0, 0, 3, 90), [0, 0, 0, 0, 0, 0]),
    ],
)
def test_pixels_that_are_asked_about(kind, numbers, expected):
    truth = np.array([[0, 1, 0, 1, 1, 255]], np.uint8)
    window = Window(7, 10, 1, 6)
    found = select_pixels(kind, numbers, 1, PROBABILITIES, truth, window)
    np.testing.assert_array_equal(found, np.array([expected], bool))
