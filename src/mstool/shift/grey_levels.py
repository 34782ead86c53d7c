"""Stored pixel values as grey levels from 0 to 1, and back."""

from collections.abc import Sequence

import numpy as np

Levels = tuple[float, float]  # stored values of black and white

_EXTENT, _MOST_SAMPLED = (1e-4, 1 - 1e-4), 4_000_000  # pixels that give the extent


def extent_of(values: np.ndarray) -> tuple[float, float]:
    """Values that all but a ten-thousandth of the pixels lie above and below."""
    low, high = np.quantile(values.ravel()[:: max(1, values.size // _MOST_SAMPLED)], _EXTENT)
    return float(low), float(high)


def levels_of(dtype: str, extents: Sequence[tuple[float, float]]) -> Levels:
    """Stored values of black and white: of the type for 8 bits, else of what occurs.

    Cameras of 10 to 14 bits store 16; white is then the smallest power of two, less one, that
    hardly a pixel exceeds. Single hot pixels count for nothing, `extents` being those of
    `extent_of`.
    """
    if dtype == "uint8":
        return 0.0, 255.0
    lows, tops = zip(*extents, strict=True)
    if np.dtype(dtype).kind == "u":
        return 0.0, 2.0 ** np.ceil(np.log2(max(*tops, 1) + 1)) - 1
    black, white = min(lows), max(tops)
    return black, white if white > black else black + 1


def to_unit(image: np.ndarray, levels: Levels) -> np.ndarray:
    """Stored values as grey levels from 0 to 1: float32."""
    black, white = levels
    return np.clip((image - black) / (white - black), 0, 1).astype(np.float32)


def to_stored(image: np.ndarray, levels: Levels, dtype: str) -> np.ndarray:
    """Grey levels as stored values: float32, whole numbers where the type is of such."""
    values = image * (levels[1] - levels[0]) + levels[0]
    return (np.rint(values) if np.dtype(dtype).kind in "ui" else values).astype(np.float32)


def cut_middle(image: np.ndarray, edge: int) -> np.ndarray:
    """Middle of an image (H, W[, C]), at most `edge` pixels along each edge."""
    starts = [max(0, length - edge) // 2 for length in image.shape[:2]]
    return image[tuple(slice(start, start + edge) for start in starts)]
