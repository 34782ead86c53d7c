"""Micrographs from files, whole or by window."""

import hashlib
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from logging import CRITICAL
from pathlib import Path

import numpy as np
import tifffile

from mstool.errors import InputError, MissingInputError
from mstool.io.pixel_size import pixel_size_of_tiff

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")

_BAND_BYTES = 64 * 2**20

# Pillow knows many more, some of which start other programs.
_PILLOW_FORMATS = ("PNG", "JPEG", "BMP")

_JPEG = (6, 7, 34892, 33007)  # compressions of TIFF whose decoder turns YCbCr into RGB
_ORIENTATION = 0x0112  # tag of TIFF and EXIF
_COLOURS = {4: "a transparency mask", 5: "printer's colours (CMYK)", 6: "YCbCr colours"}
_COLOURS |= {8: "CIELAB colours", 9: "CIELAB colours", 10: "CIELAB colours"}
_KINDS = {"O": "Python objects", "V": "records", "c": "complex numbers", "S": "text", "U": "text"}
_KINDS |= {"M": "dates", "m": "durations"}

tifffile.logger().setLevel(CRITICAL + 1)  # what is wrong is raised; a line of its own is noise


@dataclass(frozen=True)
class Micrograph:
    """One field of view, read by window.

    Attributes
    ----------
    path : Path
        The file.
    shape : tuple of int
        (H, W), or (H, W, 3) for colour [px].
    dtype : dtype
        uint8, uint16 or float32.
    pixel_size_um : float or None
        Edge length of a pixel [um/px]; None where the file does not say.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    pixel_size_um: float | None
    _read_rows: Callable[[int, int, int, int], np.ndarray] = field(repr=False)

    @property
    def height(self) -> int:
        """Rows [px]."""
        return self.shape[0]

    @property
    def width(self) -> int:
        """Columns [px]."""
        return self.shape[1]

    def read(self, row: int = 0, col: int = 0, height: int | None = None, width: int | None = None):
        """Read a window; the whole image by default.

        Parameters
        ----------
        row, col : int
            First row and column [px].
        height, width : int, optional
            Extent [px]; to the end of the image by default.

        Returns
        -------
        ndarray, shape (height, width[, 3])
            Pixel values, in the type of the file.

        Raises
        ------
        InputError
            If the data are damaged or hold NaN.
        """
        height = self.height - row if height is None else height
        width = self.width - col if width is None else width
        try:
            values = self._read_rows(row, col, height, width)
        except (InputError, MemoryError):
            raise
        except Exception as error:  # codecs raise whatever they like
            raise _damaged(self.path, error) from error
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            at = np.argwhere(~np.isfinite(values))[0]
            raise InputError(
                f"{self.path}: not a number at row {row + at[0]}, column {col + at[1]}; "
                "replace such pixels first"
            )
        return values

    def content_sha256(self) -> str:
        """SHA-256 of size, type and pixels: the same for the same image in any file format."""
        digest = hashlib.sha256(f"{self.shape} {self.dtype.name}".encode())
        n_rows = max(1, _BAND_BYTES // max(1, self.width * 8))
        for row in range(0, self.height, n_rows):
            band = self.read(row, 0, min(n_rows, self.height - row))
            digest.update(np.ascontiguousarray(band).tobytes())
        return digest.hexdigest()


def open_micrograph(
    path: Path, pixel_size_um: float | None = None, grey: bool = False
) -> Micrograph:
    """Open an image file for reading by window.

    Uncompressed TIFF is mapped into memory and compressed TIFF is decoded tile by tile (or strip
    by strip); other formats, and TIFF with a palette, with separate planes, with grey beside alpha
    or with white as zero, are decoded whole on opening.

    An image that is stored turned, with an orientation in EXIF or TIFF tags, is refused: some
    programs turn it and some do not, so nothing says which way its label map was drawn.

    Parameters
    ----------
    path : Path
        TIFF, PNG, JPEG or BMP.
    pixel_size_um : float, optional
        Pixel size that replaces what the file says [um/px].
    grey : bool
        Whether to turn colour into luminance (ITU-R BT.601).

    Returns
    -------
    Micrograph
        An alpha channel is left out.

    Raises
    ------
    MissingInputError
        If there is no such file.
    InputError
        If the file is empty, damaged, or not one upright image of a kind that can be used.
    """
    micrograph = _open(path, is_label=False, expand_palette=True)
    if pixel_size_um is not None:
        micrograph = replace(micrograph, pixel_size_um=pixel_size_um)
    return _to_grey(micrograph) if grey and len(micrograph.shape) == 3 else micrograph


def open_label_values(path: Path, expand_palette: bool = False) -> Micrograph:
    """Open a label map, values or colours as stored, for reading by window.

    Parameters
    ----------
    path : Path
        TIFF, PNG, BMP, JPEG, or ``.npy``.
    expand_palette : bool
        Whether indexed colour gives its colours rather than its indices.

    Returns
    -------
    Micrograph
        Of any type of pixel; an alpha channel is left out.

    Raises
    ------
    MissingInputError, InputError
        As `open_micrograph`.
    """
    return _open(path, is_label=True, expand_palette=expand_palette)


def read_values(path: Path) -> np.ndarray:
    """Read a label map whole, palette indices staying indices; see `open_label_values`."""
    return open_label_values(path).read()


def _open(path: Path, is_label: bool, expand_palette: bool) -> Micrograph:
    if not path.exists():
        raise MissingInputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: is a folder where an image is needed")
    if not path.is_file():  # opening a pipe would wait for a writer
        raise InputError(f"{path}: is a pipe or a device, not a regular file; save it as a file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; copy it again")
    try:
        if is_label and path.suffix.lower() == ".npy":
            return _from_array(path, _checked(_map_npy(path), path, is_label), None)
        if _starts_like_tiff(path):
            return _open_tiff(path, is_label, expand_palette)
        return _from_array(path, _checked(_decode(path, expand_palette), path, is_label), None)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # codecs raise whatever they like
        raise _damaged(path, error) from error


def _map_npy(path: Path) -> np.ndarray:
    with open(path, "rb") as stream:
        if stream.read(6) != b"\x93NUMPY":
            raise InputError(f"{path}: is no array of NumPy; save it with numpy.save")
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        if "Python objects" in str(error):  # never unpickled: that would run what it says
            raise _no_whole_numbers(np.dtype(object), path) from None
        raise


def _open_tiff(path: Path, is_label: bool, expand_palette: bool) -> Micrograph:
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        page = tiff.pages[0]
        if page.imagewidth * page.imagelength == 0:
            raise InputError(f"{path}: has no pixels; save it again")
        _refuse_several(tiff, path)
        _refuse_colours(page, path)
        _refuse_turned(page.tags.valueof(_ORIENTATION, 1), path)
        _check_length(page, path)
        _check_dtype(page.dtype, path, is_label)
        pixel_size_um = pixel_size_of_tiff(tiff)
        plain = (1, 2, 6) if expand_palette else (0, 1, 2, 3, 6)
        is_whole = page.photometric not in plain or page.dtype == bool
        if is_whole or page.planarconfig != 1 or page.samplesperpixel == 2:
            values = _whole_page(page, path, expand_palette)
            return _from_array(path, _checked(values, path, is_label), pixel_size_um)
        reader = _map_page(path, page) if page.is_memmappable else _segment_reader(path, page)
        shape = (page.imagelength, page.imagewidth) + ((3,) if page.samplesperpixel > 1 else ())
        return Micrograph(path, shape, _stored_dtype(page.dtype), pixel_size_um, reader)


def _refuse_several(tiff: tifffile.TiffFile, path: Path) -> None:
    """Refuse stacks and files that begin with a thumbnail; smaller copies may follow."""
    page = tiff.pages[0]
    n_pixels = page.imagewidth * page.imagelength
    n_planes = page.imagedepth if page.imagedepth > 1 else tiff.series[0].size // page.size
    if n_planes > 1 and not tiff.is_ome:  # all in one page, as ImageJ stores it
        raise _is_stack(path, n_planes)
    if page.is_reduced and (page.subifds or len(tiff.pages) > 1):
        raise _starts_small(path)
    for later in islice(tiff.pages, 1, None):
        if later.shape == page.shape:
            raise _is_stack(path, len(tiff.pages))
        if later.imagewidth * later.imagelength > n_pixels:
            raise _starts_small(path)


def _is_stack(path: Path, n_pages: int) -> InputError:
    return InputError(f"{path}: holds a stack of {n_pages} pages; save one page a file")


def _starts_small(path: Path) -> InputError:
    return InputError(f"{path}: begins with a thumbnail; save the full image alone")


def _refuse_colours(page: tifffile.TiffPage, path: Path) -> None:
    """Refuse channels that would be taken for grey or RGB and are not."""
    n_samples, kind = page.samplesperpixel, int(page.photometric)
    if kind not in (0, 1, 2, 3) and not (kind == 6 and page.compression in _JPEG):
        name = _COLOURS.get(kind, f"colours of kind {kind}")
        raise InputError(f"{path}: is stored in {name}; save as grey or RGB")
    has_alpha = bool(page.extrasamples) and page.extrasamples[0] in (1, 2)
    if n_samples > 4 or (kind < 2 and n_samples > 1 + has_alpha):
        raise InputError(
            f"{path}: holds {n_samples} channels that are not RGB; save the one that counts as grey"
        )


def _refuse_turned(orientation: object, path: Path) -> None:
    if orientation in range(2, 9):
        raise InputError(f"{path}: is stored turned (orientation {orientation}); save it upright")


def _whole_page(page: tifffile.TiffPage, path: Path, expand_palette: bool) -> np.ndarray:
    """Decode palettes, inverted and 1-bit greys, grey with alpha, and planes to grey or RGB."""
    values = page.asarray()
    if page.samplesperpixel == 2 and page.extrasamples and page.extrasamples[0] in (1, 2):
        values = values[..., 0] if page.planarconfig == 1 else values[0]
    if page.photometric == 3 and expand_palette:
        colours = np.asarray(page.colormap)
        colours = (
            (colours >> 8).astype(np.uint8) if colours.max() > 255 else colours.astype(np.uint8)
        )
        return colours.T[values.astype(np.intp)]
    if page.photometric == 0 and expand_palette:
        values = _turn_right(values, path)
    return _from_bits(values, expand_palette) if values.dtype == bool else values


def _from_bits(values: np.ndarray, is_brightness: bool) -> np.ndarray:
    return values.astype(np.uint8) * (255 if is_brightness else 1)


def _turn_right(values: np.ndarray, path: Path) -> np.ndarray:
    """Grey whose zero was white; floats are refused, for nothing says what their black is."""
    if values.dtype == bool:
        return ~values
    if values.dtype.kind == "f":
        raise InputError(f"{path}: float greys with white as zero; save with black as zero")
    return np.iinfo(values.dtype).max - values


def _check_length(page: tifffile.TiffPage, path: Path) -> None:
    end = max(
        (start + n for start, n in zip(page.dataoffsets, page.databytecounts, strict=True)),
        default=0,
    )
    if end > path.stat().st_size:
        raise InputError(
            f"{path}: the file is cut off after {path.stat().st_size} bytes; copy it again"
        )


def _map_page(path: Path, page: tifffile.TiffPage) -> Callable[..., np.ndarray]:
    shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
    dtype = np.dtype(page.parent.byteorder + page.dtype.char)
    offset = page.dataoffsets[0]

    def read(row: int, col: int, height: int, width: int) -> np.ndarray:
        pixels = np.memmap(path, dtype, "r", offset=offset, shape=shape)
        return _tidy(pixels[row : row + height, col : col + width], path)

    return read


def _segment_reader(path: Path, page: tifffile.TiffPage) -> Callable[..., np.ndarray]:
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
    cache: OrderedDict[int, np.ndarray | None] = OrderedDict()

    def segment(index: int, n_kept: int) -> np.ndarray | None:
        if index not in cache:
            with open(path, "rb") as stream:
                stream.seek(page.dataoffsets[index])
                data = stream.read(page.databytecounts[index])
            decoded = decode(data, index, **tables)[0] if data else None
            cache[index] = None if decoded is None else decoded[0]
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
                if values is not None:
                    _paste(window, values, down * tall - row, across * wide - col)
        return _tidy(window, path)

    return read


def _paste(window: np.ndarray, values: np.ndarray, row: int, col: int) -> None:
    """Copy the part of `values` that falls inside; its corner lies at (row, col) of the window."""
    top, left = max(row, 0), max(col, 0)
    bottom = min(row + values.shape[0], window.shape[0])
    right = min(col + values.shape[1], window.shape[1])
    window[top:bottom, left:right] = values[top - row : bottom - row, left - col : right - col]


def _tidy(values: np.ndarray, path: Path) -> np.ndarray:
    """Drop alpha and a single channel; use native bytes."""
    values = values[..., 0] if values.shape[-1] == 1 else values[..., :3]
    with np.errstate(over="ignore", invalid="ignore"):
        tidy = np.ascontiguousarray(values, _stored_dtype(values.dtype))
    if values.dtype.itemsize > tidy.dtype.itemsize and (np.isinf(tidy) & ~np.isinf(values)).any():
        raise InputError(f"{path}: holds values beyond 3.4e38, too large for 32 bits; scale them")
    return tidy


def _decode(path: Path, expand_palette: bool) -> np.ndarray:
    """Decode PNG, JPEG or BMP; Pillow knows no 16-bit colour PNG, imagecodecs no palettes."""
    from PIL import Image

    with _pillow_at_ease(), Image.open(path, formats=_PILLOW_FORMATS) as image:
        # What follows the first picture in MPO, the JPEG of some cameras, is made from it.
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
            raise InputError(
                f"{path}: is an animation of {image.n_frames} pictures; save one picture a file"
            )
        values = _decode_png16(path)
        if values is None:
            mode = _mode_to_read(image.mode, expand_palette)
            values = np.asarray(image if mode == image.mode else image.convert(mode))
        _refuse_turned(Image.Image.getexif(image).get(_ORIENTATION), path)
    if values.dtype == bool:
        return _from_bits(values, expand_palette)
    return values.astype(np.uint16) if values.dtype == np.int32 else values


def _decode_png16(path: Path) -> np.ndarray | None:
    """Decode PNG with more than one channel of 16 bits, without alpha; None for other files."""
    with open(path, "rb") as stream:
        head = stream.read(26)
    if not head.startswith(b"\x89PNG") or head[24] != 16 or head[25] == 0:
        return None
    import imagecodecs

    values = imagecodecs.png_decode(path.read_bytes())
    return values[..., 0] if values.shape[-1] == 2 else values


def _mode_to_read(mode: str, expand_palette: bool) -> str:
    to_rgb = ("CMYK", "YCbCr", "LAB", "HSV", *(("P", "PA") if expand_palette else ()))
    return "RGB" if mode in to_rgb else {"LA": "L"}.get(mode, mode)


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


def _from_array(path: Path, values: np.ndarray, pixel_size_um: float | None) -> Micrograph:
    def read(row: int, col: int, height: int, width: int) -> np.ndarray:
        return values[row : row + height, col : col + width]

    return Micrograph(path, values.shape, values.dtype, pixel_size_um, read)


def _checked(values: np.ndarray, path: Path, is_label: bool) -> np.ndarray:
    _check_dtype(values.dtype, path, is_label)
    values = _channels_last(values.view(np.uint8) if values.dtype == bool else values, path)
    return _tidy(values if values.ndim == 3 else values[..., None], path)


def _channels_last(values: np.ndarray, path: Path) -> np.ndarray:
    if values.ndim == 3 and values.shape[0] in (3, 4) and values.shape[2] not in (3, 4):
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (3, 4)):
        raise InputError(
            f"{path}: has shape {values.shape}; one grey or RGB image a file is needed"
        )
    if values.size == 0:
        raise InputError(f"{path}: has no pixels; save it again")
    return values


def _check_dtype(dtype: np.dtype | None, path: Path, is_label: bool) -> None:
    """Refuse what is no brightness, or no label; 1-bit images pass, and are spread later."""
    if dtype is None:
        raise InputError(f"{path}: has pixels of an odd depth; save as 8-bit, 16-bit or float")
    if dtype.kind in "bf" or (dtype.kind in "iu" and is_label) or dtype in (np.uint8, np.uint16):
        return
    if is_label:
        raise _no_whole_numbers(dtype, path)
    raise InputError(f"{path}: pixels are {dtype}; save as 8-bit, 16-bit or float")


def _no_whole_numbers(dtype: np.dtype, path: Path) -> InputError:
    kind = _KINDS.get(dtype.kind, f"values of type {dtype.name}")
    return InputError(f"{path}: holds {kind}; a label map holds whole numbers")


def _stored_dtype(dtype: np.dtype) -> np.dtype:
    return np.dtype(np.float32) if dtype.kind == "f" else dtype.newbyteorder("=")


def _to_grey(micrograph: Micrograph) -> Micrograph:
    def read(row: int, col: int, height: int, width: int) -> np.ndarray:
        return luminance(micrograph.read(row, col, height, width))

    return replace(micrograph, shape=micrograph.shape[:2], _read_rows=read)


def luminance(values: np.ndarray) -> np.ndarray:
    """Grey of an RGB array, shape (H, W), in its type; exact where the channels are equal."""
    weights = np.array([0.299, 0.587, 0.114])
    grey = values @ weights
    return (grey if values.dtype.kind == "f" else np.rint(grey)).astype(values.dtype)


def _starts_like_tiff(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _damaged(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return InputError(
        f"{path}: cannot be read as an image ({reason[:150]}); copy it again, or save it as TIFF "
        "or PNG"
    )
