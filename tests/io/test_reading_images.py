import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from mstool.errors import InputError, Interrupted, MissingInputError
from mstool.io.images import luminance, open_label_values, open_micrograph, read_values


def grey(dtype=np.uint8, shape=(37, 53), seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


TIFF_OPTIONS = {
    "plain": {},
    "big-endian": {"byteorder": ">"},
    "strips": {"rowsperstrip": 5},
    "deflate": {"compression": "zlib", "rowsperstrip": 8},
    "predictor": {"compression": "zlib", "predictor": True},
    "lzw": {"compression": "lzw"},
    "tiles": {"tile": (16, 32)},
    "zstd tiles": {"tile": (16, 16), "compression": "zstd"},
    "bigtiff": {"bigtiff": True},
}


@pytest.mark.parametrize("options", TIFF_OPTIONS.values(), ids=TIFF_OPTIONS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("colour", [False, True], ids=["grey", "rgb"])
def test_window_of_tiff_equals_the_array(tmp_path, options, dtype, colour):
    image = grey(dtype, (37, 53, 3) if colour else (37, 53))
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image, photometric="rgb" if colour else "minisblack", **options)
    micrograph = open_micrograph(path)
    assert micrograph.shape == image.shape
    assert micrograph.dtype == dtype
    np.testing.assert_array_equal(micrograph.read(), image)
    np.testing.assert_array_equal(micrograph.read(3, 17, 20, 30), image[3:23, 17:47])


@pytest.mark.parametrize("suffix", ["png", "bmp", "jpg"])
@pytest.mark.parametrize("colour", [False, True], ids=["grey", "rgb"])
def test_other_formats(tmp_path, suffix, colour):
    image = np.full((20, 30, 3) if colour else (20, 30), 100, np.uint8)
    Image.fromarray(image).save(tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(open_micrograph(tmp_path / f"a.{suffix}").read(), image, atol=2)


def test_16_bit_png_keeps_its_depth_grey_and_colour(tmp_path):
    for name, shape in (("g.png", (9, 8)), ("c.png", (9, 8, 3))):
        image = grey(np.uint16, shape)
        (tmp_path / name).write_bytes(imagecodecs.png_encode(image))
        np.testing.assert_array_equal(open_micrograph(tmp_path / name).read(), image)


def test_alpha_is_left_out_and_palettes_are_expanded_for_micrographs(tmp_path):
    rgba = grey(shape=(6, 7, 4))
    tifffile.imwrite(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=[2])
    np.testing.assert_array_equal(open_micrograph(tmp_path / "a.tif").read(), rgba[..., :3])
    indexed = Image.fromarray(np.array([[0, 1]], np.uint8))
    indexed.putpalette([10, 20, 30, 40, 50, 60])
    indexed.save(tmp_path / "b.png")
    colours = open_micrograph(tmp_path / "b.png").read()
    np.testing.assert_array_equal(colours, [[[10, 20, 30], [40, 50, 60]]])


def test_inverted_grey_is_turned_right(tmp_path):
    image = grey()
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="miniswhite")
    np.testing.assert_array_equal(open_micrograph(tmp_path / "a.tif").read(), 255 - image)


def test_inverted_float_is_refused_for_its_black_is_unknown(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", grey(np.float32), photometric="miniswhite")
    with pytest.raises(InputError, match="float greys with white as zero; save"):
        open_micrograph(tmp_path / "a.tif")


@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_beside_alpha_is_taken(tmp_path, planarconfig, dtype):
    both = grey(dtype, (6, 7, 2))
    stored = both if planarconfig == "contig" else np.moveaxis(both, 2, 0)
    kind = {"photometric": "minisblack", "extrasamples": [2], "planarconfig": planarconfig}
    tifffile.imwrite(tmp_path / "a.tif", stored, metadata=None, **kind)
    np.testing.assert_array_equal(open_micrograph(tmp_path / "a.tif").read(), both[..., 0])


def test_printers_colours_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", grey(shape=(6, 7, 4)), photometric="separated")
    with pytest.raises(InputError, match="CMYK.*; save as RGB"):
        open_micrograph(tmp_path / "a.tif")


def test_pixels_stay_as_stored_whatever_the_camera_says_is_up(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter
    Image.fromarray(grey(shape=(6, 7))).save(tmp_path / "a.jpg", exif=exif)
    assert open_micrograph(tmp_path / "a.jpg").shape == (6, 7)


def test_size_of_a_micrograph_is_no_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for n_pixels, name in ((15, "warned.png"), (21, "refused.png")):
        Image.fromarray(grey(shape=(1, n_pixels))).save(tmp_path / name)
        assert open_micrograph(tmp_path / name).shape == (1, n_pixels)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_row_of_windows_decodes_each_strip_once(tmp_path, monkeypatch):
    image = grey(shape=(64, 96))
    tifffile.imwrite(tmp_path / "a.tif", image, compression="zlib", rowsperstrip=1)
    decoded, original = [], tifffile.TiffPage.decode.func

    def counting(page):
        decode = original(page)
        return lambda data, index, **options: (
            decoded.append(index) or decode(data, index, **options)
        )

    monkeypatch.setattr(tifffile.TiffPage, "decode", property(counting))
    micrograph = open_micrograph(tmp_path / "a.tif")
    for col in (0, 32, 64):
        window = micrograph.read(0, col, 64, 32)
        np.testing.assert_array_equal(window, image[:, col : col + 32])
    assert sorted(decoded) == list(range(64))


def test_signal_while_decoding_is_no_damage(tmp_path, monkeypatch):
    Image.fromarray(grey()).save(tmp_path / "a.png")

    def interrupt(*arguments):
        raise Interrupted("stopped")

    monkeypatch.setattr(Image, "open", interrupt)
    with pytest.raises(Interrupted):
        open_micrograph(tmp_path / "a.png")


def test_palette_gives_indices_or_colours_for_label_maps(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_values(tmp_path / "a.png"), [[0, 1], [1, 0]])
    colours = open_label_values(tmp_path / "a.png", expand_palette=True).read()
    np.testing.assert_array_equal(colours[0], [[10, 20, 30], [40, 50, 60]])


def test_content_hash_is_of_pixels_and_not_of_the_file(tmp_path):
    image = grey()
    tifffile.imwrite(tmp_path / "a.tif", image)
    tifffile.imwrite(tmp_path / "b.tif", image, compression="zlib", tile=(16, 16))
    Image.fromarray(image).save(tmp_path / "c.png")
    names = ("a.tif", "b.tif", "c.png")
    hashes = {open_micrograph(tmp_path / name).content_sha256() for name in names}
    assert len(hashes) == 1
    image[0, 0] ^= 1
    tifffile.imwrite(tmp_path / "d.tif", image)
    assert open_micrograph(tmp_path / "d.tif").content_sha256() not in hashes


def test_grey_stored_as_colour_turns_grey_exactly():
    image = np.repeat(grey()[..., None], 3, axis=2)
    np.testing.assert_array_equal(luminance(image), image[..., 0])


PIXEL_SIZES = {
    "centimetres": ({"resolution": (5e4, 5e4), "resolutionunit": "CENTIMETER"}, 0.2),
    "ImageJ": ({"imagej": True, "resolution": (4.0, 4.0), "metadata": {"unit": "um"}}, 0.25),
    "OME": ({"ome": True, "metadata": {"PhysicalSizeX": 30, "PhysicalSizeXUnit": "nm"}}, 0.03),
    "a printer's dpi": ({"resolution": (300, 300), "resolutionunit": "INCH"}, None),
    "nothing": ({"metadata": None}, None),
}


@pytest.mark.parametrize(("options", "expected"), PIXEL_SIZES.values(), ids=PIXEL_SIZES)
def test_pixel_size_is_read(tmp_path, options, expected):
    tifffile.imwrite(tmp_path / "a.tif", grey(), **options)
    size = open_micrograph(tmp_path / "a.tif").pixel_size_um
    assert size == (None if expected is None else pytest.approx(expected, rel=1e-3))
    assert open_micrograph(tmp_path / "a.tif", pixel_size_um=7.0).pixel_size_um == 7.0


def write_bad_files(folder):
    tifffile.imwrite(folder / "whole.tif", grey(shape=(300, 300)), compression="zlib")
    tifffile.imwrite(folder / "plain.tif", grey(shape=(300, 300)))
    Image.fromarray(grey(shape=(300, 300))).save(folder / "whole.png")
    Image.fromarray(grey(shape=(300, 300))).save(folder / "whole.jpg")
    for name in ("whole.tif", "plain.tif", "whole.png", "whole.jpg"):
        data = (folder / name).read_bytes()
        (folder / f"cut_{name}").write_bytes(data[: len(data) // 2])
    (folder / "empty.tif").write_bytes(b"")
    (folder / "text.tif").write_text("not an image")
    (folder / "zeros.png").write_bytes(bytes(1000))


@pytest.mark.parametrize(
    "name",
    [
        "cut_whole.tif",
        "cut_plain.tif",
        "cut_whole.png",
        "cut_whole.jpg",
        "empty.tif",
        "text.tif",
        "zeros.png",
    ],
)
def test_damaged_file_is_one_line_with_its_name_and_a_remedy(tmp_path, name):
    write_bad_files(tmp_path)
    with pytest.raises(InputError, match=name) as caught:
        open_micrograph(tmp_path / name).read()
    assert "\n" not in str(caught.value)
    assert ";" in str(caught.value)


def test_not_a_number_is_found_where_it_is(tmp_path):
    image = grey(np.float32)
    image[4, 7] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", image)
    with pytest.raises(InputError, match="row 4, column 7"):
        open_micrograph(tmp_path / "a.tif").read(2, 0, 10, 10)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.complex64])
def test_types_that_no_camera_gives_are_refused(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 4), dtype))
    with pytest.raises(InputError, match="save as 8-bit"):
        open_micrograph(tmp_path / "a.tif")


def test_stack_of_pages_and_missing_file_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 20, 20), np.uint8))
    with pytest.raises(InputError, match="stack"):
        open_micrograph(tmp_path / "a.tif")
    with pytest.raises(MissingInputError, match=r"none\.tif"):
        open_micrograph(tmp_path / "none.tif")


def test_pickle_in_an_array_file_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(InputError, match=r"a\.npy"):
        read_values(tmp_path / "a.npy")
