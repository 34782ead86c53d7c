"""Tiles back into one image, a band of rows at a time."""

from collections.abc import Iterable, Iterator

import numpy as np

from mstool.errors import InputError
from mstool.geometry.blend import Blend, blend_profile, blend_window
from mstool.geometry.window import Window


def stitch_bands(
    tiles: Iterable[tuple[Window, np.ndarray]],
    height: int,
    width: int,
    blend: Blend = "hann",
    halo: int = 0,
    allow_gaps: bool = False,
) -> Iterator[np.ndarray]:
    """Blend overlapping tiles into bands of rows, from the top down.

    Memory holds one tile's height of rows, however tall the image is.

    Parameters
    ----------
    tiles : iterable of (Window, ndarray of float, shape (C, h, w))
        Where each tile lies and its values, sorted by ``window.row``.
    height, width : int
        Size of the whole image [px].
    blend : {"crop", "flat", "hann", "gaussian"}
        See `blend_profile`.
    halo : int
        Border that ``crop`` leaves to the neighbours [px].
    allow_gaps : bool
        Whether pixels that no tile covers are 0 in every channel, rather than an error.

    Yields
    ------
    ndarray of float32, shape (C, rows, width)
        Weighted means; the bands follow each other and end at `height`.

    Raises
    ------
    InputError
        If the tiles are not sorted, or a pixel is covered by none and gaps are not allowed.
    """
    total = weight = None
    top = 0
    for window, values in tiles:
        if total is None:
            total, weight = _empty_band(values.shape[0], window.height, width)
        if window.row < top:
            raise InputError(f"tiles are out of order at row {window.row}; sort them by row")
        while window.row > top:
            n_done = min(window.row - top, total.shape[1])
            yield _finish(total[:, :n_done], weight[:n_done], top, allow_gaps)
            total, weight = _shift(total, n_done), _shift(weight, n_done)
            top += n_done
        _add_tile(total, weight, window, values, top, (height, width), blend, halo)
    if total is None:
        raise InputError("there are no tiles to stitch; predict them first")
    while top < height:
        n_done = min(height - top, total.shape[1])
        yield _finish(total[:, :n_done], weight[:n_done], top, allow_gaps)
        total, weight = _shift(total, n_done), _shift(weight, n_done)
        top += n_done


def stitch_tiles(
    tiles: Iterable[tuple[Window, np.ndarray]],
    height: int,
    width: int,
    blend: Blend = "hann",
    halo: int = 0,
) -> np.ndarray:
    """Blend overlapping tiles into one array, float32, shape (C, height, width).

    See `stitch_bands`, which does the same in little memory.
    """
    return np.concatenate(list(stitch_bands(tiles, height, width, blend, halo)), axis=1)


def _empty_band(n_channels: int, n_rows: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((n_channels, n_rows, width), np.float32), np.zeros((n_rows, width))


def _add_tile(
    total: np.ndarray,
    weight: np.ndarray,
    window: Window,
    values: np.ndarray,
    top: int,
    image_shape: tuple[int, int],
    blend: Blend,
    halo: int,
) -> None:
    height, width = image_shape
    rows = blend_profile(blend, window.height, halo, window.row == 0, window.end_row == height)
    cols = blend_profile(blend, window.width, halo, window.col == 0, window.end_col == width)
    tile_weight = blend_window(blend, rows, cols)
    place = (
        slice(window.row - top, window.end_row - top),
        slice(window.col, window.end_col),
    )
    total[(slice(None), *place)] += values * tile_weight.astype(np.float32)
    weight[place] += tile_weight


def _finish(total: np.ndarray, weight: np.ndarray, top: int, allow_gaps: bool) -> np.ndarray:
    is_bare = weight <= 0
    if is_bare.any():
        if not allow_gaps:
            row, col = np.argwhere(is_bare)[0]
            raise InputError(
                f"no tile covers the pixel at row {top + row}, column {col}; predict the missing "
                "tiles"
            )
        weight = np.where(is_bare, 1, weight)
    return total / weight.astype(np.float32)


def _shift(band: np.ndarray, n_rows: int) -> np.ndarray:
    shifted = np.zeros_like(band)
    keep = band.shape[-2] - n_rows
    shifted[..., :keep, :] = band[..., n_rows:, :]
    return shifted
