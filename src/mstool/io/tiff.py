"""TIFF, read by strip or tile."""

import math
from collections import OrderedDict
from itertools import chain, islice
from logging import CRITICAL
from pathlib import Path

import numpy as np
import tifffile

from mstool.errors import InputError
from mstool.io.compression import JPEG, refuse_lossy_tiff
from mstool.io.memory import MOST_RATIO, refuse_beyond_memory, refuse_hollow
from mstool.io.micrograph import ReadRows
from mstool.io.stored import ORIENTATION, Stored, refuse_turned, stored_array
from mstool.io.tiff_pixel_size import pixel_size_of_tiff

_COLOURS = {4: "a transparency mask", 5: "printer's colours (CMYK)", 6: "YCbCr colours"}
_COLOURS |= {8: "CIELAB colours", 9: "CIELAB colours", 10: "CIELAB colours"}
_ALPHA = (1, 2)  # kinds of extra samples

# Bytes of pixels that a byte makes at most: plain, LZW, deflate, PackBits.
_MOST_RATIOS = {1: 1, 5: 4096, 8: 1100, 32773: 64, 32946: 1100}

tifffile.logger().setLevel(CRITICAL + 1)  # what is wrong is raised; a line of its own is noise


def starts_like_tiff(path: Path) -> bool:
    """Whether the first bytes of a file are those of TIFF or BigTIFF."""
    with open(path, "rb") as stream:
        return stream.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def uncompressed_bytes(path: Path) -> int:
    """Bytes that the pixels of a TIFF take when they are not compressed."""
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        return sum(series.nbytes for series in tiff.series)


def open_tiff(path: Path, is_label: bool) -> Stored:
    """Open the one image of a TIFF; a label map in lossy compression is refused."""
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        page = tiff.pages[0]
        lengths = (page.imagelength, page.imagewidth, page.samplesperpixel)
        if not all(isinstance(length, int) and length > 0 for length in lengths):
            raise InputError(f"{path}: has no pixels; save it again")
        _refuse_several(tiff, path)
        _refuse_colours(page, path)
        refuse_turned(page.tags.valueof(ORIENTATION, 1), path)
        _check_data(page, path)
        if is_label:
            refuse_lossy_tiff(page, path)
        facts = _facts(page) | {"size": pixel_size_of_tiff(tiff)}
        if page.planarconfig != 1 and page.samplesperpixel > 1:
            refuse_beyond_memory(path, page.nbytes)
            planes = np.moveaxis(page.asarray(), 0, -1)
            return stored_array(path, planes, **facts)
        reader = _map_page(path, page) if page.is_memmappable else _segment_reader(path, page)
        return Stored(path, page.imagelength, page.imagewidth, page.dtype, reader, **facts)


def _facts(page: tifffile.TiffPage) -> dict:
    """What the tags say of the numbers."""
    n_samples, kind = page.samplesperpixel, int(page.photometric)
    palette = None
    if kind == 3:
        colours = np.asarray(page.colormap).T
        palette = (colours >> 8 if colours.max() > 255 else colours).astype(np.uint8)
    return {
        "n_colours": 3 if n_samples > 2 else 1,
        "has_alpha": n_samples in (2, 4),
        "bits": page.bitspersample,
        "is_white_zero": kind == 0,
        "palette": palette,
    }


def _refuse_several(tiff: tifffile.TiffFile, path: Path) -> None:
    """Refuse stacks and files that begin with a thumbnail; smaller copies may follow."""
    page = tiff.pages[0]
    shape = (page.imagelength, page.imagewidth)
    n_planes = page.imagedepth
    if n_planes == 1 and not tiff.is_ome:  # whose planes are pages
        n_planes = tiff.series[0].size // page.size
    if n_planes > 1:  # all in one page, as ImageJ stores it
        raise _is_stack(path, n_planes)
    if page.is_reduced and (page.subifds or len(tiff.pages) > 1):
        raise _starts_small(path)
    for later in chain(islice(tiff.pages, 1, None), page.pages or ()):
        if (later.imagelength, later.imagewidth) == shape:
            raise _is_stack(path, max(2, len(tiff.pages)))
        if later.imagewidth * later.imagelength > shape[0] * shape[1]:
            raise _starts_small(path)


def _is_stack(path: Path, n_pages: int) -> InputError:
    return InputError(f"{path}: holds a stack of {n_pages} pages; save one page a file")


def _starts_small(path: Path) -> InputError:
    return InputError(f"{path}: begins with a thumbnail; save the full image alone")


def _refuse_colours(page: tifffile.TiffPage, path: Path) -> None:
    """Refuse channels that would be taken for grey or RGB and are not, and odd depths."""
    n_samples, kind = page.samplesperpixel, int(page.photometric)
    if kind not in (0, 1, 2, 3) and not (kind == 6 and page.compression in JPEG):
        name = _COLOURS.get(kind, f"colours of kind {kind}")
        raise InputError(f"{path}: is stored in {name}; save as grey or RGB")
    has_alpha = bool(page.extrasamples) and page.extrasamples[0] in _ALPHA
    allowed = (1, 3, 4) if kind in (2, 6) else (1, 1 + has_alpha)
    if n_samples not in allowed:
        raise InputError(
            f"{path}: holds {n_samples} channels that are not RGB; save the one that counts as grey"
        )
    if page.dtype is None:
        raise InputError(f"{path}: has pixels of an odd depth; save as 8-bit, 16-bit or float")


def _check_data(page: tifffile.TiffPage, path: Path) -> None:
    """Refuse files that end early, or were never finished: decoders give zeros there."""
    ends = [a + n for a, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if max(ends, default=0) > path.stat().st_size:
        raise InputError(
            f"{path}: the file is cut off after {path.stat().st_size} bytes; copy it again"
        )
    if not all(page.databytecounts) or len(page.dataoffsets) < math.prod(page.chunked):
        raise InputError(f"{path}: parts of the image hold no data; save it again")
    n_bits = page.imagelength * page.imagewidth * page.samplesperpixel * page.bitspersample
    ratio = _MOST_RATIOS.get(int(page.compression), MOST_RATIO)
    refuse_hollow(path, n_bits // 8, sum(page.databytecounts), ratio)


def _map_page(path: Path, page: tifffile.TiffPage) -> ReadRows:
    shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
    dtype = np.dtype(page.parent.byteorder + page.dtype.char)
    offset = page.dataoffsets[0]

    def read(row: int, col: int, height: int, width: int) -> np.ndarray:
        pixels = np.memmap(path, dtype, "r", offset=offset, shape=shape)
        return pixels[row : row + height, col : col + width].astype(page.dtype, copy=False)

    return read


def _segment_reader(path: Path, page: tifffile.TiffPage) -> ReadRows:
    """Read windows by decoding the tiles or strips they touch.

    Kept are as many as a row of windows touches, since the next window lies beside the last.
    """
    tall, wide = (
        (page.tilelength, page.tilewidth)
        if page.is_tiled
        else (min(page.rowsperstrip, page.imagelength), page.imagewidth)
    )
    n_across = -(-page.imagewidth // wide)
    # Looked up while the file is open, for tifffile reads on where it finds JPEG.
    decode, tables = page.decode, {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
    cache: OrderedDict[int, np.ndarray] = OrderedDict()

    def segment(index: int, n_kept: int) -> np.ndarray:
        if index not in cache:
            with open(path, "rb") as stream:
                stream.seek(page.dataoffsets[index])
                data = stream.read(page.databytecounts[index])
            cache[index] = decode(data, index, **tables)[0][0]
            while len(cache) > n_kept:
                cache.popitem(last=False)
        cache.move_to_end(index)
        return cache[index]

    def read(row: int, col: int, height: int, width: int) -> np.ndarray:
        window = np.zeros((height, width, page.samplesperpixel), page.dtype)
        n_kept = n_across * (-(-height // tall) + 2)
        for down in range(row // tall, -(-(row + height) // tall)):
            for across in range(col // wide, -(-(col + width) // wide)):
                values = segment(down * n_across + across, n_kept)
                _paste(window, values, down * tall - row, across * wide - col)
        return window

    return read


def _paste(window: np.ndarray, values: np.ndarray, row: int, col: int) -> None:
    """Copy the part of `values` that falls inside; its corner lies at (row, col) of the window."""
    top, left = max(row, 0), max(col, 0)
    bottom = min(row + values.shape[0], window.shape[0])
    right = min(col + values.shape[1], window.shape[1])
    window[top:bottom, left:right] = values[top - row : bottom - row, left - col : right - col]
