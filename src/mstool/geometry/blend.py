"""How overlapping tiles share the pixels that they have in common."""

from functools import lru_cache
from typing import Literal

import numpy as np

from mstool.geometry.window import Window

Blend = Literal["crop", "flat", "hann", "gaussian"]

_FLOOR = 1e-3


@lru_cache(8)
def blend_weights(blend: Blend, height: int, width: int) -> np.ndarray:
    """Weight of each pixel of a tile of this size [px] in the mean over tiles.

    ``gaussian`` is that of [1]_; ``crop`` averages nothing: see `depth_in_tile`.

    Returns
    -------
    ndarray of float64, shape (height, width)
        Weights in (0, 1], above 0 everywhere so that no pixel is left without. They are kept for
        the next tile, and cannot be changed.

    References
    ----------
    .. [1] Isensee, F. et al. (2021). Nat. Methods 18, 203-211.
    """
    profiles = (_profile(blend, size) for size in (height, width))
    weights = np.maximum(np.outer(*profiles), _FLOOR)
    weights.flags.writeable = False
    return weights


def depth_in_tile(window: Window, height: int, width: int) -> np.ndarray:
    """How deep each pixel lies in its tile: the larger, the more of its surroundings it saw.

    Returns
    -------
    ndarray of float64, shape (window.height, window.width)
        Distance to the nearest tile edge [px], 1 for a pixel that touches it. Edges of the image
        are none, since no other tile knows what lies beyond; infinite if there is no other edge.

    Examples
    --------
    >>> depth_in_tile(Window(row=0, col=2, height=1, width=4), height=1, width=8)
    array([[1., 2., 2., 1.]])
    """
    rows = _depth_along(window.row, window.height, height)
    cols = _depth_along(window.col, window.width, width)
    return np.minimum.outer(rows, cols)


def _depth_along(start: int, size: int, length: int) -> np.ndarray:
    inside = np.arange(1.0, size + 1)
    from_start = inside if start > 0 else np.inf
    from_end = inside[::-1] if start + size < length else np.inf
    return np.minimum(from_start, from_end) + np.zeros(size)


def _profile(blend: Blend, size: int) -> np.ndarray:
    centre = np.arange(size) + 0.5
    if blend == "flat":
        return np.ones(size)
    if blend == "hann":
        weights = np.sin(np.pi * centre / size) ** 2
    else:
        weights = np.exp(-0.5 * ((centre - size / 2) / (size / 8)) ** 2)
    return np.maximum(weights / weights.max(), _FLOOR)
