"""Label maps as files store them: palettes, alpha, white as zero, 16-bit colours, lossy formats."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from mstool.errors import InputError
from mstool.io import micrograph
from mstool.io.images import open_label_values, open_micrograph, read_values

INDICES = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
TABLE = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]], np.uint8)


def write_indexed(path, indices=INDICES, table=TABLE, **options):
    if path.suffix == ".tif":
        colormap = np.zeros((3, 256), np.uint16)
        colormap[:, : len(table)] = table.T.astype(np.uint16) * 257
        tifffile.imwrite(path, indices, photometric="palette", colormap=colormap, metadata=None)
        return
    image = Image.fromarray(indices)
    image.putpalette(table.tobytes())
    image.save(path, **options)


def write_png(path, rows, bits, colour_type, *chunks):
    """PNG from packed rows, for what Pillow does not write."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    n_channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour_type]
    width = len(rows[0]) * 8 // (bits * n_channels)
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.bmp"])
@pytest.mark.parametrize("is_expanded", [False, True])
def test_colour_table_is_kept_with_indices_and_with_colours(tmp_path, name, is_expanded):
    write_indexed(tmp_path / name)
    labels = open_label_values(tmp_path / name, expand_palette=is_expanded)
    np.testing.assert_array_equal(labels.palette[:3], TABLE)
    assert labels.palette.dtype == np.uint8
    np.testing.assert_array_equal(labels.read(), TABLE[INDICES] if is_expanded else INDICES)
    assert labels.shape == ((2, 3, 3) if is_expanded else (2, 3))
    assert labels.dtype == np.uint8


def test_files_without_a_table_have_none(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", INDICES)
    assert open_label_values(tmp_path / "a.tif").palette is None


def test_index_beyond_the_table_is_a_value_and_no_colour(tmp_path):
    write_png(tmp_path / "a.png", [bytes([0, 1, 2])], 8, 3, (b"PLTE", TABLE[:2].tobytes()))
    np.testing.assert_array_equal(read_values(tmp_path / "a.png"), [[0, 1, 2]])
    for opened in (open_micrograph, lambda path: open_label_values(path, expand_palette=True)):
        with pytest.raises(InputError, match="index 2 has no colour in its table of 2; save"):
            opened(tmp_path / "a.png").read()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, bool])
def test_white_zero_is_told_where_values_are_as_stored(tmp_path, dtype):
    values = np.array([[0, 1], [1, 0]], dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    as_stored = open_label_values(tmp_path / "a.tif")
    assert as_stored.is_white_zero
    np.testing.assert_array_equal(as_stored.read(), values)
    as_seen = open_label_values(tmp_path / "a.tif", expand_palette=True)
    assert not as_seen.is_white_zero
    top = 255 if dtype is bool else np.iinfo(dtype).max
    expected = np.array([[1, 0], [0, 1]]) * 255 if dtype is bool else top - values
    np.testing.assert_array_equal(as_seen.read(), expected)


def test_black_zero_is_told(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", INDICES)
    Image.fromarray(INDICES > 0).save(tmp_path / "a.png")
    assert not open_label_values(tmp_path / "a.tif").is_white_zero
    assert not open_label_values(tmp_path / "a.png").is_white_zero
    assert not open_micrograph(tmp_path / "a.tif").is_white_zero


COLOURS = np.arange(4 * 5 * 3).reshape(4, 5, 3)


def with_alpha(dtype, alpha, n_colours=3):
    """Colours, or greys, beside an alpha channel, at (1, 2) of another alpha."""
    top = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    values = np.full((4, 5, n_colours + 1), top, dtype)
    values[..., :n_colours] = COLOURS[..., :n_colours]
    values[1, 2, -1] = alpha
    return values


def write_channels(path, values):
    """RGB or grey with alpha, in the format that the name says."""
    kind = "rgb" if values.shape[2] == 4 else "minisblack"
    if path.name == "planes.tif":
        values = np.moveaxis(values, 2, 0)
        options = {"photometric": kind, "planarconfig": "separate", "extrasamples": [2]}
        tifffile.imwrite(path, values, metadata=None, **options)
    elif path.suffix == ".tif":
        options = {"photometric": kind, "planarconfig": "contig", "extrasamples": [2]}
        tifffile.imwrite(path, values, metadata=None, **options)
    elif path.suffix == ".npy":
        np.save(path, values)
    else:
        path.write_bytes(imagecodecs.png_encode(values))


ALPHA_FORMATS = [
    ("a.tif", np.uint8, 4),
    ("a.tif", np.uint16, 4),
    ("a.tif", np.uint8, 2),
    ("a.tif", np.uint16, 2),
    ("planes.tif", np.uint8, 4),
    ("planes.tif", np.uint16, 2),
    ("a.png", np.uint8, 4),
    ("a.png", np.uint8, 2),
    ("a.png", np.uint16, 4),
    ("a.png", np.uint16, 2),
    ("a.npy", np.uint8, 4),
]


@pytest.mark.parametrize(("name", "dtype", "n_channels"), ALPHA_FORMATS)
def test_alpha_that_hides_something_is_the_last_channel(tmp_path, name, dtype, n_channels):
    write_channels(tmp_path / name, with_alpha(dtype, 0, n_channels - 1))
    labels = open_label_values(tmp_path / name)
    assert labels.shape == (4, 5, n_channels)
    alpha = np.full((4, 5), 255)
    alpha[1, 2] = 0
    np.testing.assert_array_equal(labels.read()[..., -1], alpha)
    np.testing.assert_array_equal(labels.read(1, 2, 2, 2)[..., -1], alpha[1:3, 2:4])
    np.testing.assert_array_equal(labels.read()[..., :-1], COLOURS[..., : n_channels - 1])


@pytest.mark.parametrize(("name", "dtype", "n_channels"), ALPHA_FORMATS)
def test_alpha_that_is_opaque_everywhere_is_left_out(tmp_path, name, dtype, n_channels):
    write_channels(tmp_path / name, with_alpha(dtype, np.iinfo(dtype).max, n_channels - 1))
    labels = open_label_values(tmp_path / name)
    assert labels.shape == ((4, 5, 3) if n_channels == 4 else (4, 5))
    expected = COLOURS if n_channels == 4 else COLOURS[..., 0]
    np.testing.assert_array_equal(labels.read(), expected)


def test_alpha_between_is_scaled_to_eight_bits(tmp_path):
    write_channels(tmp_path / "a.png", with_alpha(np.uint16, 128 * 257))
    assert open_label_values(tmp_path / "a.png").read()[1, 2, 3] == 128
    tifffile.imwrite(tmp_path / "a.tif", with_alpha(np.float32, 0.5), photometric="rgb")
    assert open_label_values(tmp_path / "a.tif").read()[1, 2, 3] == 128


@pytest.mark.parametrize("is_expanded", [False, True])
def test_alpha_of_indexed_colour(tmp_path, is_expanded):
    write_indexed(tmp_path / "a.png", transparency=b"\xff\x00\x80")
    labels = open_label_values(tmp_path / "a.png", expand_palette=is_expanded)
    assert labels.shape == ((2, 3, 4) if is_expanded else (2, 3, 2))
    np.testing.assert_array_equal(labels.read()[..., -1], [[255, 0, 128], [128, 0, 255]])
    expected = TABLE[INDICES] if is_expanded else INDICES[..., None]
    np.testing.assert_array_equal(labels.read()[..., :-1], expected)
    write_indexed(tmp_path / "b.png", INDICES // 2, transparency=b"\xff\xff\x80")
    assert open_label_values(tmp_path / "b.png").shape == (2, 3)


KEYS = {
    "grey": (8, 0, [bytes([0, 1, 2])], b"\0\1", [[255, 0, 255]]),
    "two bits": (2, 0, [bytes([0b00011011])], b"\0\2", [[255, 255, 0, 255]]),
    "one bit": (1, 0, [bytes([0b10100000])], b"\0\1", [[0, 255, 0, 255, 255, 255, 255, 255]]),
    "16-bit grey": (16, 0, [bytes([1, 0, 1, 1])], b"\1\0", [[0, 255]]),
    "RGB": (8, 2, [bytes([1, 2, 3, 1, 2, 4])], b"\0\1\0\2\0\3", [[0, 255]]),
    "16-bit RGB": (
        16,
        2,
        [bytes([1, 0, 1, 0, 1, 0, 9, 9, 9, 9, 9, 9])],
        b"\1\0\1\0\1\0",
        [[0, 255]],
    ),
}


@pytest.mark.parametrize(("bits", "kind", "rows", "key", "alpha"), KEYS.values(), ids=KEYS)
def test_one_colour_that_stands_for_transparent_is_alpha(tmp_path, bits, kind, rows, key, alpha):
    write_png(tmp_path / "a.png", rows, bits, kind, (b"tRNS", key))
    labels = open_label_values(tmp_path / "a.png").read()
    np.testing.assert_array_equal(labels[..., -1], alpha)
    assert open_micrograph(tmp_path / "a.png").shape == (*np.shape(alpha), *((3,) if kind else ()))


def test_fourth_channel_of_unknown_kind_hides_as_well(tmp_path):
    """As some libraries write transparency."""
    values = with_alpha(np.uint8, 0)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=[0])
    assert open_label_values(tmp_path / "a.tif").shape == (4, 5, 4)


def test_few_bits_are_values_as_stored(tmp_path):
    row = bytes([0b00011011])
    write_png(tmp_path / "a.png", [row], 2, 0)
    write_png(tmp_path / "b.png", [row], 4, 0)
    np.testing.assert_array_equal(read_values(tmp_path / "a.png"), [[0, 1, 2, 3]])
    np.testing.assert_array_equal(read_values(tmp_path / "b.png"), [[1, 11]])
    as_seen = open_label_values(tmp_path / "a.png", expand_palette=True)
    np.testing.assert_array_equal(as_seen.read(), [[0, 85, 170, 255]])
    np.testing.assert_array_equal(open_micrograph(tmp_path / "b.png").read(), [[17, 187]])


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.npy"])
def test_colours_of_16_bits_with_equal_bytes_are_colours_of_8(tmp_path, name):
    wide = (COLOURS * 257).astype(np.uint16)
    save = {".tif": tifffile.imwrite, ".npy": np.save}.get((tmp_path / name).suffix)
    if save:
        save(tmp_path / name, wide)
    else:
        (tmp_path / name).write_bytes(imagecodecs.png_encode(wide))
    labels = open_label_values(tmp_path / name)
    assert labels.dtype == labels.read().dtype == np.uint8
    np.testing.assert_array_equal(labels.read(), COLOURS)


@pytest.mark.parametrize("band_bytes", [8 * 5, 2**20], ids=["row by row", "at once"])
def test_other_colours_of_16_bits_stay_as_they_are(tmp_path, monkeypatch, band_bytes):
    monkeypatch.setattr(micrograph, "_BAND_BYTES", band_bytes)
    wide = (COLOURS * 257).astype(np.uint16)
    wide[-1, -1, 2] += 1
    tifffile.imwrite(tmp_path / "a.tif", wide, photometric="rgb", byteorder=">")
    labels = open_label_values(tmp_path / "a.tif")
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels.read(), wide)


def test_grey_values_of_16_bits_are_numbers_whatever_their_bytes(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 257]], np.uint16))
    np.testing.assert_array_equal(read_values(tmp_path / "a.tif"), [[0, 257]])


def test_grain_numbers_stay_exact(tmp_path):
    for dtype in (np.float64, np.int64):
        np.save(tmp_path / "a.npy", np.array([[2**24 + 1, -3]], dtype))
        assert read_values(tmp_path / "a.npy").tolist() == [[2**24 + 1, -3]]


SHAPES = {(1, 4, 5): (4, 5), (4, 5, 1): (4, 5), (1, 4, 5, 3): (4, 5, 3), (3, 4, 5): (4, 5, 3)}


@pytest.mark.parametrize(("shape", "expected"), SHAPES.items())
def test_axes_of_length_one_are_left_out(tmp_path, shape, expected):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    assert read_values(tmp_path / "a.npy").shape == expected


def test_row_of_colours_is_no_stack(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((1, 5, 3), np.uint8))
    assert read_values(tmp_path / "a.npy").shape == (1, 5, 3)


def test_jpeg_label_map_is_refused(tmp_path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.jpg")
    words = r"a\.jpg: is JPEG, whose compression changes labels; save label maps as PNG$"
    with pytest.raises(InputError, match=words):
        open_label_values(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.png")  # whatever its name says
    with pytest.raises(InputError, match="is JPEG"):
        open_label_values(tmp_path / "a.png")


LOSSY = {
    "JPEG": ({"compression": "jpeg"}, "is JPEG, whose compression changes"),
    "JPEG in tiles": ({"compression": "jpeg", "tile": (16, 16)}, "is JPEG, whose"),
    "JPEG 2000": (
        {"compression": "jpeg2000", "compressionargs": {"level": 30, "reversible": False}},
        "is JPEG 2000, whose compression changes",
    ),
    "WebP": (
        {"compression": "webp", "compressionargs": {"level": 50, "lossless": False}},
        "is WebP, whose",
    ),
    "JPEG XL": ({"compression": "jpegxl"}, "is JPEG XL, whose compression may change"),
    "JPEG XR": ({"compression": "jpegxr"}, "is JPEG XR, whose compression may change"),
}
LOSSLESS = {
    "JPEG 2000": {"compression": "jpeg2000", "compressionargs": {"reversible": True}},
    "WebP": {"compression": "webp", "compressionargs": {"lossless": True}},
    "deflate": {"compression": "zlib"},
    "zstd": {"compression": "zstd"},
}
NOISE = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(("options", "words"), LOSSY.values(), ids=LOSSY)
def test_label_map_in_lossy_tiff_is_refused_and_a_micrograph_is_not(tmp_path, options, words):
    tifffile.imwrite(tmp_path / "a.tif", NOISE, photometric="rgb", **options)
    with pytest.raises(InputError, match=f"{words}.*; save label maps as PNG"):
        open_label_values(tmp_path / "a.tif")
    assert open_micrograph(tmp_path / "a.tif").read().shape == (32, 32, 3)


@pytest.mark.parametrize("options", LOSSLESS.values(), ids=LOSSLESS)
def test_label_map_in_lossless_tiff_is_read(tmp_path, options):
    tifffile.imwrite(tmp_path / "a.tif", NOISE, photometric="rgb", **options)
    np.testing.assert_array_equal(read_values(tmp_path / "a.tif"), NOISE)


def test_label_map_in_lossless_jpeg_is_read(tmp_path):
    data = imagecodecs.ljpeg_encode(NOISE[..., 0])
    options = {"shape": (32, 32), "dtype": np.uint8, "rowsperstrip": 32}
    tifffile.imwrite(tmp_path / "a.tif", iter([data]), compression=7, metadata=None, **options)
    np.testing.assert_array_equal(read_values(tmp_path / "a.tif"), NOISE[..., 0])
