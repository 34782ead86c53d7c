"""Grey ranges that cannot be of the same origin are told, others are not."""

import re

import numpy as np
import pytest

from mstool.micrographs.grey_range import (
    QUANTILES,
    compare_greys,
    describe_greys,
    levels_as_read,
    levels_beside_bits,
    sample_greys,
)

ALL_8, ALL_16 = (0, 255), (0, 65535)


def greys(values):
    return describe_greys([np.ravel(values)])


@pytest.fixture
def training():
    """Two phases, the bright one rarer, on the full range of 8 bits."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(70, 15, 90_000), rng.normal(190, 15, 30_000)]).clip(0, 255)


def test_quantiles_are_those_of_the_pixels():
    values = np.arange(61 * 1001).reshape(1, -1) // 61
    assert describe_greys([sample_greys(values)]) == pytest.approx([1000 * q for q in QUANTILES])
    assert describe_greys([]) == ()


def remedy(text):
    return tuple(map(float, re.search(r"--rescale-greys (\S+),(\S+) ", text).groups()))


def test_twelve_bits_beside_sixteen_are_told_with_a_round_remedy(training):
    full, narrow = greys(training * 257), greys(training * 16)
    assert remedy(compare_greys(narrow, full, "uint16", ALL_16)) == (0, 4095)


@pytest.mark.parametrize(
    ("factor", "offset"), [(0.2, 0.0), (0.25, 180.0), (1.0, 400.0), (4.0, 0.0)]
)
def test_remedy_brings_the_levels_back(training, factor, offset):
    old = greys(training * 100)
    new = greys(training * 100 * factor + offset * 100)
    low, high = remedy(compare_greys(new, old, "uint16", ALL_16))
    back = (np.array(new) - low) / (high - low) * 65535
    np.testing.assert_allclose(back, old, atol=40)


@pytest.mark.parametrize(
    ("dtypes", "bits", "greys", "levels"),
    [
        (["uint8"], None, None, ALL_8),
        (["uint16"], 8, None, ALL_16),
        (["uint8"], 16, None, ALL_8),
        (["float32"], None, None, (0, 1)),
        (["float32"], 16, None, ALL_16),  # whole numbers, as integers of other types are
        (["uint16"], 8, (0, 4095), (0, 4095)),
        (["uint8", "uint16"], 8, (9, 3), (9, 3)),
        (["uint8", "uint16"], 8, None, None),
    ],
)
def test_levels_are_those_of_the_files(dtypes, bits, greys, levels):
    assert levels_as_read(dtypes, bits, greys) == levels


def test_remedy_is_in_the_greys_of_files_that_were_converted(training):
    old, stored = greys(training), training * 16  # 12 bits in a 16-bit file
    by_bits = compare_greys(greys(np.rint(stored / 257)), old, "uint8", ALL_16)
    assert remedy(by_bits) == (0, 4095)
    by_greys = greys(np.rint((stored - 500) / 60000 * 255))
    low, high = remedy(compare_greys(by_greys, old, "uint8", (500, 60500)))
    back = (np.quantile(stored, QUANTILES) - low) / (high - low) * 255
    np.testing.assert_allclose(back, old, atol=10)  # of the 17 levels that were left


def test_saturated_twelve_bits_stay_twelve(training):
    stored = np.append(training * 16, [4095] * 900)
    old = greys(np.append(training, [255] * 900))
    found = compare_greys(greys(np.rint(stored / 257)), old, "uint8", ALL_16)
    assert remedy(found) == (0, 4095)


@pytest.mark.parametrize("levels", [None, ALL_16], ids=["files of several types", "all white"])
def test_no_numbers_are_given_where_there_are_none(training, levels):
    new = (255.0,) * 7 if levels else greys(training / 16)
    found = compare_greys(new, greys(training), "uint8", levels, "segment")
    assert "mstool segment --rescale-greys with the greys of the files that count" in found


def test_bits_that_fill_little_of_their_type_go_with_a_range(training):
    old = greys(training)
    types = "uint16", "uint8"
    assert levels_beside_bits(greys(training * 16), old, types, ALL_16) == (0, 4095)
    assert levels_beside_bits(greys(training * 257), old, types, ALL_16) is None
    assert levels_beside_bits((), old, types, ALL_16) is None
    whole = greys(training), old, ("float32", "uint8"), (0, 1)
    assert levels_beside_bits(*whole) is None
    shares = greys(training / 255), old, ("float32", "uint8"), (0, 1)
    assert levels_beside_bits(*shares) == pytest.approx((0, 1), abs=0.02)


def test_inverted_greys_are_told_and_turned_back(training):
    old, new = greys(training), greys(255 - training)
    text = compare_greys(new, old, "uint8", ALL_8)
    assert "turned round" in text
    low, high = remedy(text)
    assert high < low
    np.testing.assert_allclose((np.array(new)[::-1] - low) / (high - low) * 255, old, atol=4)


@pytest.mark.parametrize(
    "change",
    [
        lambda greys: greys,
        lambda greys: 255 * (greys / 255) ** 1.6,
        lambda greys: greys * 0.6 + 30,
        lambda greys: greys[: len(greys) // 2],  # the dark phase alone
        lambda greys: np.full(1000, 128.0) + np.arange(1000) % 97,
    ],
    ids=["same", "gamma", "contrast", "one phase", "narrow, but no third"],
)
def test_changes_that_batches_show_are_not_told(training, change):
    assert compare_greys(greys(change(training)), greys(training), "uint8", ALL_8) is None


def test_nothing_is_said_where_nothing_is_known(training):
    assert compare_greys((), greys(training), "uint8", ALL_8) is None
    assert compare_greys(greys(training), (), "uint8", ALL_8) is None


def test_levels_below_all_of_training_are_told(training):
    old, new = greys(training + 1000), greys(training + 850)
    assert remedy(compare_greys(new, old, "uint16", ALL_16)) == pytest.approx((-150, 65385), abs=1)


@pytest.mark.parametrize(
    ("old", "new"),
    [((10, 30, 60, 70, 90), (10, 30, 40, 70, 90)), ((20, 30, 40, 50, 60), (60, 70, 80, 90, 100))],
    ids=["hardly moved", "turned is no clear gain"],
)
def test_levels_that_may_not_be_turned_round_are_not_told(old, new):
    assert compare_greys((0, *new, 100), (0, *old, 100), "uint8", ALL_8) is None


def test_greys_in_metres_are_compared_as_any_others(training):
    in_metres = greys(1e-12 * training)
    assert compare_greys(in_metres, in_metres, "float32", (0.0, 1.0)) is None
    assert compare_greys(greys(9e-12 * training), in_metres, "float32", (0.0, 1.0)) is not None
