"""Images that are damaged, or that nobody good has written, through the verbs that read them."""

import io
import random
import shutil
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

MICROGRAPH = "tile hit --size 48 --overlap 8 -q -o new"
LABELS = "tile raw --labels hit --size 48 --overlap 8 -q -o new"
ABSURD = [0, 1, 2**16 - 1, 30_000, 10**6, 2**31 - 1, 2**32 - 1]

Y, X = np.mgrid[:64, :80]
GREY = (90 + 60 * np.sin(X / 7 + Y / 11) + (X * 37 + Y * 91) % 13).astype(np.uint8)
COLOUR = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])
MAP = (GREY > 90).astype(np.uint8)


def tiff(values, **options):
    """Bytes of a TIFF."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **options)
    return stream.getvalue()


def saved(values, kind, **options):
    """Bytes of a file that Pillow writes."""
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, kind, **options)
    return stream.getvalue()


def array(values):
    """Bytes of a file of NumPy."""
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


STRIPS, TILES = {"rowsperstrip": 16}, {"tile": (32, 32)}
MICROGRAPHS = {
    "plain.tif": tiff(GREY),
    "big.tif": tiff(GREY, bigtiff=True, byteorder=">"),
    "float.tif": tiff(GREY.astype(np.float32), compression="zlib"),
    "deep.tif": tiff(GREY.astype(np.uint16) * 200, compression="lzw", **STRIPS),
    "packbits.tif": tiff(GREY, compression="packbits", **STRIPS),
    "zstd.tif": tiff(GREY, compression="zstd", **TILES),
    "lzma.tif": tiff(GREY, compression="lzma", **STRIPS),
    "jpeg.tif": tiff(GREY, compression="jpeg", **TILES),
    "jpeg2000.tif": tiff(GREY, compression="jpeg2000", **TILES),
    "webp.tif": tiff(COLOUR, compression="webp", photometric="rgb", **TILES),
    "planes.tif": tiff(np.moveaxis(COLOUR, -1, 0), photometric="rgb", planarconfig="separate"),
    "tiled.ome.tif": tiff(GREY, ome=True, metadata={"PhysicalSizeX": 0.5}, **TILES),
    "imagej.tif": tiff(GREY, imagej=True, resolution=(2, 2), metadata={"unit": "um"}),
    "grey.png": saved(GREY, "PNG", dpi=(300, 300)),
    "colour.png": saved(COLOUR, "PNG"),
    "deep.png": imagecodecs.png_encode(COLOUR.astype(np.uint16) * 200),
    "grey.jpg": saved(GREY, "JPEG"),
    "progressive.jpg": saved(COLOUR, "JPEG", progressive=True),
    "grey.bmp": saved(GREY, "BMP"),
    "colour.bmp": saved(COLOUR, "BMP"),
}
LABEL_MAPS = {
    "plain.tif": tiff(MAP),
    "packed.tif": tiff(MAP, compression="zlib", **STRIPS),
    "map.png": saved(MAP, "PNG"),
    "bits.png": saved(MAP.astype(bool), "PNG"),
    "map.npy": array(MAP),
    "wide.npy": array(MAP.astype(np.int64)),
    "map.bmp": saved(MAP, "BMP"),
}


def hit(name, data, draw):
    """A copy that is cut, flipped, or claims another size; never what it was."""
    kinds = [_cut, _flip, _flip, _flip, _zeros, _claim, _claim, _claim, _other]
    while True:
        damaged = draw.choice(kinds)(name, bytearray(data), draw)
        if damaged != data:
            return bytes(damaged)


def _cut(name, data, draw):
    return data[: draw.randrange(len(data))]


def _flip(name, data, draw):
    reach = draw.choice([60, 400, len(data)])  # headers more often than pixels
    for _ in range(draw.choice([1, 1, 8])):
        data[draw.randrange(min(reach, len(data)))] ^= 1 << draw.randrange(8)
    return data


def _zeros(name, data, draw):
    at, length = draw.randrange(len(data)), draw.randrange(1, 60)
    data[at : at + length] = draw.choice([bytes(length), b"\xff" * length, draw.randbytes(length)])
    return data


def _other(name, data, draw):
    words = [b"", b"version https://git-lfs.github.com/spec/v1\n", b"<!DOCTYPE html>", b"\x89PNG"]
    return draw.choice([*words, b"II*\0" + bytes(60), data + data, bytes(len(data))])


def _claim(name, data, draw):
    """Another width, height or number of anything in the header, checksums being right."""
    size = draw.choice(ABSURD)
    suffix = name.rpartition(".")[2]
    if suffix == "png":
        struct.pack_into(">I", data, draw.choice([16, 20]), size)
        if draw.random() < 0.3:
            struct.pack_into(">I", data, 16, size)
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    elif suffix == "bmp":
        struct.pack_into("<I", data, draw.choice([2, 10, 14, 18, 22, 34, 46]), size)
    elif suffix == "jpg":
        at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
        struct.pack_into(">HH", data, at + 5, size & 0xFFFF, draw.choice([80, 0, 0xFFFF]))
    elif suffix == "npy":
        shape = draw.choice([f"({size}, {size})", f"({size},)", f"(64, 80, {size})", "(-1, 80)"])
        start, end = data.index(b"(", 9), data.index(b")", 9) + 1
        text = data[10:start] + shape.encode() + data[end : data.index(b"\n")]
        length = int.from_bytes(data[8:10], "little")
        data[10 : 10 + length] = text.rstrip()[: length - 1].ljust(length - 1) + b"\n"
    else:
        _claim_in_tiff(data, draw, size)
    return data


def _claim_in_tiff(data, draw, size):
    """Another value of some tags of the first directory."""
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        page = file.pages[0]
        tags = [tag for tag in page.tags.values() if 255 < tag.code < 340]
        order, is_big = file.byteorder, file.is_bigtiff
    chosen = draw.sample(tags, draw.choice([1, 1, 2]))
    if draw.random() < 0.5:
        chosen = [tag for tag in tags if tag.code in draw.choice([(256,), (257,), (256, 257, 278)])]
    for tag in chosen:
        struct.pack_into(f"{order}H", data, tag.offset + 2, 4)  # a long integer
        at = tag.offset + (12 if is_big else 8)
        struct.pack_into(f"{order}I", data, at, size)


def try_images(folder, numbers, seed, try_case):
    """Put damaged images through their verbs; give the faults."""
    cases = [("damaged micrographs", name, data, MICROGRAPH) for name, data in MICROGRAPHS.items()]
    cases += [("damaged label maps", name, data, LABELS) for name, data in LABEL_MAPS.items()]
    faults = []
    for number in numbers:
        draw = random.Random(f"{seed} {number}")
        kind, name, data, call = cases[number % len(cases)]
        study = folder / str(number)
        (study / "hit").mkdir(parents=True)
        (study / "raw").mkdir()
        own = name if kind == "damaged micrographs" else f"a.{name.rpartition('.')[2]}"
        (study / "hit" / own).write_bytes(hit(name, data, draw))
        (study / "raw/a.tif").write_bytes(MICROGRAPHS["plain.tif"])
        faults.append(try_case(kind, f"{number} {name}", study, f"hit/{own}", *call.split()))
        shutil.rmtree(study)
    return [fault for fault in faults if fault]


def try_products(records, folder, n_cases, seed, try_case):
    """Put damaged tiles, probabilities and masks through the verbs that read them."""
    readers = [
        ("tiles/images", "predict tiles --model model --device cpu -q -o new"),
        ("probs/probs", "stitch probs -q -o new"),
        ("masks", "score masks labels -q -o new.json"),
    ]
    faults = []
    for number in range(n_cases):
        draw = random.Random(f"{seed} {number}")
        name, call = readers[number % len(readers)]
        study = folder / str(number)
        shutil.copytree(records, study)
        path = draw.choice(sorted((study / name).glob("*.tif")))
        path.write_bytes(hit(path.name, path.read_bytes(), draw))
        what, named = f"{number} {name}", str(path.relative_to(study))
        faults.append(try_case("damaged tiles and masks", what, study, named, *call.split()))
        shutil.rmtree(study)
    return [fault for fault in faults if fault]


def test_some_damaged_images_end_well(tmp_path, try_case):
    assert not try_images(tmp_path, range(0, len(MICROGRAPHS) + len(LABEL_MAPS), 3), 0, try_case)


@pytest.mark.slow
def test_many_damaged_images_end_well(tmp_path, try_case):
    assert not try_images(tmp_path, range(270), 1, try_case)


@pytest.mark.slow
def test_damaged_tiles_and_masks_end_well(records, tmp_path, try_case):
    assert not try_products(records, tmp_path, 45, 2, try_case)
