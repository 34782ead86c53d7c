"""Weights with which overlapping tiles are averaged."""

from typing import Literal

import numpy as np

Blend = Literal["crop", "flat", "hann", "gaussian"]

_FLOOR = 1e-3


def blend_profile(
    blend: Blend, size: int, halo: int, at_start: bool = False, at_end: bool = False
) -> np.ndarray:
    """Weight along one edge of a tile.

    Parameters
    ----------
    blend : {"crop", "flat", "hann", "gaussian"}
        ``crop`` takes each pixel from tiles in whose core it lies; ``flat`` averages; ``hann``
        and ``gaussian`` (sigma an eighth of the tile [1]_) favour the middle of a tile.
    size : int
        Tile edge [px].
    halo : int
        Border in which ``crop`` gives almost no weight [px]; the others do without.
    at_start, at_end : bool
        Whether the tile begins or ends at the edge of the image, where nobody else knows better
        and ``crop`` keeps the halo.

    Returns
    -------
    ndarray of float64, shape (size,)
        Weights in (0, 1], above 0 everywhere so that no pixel is left without.

    References
    ----------
    .. [1] Isensee, F. et al. (2021). Nat. Methods 18, 203-211.
    """
    if blend == "flat":
        return np.ones(size)
    if blend == "crop":
        weights = np.ones(size)
        if not at_start:
            weights[:halo] = _FLOOR**3
        if not at_end and halo:
            weights[-halo:] = _FLOOR**3
        return weights
    centre = np.arange(size) + 0.5
    if blend == "hann":
        weights = np.sin(np.pi * centre / size) ** 2
    else:
        weights = np.exp(-0.5 * ((centre - size / 2) / (size / 8)) ** 2)
    return np.maximum(weights / weights.max(), _FLOOR)


def blend_window(blend: Blend, row_profile: np.ndarray, col_profile: np.ndarray) -> np.ndarray:
    """Weight of each tile pixel: the outer product of its two profiles, floored above zero."""
    floor = _FLOOR**6 if blend == "crop" else _FLOOR
    return np.maximum(np.outer(row_profile, col_profile), floor)
