"""What becomes of numbers in files that are no plain 8 or 16-bit grey or RGB."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from mstool.errors import InputError
from mstool.io.images import open_label_values, open_micrograph

GREY = np.random.default_rng(0).integers(0, 255, (37, 53), dtype=np.uint8)
LAYOUTS = {
    "plain": {},
    "big-endian": {"byteorder": ">"},
    "strips": {"compression": "zlib", "rowsperstrip": 5},
    "tiles": {"compression": "zlib", "tile": (16, 16)},
}
INTEGERS = {
    np.int8: [-128, 0, 127],
    np.int16: [-32768, -1, 32767],
    np.int32: [-(2**24), 2**24, 3 * 2**24, -(2**31)],
    np.uint32: [0, 2**24, 2**31],
    np.int64: [-(2**40), 0, 2**24],
    np.uint64: [0, 2**52],
}


@pytest.mark.parametrize("options", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(("dtype", "values"), INTEGERS.items(), ids=lambda kind: str(kind)[:20])
def test_signed_and_wide_integers_are_read_as_numbers(tmp_path, options, dtype, values):
    image = np.resize(np.array(values, dtype), (37, 53))
    tifffile.imwrite(tmp_path / "a.tif", image, **options)
    micrograph = open_micrograph(tmp_path / "a.tif")
    window = micrograph.read(3, 17, 20, 30)
    assert micrograph.dtype == window.dtype == np.float32
    np.testing.assert_array_equal(window, image[3:23, 17:47])


@pytest.mark.parametrize("options", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (np.int32, 2**24 + 1),
        (np.uint32, 2**32 - 1),
        (np.int32, -(2**31) + 1),
        (np.int64, 2**53 + 1),
        (np.int64, -(2**63)),
        (np.uint64, 2**64 - 1),
    ],
)
def test_integer_that_float32_cannot_hold_is_named(tmp_path, options, dtype, value):
    image = np.zeros((37, 53), dtype)
    image[7, 9] = value
    tifffile.imwrite(tmp_path / "a.tif", image, **options)
    words = rf"holds {value} at row 7, column 9, which float32 cannot hold exactly; save as 16-bit"
    with pytest.raises(InputError, match=words):
        open_micrograph(tmp_path / "a.tif").read(5, 3, 20, 20)
    open_label_values(tmp_path / "a.tif").read()  # grain numbers may be as large


def test_rgb_of_signed_integers(tmp_path):
    image = GREY[:36, :51].reshape(12, 51, 3).astype(np.int16) - 100
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb")
    np.testing.assert_array_equal(open_micrograph(tmp_path / "a.tif").read(), image)


@pytest.mark.parametrize(
    "shape", [(1, 37, 53), (37, 53, 1), (1, 1, 37, 53), (1, 12, 51, 3)], ids=str
)
@pytest.mark.parametrize("options", [{}, {"imagej": True}], ids=str)
def test_axes_of_length_one_are_left_out(tmp_path, shape, options):
    image = GREY.ravel()[: np.prod(shape)].reshape(shape)
    tifffile.imwrite(tmp_path / "a.tif", image, **options)
    expected = image.reshape([n for n in shape if n > 1])
    np.testing.assert_array_equal(open_micrograph(tmp_path / "a.tif").read(), expected)
    np.testing.assert_array_equal(open_label_values(tmp_path / "a.tif").read(), expected)


RAMP = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize("factor", [257, 256, 1])
@pytest.mark.parametrize("table", [RAMP, RAMP[::-1]], ids=["black first", "white first"])
def test_grey_ramp_as_palette_of_tiff_is_grey(tmp_path, table, factor):
    colormap = np.stack([table.astype(np.uint16) * factor] * 3)
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="palette", colormap=colormap)
    micrograph = open_micrograph(tmp_path / "a.tif")
    assert (micrograph.shape, micrograph.dtype) == (GREY.shape, np.uint8)
    np.testing.assert_array_equal(micrograph.read(3, 2, 9, 9), table[GREY][3:12, 2:11])


def test_grey_ramp_as_palette_equals_the_8_bit_image(tmp_path):
    colormap = np.stack([RAMP.astype(np.uint16) * 257] * 3)
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="palette", colormap=colormap)
    tifffile.imwrite(tmp_path / "b.tif", GREY)
    hashes = {open_micrograph(tmp_path / name).content_sha256() for name in ("a.tif", "b.tif")}
    assert len(hashes) == 1


def test_palette_of_many_colours_gives_bytes(tmp_path):
    indices = np.arange(20, dtype=np.uint16).reshape(4, 5) * 3000
    table = np.random.default_rng(0).integers(0, 255, (65536, 3), dtype=np.uint8)
    colormap = table.T.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", indices, photometric="palette", colormap=colormap)
    for image in (
        open_micrograph(tmp_path / "a.tif"),
        open_label_values(tmp_path / "a.tif", expand_palette=True),
    ):
        assert image.dtype == image.read().dtype == np.uint8
        np.testing.assert_array_equal(image.read(), table[indices])


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_grey_palette_of_other_formats_is_grey(tmp_path, suffix):
    indexed = Image.fromarray(GREY)
    indexed.putpalette(np.repeat(RAMP[::-1], 3).tobytes())
    indexed.save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(open_micrograph(tmp_path / f"a.{suffix}").read(), 255 - GREY)


def test_one_entry_with_a_colour_makes_a_palette_colour(tmp_path):
    colormap = np.stack([RAMP.astype(np.uint16) * 257] * 3)
    colormap[2, 255] = 0
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="palette", colormap=colormap)
    assert open_micrograph(tmp_path / "a.tif").shape == (*GREY.shape, 3)


def test_palette_of_a_label_map_stays_colour_for_it_is_compared_with_colours(tmp_path):
    colormap = np.stack([RAMP.astype(np.uint16) * 257] * 3)
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="palette", colormap=colormap)
    labels = open_label_values(tmp_path / "a.tif", expand_palette=True)
    assert labels.shape == (*GREY.shape, 3)


def test_palette_is_decoded_by_strips(tmp_path, monkeypatch):
    colormap = np.stack([RAMP.astype(np.uint16) * 257] * 3)
    options = {"photometric": "palette", "compression": "zlib", "rowsperstrip": 1}
    tifffile.imwrite(tmp_path / "a.tif", GREY, colormap=colormap, **options)
    decoded, original = [], tifffile.TiffPage.decode.func

    def counting(page):
        decode = original(page)
        return lambda data, index, **rest: decoded.append(index) or decode(data, index, **rest)

    monkeypatch.setattr(tifffile.TiffPage, "decode", property(counting))
    open_micrograph(tmp_path / "a.tif").read(3, 0, 2, 5)
    assert decoded == [3, 4]


@pytest.mark.parametrize(("bits", "factor"), [(2, 85), (4, 17), (12, 1)])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_few_bits_are_spread_and_twelve_are_numbers(tmp_path, bits, factor, photometric):
    values = (GREY.astype(np.uint16) * 16 >> (12 - bits)).astype(np.uint8 if bits < 8 else "u2")
    options = {"bitspersample": bits, "photometric": photometric}
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    expected = values if photometric == "minisblack" else 2**bits - 1 - values
    np.testing.assert_array_equal(open_micrograph(tmp_path / "a.tif").read(), expected * factor)
    labels = open_label_values(tmp_path / "a.tif")
    np.testing.assert_array_equal(labels.read(), values)
    assert labels.is_white_zero == (photometric == "miniswhite")


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_wide_greys_with_white_as_zero_are_turned(tmp_path, dtype):
    values = GREY.astype(dtype) * 100
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    info = np.iinfo(dtype)
    np.testing.assert_array_equal(
        open_micrograph(tmp_path / "a.tif").read(), info.max + info.min - values.astype(int)
    )


def write_pages(path, *pages, subifds=0):
    with tifffile.TiffWriter(path) as writer:
        for index, page in enumerate(pages):
            options = {"subifds": subifds} if subifds and index == 0 else {}
            kind = "rgb" if page.ndim == 3 else "minisblack"
            writer.write(page, photometric=kind, metadata=None, **options)


COLOUR = np.dstack([GREY] * 3)
SAME_SIZE = {
    "RGB and grey": (COLOUR, GREY),
    "grey and RGB": (GREY, COLOUR),
    "8 and 16 bits": (GREY, GREY.astype(np.uint16)),
    "after a thumbnail": (GREY, GREY[::2, ::2], GREY.astype(np.float32)),
}


@pytest.mark.parametrize("pages", SAME_SIZE.values(), ids=SAME_SIZE)
def test_pages_of_one_size_are_several_images(tmp_path, pages):
    write_pages(tmp_path / "a.tif", *pages)
    for opened in (open_micrograph, open_label_values):
        with pytest.raises(InputError, match=f"a stack of {len(pages)} pages; save one page a"):
            opened(tmp_path / "a.tif")


def test_page_below_a_page_counts_as_well(tmp_path):
    write_pages(tmp_path / "a.tif", GREY, GREY.astype(np.uint16), subifds=1)
    with pytest.raises(InputError, match="a stack of 2 pages; save one page a file"):
        open_micrograph(tmp_path / "a.tif")
    write_pages(tmp_path / "b.tif", GREY[::2], GREY, subifds=1)
    with pytest.raises(InputError, match="begins with a thumbnail"):
        open_micrograph(tmp_path / "b.tif")
    write_pages(tmp_path / "c.tif", GREY, GREY[::2], subifds=1)
    assert open_micrograph(tmp_path / "c.tif").shape == GREY.shape


def test_two_smaller_pages_of_one_size_are_left_out(tmp_path):
    write_pages(tmp_path / "a.tif", GREY, GREY[::2, ::2], COLOUR[::2, ::2])
    assert open_micrograph(tmp_path / "a.tif").shape == GREY.shape
