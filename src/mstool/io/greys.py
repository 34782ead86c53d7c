"""What a file stores, as brightness: the micrograph."""

import numpy as np

from mstool.errors import InputError
from mstool.io.micrograph import Micrograph
from mstool.io.stored import Stored, as_brightness, check_zero, look_up

_KEPT = (np.uint8, np.uint16)
_EXACT = 2.0**53  # beyond it a float64 no longer tells neighbouring integers apart


def as_micrograph(stored: Stored) -> Micrograph:
    """Micrograph of what a file stores: alpha left out, palettes expanded, black as zero.

    Raises
    ------
    InputError
        If its numbers are no brightness.
    """
    dtype = _dtype_of(stored)
    check_zero(stored)
    table = _table(stored.palette)
    is_colour = stored.n_colours == 3 or (table is not None and table.ndim == 2)

    def read(row: int, col: int, height: int, width: int) -> np.ndarray:
        values = stored.read_rows(row, col, height, width)
        values = values[..., 0] if stored.n_colours == 1 else values[..., :3]
        if table is not None:
            return look_up(table, values, stored.path)
        return _as_type(as_brightness(values, stored), dtype, stored, (row, col))

    shape = (stored.height, stored.width, *((3,) if is_colour else ()))
    return Micrograph(stored.path, shape, dtype, stored.size.um, read, stored.size.doubt)


def _dtype_of(stored: Stored) -> np.dtype:
    dtype = stored.dtype
    if dtype.kind not in "biuf":
        raise InputError(f"{stored.path}: pixels are {dtype}; save as 8-bit, 16-bit or float")
    if dtype.kind == "b" or stored.palette is not None:
        return np.dtype(np.uint8)
    return dtype if dtype in _KEPT else np.dtype(np.float32)


def _table(palette: np.ndarray | None) -> np.ndarray | None:
    """Colour table, or table of greys, shape (n,), where no entry has a colour."""
    if palette is None or (palette != palette[:, :1]).any():
        return palette
    return palette[:, 0]


def _as_type(
    values: np.ndarray, dtype: np.dtype, stored: Stored, origin: tuple[int, int]
) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        tidy = np.ascontiguousarray(values, dtype)
    if dtype.kind != "f" or values.dtype == np.float32:
        return tidy
    if values.dtype.kind == "f":
        if (np.isinf(tidy) & ~np.isinf(values)).any():
            raise InputError(
                f"{stored.path}: holds values beyond 3.4e38, too large for 32 bits; scale them"
            )
        return tidy
    is_exact = (tidy.astype(np.float64) == values) & (np.abs(tidy) < _EXACT)
    if not is_exact.all():
        at = tuple(np.argwhere(~is_exact)[0])
        raise InputError(
            f"{stored.path}: holds {values[at]} at row {origin[0] + at[0]}, column "
            f"{origin[1] + at[1]}, which float32 cannot hold exactly; save as 16-bit or float"
        )
    return tidy
