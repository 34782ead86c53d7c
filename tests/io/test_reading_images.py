import os
import pickle
import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from mstool.errors import InputError, Interrupted, MissingInputError
from mstool.io.conversions import luminance
from mstool.io.images import open_label_values, open_micrograph, read_values


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
    with pytest.raises(InputError, match="CMYK.*; save as grey or RGB"):
        open_micrograph(tmp_path / "a.tif")


@pytest.mark.parametrize("photometric", ["cielab", "ycbcr", "icclab"])
def test_colours_that_are_not_rgb_are_refused(tmp_path, photometric):
    values = grey(shape=(6, 7, 3))
    tifffile.imwrite(tmp_path / "a.tif", values, photometric=photometric, metadata=None)
    for opened in (open_micrograph, open_label_values):
        with pytest.raises(InputError, match="stored in .* colours; save as grey or RGB"):
            opened(tmp_path / "a.tif")


@pytest.mark.parametrize(("mode", "value"), [("L", 90), ("RGB", (200, 120, 40))])
def test_jpeg_in_tiff_as_pillow_writes_it(tmp_path, mode, value):
    Image.new(mode, (24, 16), value).save(tmp_path / "a.tif", compression="jpeg")
    values = open_micrograph(tmp_path / "a.tif").read(3, 2, 8, 8)
    np.testing.assert_allclose(values, np.broadcast_to(value, values.shape), atol=3)  # lossy


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 16}, {"tile": (16, 16)}], ids=str)
def test_jpeg_in_strips_and_tiles_of_tiff(tmp_path, photometric, layout):
    image = np.full((40, 32, 3), (200, 120, 40), np.uint8)
    kind = {"photometric": photometric, "compression": "jpeg"}
    tifffile.imwrite(tmp_path / "a.tif", image, **kind, **layout)
    values = open_micrograph(tmp_path / "a.tif").read(10, 5, 20, 20)
    rgb = image if photometric == "rgb" else tifffile.imread(tmp_path / "a.tif")
    np.testing.assert_allclose(values, rgb[:20, :20], atol=3)  # lossy


def write_turned(path):
    if path.suffix == ".tif":
        tifffile.imwrite(path, grey(shape=(6, 7)), extratags=[(0x0112, 3, 1, 6, True)])
        return
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter
    Image.fromarray(grey(shape=(6, 7))).save(path, exif=exif)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_image_that_is_stored_turned_is_refused(tmp_path, name):
    write_turned(tmp_path / name)
    for opened in (open_micrograph, open_label_values):
        with pytest.raises(InputError, match=r"stored turned \(orientation 6\); save it upright"):
            opened(tmp_path / name)


def test_image_that_says_it_is_upright_is_read(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 1
    Image.fromarray(grey(shape=(6, 7))).save(tmp_path / "a.png", exif=exif)
    assert open_micrograph(tmp_path / "a.png").shape == (6, 7)


def test_exif_that_cannot_be_read_turns_nothing_and_says_nothing(tmp_path):
    Image.fromarray(grey(shape=(6, 7))).save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0")
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

    def interrupt(*arguments, **options):
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


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_types_that_no_camera_gives_are_refused(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 4), dtype))
    with pytest.raises(InputError, match="save as 8-bit"):
        open_micrograph(tmp_path / "a.tif")


def write_several(path, kind):
    """Write more than one picture into a file."""
    stack = np.zeros((5, 20, 20), np.uint8)
    if kind == "pages":
        tifffile.imwrite(path, stack)
    elif kind == "ImageJ":
        tifffile.imwrite(path, stack, imagej=True, truncate=True)
    elif kind == "shaped":
        tifffile.imwrite(path, stack, photometric="minisblack", truncate=True)
    elif kind == "volume":
        tifffile.imwrite(path, stack, photometric="minisblack", volumetric=True, tile=(1, 16, 16))
    elif kind == "channels":
        options = {"photometric": "minisblack", "planarconfig": "contig", "metadata": None}
        tifffile.imwrite(path, np.zeros((20, 20, 3), np.uint8), **options)
    elif kind == "animation":
        first, *others = (Image.fromarray(values + n) for n, values in enumerate(stack))
        first.save(path, "PNG", save_all=True, append_images=others)
    else:
        sides = {"thumbnail first": (8, 20), "pyramid": (20, 8)}[kind]
        with tifffile.TiffWriter(path) as writer:
            for side in sides:
                writer.write(np.zeros((side, side), np.uint8), metadata=None)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("pages", "a stack of 5 pages; save one page a file"),
        ("ImageJ", "a stack of 5 pages; save one page a file"),
        ("shaped", "a stack of 5 pages; save one page a file"),
        ("volume", "a stack of 5 pages; save one page a file"),
        ("channels", "3 channels that are not RGB; save"),
        ("animation", "an animation of 5 pictures; save one picture a file"),
        ("thumbnail first", "begins with a thumbnail; save the full image alone"),
    ],
)
def test_more_than_one_picture_is_refused(tmp_path, kind, words):
    write_several(tmp_path / "a.tif", kind)
    for opened in (open_micrograph, open_label_values):
        with pytest.raises(InputError, match=words):
            opened(tmp_path / "a.tif")


def test_smaller_copies_after_the_image_are_left_out(tmp_path):
    write_several(tmp_path / "a.tif", "pyramid")
    assert open_micrograph(tmp_path / "a.tif").shape == (20, 20)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(MissingInputError, match=r"none\.tif"):
        open_micrograph(tmp_path / "none.tif")


@pytest.mark.parametrize("suffix", ["tif", "png", "npy"])
def test_pipe_is_refused_without_waiting_for_a_writer(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    os.mkfifo(path)
    with pytest.raises(InputError, match="not a regular file; save it as a file"):
        open_label_values(path)


NO_LABELS = {
    "complex": (np.ones((2, 2), np.complex64), "complex numbers"),
    "records": (np.ones((2, 2), [("a", "i4"), ("b", "f4")]), "records"),
    "text": (np.full((2, 2), "matrix"), "text"),
    "dates": (np.zeros((2, 2), "M8[s]"), "dates"),
    "objects": (np.array([[{"a": 1}]], object), "Python objects"),
}


@pytest.mark.parametrize(("values", "kind"), NO_LABELS.values(), ids=NO_LABELS)
def test_array_that_is_no_label_map_is_refused_in_own_words(tmp_path, values, kind):
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    with pytest.raises(InputError, match=f"holds {kind}; a label map holds whole numbers"):
        read_values(tmp_path / "a.npy")


@pytest.mark.parametrize("write", [pickle.dumps, lambda values: b"PK\3\4 and so on"])
def test_other_content_in_an_array_file_is_refused_in_own_words(tmp_path, write):
    (tmp_path / "a.npy").write_bytes(write([1, 2]))
    with pytest.raises(InputError, match=r"no array of NumPy; save it with numpy\.save"):
        read_values(tmp_path / "a.npy")


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_one_bit_is_black_and_white_or_two_labels(tmp_path, name, photometric):
    bits = grey(shape=(9, 11)) > 100
    stored = bits
    if name == "a.tif":
        stored = bits if photometric == "minisblack" else ~bits
        tifffile.imwrite(tmp_path / name, stored, photometric=photometric)
    else:
        Image.fromarray(bits).save(tmp_path / name)
    micrograph, labels = open_micrograph(tmp_path / name), read_values(tmp_path / name)
    assert micrograph.dtype == labels.dtype == np.uint8
    np.testing.assert_array_equal(micrograph.read(), bits * np.uint8(255))
    np.testing.assert_array_equal(labels, stored)


def test_yes_and_no_in_an_array_are_two_labels(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[True, False]]))
    np.testing.assert_array_equal(read_values(tmp_path / "a.npy"), np.array([[1, 0]], np.uint8))
    assert read_values(tmp_path / "a.npy").dtype == np.uint8


def test_grey_beside_alpha_in_a_16_bit_png_is_taken(tmp_path):
    both = grey(np.uint16, (9, 8, 2))
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(both))
    np.testing.assert_array_equal(open_micrograph(tmp_path / "a.png").read(), both[..., 0])


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}], ids=str)
def test_value_too_large_for_32_bits_is_told_without_a_warning(tmp_path, options):
    image = grey(np.float64)
    image[4, 7] = 1e300
    tifffile.imwrite(tmp_path / "a.tif", image, **options)
    with pytest.raises(InputError, match=r"beyond 3\.4e38, too large for 32 bits; scale"):
        open_micrograph(tmp_path / "a.tif").read()


def test_libraries_say_nothing_of_their_own(tmp_path, capfd):
    code = (
        "import sys; from pathlib import Path; from mstool.io.images import open_micrograph\n"
        "try: open_micrograph(Path(sys.argv[1])).read()\n"
        "except Exception: pass"
    )
    tifffile.imwrite(tmp_path / "a.tif", grey())
    data = bytearray((tmp_path / "a.tif").read_bytes())
    (tmp_path / "a.tif").write_bytes(data[:4] + b"\xff\xff\0\0" + data[8:])
    subprocess.run([sys.executable, "-c", code, tmp_path / "a.tif"], check=True)
    indexed = Image.fromarray(np.array([[0, 1]], np.uint8))
    indexed.putpalette([10, 20, 30, 40, 50, 60])
    indexed.save(tmp_path / "b.png", transparency=b"\0\x80")
    subprocess.run([sys.executable, "-c", code, tmp_path / "b.png"], check=True)
    assert capfd.readouterr().err == ""
