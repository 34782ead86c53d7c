"""Change of scale that gives the same pixels whole, by window, or by bands of rows."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from mstool.geometry.window import Window

if TYPE_CHECKING:
    from scipy import sparse


def scaled_length(length: int, scale: float) -> int:
    """Pixels along an axis after scaling: rounded, at least 1."""
    return max(1, round(length * scale))


def axis_weights(n_in: int, n_out: int) -> "sparse.csr_array":
    """Linear resampling of one axis as a sparse matrix.

    Enlarging interpolates linearly; reducing averages with a triangle as wide as two output
    pixels, so that fine structure does not alias.

    Returns
    -------
    csr_array of float32, shape (n_out, n_in)
        Rows sum to 1. Pixel centres lie at half-integers and both axes span the same length.
    """
    from scipy import sparse  # takes 0.1 s to load, and most images keep their scale

    ratio = n_in / n_out
    support = max(ratio, 1.0)
    centres = (np.arange(n_out) + 0.5) * ratio - 0.5
    reach = int(np.ceil(support))
    columns = np.floor(centres).astype(int)[:, None] + np.arange(-reach + 1, reach + 1)
    weights = np.clip(1 - np.abs(columns - centres[:, None]) / support, 0, None)
    columns = np.clip(columns, 0, n_in - 1)  # the edge pixel goes on outside
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(n_out), columns.shape[1])
    matrix = sparse.coo_array(
        (weights.ravel().astype(np.float32), (rows, columns.ravel())), shape=(n_out, n_in)
    ).tocsr()
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def nearest_indices(n_in: int, n_out: int) -> np.ndarray:
    """Input pixel that holds the centre of each output pixel: int, shape (n_out,)."""
    return np.minimum(((np.arange(n_out) + 0.5) * (n_in / n_out)).astype(int), n_in - 1)


def resample(
    image: np.ndarray, row_weights: "sparse.csr_array", col_weights: "sparse.csr_array"
) -> np.ndarray:
    """Resample an image (H, W) or (H, W, C) along both axes: float32, (h, w) or (h, w, C).

    The weights may be some rows of the whole.
    """
    n_rows, n_cols = image.shape[:2]
    flat = image.reshape(n_rows, -1).astype(np.float32)
    tall = (row_weights @ flat).reshape(row_weights.shape[0], n_cols, -1)
    wide = col_weights @ tall.transpose(1, 0, 2).reshape(n_cols, -1)
    result = wide.reshape(col_weights.shape[0], row_weights.shape[0], -1).transpose(1, 0, 2)
    return np.ascontiguousarray(result.reshape(*result.shape[:2], *image.shape[2:]))


def resample_window(
    read: Callable[[int, int, int, int], np.ndarray],
    window: Window,
    row_weights: "sparse.csr_array",
    col_weights: "sparse.csr_array",
) -> np.ndarray:
    """Resample one window: float32, (window.height, window.width[, C]).

    It equals that window cut from the whole image resampled, which the weights are for.
    """
    rows = row_weights[window.row : window.end_row]
    cols = col_weights[window.col : window.end_col]
    (top, bottom), (left, right) = touched_range(rows), touched_range(cols)
    values = read(top, left, bottom - top, right - left)
    return resample(values, rows[:, top:bottom], cols[:, left:right])


def pick_window(
    read: Callable[[int, int, int, int], np.ndarray],
    window: Window,
    row_indices: np.ndarray,
    col_indices: np.ndarray,
) -> np.ndarray:
    """Cut one window of a label map scaled by `nearest_indices`; otherwise `resample_window`."""
    rows = row_indices[window.row : window.end_row]
    cols = col_indices[window.col : window.end_col]
    values = read(rows[0], cols[0], rows[-1] + 1 - rows[0], cols[-1] + 1 - cols[0])
    return values[rows - rows[0]][:, cols - cols[0]]


def touched_range(weights: "sparse.csr_array") -> tuple[int, int]:
    """First input index that any row of `weights` uses, and the one after the last."""
    return int(weights.indices.min()), int(weights.indices.max()) + 1


def resample_bands(
    bands: Iterable[np.ndarray], shape_in: tuple[int, int], shape_out: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Resample an image that arrives in bands of rows.

    Parameters
    ----------
    bands : iterable of ndarray of float, shape (C, rows, W)
        Bands from the top down, together H rows.
    shape_in, shape_out : tuple of int
        (H, W) before and (h, w) after [px].

    Yields
    ------
    ndarray of float32, shape (C, rows, w)
        Bands from the top down, together h rows; equal to resampling the whole image.
    """
    row_weights = axis_weights(shape_in[0], shape_out[0])
    col_weights = axis_weights(shape_in[1], shape_out[1])
    last_needed = np.maximum.reduceat(row_weights.indices, row_weights.indptr[:-1])
    first_needed = np.minimum.reduceat(row_weights.indices, row_weights.indptr[:-1])
    held, top, n_done = None, 0, 0
    for band in bands:
        held = band if held is None else np.concatenate([held, band], axis=1)
        n_ready = int(np.searchsorted(last_needed, top + held.shape[1]))
        if n_ready == n_done:
            continue
        rows = row_weights[n_done:n_ready, top : top + held.shape[1]]
        yield resample(held.transpose(1, 2, 0), rows, col_weights).transpose(2, 0, 1)
        n_done = n_ready
        keep_from = int(first_needed[n_done]) if n_done < shape_out[0] else top + held.shape[1]
        held, top = held[:, keep_from - top :], keep_from
