"""Sets of micrographs: opened with every check, and read alike from files and from tiles."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from mstool.errors import InputError, UsageError
from mstool.io.tiles import write_tile_image
from mstool.micrographs.find import Naming, find_set
from mstool.micrographs.sets import Reading, common_pixel_size, open_set
from mstool.micrographs.tile_folder import open_tile_folder
from mstool.reporting import Reporter


def opened(folder, reading=None, labels=None):
    report = Reporter()
    files = find_set([folder], labels and [labels], Naming(), report)
    return open_set(files, reading or Reading(), None, report)


def first_view(found, size=16):
    return next(iter(found.views(found.members[0], size)))


# Micrographs


def test_scale_and_pixel_size_hold_for_the_set_and_its_views(raw):
    found = opened(raw, Reading(scale=0.5, pixel_size_um=0.2), raw.parent / "labels")
    view = first_view(found)
    assert (found.scale, found.pixel_size_um, view.pixel_size_um) == (0.5, 0.4, 0.4)
    assert view.image.shape == (10, 15, 1)
    assert view.truth.shape == (10, 15)


def test_scaled_whole_numbers_are_rounded_to_the_nearest(raw):
    values = np.array([[0, 1], [1, 1]], np.uint8)
    for path in raw.iterdir():
        tifffile.imwrite(path, np.tile(values, (8, 8)))
    image = first_view(opened(raw, Reading(scale=0.5))).image
    assert (image == 1).all()


@pytest.mark.parametrize(
    ("sizes", "common"),
    [
        ([], None),
        ([None], None),
        ([0.1, None], None),
        ([0.1, 0.1], 0.1),
        ([0.1, 0.101], 0.1005),
        ([0.1, 0.103], None),
    ],
    ids=str,
)
def test_pixel_sizes_have_a_mean_where_all_are_known_and_nearly_the_same(sizes, common):
    assert common_pixel_size(sizes) == pytest.approx(common)


def test_true_colour_is_grey_where_that_is_asked_for(raw):
    for path in raw.iterdir():
        colour = np.zeros((20, 30, 3), np.uint8)
        colour[..., 1] = 100
        tifffile.imwrite(path, colour, photometric="rgb")
    assert opened(raw).n_channels == 3
    found = opened(raw, Reading(grey=True))
    assert found.n_channels == 1
    assert (first_view(found).image == 59).all()


def test_greys_are_rescaled_to_the_bits_that_are_asked_for(raw):
    found = opened(raw, Reading(greys=(0, 510), bits=16))
    stored = tifffile.imread(raw / "heat1_a.tif")[:16, :16]
    assert found.dtype == "uint16"
    np.testing.assert_allclose(first_view(found).image[..., 0], stored * 128.5, atol=0.5)


def test_greys_of_each_micrograph_can_be_its_own(raw):
    paths = sorted(raw.iterdir())
    stored = tifffile.imread(paths[0])
    tifffile.imwrite(paths[1], (stored // 2 + 90).astype(np.uint8))
    found = opened(raw, Reading(greys="each"))
    assert (found.has_own_greys, found.levels, found.given(()).has_own_greys) == (True, None, True)
    one, other = (found.open(member).micrograph.read().astype(float) for member in found.members)
    assert np.abs(one - other).max() <= 2
    assert not opened(raw).given(()).has_own_greys
    wide = opened(raw, Reading(greys="each", bits=16))
    assert wide.dtype == wide.open(wide.members[0]).micrograph.read().dtype == np.uint16


@pytest.mark.parametrize("own", [True, False])
def test_tiles_know_whether_greys_are_each_micrographs_own(raw, own):
    tiles = SimpleNamespace(has_own_greys=own, legend=None, scale=1.0)
    assert replace(opened(raw), tiles=tiles).given(()).has_own_greys is own


@pytest.mark.parametrize(("dtype", "bits"), [(np.float32, 8), (np.uint16, 16)])
def test_other_pixels_are_refused_with_the_bits_that_hold_both(raw, dtype, bits):
    tifffile.imwrite(raw / "heat2_b.tif", np.ones((20, 30), dtype))
    with pytest.raises(InputError, match=f"give --bits {bits} to make them alike"):
        opened(raw)
    assert opened(raw, Reading(bits=bits)).dtype == f"uint{bits}"


def test_few_views_are_spread_from_the_first_to_the_last(raw):
    found = opened(raw)
    windows = [view.window for view in found.views(found.members[0], 5)]
    few = [view.window for view in found.views(found.members[0], 5, most=3)]
    assert (len(windows), len(few)) == (24, 3)
    assert (few[0], few[-1]) == (windows[0], windows[-1])


# Tiles


def test_tiles_have_the_scale_and_pixel_size_with_which_they_were_cut(tiles):
    found = opened(tiles)
    assert (found.scale, found.pixel_size_um) == (2, 0.25)
    assert found.given(()).scale == 2
    assert opened(tiles, Reading(pixel_size_um=0.3)).pixel_size_um == 0.3


@pytest.mark.parametrize(
    "change",
    [{"scale": 2.0}, {"grey": True}, {"bits": 8}, {"greys": (0.0, 255.0)}],
    ids=lambda change: next(iter(change)),
)
def test_tiles_are_not_changed_once_more(tiles, change):
    with pytest.raises(UsageError, match="tiles are used as they are; tile again with"):
        opened(tiles, replace(Reading(), **change))


def test_specimens_of_tiles_can_be_found_anew(tiles):
    assert [one.group for one in opened(tiles).members] == ["heat1_a.tif", "heat2_b.tif"]
    found = opened(tiles, Reading(group_by=r"heat(\d)"))
    assert [one.group for one in found.members] == ["1", "2"]


def test_a_folder_without_tiles_is_refused(tiles):
    (tiles / "tiles.jsonl").write_text("")
    with pytest.raises(InputError, match="tiles: holds no tiles; tile again"):
        opened(tiles)


def test_tiles_are_known_by_the_content_of_their_micrographs(raw, tiles):
    stored = {
        s["name"]: s["sha256"] for s in json.loads((tiles / "tiles.json").read_text())["sources"]
    }
    for found in (opened(raw), opened(tiles)):
        assert {one.name: found.content_sha256(one) for one in found.members} == stored


def test_a_network_is_told_the_pixel_size_of_each_micrograph(raw, run_mstool):
    write_tile_image(raw / "heat1_a.tif", tifffile.imread(raw / "heat1_a.tif"), 0.1)
    write_tile_image(raw / "heat2_b.tif", tifffile.imread(raw / "heat2_b.tif"), 0.4)
    options = ("--size", 16, "--overlap", 0, "--scale", 2, "-q", "-o", "unlike")
    assert run_mstool("tile", "raw", *options).code == 0
    for given in (
        opened(raw, Reading(scale=2)).given(()),
        open_tile_folder(raw.parent / "unlike").given(),
    ):
        assert given.pixel_size_um is None
        assert [one.pixel_size_um for one in given.micrographs] == pytest.approx([0.05, 0.2])
