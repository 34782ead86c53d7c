"""Label maps that contradict each other are refused, and what one would not expect is said."""

import re
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from mstool.errors import LabelError
from mstool.io import micrograph
from mstool.io.micrograph import Micrograph
from mstool.labels.legend import parse_classes
from mstool.micrographs.label_sets import (
    list_class_doubts,
    list_class_lines,
    list_map_lines,
    open_label_maps,
)
from mstool.reporting import Reporter

RED_SECOND, RED_FIRST = [0, 0, 0, 255, 0, 0], [255, 0, 0, 0, 0, 0]
A = np.array([[0, 0, 1], [0, 1, 1]], np.uint8)


@pytest.fixture
def maps(tmp_path):
    """Write label maps and open them: arrays, or (array, palette) pairs, by name."""

    def write(**arrays):
        paths = []
        for name, given in arrays.items():
            array, colours = given if isinstance(given, tuple) else (given, None)
            image = Image.fromarray(np.asarray(array))
            if colours:
                image.putpalette(colours)
            paths.append(tmp_path / f"{name}.png")
            image.save(paths[-1])
        return paths

    return write


def opened(paths, classes=None, report=None, beside=()):
    legend = classes and parse_classes(classes)
    return open_label_maps(paths, legend, report or Reporter(), beside)


def counts(found):
    return [one.counts for one in found.census.values()]


@pytest.mark.parametrize("classes", [None, "m=0,p=1", "m=*,p=1"])
def test_a_yes_no_mask_among_maps_of_classes_is_refused(maps, classes):
    with pytest.raises(
        LabelError, match=r"b\.png: looks like a yes/no mask.*like .*a\.png.*ignore=255"
    ):
        opened(maps(a=A, b=A * 255), classes)


def test_yes_no_masks_alone_are_refused_with_the_classes_to_name(maps):
    with pytest.raises(LabelError, match="--classes background=0,phase=255, or add ignore=255"):
        opened(maps(a=A * 255, b=A * 255))


def test_labels_like_yes_no_masks_beside_masks_of_classes_are_refused(maps):
    labels, masks = maps(a=A * 255), maps(b=A)
    with pytest.raises(LabelError, match=r"a\.png: looks like a yes/no mask"):
        opened(labels, None, beside=masks)


def test_a_map_that_is_left_out_whole_is_refused_beside_others(maps):
    with pytest.raises(LabelError, match="looks like a yes/no mask"):
        opened(maps(a=A, b=np.full((2, 3), 255, np.uint8)))


@pytest.mark.parametrize("classes", ["m=0,p=1,ignore=255", "background=0,phase=255,other=1"])
def test_what_is_named_is_believed(maps, classes):
    assert len(opened(maps(a=A, b=A * 255), classes).census) == 2


def test_three_classes_and_a_map_of_one_with_ignored_pixels_are_read(maps):
    three = np.array([[0, 1, 2]], np.uint8)
    found = opened(maps(a=three, b=np.array([[0, 255, 255]], np.uint8)))
    assert counts(found) == [(1, 1, 1), (1, 0, 0)]
    assert [one.n_ignored for one in found.census.values()] == [0, 2]


@pytest.mark.parametrize("classes", [None, "m=0,p=1"])
def test_palettes_in_another_order_are_refused_with_the_colours_to_name(maps, classes):
    paths = maps(a=(A, RED_SECOND), b=(1 - A, RED_FIRST))
    with pytest.raises(
        LabelError, match=r"b\.png: value 0 has the colour #ff0000, and in .*#000000"
    ):
        opened(paths, classes)
    assert counts(opened(paths, "m=#000000,p=#ff0000")) == [(3, 3), (3, 3)]


def test_palettes_that_differ_in_unused_places_agree(maps):
    paths = maps(a=(A, [*RED_SECOND, 9, 9, 9]), b=(A, [*RED_SECOND, 7, 7, 7]))
    assert counts(opened(paths)) == [(3, 3), (3, 3)]


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_white_zero_beside_black_zero_is_refused(tmp_path, dtype):
    for name, photometric in (("a", "minisblack"), ("b", "miniswhite")):
        tifffile.imwrite(tmp_path / f"{name}.tif", A.astype(dtype), photometric=photometric)
    paths = [tmp_path / "a.tif", tmp_path / "b.tif"]
    with pytest.raises(LabelError, match=r"b\.tif: zero is white, and in .*a\.tif black"):
        opened(paths)
    assert counts(opened(paths[1:])) == [(3, 3)]


def test_erased_pixels_are_the_rest_and_are_counted(maps, capsys):
    painted = np.zeros((2, 3, 4), np.uint8)
    painted[..., 2], painted[..., 3] = 255, 255
    painted[0, :2, 3] = 0
    found = opened(maps(a=painted), "m=*,p=#0000ff", Reporter("tile", 0))
    assert counts(found) == [(2, 4)]
    assert "2 transparent pixels in 1 label maps count as 'm'" in capsys.readouterr().err


def test_a_map_that_is_transparent_all_over_is_refused(maps):
    with pytest.raises(LabelError, match="transparent all over"):
        opened(maps(a=np.zeros((2, 3, 4), np.uint8)), "m=*,p=#0000ff")


def test_255_among_numbers_of_grains_is_a_grain(tmp_path, capsys):
    grains = np.array([[0, 255, 300], [0, 254, 255]], np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", grains)
    found = opened([tmp_path / "a.tif"], "boundary=0,grain=*", Reporter("tile", 0))
    assert (counts(found), found.census[tmp_path / "a.tif"].n_ignored) == ([(2, 4)], 0)
    assert "255 is taken for one of them" in capsys.readouterr().err
    assert found.open(tmp_path / "a.tif").read().tolist() == [[0, 1, 1], [0, 1, 1]]
    named = opened([tmp_path / "a.tif"], "boundary=0,grain=*,ignore=255")
    assert (counts(named), named.census[tmp_path / "a.tif"].n_ignored) == ([(2, 2)], 2)


def test_a_value_without_a_class_is_told_with_its_place(maps):
    with pytest.raises(
        LabelError, match=r"a\.png: label value 7 in 1 pixel, first at row 0, column 1"
    ):
        opened(maps(a=np.array([[0, 7]], np.uint8)), "m=0,p=1")


def test_each_class_has_a_line_and_absent_ones_a_doubt(maps):
    painted = np.zeros((2, 3, 3), np.uint8)
    painted[0, 0] = 0, 0, 255
    found = opened(maps(a=painted, b=painted * 0), "m=*,p=#0000ff,q=#0000fe")
    assert list_class_lines(found) == [
        "m: 11 pixels (91.7%) in 2 of 2 label maps",
        "p: 1 pixels (8.3%) in 1 of 2 label maps",
        "q: 0 pixels (0.0%) in 0 of 2 label maps",
    ]
    (doubt,) = list_class_doubts(found)
    assert "class 'q' is in no label map; is its value #0000fe right?" in doubt
    first, second = list_map_lines(found)
    assert re.search(r"a\.png: holds no q$", first)
    assert re.search(r"b\.png: holds m alone$", second)


def test_each_map_says_what_it_lacks_and_leaves_out(maps):
    three = np.array([[0, 1, 2, 255]], np.uint8)
    found = opened(maps(a=three[:, :3], b=three, c=np.array([[0, 2, 255, 255]], np.uint8)))
    names = [line.rpartition("/")[2] for line in list_map_lines(found)]
    assert names == ["b.png: 1 pixels are left out", "c.png: holds no 1; 2 pixels are left out"]


def test_maps_of_one_class_alone_leave_nothing_to_learn(maps):
    found = opened(maps(a=A * 0, b=A * 0))
    assert "nothing to learn" in list_class_doubts(found)[0]
    assert list_class_doubts(opened(maps(a=A, b=A))) == []


@pytest.mark.parametrize("classes", [None, "a=0,b=1,c=2,d=3"])
def test_maps_are_counted_in_bands(tmp_path, monkeypatch, classes):
    labels = np.repeat(np.arange(4, dtype=np.uint8), 5)[:, None].repeat(10, axis=1)
    tifffile.imwrite(tmp_path / "a.tif", labels)
    heights, read = [], Micrograph.read

    def watched(self, *window):
        values = read(self, *window)
        heights.append(len(values))
        return values

    monkeypatch.setattr(Micrograph, "read", watched)
    monkeypatch.setattr(micrograph, "_BAND_BYTES", 30 * 8)
    assert counts(opened([tmp_path / "a.tif"], classes)) == [(50, 50, 50, 50)]
    assert max(heights) == 3


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.uint16])
def test_counting_agrees_with_reading_pixel_by_pixel(tmp_path, dtype):
    rng = np.random.default_rng(3)
    values = rng.choice([0, 1, 7, 255], (40, 30)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values)
    found = opened([tmp_path / "a.tif"], "a=0,b=7,rest=*")
    codes = found.open(tmp_path / "a.tif").read()
    census = found.census[tmp_path / "a.tif"]
    assert census.counts == tuple(np.count_nonzero(codes == i) for i in range(3))
    assert census.n_ignored == np.count_nonzero(codes == 255) == np.count_nonzero(values == 255)


@pytest.mark.parametrize("classes", [None, "a=0,b=1"])
def test_a_fraction_is_told_with_its_place_in_the_file(tmp_path, monkeypatch, classes):
    labels = np.zeros((20, 10), np.float32)
    labels[7, 4] = 0.5
    tifffile.imwrite(tmp_path / "a.tif", labels)
    monkeypatch.setattr(micrograph, "_BAND_BYTES", 30 * 8)
    with pytest.raises(LabelError, match=r"a\.tif: .*row 7, column 4"):
        opened([tmp_path / "a.tif"], classes)


def test_grey_with_transparent_pixels_is_not_called_colour(tmp_path):
    painted = np.zeros((2, 3, 2), np.uint8)
    painted[0, :, 1] = 255
    Image.fromarray(painted).save(tmp_path / "a.png")
    with pytest.raises(LabelError, match=r"a\.png: has transparent pixels.* 'rest=\*,phase=1'"):
        opened([tmp_path / "a.png"])


def test_masks_beside_label_maps_are_compared_and_not_counted(maps):
    labels, masks = maps(a=A), maps(b=A)
    assert list(opened(labels, None, beside=masks).census) == labels


def test_indexed_colours_are_counted_by_colour_where_indices_would_do(maps):
    (path,) = maps(a=(np.array([[0, 0, 1]], np.uint8), RED_FIRST))
    assert counts(opened([path], "matrix=*,scratch=#000000")) == [(2, 1)]


def test_the_map_that_holds_the_odd_value_is_named(maps):
    with pytest.raises(LabelError, match=r"b\.png: label values 0, 1, 7 are not"):
        opened(maps(a=A, b=A * 7))


def png_with_two_colours(indices):
    """PNG whose colour table ends at index 1, which Pillow does not write with other indices."""
    height, width = np.shape(indices)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(row) for row in indices))
    chunks = [(b"IHDR", header), (b"PLTE", bytes(RED_SECOND)), (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def test_an_index_beyond_a_colour_table_has_no_colour_to_compare(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        path.write_bytes(png_with_two_colours([[0, 1, 2]]))
    assert counts(opened(paths)) == [(1, 1, 1), (1, 1, 1)]


def test_colour_tables_say_nothing_of_what_zero_is(maps, tmp_path):
    tifffile.imwrite(tmp_path / "b.tif", A, photometric="miniswhite")
    paths = [*maps(a=(A, RED_SECOND)), tmp_path / "b.tif"]
    assert counts(opened(paths)) == [(3, 3), (3, 3)]
