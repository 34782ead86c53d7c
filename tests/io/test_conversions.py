import numpy as np
import pytest
import tifffile

from mstool.errors import InputError, UsageError
from mstool.io import micrograph as micrograph_module
from mstool.io.conversions import (
    has_equal_channels,
    mean_and_std,
    rescale_greys,
    rescale_to_own_greys,
    take_first_channel,
    to_bits,
    to_grey,
    without_alpha,
)
from mstool.io.images import open_label_values, open_micrograph


@pytest.fixture
def opened(tmp_path):
    """Open an array as the micrograph that it is in a file."""

    def open_array(values, open_it=open_micrograph):
        values = np.asarray(values)
        kind = "rgb" if values.ndim == 3 else "minisblack"
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.tif"
        tifffile.imwrite(path, values, photometric=kind, metadata=None)
        return open_it(path)

    return open_array


COLOUR = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
GREY_AS_COLOUR = np.repeat(COLOUR[..., :1], 3, axis=2)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_channels_are_equal_only_where_all_pixels_are_grey(opened, channel):
    assert has_equal_channels(opened(GREY_AS_COLOUR))
    one_off = GREY_AS_COLOUR.copy()
    one_off[-1, -1, channel] += 1
    assert not has_equal_channels(opened(one_off))


def test_one_channel_has_none_to_be_equal_to(opened):
    assert not has_equal_channels(opened(COLOUR[..., 0]))


def test_search_for_colour_stops_at_the_first_band_that_has_some(opened, monkeypatch):
    monkeypatch.setattr(micrograph_module, "_BAND_BYTES", 8 * COLOUR.shape[1])  # one row
    rows, read = [], micrograph_module.Micrograph.read

    def watched(self, row=0, *rest):
        rows.append(row)
        return read(self, row, *rest)

    monkeypatch.setattr(micrograph_module.Micrograph, "read", watched)
    image = GREY_AS_COLOUR.copy()
    image[1, 2] = (1, 2, 3)
    assert not has_equal_channels(opened(image))
    assert rows == [0, 1]


def test_first_channel_and_luminance_agree_on_grey(opened):
    colour = opened(GREY_AS_COLOUR)
    for grey in (take_first_channel(colour), to_grey(colour)):
        assert grey.shape == (4, 5)
        np.testing.assert_array_equal(grey.read(1, 2, 2, 3), COLOUR[1:3, 2:5, 0])
        assert grey.content_sha256() == opened(COLOUR[..., 0]).content_sha256()


def test_what_is_grey_stays_itself(opened):
    grey = opened(COLOUR[..., 0])
    assert take_first_channel(grey) is grey
    assert to_grey(grey) is grey
    assert to_bits(grey, 8) is grey


def test_eight_bits_become_sixteen_and_come_back(opened):
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    wide = to_bits(opened(values), 16)
    assert wide.dtype == np.uint16
    np.testing.assert_array_equal(wide.read(), np.arange(256).reshape(16, 16) * 257)
    np.testing.assert_array_equal(to_bits(wide, 8).read(2, 3, 4, 5), values[2:6, 3:8])


def test_sixteen_bits_are_rounded_to_the_nearest_of_eight(opened):
    values = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    narrow = to_bits(opened(values), 8)
    assert narrow.dtype == np.uint8
    expected = [round(value / 257) for value in range(2**16)]
    np.testing.assert_array_equal(narrow.read().ravel(), expected)


@pytest.mark.parametrize(("dtype", "bits"), [(np.int16, 8), (np.float32, 8), (np.int32, 16)])
def test_floats_and_other_integers_keep_the_values_that_fit(opened, dtype, bits):
    top = 2**bits - 1
    values = np.array([[0, 1], [2, top if bits == 16 or dtype != np.int16 else 255]], dtype)
    converted = to_bits(opened(values), bits)
    assert converted.dtype == f"uint{bits}"
    np.testing.assert_array_equal(converted.read(), values)


def test_noise_of_float_arithmetic_is_no_fraction(opened):
    values = np.array([[0.004, 99.996]], np.float32)
    np.testing.assert_array_equal(to_bits(opened(values), 8).read(), [[0, 100]])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            [[-1.0, 200.0]],
            "holds greys from -1 to 200, and 8 bits hold whole numbers from 0 to 255",
        ),
        ([[0.0, 256.0]], "holds greys from 0 to 256, and 8 bits"),
        ([[0.0, 0.5, 1.0]], "holds greys from 0 to 1, fractions among them, and 8 bits"),
    ],
)
def test_floats_that_do_not_fit_are_refused_with_range_and_remedy(opened, values, words):
    with pytest.raises(InputError, match=f"{words}.*; give the range .* with --rescale-greys"):
        to_bits(opened(np.array(values, np.float32)), 8).read()


def test_other_numbers_of_bits_are_refused(opened):
    with pytest.raises(UsageError, match="--bits 12"):
        to_bits(opened(COLOUR), 12)


@pytest.mark.parametrize(
    ("values", "greys", "expected"),
    [
        (np.array([[0, 100, 150, 200, 255]], np.uint8), (100, 200), [[0, 0, 128, 255, 255]]),
        (np.array([[0, 4095, 65535]], np.uint16), (0, 4095), [[0, 65535, 65535]]),
        (np.array([[0, 1, 255]], np.uint8), (255, 0), [[255, 254, 0]]),
        (np.array([[-5, 0, 5]], np.float32), (-5, 5), [[0, 0.5, 1]]),
        (np.array([[-5, 0, 5]], np.int16), (5, -5), [[1, 0.5, 0]]),
        (np.array([[0, 65535]], np.uint16), (-65535, 65535), [[32768, 65535]]),
    ],
)
def test_greys_are_stretched_clipped_and_inverted(opened, values, greys, expected):
    micrograph = opened(values)
    stretched = rescale_greys(micrograph, *greys)
    assert stretched.dtype == micrograph.dtype
    np.testing.assert_array_equal(stretched.read(), expected)


def test_stretching_the_whole_range_changes_nothing(opened):
    values = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(rescale_greys(opened(values), 0, 65535).read(), values)


def test_colours_are_stretched_alike(opened):
    stretched = rescale_greys(opened(COLOUR), 0, 51)
    assert stretched.shape == COLOUR.shape
    expected = np.minimum(COLOUR.astype(int) * 5, 255)
    np.testing.assert_array_equal(stretched.read(), expected)


def test_stretching_from_a_grey_to_itself_is_refused(opened):
    with pytest.raises(UsageError, match="two different greys"):
        rescale_greys(opened(COLOUR), 5, 5)


def test_conversions_chain_and_keep_what_is_known_of_the_file(opened):
    micrograph = opened(np.array([[0, 4095]], np.uint16))
    converted = to_bits(rescale_greys(micrograph, 0, 4095), 8)
    assert converted.dtype == np.uint8
    assert converted.path == micrograph.path
    np.testing.assert_array_equal(converted.read(), [[0, 255]])


def test_alpha_is_taken_off(opened):
    rgba = np.dstack([COLOUR, COLOUR[..., 0]])
    labels = opened(rgba, open_label_values)
    assert labels.shape == (4, 5, 4)
    np.testing.assert_array_equal(without_alpha(labels).read(1), COLOUR[1:])
    assert without_alpha(labels).shape == (4, 5, 3)
    opaque = opened(COLOUR, open_label_values)
    assert without_alpha(opaque) is opaque


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_own_greys_take_brightness_and_contrast_out(opened, monkeypatch, dtype):
    monkeypatch.setattr(micrograph_module, "_BAND_BYTES", 8 * 40 * 7)  # of 7 rows
    pattern = np.random.default_rng(0).normal(size=(30, 40))
    pattern = (pattern - pattern.mean()) / pattern.std()
    dark, bright = (opened((m + s * pattern).astype(dtype)) for m, s in ((60, 8), (180, 20)))
    one, other = (rescale_to_own_greys(each, 8) for each in (dark, bright))
    expected = np.rint((0.5 + pattern / 8).clip(0, 1) * 255)
    coarse = 0 if dtype == np.float32 else 4  # a whole grey is an eighth of the smaller spread
    assert np.abs(other.read() - expected).max() <= 1 + coarse
    assert np.abs(one.read().astype(float) - other.read()).max() <= 1 + coarse
    np.testing.assert_array_equal(one.read(11, 3, 8, 20), one.read()[11:19, 3:23])
    assert other.read().std() == pytest.approx(255 / 8, rel=0.02)


def test_own_greys_of_colour_are_those_of_all_channels(opened):
    found = rescale_to_own_greys(opened(COLOUR)).read().astype(float)
    share = (COLOUR - COLOUR.mean()) / (8 * COLOUR.std()) + 0.5
    np.testing.assert_allclose(found, np.rint(share * 255), atol=0)


@pytest.mark.parametrize(
    "value", [np.uint8(0), np.uint16(60000), np.float32(1e6 + 0.1), np.float32(-1e30)]
)
def test_own_grey_of_one_value_is_in_the_middle(opened, value):
    found = rescale_to_own_greys(opened(np.full((30, 50), value)), 8).read()
    assert (found == 128).all()


def test_what_rounding_leaves_of_one_value_is_not_stretched(opened):
    values = np.full((30, 50), 1e8, np.float32)
    values[3, 4] = np.nextafter(values[3, 4], np.float32(np.inf))
    assert set(rescale_to_own_greys(opened(values), 8).read().flat) <= {127, 128}


def test_mean_and_spread_of_parts_are_those_of_the_whole():
    values = np.random.default_rng(1).normal(1e8, 1.0, 1000)
    parts = np.split(values, [0, 1, 7, 400])
    assert mean_and_std(parts) == pytest.approx((values.mean(), values.std()), rel=1e-9)
    assert np.isnan(mean_and_std([])).all()
