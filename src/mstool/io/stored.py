"""What an image file stores, before it is said what the numbers mean."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mstool.errors import InputError
from mstool.io.micrograph import ReadRows, band_rows
from mstool.io.pixel_size import NOTHING_STATED, StatedSize

ORIENTATION = 0x0112  # tag of TIFF and EXIF


@dataclass(frozen=True)
class Stored:
    """Numbers of one image, read by window, and what the file says of them."""

    path: Path
    height: int  # [px]
    width: int  # [px]
    dtype: np.dtype  # in native byte order
    read_rows: ReadRows  # gives a window, shape (height, width, channels)
    n_colours: int = 1  # channels that are no alpha: 1 or 3
    has_alpha: bool = False  # whether one more channel is alpha
    bits: int | None = None  # of the numbers in the file; None where their type says it
    is_white_zero: bool = False
    palette: np.ndarray | None = None  # that the numbers point at
    palette_alpha: np.ndarray | None = None  # of its colours, uint8 (n,)
    clear_key: tuple[int, ...] | None = None  # the grey or colour that stands for transparent
    size: StatedSize = NOTHING_STATED

    def __post_init__(self):
        if not all(isinstance(length, int) and length > 0 for length in (self.height, self.width)):
            raise InputError(f"{self.path}: is {self.height} x {self.width} pixels; save it again")

    @property
    def is_transparent(self) -> bool:
        """Whether the file can say that pixels are transparent."""
        return self.has_alpha or self.palette_alpha is not None or self.clear_key is not None

    def bands(self) -> Iterator[np.ndarray]:
        """Whole rows from the top down, in pieces of bounded size."""
        for row, n_rows in band_rows(self.height, self.width):
            yield self.read_rows(row, 0, n_rows, self.width)


def stored_array(path: Path, values: np.ndarray, **facts) -> Stored:
    """`Stored` from a whole array, (H, W) or (H, W, channels)."""
    channels = values if values.ndim == 3 else values[..., None]
    dtype = values.dtype.newbyteorder("=")

    def read(row: int, col: int, height: int, width: int) -> np.ndarray:
        return channels[row : row + height, col : col + width].astype(dtype, copy=False)

    return Stored(path, *channels.shape[:2], dtype, read, **facts)


def refuse_turned(orientation: object, path: Path) -> None:
    """Raise `InputError` for an image that says it is stored turned."""
    if orientation in range(2, 9):
        raise InputError(f"{path}: is stored turned (orientation {orientation}); save it upright")


def look_up(table: np.ndarray, indices: np.ndarray, path: Path) -> np.ndarray:
    """Entries of a colour table; an index without one is damage."""
    largest = indices.max(initial=0)
    if largest >= len(table):
        raise InputError(
            f"{path}: index {largest} has no colour in its table of {len(table)}; save the image "
            "again"
        )
    return table[indices.astype(np.intp)]


def as_brightness(values: np.ndarray, stored: Stored) -> np.ndarray:
    """Greys with black as zero, 1 to 4 bits spread to 0..255; see `check_zero` for floats."""
    if stored.is_white_zero:
        values = _turned(values, stored)
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    if stored.bits in (1, 2, 4):
        return values * np.uint8(255 // (2**stored.bits - 1))
    return values


def check_zero(stored: Stored) -> None:
    """Refuse floats whose zero is white, for nothing says what their black is."""
    if stored.is_white_zero and stored.dtype.kind == "f":
        raise InputError(f"{stored.path}: float greys with white as zero; save with black as zero")


def _turned(values: np.ndarray, stored: Stored) -> np.ndarray:
    if values.dtype == bool or stored.bits in (None, 8 * values.dtype.itemsize):
        return ~values
    return values.dtype.type(2**stored.bits - 1) - values
