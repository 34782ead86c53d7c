import numpy as np
import pytest

from mstool.errors import LabelError
from mstool.labels.encode import encode_labels
from mstool.labels.legend import (
    index_legend,
    legend_from_toml,
    palette,
    parse_classes,
)

BLUE, RED, WHITE, BLACK = (0, 0, 255), (255, 0, 0), (255, 255, 255), (0, 0, 0)
SUPERALLOY = "matrix=*,gamma-prime=#0000ff,tertiary=#FF0000"


def colours(*rows):
    return np.array(rows, np.uint8)


def test_integers_become_class_indices():
    legend = parse_classes("a=7,b=3,c=1000")
    raw = np.array([[7, 3, 1000], [255, 7, 7]], np.uint16)
    encoded = encode_labels(raw, legend)
    assert encoded.dtype == np.uint8
    assert encoded.tolist() == [[0, 1, 2], [255, 0, 0]]


def test_colours_become_class_indices():
    raw = colours([BLUE, RED, BLACK], [BLACK, WHITE, BLUE])
    assert encode_labels(raw, parse_classes(SUPERALLOY)).tolist() == [[1, 2, 0], [0, 0, 1]]


def test_pixels_that_were_erased_belong_to_the_rest_whatever_colour_they_keep():
    raw = colours([BLUE, RED, BLACK], [BLACK, WHITE, BLUE])
    alpha = np.array([[255, 0, 255], [0, 0, 1]], np.uint8)
    with_alpha = np.dstack([raw, alpha])
    assert encode_labels(with_alpha, parse_classes(SUPERALLOY)).tolist() == [[1, 0, 0], [0, 0, 1]]
    values = np.dstack([np.array([[0, 1, 1]], np.uint8), np.array([[255, 1, 0]], np.uint8)])
    assert encode_labels(values, parse_classes("a=0,b=1,rest=*")).tolist() == [[0, 1, 2]]


def test_erased_pixels_are_refused_where_no_class_is_the_rest():
    values = np.dstack([np.array([[0, 1, 1]], np.uint8), np.array([[255, 1, 0]], np.uint8)])
    with pytest.raises(LabelError, match="1 pixel, first at row 0, column 2, transparent"):
        encode_labels(values, parse_classes("a=0,b=1"))


def test_ignored_colour_becomes_255():
    legend = legend_from_toml(
        'ignore = ["#ffffff"]\n[[class]]\nname = "a"\nvalue = "#000000"\n'
        '[[class]]\nname = "rest"\nvalue = "*"'
    )
    raw = colours([BLACK, WHITE, RED])
    assert encode_labels(raw, legend).tolist() == [[0, 255, 1]]


def test_star_takes_every_value_not_named_but_not_the_ignored_one():
    legend = parse_classes("a=1,rest=*")
    assert encode_labels(np.array([[1, 0, 255, 77, -5]]), legend).tolist() == [[0, 1, 255, 1, 1]]


def test_unnamed_value_is_counted_and_located():
    raw = np.zeros((9, 20), np.uint8)
    raw[3, 17] = raw[4, 0] = 7
    with pytest.raises(LabelError) as caught:
        encode_labels(raw, parse_classes("a=0,b=1"))
    assert str(caught.value) == (
        "label value 7 in 2 pixels, first at row 3, column 17, is named by no class; "
        "add it to the legend or to ignore"
    )


def test_origin_moves_the_place_in_the_message():
    raw = np.array([[0, 9]])
    with pytest.raises(LabelError, match="1 pixel, first at row 100, column 31,"):
        encode_labels(raw, parse_classes("a=0"), origin=(100, 30))


def test_unnamed_colour_is_written_as_a_colour():
    with pytest.raises(LabelError, match="label colour #0000fe in 1 pixel"):
        encode_labels(colours([BLUE, (0, 0, 254)]), parse_classes("b=#0000ff"))


def test_anti_aliased_mask_names_the_commonest_and_how_many():
    raw = np.arange(256, dtype=np.uint8).repeat(2).reshape(2, 256)
    raw[1, 255] = 40
    with pytest.raises(LabelError) as caught:
        encode_labels(raw, parse_classes("background=0,phase=255"))
    assert str(caught.value) == (
        "254 label values are named by no class, the commonest, 40, in 3 pixels, first at row 0, "
        "column 80; name the rest, as matrix=* does, or save the label map without smoothing or "
        "compression loss"
    )


def test_grey_label_map_is_compared_as_grey_colours():
    raw = np.array([[0, 255]], np.uint8)
    legend = parse_classes("background=#000000,phase=#ffffff")
    assert encode_labels(raw, legend).tolist() == [[0, 1]]


def test_grey_label_map_is_refused_where_star_would_hide_every_class():
    raw = np.array([[0, 1, 2]], np.uint8)
    with pytest.raises(LabelError, match="grey but no colour in the legend is"):
        encode_labels(raw, parse_classes(SUPERALLOY))


def test_16_bit_grey_under_a_legend_of_colours_is_refused():
    with pytest.raises(LabelError, match="grey .uint16. but the legend names colours"):
        encode_labels(np.zeros((1, 2), np.uint16), parse_classes("a=#000000"))


def test_16_bit_colours_are_compared_by_their_upper_8_bits():
    legend = parse_classes("rest=*,a=#ffffff,b=#0000ff")
    raw = np.array([[[65535] * 3, [0, 0, 65535], [0, 0, 65280], [0, 0, 65279]]], np.uint16)
    assert encode_labels(raw, legend).tolist() == [[1, 2, 2, 0]]
    narrow = np.array([[[255] * 3, [0, 0, 255], [0, 0, 254]]], np.uint16)
    assert encode_labels(narrow, legend).tolist() == [[1, 2, 0]]


def test_colours_of_more_bits_are_refused():
    with pytest.raises(LabelError, match="reach 65536"):
        encode_labels(np.full((1, 2, 3), 65536, np.int32), parse_classes("a=#ffffff"))


def test_colours_that_are_all_grey_are_read_as_integers():
    raw = np.array([[0, 1, 255]], np.uint8)[..., None].repeat(3, axis=2)
    assert encode_labels(raw, parse_classes("a=0,b=1")).tolist() == [[0, 1, 255]]


def test_colours_under_a_legend_of_integers_are_refused_with_the_place():
    with pytest.raises(LabelError, match=r"row 0, column 1, \(0, 0, 255\)"):
        encode_labels(colours([BLACK, BLUE]), parse_classes("a=0,b=1"))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, bool])
def test_whole_floats_and_yes_no_are_accepted(dtype):
    raw = np.array([[0, 1]], dtype)
    assert encode_labels(raw, parse_classes("a=0,b=1")).tolist() == [[0, 1]]


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, -np.inf, 1e300])
def test_floats_that_are_not_whole_are_refused_with_the_place(value):
    raw = np.array([[0.0, 1.0], [0.0, value]])
    with pytest.raises(LabelError, match="in 1 pixel, first at row 1, column 1, is no whole"):
        encode_labels(raw, parse_classes("a=0,rest=*"))


@pytest.mark.parametrize("shape", [(4,), (2, 2, 5), (2, 2, 1), (1, 2, 2, 3)])
def test_label_map_of_another_shape_is_refused(shape):
    with pytest.raises(LabelError, match="has shape"):
        encode_labels(np.zeros(shape, np.uint8), parse_classes("a=0"))


def test_text_is_refused():
    with pytest.raises(LabelError, match="of type"):
        encode_labels(np.array([["a"]]), parse_classes("a=0"))


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.int32, np.uint16])
@pytest.mark.parametrize("largest", [40, 60_000])
def test_encoding_agrees_with_a_lookup_pixel_by_pixel(dtype, largest):
    rng = np.random.default_rng(7)
    distinct = rng.choice(largest, 6, replace=False)
    raw = rng.choice(distinct, (13, 11)).astype(dtype)
    legend = parse_classes(",".join(f"c{i}={v}" for i, v in enumerate(distinct[:5])) + ",r=*")
    order = {int(value): index for index, value in enumerate(distinct)}
    expected = [[255 if v == 255 else order[v] for v in row] for row in raw.tolist()]
    assert encode_labels(raw, legend).tolist() == expected


def test_huge_values_are_looked_up_one_by_one():
    raw = np.array([[2**40, -3, 2**62]])
    legend = parse_classes(f"a={2**40},b=-3,c={2**62}")
    assert encode_labels(raw, legend).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("shape", [(3, 3), (600, 600)], ids=["by-sorting", "by-table"])
def test_colour_encoding_agrees_with_comparison_of_channels(shape):
    rng = np.random.default_rng(3)
    named = rng.integers(0, 256, (4, 3), np.uint8)
    raw = named[rng.integers(0, 4, shape)]
    text = ",".join(f"c{i}=#{bytes(rgb).hex()}" for i, rgb in enumerate(named))
    expected = np.argmax((raw[:, :, None] == named).all(axis=-1), axis=-1)
    assert np.array_equal(encode_labels(raw, parse_classes(text)), expected)


def test_empty_label_map_encodes_to_an_empty_one():
    assert encode_labels(np.zeros((0, 5), np.uint8), parse_classes("a=0")).shape == (0, 5)


def test_encoded_label_map_is_read_back_by_the_index_legend():
    legend = parse_classes(SUPERALLOY)
    encoded = encode_labels(colours([BLUE, RED, BLACK]), legend)
    again = index_legend(legend)
    assert np.array_equal(encode_labels(encoded, again), encoded)
    assert again.names == legend.names
    assert np.array_equal(palette(again), palette(legend))
