"""Files that are damaged, end early or cannot be read: never wrong pixels in silence."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from mstool.errors import InputError, UnavailableError
from mstool.io.images import open_label_values, open_micrograph, read_values

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 255, (16, 20, 4), dtype=np.uint8)
SMOOTH = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)


def chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png_of(height, width, bits, colour_type, pixels, *chunks, interlace=0):
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlace)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def packed(bits, n_channels=1, height=16, width=20):
    """Rows of noise, each with its filter in front."""
    n_bytes = -(-width * bits * n_channels // 8)
    rows = RNG.integers(0, 255, (height, n_bytes + 1), dtype=np.uint8)
    rows[:, 0] = np.arange(height) % 5
    return rows.tobytes()


def saved(mode, **options):
    stream = io.BytesIO()
    channels = {"LA": 2, "RGB": 3, "RGBA": 4}.get(mode, 1)
    values = NOISE[..., :channels] if channels > 1 else NOISE[..., 0]
    image = Image.fromarray(values > 100) if mode == "1" else Image.fromarray(values)
    image.save(stream, "PNG", **options)
    return stream.getvalue()


TABLE = (b"PLTE", bytes(range(16 * 3)))
PASSES = b"".join(
    packed(8, 1, *size) for size in [(2, 3), (2, 2), (2, 5), (4, 5), (4, 10), (8, 10)]
)
PNGS = {
    "1": saved("1"),
    "L": saved("L"),
    "LA": saved("LA"),
    "RGB": saved("RGB"),
    "RGBA": saved("RGBA"),
    "16-bit grey": imagecodecs.png_encode(NOISE[..., 0].astype(np.uint16) * 199),
    "16-bit LA": imagecodecs.png_encode(NOISE[..., :2].astype(np.uint16) * 199),
    "16-bit RGB": imagecodecs.png_encode(NOISE[..., :3].astype(np.uint16) * 199),
    "16-bit RGBA": imagecodecs.png_encode(NOISE.astype(np.uint16) * 199),
    "2-bit grey": png_of(16, 20, 2, 0, packed(2)),
    "4-bit grey": png_of(16, 20, 4, 0, packed(4)),
    "P 1 bit": png_of(16, 20, 1, 3, packed(1), TABLE),
    "P 2 bit": png_of(16, 20, 2, 3, packed(2), TABLE),
    "P 4 bit": png_of(16, 20, 4, 3, packed(4), TABLE, (b"tRNS", b"\0\x80")),
    "P 8 bit": png_of(16, 20, 8, 3, packed(8), (b"PLTE", bytes(range(1, 256)) * 3)),
    "L with a clear grey": png_of(16, 20, 8, 0, packed(8), (b"tRNS", b"\0\7")),
    "interlaced": png_of(16, 20, 8, 0, PASSES + packed(8, 1, 8, 20), interlace=1),
    "many chunks": saved("RGB", icc_profile=b"x" * 50, dpi=(300, 300)),
}


def all_of(path):
    """Everything that a file is read as."""
    readings = [open_micrograph(path), open_label_values(path), open_label_values(path, True)]
    return [reading.read() for reading in readings]


def hits(data, n_hits, rng):
    """Copies with a flipped bit, a run of zeros, or noise, anywhere behind the signature."""
    for index in range(n_hits):
        copy, at = bytearray(data), int(rng.integers(8, len(data)))
        if index % 3 == 0:
            copy[at] ^= 1 << int(rng.integers(8))
        else:
            length = min(int(rng.integers(2, 40)), len(data) - at)
            copy[at : at + length] = bytes(length) if index % 3 == 1 else rng.bytes(length)
        yield bytes(copy)


@pytest.mark.parametrize("name", PNGS)
def test_damaged_png_is_refused_or_gives_the_same_pixels(tmp_path, name):
    path = tmp_path / "a.png"
    path.write_bytes(PNGS[name])
    truth = all_of(path)
    n_refused, n_hits = 0, 150
    for damaged in hits(PNGS[name], n_hits, np.random.default_rng(1)):
        path.write_bytes(damaged)
        try:
            values = all_of(path)
        except InputError as error:
            n_refused += 1
            assert str(error).count("\n") == 0 and ";" in str(error)
        else:
            for value, expected in zip(values, truth, strict=True):
                np.testing.assert_array_equal(value, expected)
    assert n_refused > 0.9 * n_hits


@pytest.mark.parametrize("name", PNGS)
def test_png_cut_anywhere_is_refused(tmp_path, name):
    data = PNGS[name]
    for length in np.linspace(9, len(data) - 1, 40).astype(int):
        (tmp_path / "a.png").write_bytes(data[:length])
        with pytest.raises(InputError, match=r"a\.png: the file is cut off; copy it again"):
            open_label_values(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("n_rows", "words"), [(15, "fewer pixels than it claims"), (17, "more pixels than it claims")]
)
@pytest.mark.parametrize("bits", [1, 8, 16])
def test_png_of_other_size_than_it_claims_is_refused(tmp_path, n_rows, words, bits):
    """With checksums that are right, as a broken writer leaves it."""
    (tmp_path / "a.png").write_bytes(png_of(16, 20, bits, 0, packed(bits, height=n_rows)))
    for opened in (open_micrograph, open_label_values):
        with pytest.raises(InputError, match=f"is damaged, it holds {words}; copy it again"):
            opened(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("n_lost", "words"),
    [(20, "it holds fewer pixels than it claims"), (4, "without their checksum")],
)
def test_png_whose_pixels_stop_early_is_refused(tmp_path, n_lost, words):
    whole = zlib.compress(packed(8))
    header = struct.pack(">IIBBBBB", 20, 16, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", whole[:-n_lost])]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in [*parts, (b"IEND", b"")])
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match=f"is damaged, .*{words}; copy"):
        open_label_values(tmp_path / "a.png")


@pytest.mark.parametrize("kind", [b"IDAT", b"IEND", b"IHDR"])
def test_png_with_a_wrong_checksum_is_refused_though_its_pixels_are_there(tmp_path, kind):
    data = bytearray(PNGS["L"])
    at = data.index(kind)
    data[at + 4 + int.from_bytes(data[at - 4 : at], "big")] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match=f"the checksum of its part {kind!r} is wrong; copy it"):
        open_label_values(tmp_path / "a.png")


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 3), (8, 8), (16, 20)])
@pytest.mark.parametrize(("bits", "kind"), [(1, 0), (8, 0), (8, 2), (16, 2), (4, 3)])
def test_interlaced_png_of_any_size_has_the_bytes_that_it_should(size, bits, kind, tmp_path):
    """Counted against the passes written one pixel at a time."""
    height, width = size
    where = np.zeros((8, 8), int)
    for number, (row, col, down, across) in enumerate(
        [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)], 1
    ):
        where[row::down, col::across] = number
    where[where == 0] = 7
    where[1::2] = 7
    numbers = np.tile(where, (3, 3))[:height, :width]
    pixels = b""
    for number in range(1, 8):
        rows = [np.count_nonzero(row == number) for row in numbers]
        for n_pixels in filter(None, rows):
            pixels += bytes(1 + -(-n_pixels * bits * {0: 1, 2: 3, 3: 1}[kind] // 8))
    table = [TABLE] if kind == 3 else []
    (tmp_path / "a.png").write_bytes(png_of(height, width, bits, kind, pixels, *table, interlace=1))
    assert open_micrograph(tmp_path / "a.png").shape[:2] == size


@pytest.mark.parametrize("side", [1023, 1024, 3000])
def test_png_that_is_almost_nothing_once_packed_is_counted_to_its_end(tmp_path, side):
    Image.fromarray(np.zeros((side, side), np.uint8)).save(tmp_path / "a.png")
    assert open_label_values(tmp_path / "a.png").shape == (side, side)
    pixels = bytes((side + 1) * 2000)
    (tmp_path / "b.png").write_bytes(png_of(16, side, 8, 0, pixels))
    with pytest.raises(InputError, match="it holds more pixels than it claims"):
        open_label_values(tmp_path / "b.png")


def test_what_follows_the_end_of_a_png_is_no_damage(tmp_path):
    (tmp_path / "a.png").write_bytes(PNGS["L"] + b"notes of a microscope")
    np.testing.assert_array_equal(read_values(tmp_path / "a.png"), NOISE[..., 0])


def jpeg_of(image, **options):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=90, **options)
    return stream.getvalue()


JPEGS = {
    "grey": jpeg_of(SMOOTH),
    "colour": jpeg_of(np.dstack([SMOOTH, SMOOTH[::-1], SMOOTH])),
    "progressive": jpeg_of(SMOOTH, progressive=True),
    "restarts": jpeg_of(SMOOTH, restart_marker_rows=1),
}


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize("end", [b"", b"\xff\xd9", bytes(4000)], ids=["", "end mark", "zeros"])
def test_jpeg_that_ends_early_is_refused(tmp_path, name, end):
    data = JPEGS[name]
    start = data.rindex(b"\xff\xda") + 20
    for length in np.linspace(start, len(data) - 20, 9).astype(int):
        (tmp_path / "a.jpg").write_bytes(data[:length] + end)
        with pytest.raises(InputError, match=r"a\.jpg: .*; copy it again"):
            open_micrograph(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize("tail", [b"", b"\0", b"notes of a microscope" * 50], ids=len)
def test_whole_jpeg_is_read_whatever_follows(tmp_path, name, tail):
    (tmp_path / "a.jpg").write_bytes(JPEGS[name] + tail)
    expected = np.asarray(Image.open(io.BytesIO(JPEGS[name])))
    np.testing.assert_array_equal(open_micrograph(tmp_path / "a.jpg").read(), expected)


def test_jpeg_in_printers_colours_is_read(tmp_path):
    Image.fromarray(np.dstack([SMOOTH] * 4), mode="CMYK").save(tmp_path / "a.jpg")
    assert open_micrograph(tmp_path / "a.jpg").shape == (48, 64, 3)


@pytest.mark.parametrize("name", ["a.bmp", "a.tif"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}], ids=str)
def test_other_files_that_end_early_are_refused(tmp_path, name, options):
    if name == "a.bmp":
        Image.fromarray(NOISE[..., :3]).save(tmp_path / name)
    else:
        tifffile.imwrite(tmp_path / name, NOISE[..., :3], photometric="rgb", **options)
    data = (tmp_path / name).read_bytes()
    for length in np.linspace(len(data) // 2, len(data) - 8, 9).astype(int):
        (tmp_path / name).write_bytes(data[:length])
        for opened in (open_micrograph, open_label_values):
            with pytest.raises(InputError, match=f"{name}: .*; "):
                opened(tmp_path / name).read()


@pytest.mark.parametrize("bits", [1, 8])
def test_bmp_of_black_and_white_is_read_only_with_one_bit(tmp_path, bits):
    """Eight bits beside the same table of colours are misread by Pillow."""
    row = {1: b"\xa0\0\0\0", 8: b"\1\0\1\0"}[bits]
    table = bytes(4) + b"\xff\xff\xff\0"
    header = struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, bits, 0, len(row) * 2, 0, 0, 2, 0)
    start = 14 + len(header) + len(table)
    head = b"BM" + struct.pack("<IHHI", start + len(row) * 2, 0, 0, start)
    (tmp_path / "a.bmp").write_bytes(head + header + table + row * 2)
    if bits == 1:
        np.testing.assert_array_equal(read_values(tmp_path / "a.bmp"), [[1, 0, 1, 0]] * 2)
        return
    with pytest.raises(InputError, match="is a BMP of 8 bits with a table of two greys.*; save"):
        open_label_values(tmp_path / "a.bmp")


def test_tiff_whose_writer_was_stopped_is_refused(tmp_path):
    """Its strips have places and no data."""
    bands = iter([zlib.compress(NOISE[:8, :, 0].tobytes()), b""])
    options = {"shape": (16, 20), "dtype": np.uint8, "rowsperstrip": 8, "compression": "zlib"}
    tifffile.imwrite(tmp_path / "a.tif", bands, metadata=None, **options)
    for opened in (open_micrograph, open_label_values):
        with pytest.raises(InputError, match="parts of the image hold no data; save it again"):
            opened(tmp_path / "a.tif").read()


def write_any(path):
    if path.suffix == ".npy":
        np.save(path, NOISE[..., 0])
    elif path.suffix == ".tif":
        tifffile.imwrite(path, NOISE[..., 0], compression="zlib")
    else:
        Image.fromarray(NOISE[..., 0]).save(path)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.npy", "a.bmp", "a.jpg"])
@pytest.mark.parametrize("number", [13, 5], ids=["no permission", "broken disk"])
@pytest.mark.parametrize("moment", ["open", "read"])
def test_what_the_system_refuses_is_no_damage(tmp_path, monkeypatch, name, number, moment):
    path = tmp_path / name
    write_any(path)
    openers = [open_micrograph, open_label_values]
    openers = {".npy": openers[1:], ".jpg": openers[:1]}.get(path.suffix, openers)

    class BrokenFile(io.FileIO):
        def readinto(self, *_):
            raise OSError(number, "refused")

        read = readall = readinto

    def refuse(file, mode="r", *rest, **options):
        if moment == "open":
            raise OSError(number, "refused", str(file))
        return BrokenFile(file, "r")

    for opened in openers:
        with monkeypatch.context() as patch, pytest.raises(OSError, match="refused") as caught:
            patch.setattr("builtins.open", refuse)
            patch.setattr("io.open", refuse)
            opened(path)
        assert caught.value.errno == number
        assert str(caught.value.filename) == str(path)


@pytest.mark.parametrize("name", ["a.tif"])
def test_disk_that_breaks_while_windows_are_read_is_no_damage(tmp_path, monkeypatch, name):
    write_any(tmp_path / name)
    for opened in (open_micrograph, open_label_values):
        image = opened(tmp_path / name)
        with monkeypatch.context() as patch, pytest.raises(OSError, match="refused") as caught:

            def refuse(*_):
                raise OSError(5, "refused")

            patch.setattr("builtins.open", refuse)
            image.read()
        assert caught.value.filename == str(tmp_path / name)


# What says that it is larger than it is


def limited(function, n_mb=600):
    """Call it with a limit on the memory that it may take; give the largest that it took [MB]."""
    import tracemalloc

    tracemalloc.start()
    try:
        function()
    finally:
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    return peak


def hollow_tiff(path, **options):
    """A TIFF that says it is 10^6 x 10^6, of one strip or tile as it was."""
    tifffile.imwrite(path, NOISE[..., 0], **options)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        tags = tiff.pages[0].tags
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            if name in tags:
                struct.pack_into("<H", data, tags[name].offset + 2, 4)
                struct.pack_into("<I", data, tags[name].offset + 8, 10**6)
    path.write_bytes(data)


def hollow_jpeg(path):
    data = bytearray(JPEGS["grey"])
    struct.pack_into(">HH", data, data.find(b"\xff\xc0") + 5, 65535, 65535)
    path.write_bytes(data)


def hollow_bmp(path):
    Image.fromarray(NOISE[..., 0]).save(path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<ii", data, 18, 30_000, 30_000)
    path.write_bytes(data)


def hollow_npy(path):
    np.save(path, NOISE[..., 0])
    data = path.read_bytes().replace(b"(16, 20), }      ", b"(100000, 20000), }")
    path.write_bytes(data.replace(b"(16, 20), }" + b" " * 11, b"(1000000, 1000000), }"))


HOLLOW = {
    "a.png": lambda path: path.write_bytes(png_of(30_000, 30_000, 8, 0, bytes(10**6))),
    "bits.png": lambda path: path.write_bytes(png_of(2**31 - 1, 2**31 - 1, 1, 0, bytes(999))),
    "plain.tif": hollow_tiff,
    "zlib.tif": lambda path: hollow_tiff(path, compression="zlib"),
    "lzw.tif": lambda path: hollow_tiff(path, compression="lzw"),
    "packbits.tif": lambda path: hollow_tiff(path, compression="packbits"),
    "zstd.tif": lambda path: hollow_tiff(path, compression="zstd"),
    "tiles.tif": lambda path: hollow_tiff(path, compression="zlib", tile=(16, 16)),
    "a.jpg": hollow_jpeg,
    "a.bmp": hollow_bmp,
    "a.npy": hollow_npy,
}


@pytest.mark.parametrize("name", HOLLOW)
def test_image_that_says_it_is_larger_than_its_file_can_hold_takes_no_memory(tmp_path, name):
    path = tmp_path / name
    HOLLOW[name](path)
    openers = [open_micrograph, open_label_values]
    for opened in {"a.npy": openers[1:], "a.jpg": openers[:1]}.get(name, openers):

        def read(opened=opened):
            with pytest.raises(InputError, match=rf"{name}: .*; "):
                opened(path).read()

        assert limited(read) < 100


@pytest.mark.parametrize("name", ["a.png", "a.tif", "lzw.tif"])
def test_image_that_is_large_and_honest_is_read(tmp_path, name):
    """Of one value all over, which packs best."""
    side = 9000
    values = np.zeros((side, side), np.uint8)
    values[-1, -1] = 1
    if name == "a.png":
        Image.fromarray(values).save(tmp_path / name, compress_level=9)
    else:
        compression = "lzw" if name == "lzw.tif" else "zlib"
        tifffile.imwrite(tmp_path / name, values, compression=compression)
    micrograph = open_micrograph(tmp_path / name)
    assert micrograph.shape == (side, side)
    assert micrograph.read(side - 1, side - 3, 1, 3).tolist() == [[0, 0, 1]]


def test_image_that_memory_does_not_hold_is_named(tmp_path, monkeypatch):
    write_any(tmp_path / "a.png")
    monkeypatch.setattr("mstool.io.memory.free_memory_bytes", lambda: 100)
    with pytest.raises(UnavailableError, match=r"a\.png: takes .* more than is free; save it"):
        open_micrograph(tmp_path / "a.png")


def test_memory_that_runs_out_names_the_file(tmp_path, monkeypatch):
    write_any(tmp_path / "a.tif")
    micrograph = open_micrograph(tmp_path / "a.tif")

    def exhaust(*_):
        raise MemoryError

    monkeypatch.setattr("mstool.io.tiff._paste", exhaust)
    with pytest.raises(UnavailableError, match=r"a\.tif: takes more memory than there is; "):
        micrograph.read()


def test_size_that_is_no_number_is_refused(tmp_path):
    """A tag of two values where one is meant."""
    tifffile.imwrite(tmp_path / "a.tif", NOISE[..., 0])
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        struct.pack_into("<I", data, tiff.pages[0].tags["ImageWidth"].offset + 4, 2)
    (tmp_path / "a.tif").write_bytes(data)
    for opened in (open_micrograph, open_label_values):
        with pytest.raises(InputError, match=r"a\.tif: .*; "):
            opened(tmp_path / "a.tif").read()


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"planarconfig": "separate"}])
def test_tiff_with_fewer_strips_than_its_height_takes_is_refused(tmp_path, options):
    """Decoders give zeros there."""
    values = NOISE[..., :3]
    values = np.moveaxis(values, -1, 0) if "planarconfig" in options else values
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", rowsperstrip=8, **options)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        at = tiff.pages[0].tags["ImageLength"].offset
    struct.pack_into("<HII", data, at + 2, 4, 1, 5000)
    (tmp_path / "a.tif").write_bytes(data)
    for opened in (open_micrograph, open_label_values):
        with pytest.raises(InputError, match=r"a\.tif: .*; "):
            opened(tmp_path / "a.tif").read()
