"""PNG, JPEG and BMP, decoded whole."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mstool.errors import InputError
from mstool.io.compression import refuse_lossy
from mstool.io.memory import refuse_beyond_memory, refuse_hollow
from mstool.io.micrograph import band_rows
from mstool.io.pixel_size import NOTHING_STATED, StatedSize, size_from_density
from mstool.io.png import SIGNATURE, PngFacts, check_png
from mstool.io.stored import ORIENTATION, Stored, refuse_turned, stored_array

if TYPE_CHECKING:
    from PIL import Image

# Pillow knows many more, some of which start other programs.
_FORMATS = ("PNG", "JPEG", "BMP")
_AS_RGB = ("CMYK", "YCbCr", "LAB", "HSV")
_MOST_RATIOS = {"PNG": 8 * 1100, "JPEG": 4096, "MPO": 4096, "BMP": 256}  # 8: a bit is a byte
_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"
_JPEG_FILLER = bytes(range(1, 128))


def open_decoded(path: Path, is_label: bool) -> Stored:
    """Open a PNG, JPEG or BMP; a label map in JPEG is refused.

    A damaged PNG is refused whatever was hit, and JPEG and BMP where they are cut off: these two
    have no checksums.
    """
    from PIL import Image

    facts = check_png(path) if _is_png(path) else None
    with _pillow_at_ease(), Image.open(path, formats=_FORMATS) as image:
        is_jpeg = image.format in ("JPEG", "MPO")
        # What follows the first picture in MPO, the JPEG of some cameras, is made from it.
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
            raise InputError(
                f"{path}: is an animation of {image.n_frames} pictures; save one picture a file"
            )
        if image.format == "BMP" and image.mode == "1":
            _check_bmp_bits(path)
        n_bytes = image.width * image.height * len(image.getbands())
        refuse_hollow(path, n_bytes, path.stat().st_size, _MOST_RATIOS[image.format])
        refuse_beyond_memory(path, 2 * n_bytes)
        values = _decode(image, path, facts)
        refuse_turned(Image.Image.getexif(image).get(ORIENTATION), path)
        if is_jpeg and is_label:
            refuse_lossy("JPEG", path)
        if is_jpeg:
            _check_jpeg(path, values)
        return _as_stored(image, values, path, facts)


def _check_jpeg(path: Path, values: np.ndarray) -> None:
    """Refuse a JPEG that lacks data for some of its pixels, which decoders fill up without a word.

    Bytes put in front of the end mark change the pixels only if some of the image was still to
    come. What is damaged in the middle goes unseen: JPEG has no checksums.
    """
    from PIL import Image

    data = path.read_bytes()
    end = data.rfind(_JPEG_END)
    if end < data.rfind(_JPEG_SCAN):
        raise InputError(f"{path}: the file is cut off; copy it again")
    filled = io.BytesIO(data[:end] + _JPEG_FILLER + data[end:])
    with Image.open(filled, formats=["JPEG"]) as image:
        again = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    if not np.array_equal(values, again):
        raise InputError(f"{path}: is damaged, its data end before the image does; copy it again")


def _is_png(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(len(SIGNATURE)) == SIGNATURE


def _check_bmp_bits(path: Path) -> None:
    """Refuse what Pillow misreads: it takes a table of black and white for 1 bit a pixel."""
    with open(path, "rb") as stream:
        head = stream.read(30)
    at = 24 if head[14] == 12 else 28  # in the header of OS/2, and in all others
    bits = int.from_bytes(head[at : at + 2], "little")
    if bits != 1:
        raise InputError(
            f"{path}: is a BMP of {bits} bits with a table of two greys, which is not decoded "
            "reliably; save it as PNG"
        )


def _decode(image: "Image.Image", path: Path, facts: PngFacts | None) -> np.ndarray:
    """Numbers as stored; Pillow knows no 16-bit colour, imagecodecs no indices."""
    if facts is not None and facts.bits == 16 and facts.colour_type != 0:
        import imagecodecs

        return imagecodecs.png_decode(path.read_bytes())
    values = _as_array(image.convert("RGB") if image.mode in _AS_RGB else image)
    if facts is not None and facts.bits in (2, 4) and facts.colour_type == 0:
        return values // np.uint8(255 // (2**facts.bits - 1))  # which Pillow spreads
    return values.astype(np.uint16) if values.dtype == np.int32 else values


def _as_array(image: "Image.Image") -> np.ndarray:
    """Pixels of an image; `numpy.asarray` of the whole would hold it in memory three times."""
    image.load()
    bands = [*band_rows(image.height, image.width)]
    if len(bands) == 1:
        return np.asarray(image)
    values = None
    for row, n_rows in bands:
        band = np.asarray(image.crop((0, row, image.width, row + n_rows)))
        values = np.empty((image.height, *band.shape[1:]), band.dtype) if values is None else values
        values[row : row + n_rows] = band
    return values


def _as_stored(
    image: "Image.Image", values: np.ndarray, path: Path, facts: PngFacts | None
) -> Stored:
    n_channels = values.shape[2] if values.ndim == 3 else 1
    palette = None
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    has_alpha = n_channels in (2, 4)
    is_png = facts is not None
    return stored_array(
        path,
        values,
        n_colours=n_channels - has_alpha,
        has_alpha=has_alpha,
        bits=facts.bits if is_png else None,
        palette=palette,
        palette_alpha=facts.palette_alpha if is_png else None,
        clear_key=facts.clear_key if is_png and not has_alpha else None,
        size=_size_of(image),
    )


def _size_of(image: "Image.Image") -> StatedSize:
    """Pixel size from pHYs of PNG, the density of JFIF, and the header of BMP."""
    density, unit = image.info.get("dpi"), "inch"
    if image.format in ("JPEG", "MPO"):  # where Pillow invents 72 dpi for files that say nothing
        density = image.info.get("jfif_density")
        unit = {1: "inch", 2: "cm"}.get(image.info.get("jfif_unit"), "")
    size = None if density is None else size_from_density(*density, unit)
    return size or NOTHING_STATED


@contextmanager
def _pillow_at_ease() -> Iterator[None]:
    """Lift Pillow's guard against bombs from the web: micrographs are as large as that.

    Its warnings would be lines without a remedy; what it cannot read it raises.
    """
    from PIL import Image

    most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = most
