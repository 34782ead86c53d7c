"""Tiles back into one image, a band of rows at a time."""

from collections.abc import Iterable, Iterator

import numpy as np

from mstool.errors import InputError
from mstool.geometry.blend import Blend, blend_weights, depth_in_tile
from mstool.geometry.window import Window

_MOST_ROWS = 64  # of a band, since whoever takes it makes copies


def stitch_bands(
    tiles: Iterable[tuple[Window, np.ndarray]],
    height: int,
    width: int,
    blend: Blend = "hann",
    allow_gaps: bool = False,
) -> Iterator[np.ndarray]:
    """Join overlapping tiles to bands of rows, from the top down.

    Memory holds one tile's height of rows, however tall the image is; bands have 64 rows at most.

    Parameters
    ----------
    tiles : iterable of (Window, ndarray of float, shape (C, h, w))
        Where each tile lies and its values, sorted by window: by row, then by column.
    allow_gaps : bool
        Whether pixels that no tile covers are 0 in every channel, rather than an error.

    Yields
    ------
    ndarray of float32, shape (C, rows, width)
        Values; the bands follow each other and end at `height`.

    Raises
    ------
    InputError
        If the tiles are not sorted, or a pixel is covered by none and gaps are not allowed.
    """
    band, previous = None, Window(0, 0, 0, 0)
    for window, values in tiles:
        if window < previous:
            raise InputError(
                f"tiles are out of order at row {window.row}, column {window.col}; sort them by "
                "row and column"
            )
        if band is None:
            band = _Band(values.shape[0], window.height, (height, width), blend, allow_gaps)
        yield from band.release(window.row)
        band.add(window, values)
        previous = window
    if band is None:
        raise InputError("there are no tiles to stitch; predict them first")
    yield from band.release(height)


def stitch_tiles(
    tiles: Iterable[tuple[Window, np.ndarray]], height: int, width: int, blend: Blend = "hann"
) -> np.ndarray:
    """Join overlapping tiles to one array, float32, shape (C, height, width).

    See `stitch_bands`, which does the same in little memory.
    """
    return np.concatenate(list(stitch_bands(tiles, height, width, blend)), axis=1)


class _Band:
    """Rows of the image that tiles may still change, the first of them row `top`."""

    def __init__(
        self,
        n_channels: int,
        n_rows: int,
        image_shape: tuple[int, int],
        blend: Blend,
        allow_gaps: bool,
    ):
        self.image_shape, self.blend, self.allow_gaps = image_shape, blend, allow_gaps
        self.top = 0
        self.values = np.zeros((n_channels, n_rows, image_shape[1]), np.float32)
        self.weight = np.zeros((n_rows, image_shape[1]))  # or depth; 0 where no tile was

    def add(self, window: Window, values: np.ndarray) -> None:
        """Put in a tile that begins with the band."""
        if window.height > len(self.weight):
            n_more = window.height - len(self.weight)
            self.values = np.pad(self.values, ((0, 0), (0, n_more), (0, 0)))
            self.weight = np.pad(self.weight, ((0, n_more), (0, 0)))
        place = slice(0, window.height), slice(window.col, window.end_col)
        ours, weight = self.values[(slice(None), *place)], self.weight[place]
        if self.blend == "crop":
            depth = depth_in_tile(window, *self.image_shape)
            is_deeper = depth > weight
            ours[:, is_deeper] = values[:, is_deeper]
            weight[is_deeper] = depth[is_deeper]
        else:
            own = blend_weights(self.blend, window.height, window.width)
            ours += values * own.astype(np.float32)
            weight += own

    def release(self, row: int) -> Iterator[np.ndarray]:
        """Finished rows above `row`."""
        while self.top < row:
            n_done = min(row - self.top, len(self.weight))
            for start in range(0, n_done, _MOST_ROWS):
                rows = slice(start, min(start + _MOST_ROWS, n_done))
                yield self._finish(self.values[:, rows], self.weight[rows], self.top + start)
            for plane in (*self.values, self.weight):
                _shift(plane, n_done)
            self.top += n_done

    def _finish(self, values: np.ndarray, weight: np.ndarray, top: int) -> np.ndarray:
        is_bare = weight <= 0
        if is_bare.any() and not self.allow_gaps:
            row, col = np.argwhere(is_bare)[0]
            raise InputError(
                f"no tile covers the pixel at row {top + row}, column {col}; predict the "
                "missing tiles"
            )
        if self.blend == "crop":
            return values.copy()  # whose place other rows will take
        return values / np.where(is_bare, 1, weight).astype(np.float32)


def _shift(plane: np.ndarray, n_rows: int) -> None:
    """Move the rows (H, W) that are left to the top, in place."""
    n_left = len(plane) - n_rows
    plane[:n_left] = plane[n_rows:]
    plane[n_left:] = 0
