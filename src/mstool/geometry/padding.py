"""Reflection where an image is smaller than what is asked of it."""

import numpy as np


def pad_by_reflection(array: np.ndarray, height: int, width: int) -> np.ndarray:
    """Extend an array, (H, W) or (H, W, C), at its bottom and right by mirroring it.

    The edge pixel is not repeated.

    Returns
    -------
    ndarray, shape (max(H, height), max(W, width)[, C])
        The array itself where it is large enough.
    """
    missing = (max(0, height - array.shape[0]), max(0, width - array.shape[1]))
    if missing == (0, 0):
        return array
    pads = [(0, missing[0]), (0, missing[1])] + [(0, 0)] * (array.ndim - 2)
    return np.pad(array, pads, mode="reflect")
