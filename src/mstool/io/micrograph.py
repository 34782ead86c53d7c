"""One image of a file, read by window."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mstool.errors import InputError
from mstool.io.damage import reading

_BAND_BYTES = 64 * 2**20

ReadRows = Callable[[int, int, int, int], np.ndarray]


def band_rows(height: int, width: int) -> Iterator[tuple[int, int]]:
    """First row and number of rows [px] of bands of bounded size that make up an image."""
    most = max(1, _BAND_BYTES // max(1, width * 8))
    for row in range(0, height, most):
        yield row, min(most, height - row)


@dataclass(frozen=True)
class Micrograph:
    """One field of view, or its label map, read by window.

    Its shape is (H, W), or (H, W, 3) for colour [px]; of label maps also (H, W, 2) and (H, W, 4),
    where the last channel is alpha. `doubt` is why what the file says of its pixel size was not
    taken, as a clause that goes on from the name of the file (``states 72 pixels per inch, which
    ...``); None where it says nothing, or was taken. Label maps in indexed colour have their
    `palette`, whether indices or colours are read.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype  # uint8, uint16 or float32; of label maps any
    pixel_size_um: float | None
    _read_rows: ReadRows = field(repr=False, compare=False)
    doubt: str | None = None
    palette: np.ndarray | None = field(default=None, repr=False, compare=False)
    is_white_zero: bool = False  # of label maps read as stored: whether 0 is seen as white

    @property
    def height(self) -> int:
        """Rows [px]."""
        return self.shape[0]

    @property
    def width(self) -> int:
        """Columns [px]."""
        return self.shape[1]

    def read(self, row: int = 0, col: int = 0, height: int | None = None, width: int | None = None):
        """Read a window, (height, width[, channels]); the whole image by default.

        Raises
        ------
        InputError
            If the data are damaged or hold NaN.
        """
        height = self.height - row if height is None else height
        width = self.width - col if width is None else width
        with reading(self.path):
            values = self._read_rows(row, col, height, width)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            at = np.argwhere(~np.isfinite(values))[0]
            raise InputError(
                f"{self.path}: not a number at row {row + at[0]}, column {col + at[1]}; "
                "replace such pixels first"
            )
        return values

    def bands(self) -> Iterator[np.ndarray]:
        """Whole rows from the top down, in pieces of bounded size."""
        for row, n_rows in band_rows(self.height, self.width):
            yield self.read(row, 0, n_rows)

    def content_sha256(self) -> str:
        """SHA-256 of size, type and pixels: the same for the same image in any file format."""
        digest = hashlib.sha256(f"{self.shape} {self.dtype.name}".encode())
        for band in self.bands():
            digest.update(np.ascontiguousarray(band).tobytes())
        return digest.hexdigest()
